"""Forks over HTTP: a new run from any event of another, found from both ends."""

from __future__ import annotations

from typing import Any

import pytest

import stenograph as st
from stenograph.engine import ForkRefused, KeyReused, SeqNotReached
from stenograph.http import Client
from tests.http.serving import app_client, serving
from tests.http.tools import COUNT


async def run_in(client: Any, run_id: str = "r") -> int:
    """Run a graph to its end; returns its last seq."""
    answer = await client.post(
        "/runs",
        json={"graph": COUNT, "state": {"to": 3}, "id": run_id, "tags": {"a": "b"}},
        headers={"Prefer": "wait=20"},
    )
    assert answer.json()["status"] == "completed", answer.text
    return int(answer.json()["seq"])


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_a_fork_is_a_run_of_its_own_and_knows_its_origin(prefix: str) -> None:
    async with app_client() as client:
        head = await run_in(client)
        answer = await client.post(f"{prefix}/runs/r/fork", json={"at": 4, "run_id": "f"})
        assert (answer.status_code, answer.headers["Location"]) == (202, "/runs/f")
        forked = answer.json()
        assert (forked["forked_at"], forked["origin"]["run_id"], forked["tags"]) == (
            3,
            "r",
            {"a": "b"},
        )
        assert (await client.get("/runs/r")).json()["seq"] == head
        assert (await client.get("/runs/r")).json()["origin"] is None
        assert (await client.get("/runs/f")).json()["origin"] == forked["origin"]
        listed = (await client.get("/runs", params={"origin": "r"})).json()["items"]
        assert [(each["id"], each["origin"]) for each in listed] == [("f", "r")]


async def test_the_same_fork_again_is_a_replay() -> None:
    async with app_client() as client:
        await run_in(client)
        key = {"Idempotency-Key": "k"}
        first = await client.post("/runs/r/fork", json={"at": 2}, headers=key)
        again = await client.post("/runs/r/fork", json={"at": 2}, headers=key)
        assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
        assert again.headers["Idempotency-Replayed"] == "true"
        other = await client.post("/runs/r/fork", json={"at": 3}, headers=key)
        assert (other.status_code, other.json()["type"]) == (
            422,
            "/problems/idempotency-key-reused",
        )
        both = await client.post("/runs/r/fork", json={"at": 2, "id": "f"}, headers=key)
        assert both.json()["type"] == "/problems/idempotency-key-invalid"


@pytest.mark.parametrize(
    ("path", "body", "code", "pointer"),
    [
        ("nobody", {"at": 1}, "run-not-found", None),
        ("r", {"at": 999}, "seq-not-reached", None),
        ("r", {"at": 0}, "body-invalid", "/at"),
        ("r", {}, "body-invalid", "/at"),
        ("r", {"at": 2, "id": "r"}, "run-exists", None),
        ("r", {"at": 2, "graph": "nothing"}, "graph-not-found", None),
        ("r", {"at": 2, "graph": {"start": "a", "nodes": {"a": {}}}}, "fork-refused", "/graph"),
        ("r", {"at": 2, "patch": [{"op": "copy"}]}, "fork-refused", "/patch/0"),
        ("r", {"at": 2, "scope": "/x#1/"}, "fork-refused", "/scope"),
        ("r", {"at": 2, "signals": {"go": 1}}, "unknown-signal", None),
        ("r", {"at": 2, "run_id": "journal"}, "body-invalid", "/run_id"),
    ],
)
async def test_what_cannot_be_forked_is_a_problem(
    path: str, body: dict[str, Any], code: str, pointer: str | None
) -> None:
    async with app_client() as client:
        await run_in(client)
        answer = await client.post(f"/runs/{path}/fork", json=body)
        problem = answer.json()
        assert problem["type"] == f"/problems/{code}"
        assert pointer in (None, *(each["pointer"] for each in problem.get("errors", [])))


async def test_a_client_forks_as_its_engine_does() -> None:
    async with serving() as served, Client(served.url) as client:
        run = await client.run(COUNT, {"to": 3}, run_id="r")
        forked = await client.fork(
            "r",
            2,
            state={"to": 2},
            patch=[{"op": "add", "path": "/extra", "value": [1]}],
            new_id="f",
            tags={"why": "what if"},
            limits=st.Limits(steps=50),
        )
        assert forked.origin == (await served.engine.get("f")).origin
        end = await client.wait("f")
        assert end == await served.engine.get("f")
        assert (end.state["n"], end.state["extra"], end.tags) == (2, [1], {"why": "what if"})
        assert (await client.fork("r", 2, key="k")).id == (await client.fork("r", 2, key="k")).id
        whole = await client.fork("r", 2, graph=COUNT)
        assert whole.graph_id == run.graph_id


async def test_a_client_raises_what_its_engine_raises() -> None:
    async with serving() as served, Client(served.url) as client:
        run = await client.run(COUNT, {"to": 3}, run_id="r")
        for at in (0, run.seq + 1):
            for caller in (client, served.engine):
                with pytest.raises(SeqNotReached, match=f"{at}"):
                    await caller.fork("r", at)
        told = []
        for caller in (client, served.engine):
            with pytest.raises(ForkRefused) as refused:
                await caller.fork("r", 2, patch=[{"op": "remove", "path": "/gone"}])
            told.append((str(refused.value), refused.value.faults))
        assert told[0] == told[1]
        await client.fork("r", 2, key="k")
        with pytest.raises(KeyReused):
            await client.fork("r", 3, key="k", state={"to": 1})
