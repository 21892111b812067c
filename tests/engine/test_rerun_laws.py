"""Laws of reruns, over graphs drawn at random and held against what their events say, read plainly."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from itertools import count, islice
from typing import Any

import msgspec
import pytest

import stenograph as st
from stenograph.engine import Engine, RunFinished, Tool, tool
from stenograph.engine.core.events import (
    NodeAttemptFailed,
    NodeEntered,
    NodeExited,
    StatePatched,
    TransitionTaken,
)
from stenograph.engine.core.folding import evolve
from stenograph.engine.core.run import Run
from stenograph.journal import Journal, MemoryJournal
from tests.drawn import DRAWN_TOOLS, FIRST, Drawing, finish
from tests.engine.test_lineage import events_of

CHANGED = "raise_total"
"""The tool that does otherwise the second time, and not always."""


def drawing_of(seed: int) -> Drawing:
    """Draw a graph that begins with the tool, which does there as it did."""
    drawing = Drawing(seed)
    graph: dict[str, Any] = drawing.graph
    graph["nodes"]["first"] = {"tool": CHANGED, "next": graph["start"]}
    graph["start"] = "first"
    return drawing


def has_much_of_it(seed: int) -> bool:
    """Tell whether a graph calls the tool often."""
    drawing = Drawing(seed)
    return repr([drawing.graph, *drawing.graphs]).count(CHANGED) > 2


SEEDS = list(islice(filter(has_much_of_it, count()), int(os.environ.get("RERUN_SEEDS", "16"))))


@tool(name=CHANGED, version="2")
async def raise_at_times(state: dict[str, Any]) -> dict[str, Any]:
    more = 7 if state["total"] % 3 == 1 else 1
    return {"total": state["total"] + more + len(state["log"])}


Place = tuple[str, str, int, int]


def listening(each: Tool, calls: list[Place]) -> Tool:
    """Return a tool that notes where it was called, and does what it does."""

    async def called(state: dict[str, Any], config: dict[str, Any], ctx: st.Context) -> Any:
        calls.append((ctx.scope, ctx.node, ctx.visit, ctx.attempt))
        given = {"config": config, "ctx": ctx}
        return await each.function(state, **{name: given[name] for name in each.extras})

    return tool(name=each.name, version=each.version, effects=each.effects)(called)


def tools(calls: list[Place], changed: Tool | None = None) -> list[Any]:
    """Return all tools, listening, and one of them changed."""
    used = [each for each in DRAWN_TOOLS if isinstance(each, Tool) and each.is_async]
    now = {each.name: each for each in [*used, *([changed] if changed else [])]}
    return [listening(each, calls) for each in now.values()]


@asynccontextmanager
async def recorded(seed: int) -> AsyncIterator[Journal]:
    """Run a drawn graph to its end."""
    drawing = drawing_of(seed)
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=tools([])) as engine:
            for graph in drawing.graphs:
                await engine.create_graph(graph)
            await engine.start(drawing.graph, FIRST, run_id="run")
            await finish(engine, "run")
        yield journal


async def at_its_end(engine: Engine, run_id: str) -> st.RunView:
    """Return a rerun once it has ended; a signal that its recording does not hold is given."""
    seq = 0
    while not (run := await engine.wait(run_id, 0.003)).done:
        if run.seq == seq and any(each.kind == "signal" for each in run.waits):
            with suppress(RunFinished):  # its recording held it after all
                await engine.signal(run_id, "go", {"n": 1})
        seq = run.seq
        await asyncio.sleep(0.005)
    return run


def attempts(events: Iterable[st.Event]) -> dict[Place, tuple[str, dict[str, Any]]]:
    """Return each attempt at a tool, with the tool and the state that it saw."""
    run, found = Run(), dict[Place, tuple[str, dict[str, Any]]]()
    for event in events:
        evolve(run, event)
        if isinstance(at := event.data, NodeEntered) and at.tool is not None:
            place = (at.scope, at.node, at.visit, at.attempt)
            found[place] = at.tool, run.scopes[at.scope].state.to_values()
    return found


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_is_run_anew_is_what_was_changed_or_saw_another_state(seed: int) -> None:
    calls: list[Place] = []
    async with (
        recorded(seed) as journal,
        Engine(journal, tools=tools(calls, raise_at_times)) as engine,
    ):
        await engine.rerun("run", new_id="again")
        await at_its_end(engine, "again")
        then = attempts(await events_of(engine, "run"))
        now = attempts(await events_of(engine, "again"))
        follow = [at for at, saw in now.items() if saw[0] == CHANGED or then.get(at) != saw]
        assert sorted(calls) == sorted(follow)
        report = await engine.rerun_report("again")
        assert (report.executed, report.reused) == (len(follow), len(now) - len(follow))


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_rerun_parts_first_at_the_first_event_that_differs(seed: int) -> None:
    async with (
        recorded(seed) as journal,
        Engine(journal, tools=tools([], raise_at_times)) as engine,
    ):
        await engine.rerun("run", new_id="again")
        await at_its_end(engine, "again")
        report = await engine.rerun_report("again")
        other = first_other(await events_of(engine, "run"), await events_of(engine, "again"))
        found = None if report.first is None or report.first.left is None else report.first.left.seq
        assert (found, report.same) == (other, other is None)


def first_other(left: list[st.Event], right: list[st.Event]) -> int | None:
    """Return the first event of a run whose like in another says something else, scope by scope."""
    said: dict[str, list[Any]] = {}
    for event in right:
        if (what := essence(event)) is not None:
            said.setdefault(what[0], []).append(what)
    for event in left:
        what = essence(event)
        if what is not None and what != next(iter(said.get(what[0], [])), None):
            return event.seq
        if what is not None:
            del said[what[0]][0]
    return None


def essence(event: st.Event) -> tuple[Any, ...] | None:
    """Return what an event says of a visit, without its time; None where it says nothing of one."""
    data = event.data
    match data:
        case NodeEntered():
            more: Any = data.tool
        case NodeExited() | NodeAttemptFailed():
            more = None if data.error is None else (data.error.type, data.error.message)
        case StatePatched():
            more = msgspec.json.encode(data.patch)
        case TransitionTaken():
            more = data.to, data.edge, data.fork
        case _:
            return None
    return data.scope, event.type, data.node, data.visit, more


async def test_most_of_these_reruns_part_and_are_answered_as_well() -> None:
    parted = 0
    for seed in SEEDS[:8]:
        async with (
            recorded(seed) as journal,
            Engine(journal, tools=tools([], raise_at_times)) as engine,
        ):
            await engine.rerun("run", new_id="again")
            await at_its_end(engine, "again")
            report = await engine.rerun_report("again")
            parted += bool(report.first and report.reused and report.why.get("state"))
    assert parted > 4


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_rerun_of_a_rerun_without_a_change_calls_nothing_and_is_the_same(seed: int) -> None:
    calls: list[Place] = []
    async with recorded(seed) as journal:
        async with Engine(journal, tools=tools([], raise_at_times)) as engine:
            await engine.rerun("run", new_id="other")
            whole = await at_its_end(engine, "other")
        async with Engine(journal, tools=tools(calls)) as engine:
            await engine.rerun("other", tools=["hang"], new_id="again")
            end = await at_its_end(engine, "again")
            assert (end.status, end.state, calls) == (whole.status, whole.state, [])
            assert (await engine.rerun_report("again")).same


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_check_finds_each_attempt_whose_outcome_would_be_another(seed: int) -> None:
    async with (
        recorded(seed) as journal,
        Engine(journal, tools=tools([], raise_at_times)) as engine,
    ):
        report = await engine.check_run("run")
        then = attempts(await events_of(engine, "run"))
        wanted = {
            at for at, (name, saw) in then.items() if name == CHANGED and saw["total"] % 3 == 1
        }
        found = {(each.scope, each.node, each.visit, each.attempt) for each in report.differences}
        assert (found, report.checked) == (wanted, len(then))
