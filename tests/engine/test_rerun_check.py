"""Checks: today's tools on recorded states, where they do otherwise, and that nothing comes of it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

import stenograph as st
from stenograph.engine import Engine, RerunRefused, UnknownRun, tool
from stenograph.journal import MemoryJournal
from tests.crashes import drive
from tests.engine.test_recall import chatter
from tests.graphs import SAMPLES, TOOLS, chain


@pytest.mark.parametrize("name", sorted(SAMPLES))
async def test_the_same_tools_do_the_same(name: str) -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        whole = await drive(engine, SAMPLES[name])
        report = await engine.check_run("run")
        assert report.differences == ()
        assert report.same
        assert (await engine.get("run")).seq == whole.seq
        assert len(await engine.runs()) == 1


@tool
async def grow(state: dict[str, Any]) -> dict[str, Any]:
    return {"n": state["n"] + 1}


@tool(effects="once")
async def send(state: dict[str, Any]) -> dict[str, Any]:
    return {"sent": True}


async def test_a_tool_that_does_otherwise_is_told_with_what_it_changes() -> None:
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=[grow, send]) as engine:
            await engine.run(chain("grow", "send", "grow"), {"n": 1}, run_id="run")

        @tool(name="grow", version="2")
        def faster(state: dict[str, Any]) -> dict[str, Any]:
            if state["n"] > 1:
                raise ValueError("enough")
            return {"n": state["n"] + 2}

        async with Engine(journal, tools=[faster, send]) as engine:
            report = await engine.check_run("run")
            assert (report.same, report.checked, report.skipped) == (False, 2, {"once": 1})
            first, second = report.differences
            assert (first.node, first.version, first.found.outcome) == ("grow-0", "2", "ok")
            assert [(each.path, each.old, each.new) for each in first.changes] == [("/n", 2, 3)]
            assert second.found.error is not None
            assert (second.recorded.outcome, second.found.error.message) == ("ok", "enough")
            assert (await engine.check_run("run", tools=["send"])).skipped == {
                "not-named": 2,
                "once": 1,
            }


async def test_what_cannot_be_checked_is_counted() -> None:
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=[grow]) as engine:
            await engine.run(chain("grow"), {"n": 1}, run_id="run")
            with pytest.raises(UnknownRun):
                await engine.check_run("other")
        async with Engine(journal) as engine:
            report = await engine.check_run("run")
            assert (report.same, report.checked, report.skipped) == (True, 0, {"no-tool": 1})


async def test_what_may_see_a_secret_is_left_out_and_what_cannot_is_checked() -> None:
    child = {"id": "child", **chain("grow")}
    graph = {
        "start": "own",
        "state": {"token": {"secret": True}},
        "nodes": {
            "own": {"tool": "grow", "next": "kept"},
            "kept": {"graph": "child", "in": {"n": "n", "token": "token"}, "next": "free"},
            "free": {"graph": "child", "in": {"n": "n"}},
        },
    }
    async with MemoryJournal() as journal, Engine(journal, tools=[grow]) as engine:
        await engine.create_graph(child)
        end = await engine.run(graph, {"n": 1, "token": "abcdefghij"}, run_id="run")
        assert end.status == "completed", end.error
        report = await engine.check_run("run")
        assert (report.checked, report.skipped) == (1, {"secret": 2})


async def test_a_name_that_is_no_tools_is_refused() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=[grow]) as engine:
        await engine.run(chain("grow"), {"n": 1}, run_id="run")
        with pytest.raises(RerunRefused, match="/tools/1: there is no tool 'grwo'"):
            await engine.check_run("run", tools=["grow", "grwo"])


async def test_attempts_that_did_not_end_are_counted_and_not_made() -> None:
    calls = asyncio.Queue[None]()

    @tool
    async def hang(state: dict[str, Any]) -> None:
        calls.put_nowait(None)
        await asyncio.Event().wait()

    async with MemoryJournal() as journal:
        for _ in range(2):
            async with Engine(journal, tools=[grow, hang]) as engine:
                if not await journal.head("run"):
                    await engine.start(chain("grow", "hang"), {"n": 1}, run_id="run")
                await calls.get()
        async with Engine(journal, tools=[grow, hang]) as engine:
            await calls.get()
            await engine.cancel("run")
            await engine.wait("run")
            report = await engine.check_run("run")
            assert (report.checked, report.skipped) == (1, {"no-outcome": 3})
            assert calls.empty()


async def test_what_was_tried_again_is_checked_try_by_try() -> None:
    @tool
    async def hang(state: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    graph = chain("hang")
    graph["nodes"]["hang-0"] |= {"timeout_s": 0.01, "retry": {"attempts": 2, "delay_s": 0}}
    async with MemoryJournal() as journal, Engine(journal, tools=[hang]) as engine:
        await engine.run(graph, run_id="run")
        report = await engine.check_run("run")
        assert (report.same, report.checked) == (True, 2)


@pytest.mark.parametrize(("to", "differences"), [("nowhere", 0), ("elsewhere", 1)])
async def test_a_goto_that_led_nowhere_is_the_same_as_long_as_it_leads_there(
    to: str, differences: int
) -> None:
    def stray(to: str) -> st.Tool:
        @tool(name="stray", version="1")
        async def leads(state: dict[str, Any]) -> st.Goto:
            return st.Goto(to, {})

        return leads

    async with MemoryJournal() as journal:
        async with Engine(journal, tools=[stray("nowhere")]) as engine:
            await engine.run(chain("stray"), run_id="run")
        async with Engine(journal, tools=[stray(to)]) as engine:
            report = await engine.check_run("run")
            assert (report.checked, len(report.differences)) == (1, differences)


async def test_a_difference_in_each_of_many_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stenograph.engine.reruns.rerun_check.DIFFERENCES_MAX", 2)
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=[grow]) as engine:
            await engine.run(chain(*["grow"] * 5), {"n": 1}, run_id="run")

        @tool(name="grow", version="2")
        async def shrink(state: dict[str, Any]) -> dict[str, Any]:
            return {"n": state["n"] - 1}

        async with Engine(journal, tools=[shrink]) as engine:
            report = await engine.check_run("run")
            assert (len(report.differences), report.differences_more) == (2, 3)


async def test_what_a_tool_says_goes_nowhere() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=[chatter]) as engine:
        run = await engine.run(chain("chatter"), run_id="run")
        report = await engine.check_run("run")
        assert (report.same, report.checked) == (True, 1)
        assert (await engine.get("run")).seq == run.seq


async def test_what_is_not_done_when_the_time_is_up_is_counted_and_given_up() -> None:
    calls = asyncio.Queue[None]()
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=[grow]) as engine:
            await engine.run(chain(*["grow"] * 4), {"n": 1}, run_id="run")

        @tool(name="grow", version="2")
        async def hang(state: dict[str, Any]) -> dict[str, Any]:
            calls.put_nowait(None)
            if state["n"] > 1:
                await asyncio.Event().wait()
            return {"n": 2}

        async with Engine(journal, tools=[hang]) as engine:
            report = await engine.check_run("run", time_s=0.05)
            assert (report.same, report.checked, report.skipped) == (True, 1, {"no-time": 3})
            assert calls.qsize() == 2
            for wrong in (0, float("nan"), 3601):
                with pytest.raises(ValueError, match="Expected"):
                    await engine.check_run("run", time_s=wrong)


async def test_a_large_state_is_read_once_and_not_by_each_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large = {f"key-{number}": [[number] * 50] * 20 for number in range(10)}
    decode, decoded = msgspec.json.decode, list[int]()

    def counted(data: Any, **options: Any) -> Any:
        if 1000 < len(data) < 10_000:  # one of those values, and neither an event nor the state
            decoded.append(len(data))
        return decode(data, **options)

    async with MemoryJournal() as journal, Engine(journal, tools=[grow]) as engine:
        await engine.run(chain(*["grow"] * 8), {"n": 1, **large}, run_id="run")
        monkeypatch.setattr("msgspec.json.decode", counted)
        assert (await engine.check_run("run")).checked == 8
        assert len(decoded) == len(large)
        decoded.clear()
        begun = await engine.rerun("run")
        await engine.wait(begun.id)
        assert (await engine.rerun_report(begun.id)).reused == 8
        assert len(decoded) < 4 * len(large)  # when it begins, and for none of its attempts
