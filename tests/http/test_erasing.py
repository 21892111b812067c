"""Erasing a run: it is there, and gone; whoever asks is told which."""

from __future__ import annotations

from pathlib import Path

import pytest

import stenograph as st
from stenograph.engine import RunGone, RunUnfinished, UnknownRun
from stenograph.http import Client
from tests.http.serving import app_client, begun, messages, ran, serving
from tests.http.tools import COUNT, FAIL, TOOLS

WAITS = {"id": "waits", "start": "ask", "nodes": {"ask": {"wait": {"signal": "go"}}}}


async def test_an_erased_run_answers_410_and_its_events_are_hashes() -> None:
    async with app_client() as client:
        await ran(client, COUNT, "first", to=2)
        before = (await client.get("/runs/first/events")).json()["events"]
        answer = await client.post("/runs/first/erase", json={"reason": "asked for"})
        again = await client.post("/runs/first/erase")
        assert (answer.status_code, answer.json()["status"]) == (200, "completed")
        assert answer.json() == again.json()
        assert (answer.json()["reason"], answer.json()["tags"]) == ("erased", {})
        for path in ("", "/state", "/state?at=2", "/visits"):
            gone = await client.get(f"/runs/first{path}")
            assert (gone.status_code, gone.json()["type"]) == (410, "/problems/run-erased")
        assert (await client.get("/graph/state/first")).status_code == 410
        assert (await client.post("/runs/first/retry")).status_code == 410
        page = (await client.get("/runs/first/events")).json()
        assert (page["end"], page["events"][-1]["type"]) == (True, "run.erased")
        assert page["events"][-1]["data"] == {"actor": "http", "reason": "asked for"}
        for old, new in zip(before, page["events"], strict=False):
            assert list(new["data"]) == ["$erased"]
            assert {**old, "data": None} == {**new, "data": None}
        assert (await client.get("/runs/first/verify")).json()["ok"]
        assert (await client.get("/journal/verify")).json()["erased"] == len(before)
        listed = (await client.get("/runs")).json()["items"]
        assert [(run["id"], run["status"], run["tags"], run["erased"]) for run in listed] == [
            ("first", "completed", {}, True)
        ]


async def test_a_run_that_has_not_ended_is_not_erased() -> None:
    async with app_client() as client:
        await begun(client, WAITS, "live")
        answer = await client.post("/runs/live/erase")
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/run-unfinished")
        assert (await client.post("/runs/nobody/erase")).status_code == 404


async def test_whoever_follows_an_erased_run_is_told_its_end() -> None:
    async with serving() as served:
        await ran(served.http, COUNT, "first", to=2)
        async with served.socket("/ws/first?batch=1") as socket:
            assert "$erased" not in str(await messages(socket))
        await served.http.post("/runs/first/erase")
        async with served.socket("/ws/first") as socket:
            heard = await messages(socket)
        assert all("$erased" in each["log"]["data"] for each in heard[:-2])
        assert heard[-2]["log"]["type"] == "run.erased"
        assert (heard[-1]["type"], heard[-1]["status"], heard[-1]["done"]) == (
            "status",
            "completed",
            True,
        )
        sse = await served.http.get("/runs/first/events", headers={"Accept": "text/event-stream"})
        assert "run.erased" in sse.text
        async with Client(served.url) as client:
            with pytest.raises(RunGone):
                await client.get("first")
            assert (await client.erase("first")).status == "completed"
            await begun(served.http, WAITS, "live")
            with pytest.raises(RunUnfinished):
                await client.erase("live")


async def test_an_erased_run_is_erased_for_the_next_engine_too(tmp_path: Path) -> None:
    path = tmp_path / "steno.db"
    async with st.open(path, tools=TOOLS) as engine:
        run = await engine.run(COUNT, {"to": 2, "text": "<mark>"}, tags={"who": "<mark>"})
        kept = await engine.run(FAIL, {"n": 0})
        await engine.erase(run.id)
    async with st.open(path, tools=TOOLS) as engine:
        with pytest.raises(RunGone):
            await engine.get(run.id)
        with pytest.raises(RunGone):
            [event async for event in engine.tail(run.id)]
        assert (await engine.retry(kept.id)).id == kept.id
        assert (await engine.left_of(run.id)).done
    assert "<mark>" not in everything_in(tmp_path)


def everything_in(folder: Path) -> str:
    return "".join(file.read_bytes().decode("latin-1") for file in folder.iterdir())


async def test_a_run_that_is_retried_at_that_moment_is_not_erased() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.run(FAIL, {"n": 0})
        append = engine.journal.append

        async def after_a_retry(*args: object, **options: object) -> object:
            engine.journal.append = append  # type: ignore[method-assign]
            await engine.retry(run.id)
            return await append(*args, **options)  # type: ignore[arg-type]

        engine.journal.append = after_a_retry  # type: ignore[method-assign,assignment]
        try:
            await engine.erase(run.id)
        except RunUnfinished:
            assert (await engine.get(run.id)).id == run.id
        else:  # it had failed once more by then
            assert (await engine.left_of(run.id)).reason == "erased"
        with pytest.raises(UnknownRun):
            await engine.left_of("nobody")
