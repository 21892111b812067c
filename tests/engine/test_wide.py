"""Wide forks: tens of thousands of branches, whose cost and commits grow as they do, and no faster."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import stenograph as st
from stenograph.engine import Engine, fold
from stenograph.engine.core.commands import Stopped
from stenograph.engine.core.scopes import Scope
from stenograph.engine.core.steps import BUDGET
from stenograph.engine.executor.attempt import Attempt
from stenograph.engine.executor.inbox import Inbox
from stenograph.engine.graphs.graph import BRANCHES_MAX
from stenograph.journal import Journal, MemoryJournal, NewRecord, Record
from tests.crashes import FaultJournal

State = dict[str, Any]
entered: Counter[int] = Counter()


@st.tool
async def keep(state: State) -> State:
    return {"kept": [state["item"]]}


@st.tool
async def hang(state: State) -> None:
    entered[state["index"]] += 1
    await asyncio.sleep(3600)


TOOLS = (keep, hang)


def over(node: State, **graph: Any) -> State:
    """Return a graph that maps a node over ``items``."""
    edge = {"each": "items", "to": "work", "join": "$end", **graph.pop("edge", {})}
    return {
        "start": "split",
        "nodes": {"split": {"next": edge}, "work": node},
        "state": {"kept": {"reducer": "concat"}},
        "limits": {"steps": 1_000_000},
        **graph,
    }


KEEP, HANG = over({"tool": "keep"}), over({"tool": "hang"})
WAIT = over({"wait": {"signal": "go"}})


def numbers(count: int) -> State:
    return {"items": list(range(count))}


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - of the engine's own
            await asyncio.sleep(0.01)


async def types(journal: Journal, run_id: str) -> Counter[str]:
    """Return how many events of each type a run has."""
    found: Counter[str] = Counter()
    while page := await journal.read(run_id, after=found.total()):
        found.update(record.type for record in page)
    return found


async def resting(engine: Engine, run_id: str, status: str) -> st.RunView:
    """Return a run when it has come to rest so."""
    async with asyncio.timeout(60):
        while (view := await engine.wait(run_id)).status != status:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    return view


@pytest.mark.parametrize("count", [1_000, 10_000])
async def test_a_map_over_many_items_joins_them_all_in_order(count: int) -> None:
    async with MemoryJournal() as store:
        journal = FaultJournal(store, 0, "before")
        async with Engine(journal, tools=TOOLS) as engine:
            view = await engine.run(KEEP, numbers(count))
        assert (view.status, view.steps) == ("completed", count + 1)
        assert view.state["kept"] == list(range(count))
        assert view.seq == 4 * count + 8
        assert journal.appends <= count + count // (BUDGET // 4) + 5


def copies_of(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count from now on how often a scope is copied."""
    copies: Counter[str] = Counter()
    layer = Scope.layer

    def counted(scope: Scope) -> Scope:
        copies["scopes"] += 1
        return layer(scope)

    monkeypatch.setattr(Scope, "layer", counted)
    return copies


async def test_a_branch_costs_the_same_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copies = copies_of(monkeypatch)
    a_branch = []
    async with st.open(":memory:", tools=TOOLS) as engine:
        for count in (500, 5_000):
            copies.clear()
            await engine.run(KEEP, numbers(count))
            a_branch.append(copies["scopes"] / count)
    assert a_branch[1] < 1.5 * a_branch[0]


async def test_a_signal_copies_no_branch_but_the_one_that_takes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    costs = []
    async with st.open(":memory:", tools=TOOLS) as engine:
        for count in (50, 500):
            begun = await engine.start(WAIT, numbers(count))
            await resting(engine, begun.id, "waiting")
            with monkeypatch.context() as patching:
                copies = copies_of(patching)
                await engine.signal(begun.id, "go", 1)
                costs.append(copies["scopes"])
    taken_up = 450  # the copy of a run at rest that its actor begins with
    assert costs[1] - costs[0] <= taken_up


async def test_a_limit_on_time_costs_a_branch_the_same_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: Counter[str] = Counter()
    running_ms = Attempt.running_ms

    def counted(attempt: Attempt) -> float:
        looks["at attempts"] += 1
        return running_ms(attempt)

    monkeypatch.setattr(Attempt, "running_ms", counted)
    graph = over({"tool": "keep"}, limits={"steps": 1_000_000, "time_s": 3600})
    a_branch = []
    async with st.open(":memory:", tools=TOOLS) as engine:
        for count in (100, 800):
            looks.clear()
            await engine.run(graph, numbers(count))
            a_branch.append(looks["at attempts"] / count)
    assert a_branch[1] < 3 * a_branch[0]


async def test_at_its_step_limit_a_very_wide_map_parks_goes_on_and_is_cancelled() -> None:
    graph = over({"tool": "keep"})
    del graph["limits"]
    async with st.open(":memory:", tools=TOOLS) as engine:
        begun = await engine.start(graph, numbers(BRANCHES_MAX))
        parked = await engine.wait(begun.id)
        assert (parked.status, parked.reason, parked.steps) == ("parked", "limit", 10_000)
        assert len(parked.state["items"]) == BRANCHES_MAX
        assert "kept" not in parked.state
        await engine.resume(begun.id, limits=st.Limits(10_300))
        again = await engine.wait(begun.id)
        assert (again.status, again.steps) == ("parked", 10_300)
        before = again.seq
        await engine.cancel(begun.id)
        cancelled = await engine.wait(begun.id)
        assert (cancelled.status, cancelled.seq) == ("cancelled", before + 2)


async def test_more_items_than_a_fork_may_have_branches_fail_the_run_at_once() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        view = await engine.run(KEEP, {"items": [0] * (BRANCHES_MAX + 1)})
        assert view.error is not None
        assert (view.status, view.error.type) == ("failed", "too-many-branches")
        assert view.seq < 10


async def test_a_race_among_many_that_wait_is_won_once_and_stops_all_others() -> None:
    count = 2_000
    async with st.open(":memory:", tools=TOOLS) as engine:
        begun = await engine.start(
            over({"wait": {"signal": "go"}}, edge={"need": 1}), numbers(count)
        )
        waiting = await resting(engine, begun.id, "waiting")
        assert (len(waiting.waits), waiting.steps) == (100, count + 1)
        await engine.signal(begun.id, "go", "first")
        view = await engine.wait(begun.id)
        assert (view.status, view.state["go"]) == ("completed", "first")
        found = await types(engine.journal, begun.id)
        assert (found["branch.ended"], found["wait.resolved"]) == (count, 1)
        assert found["fork.joined"] == 1


async def test_many_that_run_are_stopped_at_once_when_the_run_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entered.clear()
    told: list[object] = []
    put = Inbox.put

    def heard(inbox: Inbox, what: Any, reply: Any = None) -> None:
        told.append(what)
        put(inbox, what, reply)

    monkeypatch.setattr(Inbox, "put", heard)
    async with st.open(":memory:", tools=TOOLS) as engine:
        begun = await engine.start(HANG, numbers(3_000))
        await until(lambda: len(entered) == 3_000)
        await engine.cancel(begun.id)
        assert (await engine.wait(begun.id)).status == "cancelled"
        found = await types(engine.journal, begun.id)
        assert (found["run.cancelling"], found["run.cancelled"]) == (1, 1)
        assert sum(isinstance(each, Stopped) for each in told) == 1


@pytest.mark.parametrize("moment", ["before", "ack-lost", "after"])
async def test_a_crash_while_branches_are_entered_loses_and_doubles_none(moment: Any) -> None:
    count = 3_000
    async with MemoryJournal() as store:
        dying = FaultJournal(store, 5, moment)
        async with Engine(dying, tools=TOOLS) as engine:
            starting = asyncio.ensure_future(engine.run(KEEP, numbers(count), run_id="run"))
            await asyncio.wait_for(dying.died.wait(), 30)
            await asyncio.gather(starting, return_exceptions=True)
        entered_then = (await types(store, "run"))["node.entered"] - 1
        assert 0 < entered_then < count
        async with Engine(store, tools=TOOLS) as engine:
            view = await engine.wait("run")
        assert (view.status, view.state["kept"]) == ("completed", list(range(count)))
        found = await types(store, "run")
        assert (found["branch.ended"], found["fork.joined"]) == (count, 1)
        assert found["node.entered"] == count + 1 + found["node.attempt_failed"]


class SharedJournal:
    """A journal in which somebody else appends to a run as well, just before the k-th append."""

    def __init__(self, inner: MemoryJournal, at: int) -> None:
        self._inner, self._at = inner, at
        self.appends = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def append(
        self, run_id: str, records: Sequence[NewRecord], *, expected_seq: int, **more: Any
    ) -> list[Record]:
        self.appends += 1
        if self.appends == self._at:
            data = (
                b'{"scope":"/","node":"split","visit":1,"attempt":1,"level":"info","message":"x"}'
            )
            other = NewRecord("log", data, "2026-01-01T00:00:00.000000Z")
            await self._inner.append(run_id, [other], expected_seq=expected_seq)
        return await self._inner.append(run_id, records, expected_seq=expected_seq, **more)


@pytest.mark.parametrize("at", [4, 5, 6])
async def test_what_others_append_while_branches_are_entered_loses_and_doubles_none(
    at: int,
) -> None:
    count = 3_000
    async with MemoryJournal() as store:
        journal = SharedJournal(store, at)
        async with Engine(journal, tools=TOOLS) as engine:
            view = await engine.run(KEEP, numbers(count), run_id="run")
        assert (view.status, view.state["kept"]) == ("completed", list(range(count)))
        found = await types(store, "run")
        assert (found["log"], found["node.entered"], found["fork.joined"]) == (1, count + 1, 1)


async def test_a_wide_map_may_be_paused_while_it_is_entered_and_goes_on() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        begun = await engine.start(KEEP, numbers(3_000))
        await engine.pause(begun.id)
        paused = await engine.wait(begun.id)
        assert paused.status == "paused"
        found = await types(engine.journal, begun.id)
        assert found["branch.ended"] == found["node.entered"] - 1
        await engine.resume(begun.id)
        view = await engine.wait(begun.id)
        assert (view.status, len(view.state["kept"])) == ("completed", 3_000)


async def test_a_paused_wide_map_goes_on_in_another_engine() -> None:
    async with MemoryJournal() as store:
        async with Engine(store, tools=TOOLS) as engine:
            graph = over({"tool": "keep"}, edge={"width": 50})
            begun = await engine.start(graph, numbers(1_000))
            await until(lambda: engine._actors.active[begun.id].run.steps > 200)
            await engine.pause(begun.id)
            paused = await engine.wait(begun.id)
            assert (paused.status, paused.steps < 1_000) == ("paused", True)
        async with Engine(store, tools=TOOLS) as engine:
            assert (await engine.get(begun.id)).status == "paused"
            await engine.resume(begun.id)
            assert (await engine.wait(begun.id)).state["kept"] == list(range(1_000))


async def test_a_width_is_never_exceeded() -> None:
    entered.clear()
    graph = over({"tool": "hang"}, edge={"width": 7})
    async with st.open(":memory:", tools=TOOLS) as engine:
        begun = await engine.start(graph, numbers(10_000))
        await until(lambda: len(entered) == 7)
        assert (await types(engine.journal, begun.id))["node.entered"] == 8
        await engine.cancel(begun.id)
        assert (await engine.wait(begun.id)).status == "cancelled"


async def test_what_a_wide_run_is_can_be_folded_from_its_journal() -> None:
    async with MemoryJournal() as store, Engine(store, tools=TOOLS) as engine:
        view = await engine.run(KEEP, numbers(500))
        events = [event async for event in engine.tail(view.id)]
        assert fold(events).state.to_values() == view.state
        assert list(fold(events).scopes) == ["/"]
        half = fold(events[: len(events) // 2])
        assert len(half.scopes) > 250
