"""Migrations over HTTP: an unfinished run goes on in another graph, or is told what keeps it."""

from __future__ import annotations

from typing import Any

import pytest

from stenograph.engine import GraphInvalid, MigrationRefused, RunFinished, UnknownGraph, UnknownRun
from stenograph.http import Client, SyncClient
from tests.http.serving import app_client, serving
from tests.http.tools import COUNT

ASK = {"wait": {"signal": "go"}, "next": "count"}
COUNTED = {"tool": "count"}
ASKING = {"id": "asking", "start": "ask", "nodes": {"ask": ASK, "count": COUNTED}}
MORE = {"ask": {**ASK, "next": "more"}, "more": {**COUNTED, "next": "count"}, "count": COUNTED}
TWICE = {**ASKING, "nodes": MORE}
OTHER = {"start": "count", "nodes": {"count": {"tool": "count"}}}


async def waiting_in(client: Any, run_id: str = "r") -> int:
    """Start a run that waits; returns its last seq."""
    answer = await client.post(
        "/runs", json={"graph": ASKING, "id": run_id}, headers={"Prefer": "wait=20"}
    )
    assert answer.json()["status"] == "waiting", answer.text
    return int(answer.json()["seq"])


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_a_run_goes_on_in_another_version_by_one_event(prefix: str) -> None:
    async with app_client() as client:
        seq = await waiting_in(client)
        path = f"{prefix}/runs/r/migrate"
        tried = (await client.post(path, json={"graph": TWICE, "dry_run": True})).json()
        assert (tried["done"], tried["seq"], tried["faults"]) == (False, seq, [])
        assert [each["name"] for each in tried["changes"]] == ["ask", "more"]
        assert len((await client.get("/graphs/asking/versions")).json()["items"]) == 1
        answer = await client.post(path, json={"graph": TWICE})
        done = answer.json()
        assert (answer.status_code, done["done"], done["seq"]) == (200, True, seq + 1)
        assert (done["changes"], done["version"]) == (tried["changes"], tried["version"])
        [event] = (await client.get(f"/runs/r/events?after={seq}")).json()["events"]
        assert (event["type"], event["data"]["actor"]) == ("run.migrated", "http")
        assert (await client.get("/runs/r")).json()["version"] == done["version"]
        again = (await client.post(path, json={"graph": "asking"})).json()
        assert (again["done"], again["seq"], again["changes"]) == (True, seq + 1, [])
        assert (await client.get("/runs/r/verify")).json()["sound"]


async def test_a_filter_by_graph_follows_a_run_into_its_new_graph() -> None:
    async with app_client() as client:
        await waiting_in(client)

        async def found(graph: str) -> list[str]:
            page = (await client.get("/journal", params={"graph": graph, "after": 0})).json()
            return [each["type"] for each in page["events"] if each["run_id"] == "r"]

        assert "run.created" in await found("asking")
        await client.post("/runs/r/migrate", json={"graph": {**TWICE, "id": "twice"}})
        assert await found("asking") == []
        assert (await found("twice"))[-1] == "run.migrated"
        [listed] = (await client.get("/runs?graph=twice")).json()["items"]
        assert (listed["id"], listed["graph_id"]) == ("r", "twice")


@pytest.mark.parametrize(
    ("run_id", "body", "status", "code", "pointer"),
    [
        ("nobody", {"graph": OTHER}, 404, "run-not-found", None),
        ("r", {"graph": "nothing"}, 404, "graph-not-found", None),
        ("r", {"graph": OTHER}, 422, "migration-refused", "/graph"),
        ("r", {"graph": {"start": "x", "nodes": {}}}, 422, "graph-invalid", "/graph/nodes"),
        ("r", {}, 422, "body-invalid", "/graph"),
        ("r", {"graph": "asking", "dry_run": "maybe"}, 422, "body-invalid", "/dry_run"),
        ("r", {"graph": "asking", "surprise": 1}, 422, "body-invalid", "/surprise"),
        ("ended", {"graph": "asking", "dry_run": True}, 409, "run-finished", None),
    ],
)
async def test_what_cannot_be_migrated_is_a_problem(
    run_id: str, body: dict[str, Any], status: int, code: str, pointer: str | None
) -> None:
    async with app_client() as client:
        seq = await waiting_in(client)
        if run_id == "ended":
            await waiting_in(client, "ended")
            await client.post("/runs/ended/cancel")
        answer = await client.post(f"/runs/{run_id}/migrate", json=body)
        problem = answer.json()
        assert (answer.status_code, problem["type"]) == (status, f"/problems/{code}")
        assert pointer in (None, *(each["pointer"] for each in problem.get("errors", [])))
        assert (await client.get("/runs/r")).json()["seq"] == seq


async def test_a_dry_run_answers_what_would_be_refused() -> None:
    async with app_client() as client:
        await waiting_in(client)
        answer = await client.post("/runs/r/migrate", json={"graph": OTHER, "dry_run": True})
        assert answer.status_code == 200
        assert answer.json()["faults"] == [
            {"pointer": "/graph", "detail": "scope / stands at node 'ask', which is not there"}
        ]


async def test_a_client_migrates_as_its_engine_does() -> None:
    async with serving() as served, Client(served.url) as client:
        await client.run(ASKING, run_id="r", wait_s=5)
        for caller in (client, served.engine):
            told = await caller.migrate("r", OTHER, dry_run=True)
            assert [each.detail for each in told.faults] == [
                "scope / stands at node 'ask', which is not there"
            ]
        tried = await client.migrate("r", TWICE, dry_run=True)
        assert tried == await served.engine.migrate("r", TWICE, dry_run=True)
        done = await client.migrate("r", TWICE)
        assert (done.done, done.changes, done.version) == (True, tried.changes, tried.version)
        assert await client.migrate("r", "asking") == await served.engine.migrate("r", "asking")
        await client.signal("r", "go", 1)
        assert (await client.wait("r")).state["n"] == 2


async def test_a_client_raises_what_its_engine_raises() -> None:
    async with serving() as served, Client(served.url) as client:
        await client.run(ASKING, run_id="r", wait_s=5)
        await client.run(COUNT, {"to": 1}, run_id="ended")
        told = []
        for caller in (client, served.engine):
            with pytest.raises(MigrationRefused) as refused:
                await caller.migrate("r", OTHER)
            told.append((str(refused.value), refused.value.faults))
            for dry_run in (True, False):
                with pytest.raises(GraphInvalid) as invalid:
                    await caller.migrate("r", {"start": "x", "nodes": {}}, dry_run=dry_run)
                assert {each.pointer for each in invalid.value.faults} <= {"/nodes", "/start"}
            with pytest.raises(UnknownGraph):
                await caller.migrate("r", "nothing")
            with pytest.raises(UnknownRun):
                await caller.migrate("nobody", OTHER)
            with pytest.raises(RunFinished, match="completed"):
                await caller.migrate("ended", OTHER)
        assert told[0] == told[1]


async def test_the_client_without_await_migrates_as_well() -> None:
    import asyncio

    async with serving() as served:
        await served.engine.run(ASKING, run_id="r", wait_s=5)

        def migrated() -> bool:
            with SyncClient(served.url) as client:
                return client.migrate("r", TWICE).done

        assert await asyncio.to_thread(migrated)
