"""Runs whose tools work in processes of their own, or wait at a gate: stopped, lost, limited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import json

import stenograph as st
from stenograph.engine import Engine, Event
from stenograph.engine.core.events import LogWritten
from tests.engine import process_tools
from tests.graphs import TOOLS, mapped, one

State = dict[str, Any]


class Crowd:
    """Counts how many are inside a tool at once, and how often one came in."""

    def __init__(self) -> None:
        self.inside = self.most = self.come = 0

    async def work(self) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.come += 1
        await asyncio.sleep(0.002)
        self.inside -= 1


crowd = Crowd()


@st.tool(limit=2)
async def two_at_once(state: State) -> None:
    await crowd.work()


@st.tool(rate=(2, 0.2))
async def two_in_a_while(state: State) -> None:
    await crowd.work()


@st.tool(rate=(2, 3600))
async def two_in_an_hour(state: State) -> None:
    await crowd.work()


@st.tool(limit=1)
async def hang_alone(state: State, ctx: st.Context) -> None:
    ctx.log("inside")
    await asyncio.sleep(3600)


@st.tool(process=True)
def count_in_a_process(state: State) -> State:
    return {"n": state.get("n", 0) + 1, "doubled": state.get("item", 0) * 2, "seen": []}


MINE = (*TOOLS, two_at_once, two_in_a_while, two_in_an_hour, hang_alone, count_in_a_process)


@asynccontextmanager
async def opened(path: Path | str = ":memory:") -> AsyncIterator[Engine]:
    crowd.__init__()  # type: ignore[misc]
    async with st.open(path, tools=(*MINE, process_tools)) as engine:
        yield engine


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.005)


async def said(engine: Engine, run_id: str) -> State:
    """Return the fields of the first thing that a run's tool logs."""
    async with asyncio.timeout(30):
        async for event in engine.tail(run_id):
            if event.type == "log":
                return fields_of(event)
    raise AssertionError("the run ended and had said nothing")


def fields_of(event: Event) -> State:
    assert isinstance(event.data, LogWritten)
    fields: State = json.decode(event.data.fields) if event.data.fields else {}
    return fields


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended, be it that nobody has asked how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):  # the latter when it goes while it is read
        return True


async def test_a_tool_in_a_process_returns_and_changes_its_state_in_place() -> None:
    async with opened() as engine:
        view = await engine.run(one("change"), {"list": [1, 2], "gone": 1})
        assert view.state == {
            "list": [1, 2, 3],
            "new": {"a": None},
            "nan": None,
            "returned": [1, 2],
        }


async def test_what_a_process_returns_meets_reducer_and_schema() -> None:
    graph = {**one("count_in_a_process", next={"to": "work", "max": 2})}
    graph["state"] = {"n": {"reducer": "add", "schema": {"maximum": 6}}}
    async with opened() as engine:
        view = await engine.run(graph, {})
        assert view.error is not None
        assert (view.error.type, view.state["n"]) == ("schema-violated", 3)


async def test_a_tool_in_a_process_says_where_to_go() -> None:
    graph = {"start": "go", "nodes": {"go": {"tool": "go"}, "there": {"tool": "note"}}}
    async with opened() as engine:
        view = await engine.run(graph, {})
        assert view.state == {"n": 2, "notes": ["seen"]}
        assert [visit.to for visit in await engine.visits(view.id)] == ["there", None]


async def test_the_progress_of_a_process_is_in_the_journal() -> None:
    async with opened() as engine:
        view = await engine.run(one("advance"), {"steps": 50})
        lines = [fields_of(event) async for event in engine.tail(view.id) if event.type == "log"]
        assert lines
        assert lines[-1] == {"done": 50, "total": 50}
        assert len(lines) < 50


async def test_a_process_that_is_out_of_time_is_killed_and_an_edge_catches_it() -> None:
    graph = one("burn", timeout_s=0.3, next=[{"to": "after", "on": "timeout"}])
    async with opened() as engine:
        begun = await engine.start(graph, {})
        pid = (await said(engine, begun.id))["pid"]
        view = await engine.wait(begun.id)
        assert (view.status, view.state) == ("completed", {"notes": ["seen"]})
        await until(lambda: is_gone(pid))


async def test_cancelling_a_run_kills_its_process() -> None:
    async with opened() as engine:
        begun = await engine.start(one("burn_deaf"), {})
        pid = (await said(engine, begun.id))["pid"]
        assert not is_gone(pid)
        await engine.cancel(begun.id)
        assert (await engine.wait(begun.id)).status == "cancelled"
        await until(lambda: is_gone(pid))


async def test_closing_the_engine_leaves_no_process_and_the_run_goes_on_later(
    tmp_path: Path,
) -> None:
    file = tmp_path / "until"
    async with opened(tmp_path / "s.db") as engine:
        begun = await engine.start(one("talk_and_wait", next="after"), {"until": str(file)})
        pid = (await said(engine, begun.id))["pid"]
    assert is_gone(pid)
    file.touch()
    async with opened(tmp_path / "s.db") as engine:
        view = await engine.wait(begun.id)
        assert view.status == "completed"
        assert [visit.attempts for visit in await engine.visits(view.id)] == [2, 1]


@pytest.mark.parametrize("how", ["exit", "_exit", "kill"])
async def test_the_death_of_a_process_is_the_nodes_error_and_an_edge_may_catch_it(
    how: str,
) -> None:
    caught = {"to": "after", "on": "error", "when": "error.type == 'ProcessDied'"}
    async with opened() as engine:
        view = await engine.run(one("die", next=[caught]), {"how": how})
        assert (view.status, view.state["notes"]) == ("completed", ["seen"])
        again = await engine.run(one("count_in_a_process"), {})
        assert again.state["n"] == 1


async def test_a_process_that_dies_may_be_tried_again() -> None:
    retry = {"attempts": 2, "delay_s": 0.001, "on": ["ProcessDied"]}
    async with opened() as engine:
        view = await engine.run(one("die", retry=retry), {"how": "_exit"})
        assert [visit.attempts for visit in await engine.visits(view.id)] == [2]


async def test_an_error_in_a_process_has_its_own_traceback() -> None:
    async with opened() as engine:
        view = await engine.run(one("fail"), {"n": 1})
        assert view.error is not None
        assert (view.error.type, view.state) == ("KeyError", {"n": 1})
        assert "process_tools" in view.error.traceback


async def test_a_map_over_processes_runs_a_width_of_them_and_joins_in_order() -> None:
    async with opened() as engine:
        graph = mapped("count_in_a_process", width=2)
        graph["state"]["n"] = {"reducer": "add"}
        view = await engine.run(graph, {"items": [1, 2, 3, 4, 5]})
        assert (view.state["doubled"], view.state["n"]) == ([2, 4, 6, 8, 10], 5)


async def test_a_race_of_processes_kills_those_that_lose(tmp_path: Path) -> None:
    nodes = {
        "split": {"next": {"to": ["slow", "quick"], "join": "after", "need": 1}},
        "slow": {"tool": "burn"},
        "quick": {"tool": "talk_and_wait"},
        "after": {"tool": "note"},
    }
    async with opened() as engine:
        begun = await engine.start({"start": "split", "nodes": nodes}, {"until": f"{tmp_path}/x"})
        pids: list[int] = []
        async for event in engine.tail(begun.id):
            if event.type == "log":
                pids.append(fields_of(event)["pid"])
            if len(pids) == 2:
                break
        (tmp_path / "x").touch()
        assert (await engine.wait(begun.id)).status == "completed"
        await until(lambda: sum(map(is_gone, pids)) == 1)


async def test_a_tool_with_a_limit_is_inside_so_many_times_at_once_whatever_runs_there_are() -> (
    None
):
    async with opened() as engine:
        runs = [engine.run(mapped("two_at_once"), {"items": [0] * 10}) for _ in range(3)]
        assert {view.status for view in await asyncio.gather(*runs)} == {"completed"}
        assert (crowd.most, crowd.come) == (2, 30)


async def test_a_tool_with_a_rate_begins_so_often_in_a_time_and_the_others_may_be_cancelled() -> (
    None
):
    async with opened() as engine:
        begun = await engine.start(mapped("two_in_an_hour"), {"items": [0] * 5})
        await until(lambda: crowd.come == 2)
        await engine.pause(begun.id)
        assert (await engine.get(begun.id)).status == "running"
        await engine.cancel(begun.id)
        assert (await engine.wait(begun.id)).status == "cancelled"
        assert crowd.come == 2


async def test_waiting_at_a_gate_is_not_the_time_of_the_tool() -> None:
    graph = mapped("two_in_a_while")
    graph["nodes"]["work"]["timeout_s"] = 0.1
    async with opened() as engine:
        assert (await engine.run(graph, {"items": [0] * 5})).status == "completed"


async def test_who_is_cancelled_at_a_gate_lets_the_next_one_pass() -> None:
    async with opened() as engine:
        inside = await engine.start(one("hang_alone"), {})
        await said(engine, inside.id)
        waiting, next_one = [await engine.start(one("hang_alone"), {}) for _ in range(2)]
        await engine.cancel(waiting.id)
        assert (await engine.wait(waiting.id)).status == "cancelled"
        await engine.cancel(inside.id)
        assert await said(engine, next_one.id) == {}
