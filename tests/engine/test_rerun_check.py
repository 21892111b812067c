"""Checks: today's tools on recorded states, where they do otherwise, and that nothing comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from stenograph.engine import Engine, UnknownRun, tool
from stenograph.journal import MemoryJournal
from tests.crashes import drive
from tests.graphs import SAMPLES, TOOLS, chain

CUT_OFF = {"race", "race in a loop", "quorum with a failure"}


@pytest.mark.parametrize("name", sorted(SAMPLES.keys() - CUT_OFF))
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
