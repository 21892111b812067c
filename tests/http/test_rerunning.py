"""Reruns over HTTP: a run made anew, what came of it, and checks of today's tools."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

import stenograph as st
from stenograph.engine import RerunRefused, UnknownRun
from stenograph.http import Client
from tests.http.serving import PATIENCE_S, app_client, serving
from tests.http.test_forking import run_in
from tests.http.tools import COUNT


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_a_rerun_is_a_run_of_its_own_that_names_what_it_was_made_from(prefix: str) -> None:
    async with app_client() as client:
        await run_in(client)
        answer = await client.post(f"{prefix}/runs/r/rerun", json={"run_id": "again"})
        assert (answer.status_code, answer.headers["Location"]) == (202, "/runs/again")
        assert answer.json()["tags"] == {"a": "b", "rerun_of": "r"}
        [found] = (await client.get("/runs?tag=rerun_of:r")).json()["items"]
        assert found["id"] == "again"
        for is_done in (False, True):
            report = (await client.get(f"{prefix}/runs/again/rerun")).json()
            assert (report["rerun_of"], report["executed"], report["why"]) == ("r", 0, {})
            assert (report["same"], report["first"]) == (True, None)
            if is_done:
                assert (report["status"], report["done"]) == ("completed", True)
                assert (report["reused"], report["diff"]["same"]) == (3, True)
            await ended(client, "again")


async def ended(client: Any, run_id: str) -> None:
    """Return when a run has ended."""
    after, is_done = 0, False
    while not is_done:
        answer = await client.get(f"/runs/{run_id}/events", params={"after": after, "wait": 20})
        after, is_done = answer.json()["after"], answer.json()["end"]


async def test_a_check_answers_where_the_tools_differ() -> None:
    async with app_client() as client:
        await run_in(client)
        for body in ({}, {"tools": ["count"]}):
            answer = await client.post("/runs/r/check", json=body)
            assert (answer.status_code, answer.json()["same"]) == (200, True)
            assert answer.json()["checked"] == 3


async def test_a_check_ends_when_its_client_leaves_and_when_the_server_stops() -> None:
    called, given_up = asyncio.Queue[None](), asyncio.Queue[None]()
    is_recorded = asyncio.Event()

    @st.tool
    async def once_quick(state: dict[str, Any]) -> None:
        if is_recorded.is_set():
            called.put_nowait(None)
        else:
            is_recorded.set()
            return
        try:
            await asyncio.Event().wait()
        finally:
            given_up.put_nowait(None)

    graph = {"start": "a", "nodes": {"a": {"tool": "once_quick"}}}
    async with serving(lambda: st.open(":memory:", tools=[once_quick])) as served:
        await served.engine.run(graph, run_id="r")
        with pytest.raises(httpx.ReadTimeout):
            await served.http.post("/runs/r/check", timeout=0.2)
        async with asyncio.timeout(PATIENCE_S):
            await given_up.get()
        asked = asyncio.ensure_future(served.http.post("/runs/r/check"))
        for _ in range(2):
            await called.get()
        served.stop.set()
        answer = await asked
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/shutting-down")


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("none/rerun", {}, "run-not-found"),
        ("none/check", {}, "run-not-found"),
        ("r/rerun", {"tools": ["none"]}, "rerun-refused"),
        ("r/check", {"tools": ["none"]}, "rerun-refused"),
        ("r/rerun", {"graph": "none"}, "graph-not-found"),
        ("r/rerun", {"run_id": "r"}, "run-exists"),
        ("r/rerun", {"surprise": 1}, "body-invalid"),
        ("r/check", {"time_s": 0}, "body-invalid"),
        ("r/check", {"time_s": 3601}, "body-invalid"),
    ],
)
async def test_what_cannot_be_rerun_is_a_problem(
    path: str, body: dict[str, Any], code: str
) -> None:
    async with app_client() as client:
        await run_in(client)
        answer = await client.post(f"/runs/{path}", json=body)
        assert answer.json()["type"] == f"/problems/{code}"


async def test_a_rerun_with_nothing_changed_needs_no_body() -> None:
    async with app_client() as client:
        await run_in(client)
        answer = await client.post("/runs/r/rerun")
        assert (answer.status_code, answer.json()["tags"]["rerun_of"]) == (202, "r")


async def test_an_id_and_a_key_are_too_much() -> None:
    async with app_client() as client:
        await run_in(client)
        headers = {"Idempotency-Key": "k"}
        answer = await client.post("/runs/r/rerun", json={"id": "x"}, headers=headers)
        assert answer.json()["type"] == "/problems/idempotency-key-invalid"


async def test_a_client_reruns_and_checks_as_its_engine_does() -> None:
    async with serving() as served, Client(served.url) as client:
        await client.run(COUNT, {"to": 2}, run_id="r")
        for graph, key in ((None, "k"), (COUNT, "l"), (COUNT, "l")):
            begun = await client.rerun("r", graph=graph, state={"to": 3}, tools=["count"], key=key)
        assert begun.replayed
        assert begun.tags == {"rerun_of": "r"}
        end = await client.wait(begun.id)
        assert end.state["n"] == 3
        report = await client.rerun_report(begun.id)
        assert report == await served.engine.rerun_report(begun.id)
        assert report.why == {"named": 2, "new": 1}
        assert await client.check_run("r") == await served.engine.check_run("r")
        late = await client.check_run("r", time_s=1e-9)
        assert (late.same, late.checked, late.skipped) == (True, 0, {"no-time": 2})
        with pytest.raises(RerunRefused, match="it is no rerun"):
            await client.rerun_report("r")
        with pytest.raises(UnknownRun):
            await client.check_run("none")
