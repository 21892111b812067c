"""One actor a run: what it does when the world around it is slow, busy, broken or closing."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import stenograph as st
from stenograph.engine import Engine, UnknownEvent
from stenograph.engine.core.commands import Recover
from stenograph.engine.core.decide import decide
from stenograph.engine.executor.inbox import Said
from stenograph.journal import (
    AppendTooLarge,
    JournalBusy,
    JournalFailed,
    JournalFull,
    MemoryJournal,
    NewRecord,
    Record,
    open_journal,
)
from tests.clocks import VirtualClock
from tests.crashes import FaultJournal
from tests.graphs import TOOLS, chain, one
from tests.stage import held, staged


class BusyJournal:
    """A journal that another process keeps busy for the next appends."""

    def __init__(self, inner: MemoryJournal) -> None:
        self._inner = inner
        self.busy = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def append(
        self,
        run_id: str,
        records: Sequence[NewRecord],
        *,
        expected_seq: int,
        **more: Any,
    ) -> list[Record]:
        if self.busy:
            self.busy -= 1
            raise JournalBusy("another program is writing")
        return await self._inner.append(run_id, records, expected_seq=expected_seq, **more)


class FullJournal:
    """A journal on a disk that is full while ``obstacle`` is set; ``full`` tells of each refusal."""

    def __init__(self, inner: MemoryJournal) -> None:
        self._inner = inner
        self.obstacle: JournalFull | None = None
        self.full = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def append(
        self, run_id: str, records: Sequence[NewRecord], *, expected_seq: int, **more: Any
    ) -> list[Record]:
        if self.obstacle:
            self.full.set()
            raise JournalFull(str(self.obstacle))
        return await self._inner.append(run_id, records, expected_seq=expected_seq, **more)


FULL = JournalFull("the disk is full")


class LabelledJournal:
    """A journal that takes down the labels that each append of a run sets."""

    def __init__(self, inner: MemoryJournal) -> None:
        self._inner = inner
        self.labels: list[Mapping[str, str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def append(
        self, run_id: str, records: Sequence[NewRecord], *, expected_seq: int, **more: Any
    ) -> list[Record]:
        if not run_id.startswith("graph/"):
            self.labels.append(more["labels"])
        return await self._inner.append(run_id, records, expected_seq=expected_seq, **more)


async def test_labels_are_written_when_they_change() -> None:
    graph = {
        "start": "a",
        "nodes": {
            "a": {"tool": "count", "next": "b"},
            "b": {"tool": "count", "next": "c"},
            "c": {"wait": {"signal": "go"}, "next": "d"},
            "d": {"tool": "count", "next": "e"},
            "e": {"tool": "count"},
        },
    }
    async with MemoryJournal() as inner:
        journal = LabelledJournal(inner)
        async with Engine(journal, tools=TOOLS) as engine:
            run = await engine.run(graph, wait_s=30)
            assert run.status == "waiting"
            first, *rest = journal.labels
            assert (first["status"], first["kind"]) == ("running", "run")
            assert rest == [{}, {"status": "waiting", "due": "", "queued": ""}]
            journal.labels.clear()
            await engine.signal(run.id, "go")
            assert (await engine.wait(run.id)).status == "completed"
        once, *rest = journal.labels  # by an actor that does not know what is written there
        assert once == {"status": "running", "due": "", "queued": ""}
        assert rest == [{}, {"status": "completed"}]


async def test_an_actor_is_gone_with_the_end_of_its_run_and_no_collector_is_needed() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        gc.disable()
        try:
            run = await engine.start(chain("count", "count"))
            gone = weakref.ref(engine._actors.active[run.id])
            await engine.wait(run.id)
            await asyncio.sleep(0)
            assert gone() is None
        finally:
            gc.enable()


async def test_a_run_waits_while_the_journal_is_busy() -> None:
    async with MemoryJournal() as inner:
        journal = BusyJournal(inner)
        async with Engine(journal, tools=TOOLS) as engine:
            await engine.create_graph({**chain("count", "count"), "id": "g"})
            journal.busy = 2
            assert (await engine.run("g")).state == {"n": 2}


async def test_a_new_run_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_time(delay_s: float) -> None:
        return None

    async with MemoryJournal() as inner:
        journal = BusyJournal(inner)
        async with Engine(journal, tools=TOOLS) as engine:
            await engine.create_graph({**chain("count"), "id": "g"})
            journal.busy = 99
            monkeypatch.setattr("stenograph.engine.executor.actor.asyncio.sleep", no_time)
            with pytest.raises(JournalBusy):
                await engine.start("g")
            assert journal.busy > 80


async def test_a_retry_waits_for_its_time_by_the_engines_clock() -> None:
    clock = VirtualClock()
    graph = one("fail_until_third_try", retry={"delay_s": 60, "jitter": False}, next="after")
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS, clock=clock) as engine:
        run = await engine.start(graph)
        await settled(engine, run.id, "node.attempt_failed", 1)
        clock.advance(59.9)
        assert await count_of(engine, run.id, "node.entered") == 1
        clock.advance(0.1)
        await settled(engine, run.id, "node.attempt_failed", 2)
        clock.advance(120)
        assert (await engine.wait(run.id)).status == "completed"


async def test_a_retry_outlives_the_engine_and_is_made_when_it_is_due() -> None:
    clock = VirtualClock()
    graph = one("fail_until_third_try", retry={"delay_s": 60, "jitter": False}, next="after")
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS, clock=clock) as engine:
            run = await engine.start(graph)
            await settled(engine, run.id, "node.attempt_failed", 1)
        clock.advance(300)
        async with Engine(journal, tools=TOOLS, clock=clock) as engine:
            clock.advance(0)
            await settled(engine, run.id, "node.attempt_failed", 2)
            clock.advance(120)
            assert (await engine.wait(run.id)).status == "completed"
            assert await count_of(engine, run.id, "run.recovered") == 0


async def test_closing_gives_up_what_was_to_come() -> None:
    clock = VirtualClock()
    graph = {**one("always_fail", retry={"delay_s": 60, "jitter": False}), "limits": {"time_s": 9}}
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS, clock=clock) as engine:
            run = await engine.start(graph)
            await settled(engine, run.id, "node.attempt_failed", 1)
            await engine.start({**one("hang"), "limits": {"time_s": 9}})
        clock.advance(3600)
        await asyncio.sleep(0)
        assert len(await journal.read(run.id)) == 3


async def test_the_time_limit_counts_time_with_a_node_running_only() -> None:
    clock = VirtualClock()
    graph = {
        **one("hang", timeout_s=50, retry={"attempts": 9, "delay_s": 500, "jitter": False}),
        "limits": {"time_s": 60},
    }
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS, clock=clock) as engine:
        run = await engine.start(graph)
        clock.advance(50)
        await settled(engine, run.id, "node.attempt_failed", 1)
        clock.advance(500)
        await settled(engine, run.id, "node.entered", 2)
        clock.advance(9.9)
        assert (await engine.get(run.id)).status == "running"
        clock.advance(0.2)
        assert (await engine.wait(run.id)).reason == "limit"


async def test_a_cancel_waits_for_all_that_is_still_stopping() -> None:
    """The first attempt ran out of time and is slow to stop; the second is cancelled."""
    stopped: list[int] = []

    @st.tool
    async def tidy(state: dict[str, Any], ctx: st.Context) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.05 * ctx.attempt)
            stopped.append(ctx.attempt)

    graph = one("tidy", timeout_s=0.02, retry={"delay_s": 0}, next="after")
    async with MemoryJournal() as journal, Engine(journal, tools=[tidy, *TOOLS]) as engine:
        run = await engine.start(graph)
        await settled(engine, run.id, "node.entered", 2)
        await engine.cancel(run.id)
        assert (await engine.wait(run.id)).status == "cancelled"
        assert stopped == [1, 2]


async def test_lines_that_were_written_already_cost_no_commit() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        run = await engine.start(one("hang", next="after"))
        actor = engine._actors.active[run.id]
        actor._inbox.put(Said(next(iter(actor._crew._attempts.values()))))
        await asyncio.sleep(0.01)
        assert len(await journal.read(run.id)) == 2


async def test_a_tool_may_set_the_next_node_in_its_state() -> None:
    @st.tool
    async def choose(state: dict[str, Any]) -> None:
        state["__next_node__"] = "right"
        state["chosen"] = True

    graph = {
        "start": "choose",
        "nodes": {"choose": {"tool": "choose", "next": "left"}, "left": {}, "right": {}},
    }
    async with MemoryJournal() as journal, Engine(journal, tools=[choose]) as engine:
        run = await engine.run(graph, {"__next_node__": "left"})
        visited = [visit.node for visit in await engine.visits(run.id)]
    assert (visited, run.state) == (["choose", "right"], {"chosen": True})


async def test_two_that_read_a_run_at_once_read_the_same(tmp_path: Path) -> None:
    async with st.open(tmp_path / "a.db", tools=TOOLS) as engine:
        run = await engine.run(chain(*["count"] * 9))
    async with st.open(tmp_path / "a.db") as engine:
        views = await asyncio.gather(*(engine.get(run.id) for _ in range(5)))
    assert all(view == run for view in views)


async def test_an_engine_does_not_open_over_a_journal_that_fails() -> None:
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS) as engine:
            await engine.start(one("hang", next="after"))
        with pytest.raises(JournalFailed):
            async with Engine(FaultJournal(journal, 1, "before"), tools=TOOLS):
                pass


async def test_an_engine_does_not_open_over_a_journal_that_cannot_be_read() -> None:
    class Unreadable(BusyJournal):
        async def read(self, run_id: str, **kwargs: Any) -> list[Record]:
            raise JournalFailed("cannot be read")

    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS) as engine:
            await engine.start(one("hang", next="after"))
        with pytest.raises(JournalFailed):
            async with Engine(Unreadable(journal), tools=TOOLS):
                pass


async def test_a_run_that_cannot_be_taken_up_stops_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(run: Any, command: Any, facts: Any) -> Any:
        if run.id == "bad" and isinstance(command, Recover):
            raise KeyError("lost")
        return decide(run, command, facts)

    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS) as engine:
            for run_id in ("bad", "good"):
                await engine.start(one("hang", timeout_s=0.05, next="after"), run_id=run_id)
        monkeypatch.setattr("stenograph.engine.executor.deciding.decide", broken)
        async with Engine(journal, tools=TOOLS) as engine:
            assert (await engine.get("bad")).status == "failed"
            assert (await engine.wait("good")).status == "failed"
            error = (await engine.get("bad")).error
            assert error is not None
            assert error.type == "internal-error"


async def test_a_journal_holds_a_run_over_engines_on_one_file(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "a.db") as journal, Engine(journal, tools=TOOLS) as engine:
        run = await engine.start(
            one("hang", timeout_s=0.05, next=[{"to": "after", "on": "timeout"}])
        )
    async with st.open(tmp_path / "a.db", tools=TOOLS) as engine:
        assert engine.recovered == [run.id]
        assert (await engine.wait(run.id)).status == "completed"


async def count_of(engine: Engine, run_id: str, type_: str) -> int:
    types: list[str] = []
    while page := await engine.journal.read(run_id, after=len(types)):
        types += [record.type for record in page]
    return types.count(type_)


async def settled(engine: Engine, run_id: str, type_: str, count: int) -> None:
    """Return when a run has so many events of a type, and has done what follows from them."""
    async with asyncio.timeout(20):
        while await count_of(engine, run_id, type_) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    await engine.get(run_id)  # readers see an event before its actor has set what timers follow


async def test_every_page_of_unfinished_runs_is_taken_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stenograph.engine.stored.histories.PAGE", 3)
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS) as engine:
            runs = [await engine.start(one("hang", next="after")) for _ in range(8)]
        async with Engine(journal, tools=TOOLS) as engine:
            assert set(engine.recovered) == {run.id for run in runs}


async def test_a_next_node_set_in_place_and_returned_is_no_part_of_the_state() -> None:
    @st.tool
    async def choose(state: dict[str, Any]) -> dict[str, Any]:
        state["__next_node__"] = "b"
        return dict(state)

    @st.tool
    async def keep(state: dict[str, Any]) -> dict[str, Any]:
        return {**state, "n": state.get("n", 0) + 1}

    graph = {"start": "a", "nodes": {"a": {"tool": "choose"}, "b": {"tool": "keep"}}}
    async with MemoryJournal() as journal, Engine(journal, tools=[choose, keep]) as engine:
        run = await engine.run(graph)
    assert (run.status, run.state) == ("completed", {"n": 1})


async def test_waiting_for_a_thread_is_not_the_tools_time() -> None:
    @st.tool
    def slow(state: dict[str, Any]) -> dict[str, Any]:
        time.sleep(0.05)
        return {"done": True}

    async with MemoryJournal() as journal, Engine(journal, tools=[slow]) as engine:
        graph = {"start": "a", "nodes": {"a": {"tool": "slow", "timeout_s": 2}}}
        engine._world.threads._limit = 1
        runs = await asyncio.gather(*(engine.run(graph) for _ in range(50)))
    assert {run.status for run in runs} == {"completed"}


async def test_busy_tools_delay_no_decision() -> None:
    wake = threading.Event()

    @st.tool
    def busy(state: dict[str, Any]) -> None:
        wake.wait(60)

    @st.predicate
    def yes(state: dict[str, Any]) -> bool:
        return True

    tools: list[Any] = [busy, yes, *TOOLS]
    async with MemoryJournal() as journal, Engine(journal, tools=tools) as engine:
        for _ in range(70):
            await engine.start({"start": "a", "nodes": {"a": {"tool": "busy"}}})
        run = await engine.run(one("count", next=[{"to": "after", "when": {"fn": "yes"}}]))
        assert run.status == "completed"
        wake.set()


async def test_a_cancel_does_not_wait_for_predicates() -> None:
    asked, wake = threading.Event(), threading.Event()

    @st.predicate
    def ponder(state: dict[str, Any]) -> bool:
        asked.set()
        return wake.wait(60)

    graph = one("count", next=[{"to": "after", "when": {"fn": "ponder"}}])
    async with MemoryJournal() as journal, Engine(journal, tools=[ponder, *TOOLS]) as engine:
        run = await engine.start(graph)
        await asyncio.to_thread(asked.wait, 20)
        await engine.cancel(run.id)
        assert (await engine.wait(run.id)).status == "cancelled"
        assert (await engine.get(run.id)).state == {}
        wake.set()


async def test_much_that_is_said_is_written_in_bounded_commits() -> None:
    @st.tool
    async def shout(state: dict[str, Any], ctx: st.Context) -> dict[str, Any]:
        for number in range(60):
            ctx.log("\x01" * 16_384, number=number, more="x" * 30_000)
        return {"large": "x" * 1_900_000}

    async with MemoryJournal() as journal, Engine(journal, tools=[shout]) as engine:
        run = await engine.run({"start": "a", "nodes": {"a": {"tool": "shout"}}})
        assert run.status == "completed"
        assert await count_of(engine, run.id, "log") == 60


async def test_a_line_is_written_after_what_somebody_else_has_appended() -> None:
    speak = asyncio.Event()

    @st.tool
    async def talk(state: dict[str, Any], ctx: st.Context) -> None:
        await speak.wait()
        ctx.log("late")
        await asyncio.sleep(0.2)

    async with MemoryJournal() as journal, Engine(journal, tools=[talk]) as engine:
        run = await engine.start({"start": "a", "nodes": {"a": {"tool": "talk"}}})
        data = b'{"scope":"/","node":"a","visit":1,"attempt":1,"level":"info","message":"hello"}'
        record = NewRecord("log", data, "2026-01-01T00:00:00.000000Z")
        await journal.append(run.id, [record], expected_seq=run.seq)
        speak.set()
        assert (await engine.wait(run.id)).status == "completed"
        assert await count_of(engine, run.id, "log") == 2


@pytest.mark.parametrize(
    "options",
    [
        {"run_id": "graph/g"},
        {"run_id": "a b"},
        {"run_id": 5},
        {"tags": {"a": 1}},
        {"actor": None},
        {"limits": st.Limits(steps=0)},
        {"limits": st.Limits(time_s=float("nan"))},
    ],
    ids=str,
)
async def test_what_history_cannot_hold_begins_no_run(options: dict[str, Any]) -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        with pytest.raises(ValueError):  # noqa: PT011
            await engine.start(chain("count"), **options)
        assert await engine.runs() == []


async def test_the_stream_of_a_graph_is_no_run() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        await engine.create_graph({**chain("count"), "id": "g"})
        for asked in (engine.get("graph/g"), engine.cancel("graph/g"), engine.visits("graph/g")):
            with pytest.raises(st.UnknownRun):
                await asked
        with pytest.raises(st.UnknownRun):
            await anext(engine.tail("graph/g"))
        assert (await engine.run("g")).status == "completed"


async def test_who_is_refused_disturbs_nobody() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        graph = {**one("count", next="work"), "limits": {"steps": 2}}
        run = await engine.run(graph, run_id="parked")
        refused, cancelled, waited = await asyncio.gather(
            engine.start(graph, {"n": 1}, run_id="parked"),
            engine.cancel("parked"),
            engine.wait("parked"),
            return_exceptions=True,
        )
    assert isinstance(refused, st.RunExists)
    assert isinstance(cancelled, st.RunView)
    assert isinstance(waited, st.RunView)
    assert run.status == "parked"


async def test_an_engine_that_cannot_open_leaves_nothing_behind() -> None:
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS) as engine:
            await engine.start(one("count_in_a_thread", next="after"))
        faulty = Engine(FaultJournal(journal, 1, "before"), tools=TOOLS)
        with pytest.raises(JournalFailed):
            await faulty.__aenter__()
        assert not faulty._actors._tasks


async def test_durations_do_not_follow_the_clock_on_the_wall() -> None:
    clock = VirtualClock()
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS, clock=clock) as engine:
        run = await engine.start(one("hang", timeout_s=50))
        clock.step(3600)
        clock.advance(50)
        assert (await engine.wait(run.id)).status == "failed"
        (visit,) = await engine.visits(run.id)
        assert visit.duration_ms == 50_000


async def test_a_graph_and_a_state_that_are_too_large_together_begin_no_run() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        nodes = {f"n{n}": {"tool": "count", "config": {"x": "y" * 900}} for n in range(400)}
        with pytest.raises(AppendTooLarge):
            await engine.start({"start": "n0", "nodes": nodes}, {"x": "y" * 1_900_000})
        assert await engine.runs() == []


async def test_a_predicate_may_decide_where_an_error_goes() -> None:
    @st.predicate
    def forgive(state: dict[str, Any]) -> bool:
        return bool(state["kind"] == "mild")

    graph = one("always_fail", next=[{"to": "after", "on": "error", "when": {"fn": "forgive"}}])
    async with MemoryJournal() as journal, Engine(journal, tools=[forgive, *TOOLS]) as engine:
        mild = await engine.run(graph, {"kind": "mild"})
        grave = await engine.run(graph, {"kind": "grave"})
    assert (mild.status, grave.status) == ("completed", "failed")


async def test_what_was_appended_past_the_engine_is_read_once(tmp_path: Path) -> None:
    async with st.open(tmp_path / "a.db", tools=TOOLS) as engine:
        run = await engine.run({**one("count", next="work"), "limits": {"steps": 2}})
        await engine.get(run.id)
        data = b'{"actor":"somebody"}'
        record = NewRecord("run.cancelling", data, "2026-01-01T00:00:00.000000Z")
        await engine.journal.append(run.id, [record], expected_seq=run.seq)
        views = await asyncio.gather(*(engine.get(run.id) for _ in range(5)))
        assert {(view.status, view.seq) for view in views} == {("cancelling", run.seq + 1)}


async def test_a_history_that_no_engine_wrote_is_said_to_be_unreadable() -> None:
    data = b'{"scope":"/","node":"a","visit":1,"attempt":1}'
    record = NewRecord("node.entered", data, "2026-01-01T00:00:00.000000Z")
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        await journal.append("odd", [record], expected_seq=0)
        with pytest.raises(UnknownEvent, match=r"odd seq 1: node\.entered does not fit"):
            await engine.get("odd")
        await journal.append("graph/odd", [record], expected_seq=0)
        with pytest.raises(UnknownEvent, match="is no graph"):
            await engine.graph("odd")


async def test_graphs_that_were_not_asked_for_lately_are_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stenograph.engine.stored.graphs.KNOWN_MAX", 2)
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        for _ in range(2):
            for name in "abcd":
                await engine.create_graph({**chain("count"), "id": name})
        await engine.create_graph({**chain("note"), "id": "a"})
        assert len(await engine.graph_versions("a")) == 2
        assert len(await engine.graph_versions("d")) == 1


async def test_a_tool_that_closing_stops_may_tidy_up() -> None:
    begun, tidied = asyncio.Event(), list[str]()

    @st.tool
    async def careful(state: dict[str, Any]) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(20):
                await asyncio.sleep(0)
            tidied.append("all")

    async with MemoryJournal() as journal, Engine(journal, tools=[careful]) as engine:
        await engine.start({"start": "a", "nodes": {"a": {"tool": "careful"}}})
        await asyncio.wait_for(begun.wait(), 30)
        assert tidied == []
        await engine.__aexit__(None, None, None)
        assert tidied == ["all"]


async def test_the_time_that_is_left_is_looked_at_again_when_less_ran_than_might_have() -> None:
    split = {"next": {"to": ["a", "b"], "join": "$end"}}
    graph = {
        "start": "split",
        "nodes": {"split": split, "a": held(), "b": held()},
        "limits": {"time_s": 10},
    }
    async with staged() as stage:
        await stage.engine.start(graph, run_id="run")
        await stage.settle()
        await stage.pass_time(2)
        await stage.finish("run/split#1[0]/a#1.1")
        await stage.pass_time(3)
        assert await stage.status() == "running"
        await stage.pass_time(2.9)
        assert await stage.status() == "running"
        await stage.pass_time(0.2)
        assert await stage.status() == "parked"


async def test_who_gives_too_much_is_refused_and_the_run_goes_on() -> None:
    nodes = {"w": {"wait": {"signal": "first"}, "next": "v"}, "v": {"wait": {"signal": "go"}}}
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        run = await engine.run({"start": "w", "nodes": nodes})
        with pytest.raises(AppendTooLarge):
            await engine.signal(run.id, "go", "x" * 2_200_000)
        assert (await engine.get(run.id)).status == "waiting"
        for name in ("go", "first"):
            await engine.signal(run.id, name, 1)
        assert (await engine.wait(run.id)).status == "completed"


async def test_who_comes_while_a_run_is_being_read_has_a_run_of_its_own() -> None:
    graph = {"start": "w", "nodes": {"w": {"wait": {"signal": "go"}}}}
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        begun = await engine.run(graph)
        held = await engine._actors.load(begun.id)
        engine._histories._kept.clear()
        actor = engine._actors._actor(held)
        assert actor.run is not held
        await engine.signal(begun.id, "go")
        assert held.status == "waiting"


async def test_a_new_run_is_refused_at_once_on_a_full_disk() -> None:
    async with MemoryJournal() as inner:
        journal = FullJournal(inner)
        async with Engine(journal, tools=TOOLS) as engine:
            await engine.create_graph({**chain("count"), "id": "g"})
            journal.obstacle = FULL
            with pytest.raises(JournalFull):
                await engine.start("g", run_id="r")
            journal.obstacle = None
            assert (await engine.run("g", run_id="r")).state == {"n": 1}


async def test_on_a_full_disk_a_run_waits_for_room_and_who_asks_something_of_it_is_refused() -> (
    None
):
    waiting = asyncio.Event()

    @st.tool
    async def hold(state: dict[str, Any]) -> None:
        await waiting.wait()

    async with MemoryJournal() as inner:
        journal = FullJournal(inner)
        async with Engine(journal, tools=[hold, *TOOLS]) as engine:
            run = await engine.start(chain("hold", "count"))
            journal.obstacle = FULL
            with pytest.raises(JournalFull):
                await engine.cancel(run.id)
            waiting.set()
            await asyncio.wait_for(journal.full.wait(), 20)
            with pytest.raises(JournalFull):  # while the run's own step waits
                await engine.cancel(run.id)
            assert (await engine.get(run.id)).status == "running"
            journal.obstacle = None
            assert (await engine.wait(run.id, 20)).status == "completed"
        assert (await inner.read(run.id))[-1].type == "run.completed"


async def test_on_a_full_disk_what_pure_tools_decided_ahead_waits_and_who_asks_is_refused() -> None:
    @st.tool(effects="pure")
    async def step(state: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0.001)
        return {"n": state.get("n", 0) + 1}

    async with MemoryJournal() as inner:
        journal = FullJournal(inner)
        async with Engine(journal, tools=[step]) as engine:
            run = await engine.start(chain(*["step"] * 100))
            journal.obstacle = FULL
            await asyncio.wait_for(journal.full.wait(), 20)
            with pytest.raises(JournalFull):
                await engine.pause(run.id)
            with pytest.raises(JournalFull):
                await engine.pause(run.id)
            journal.obstacle = None
            assert (await engine.wait(run.id, 20)).state == {"n": 100}


async def test_an_engine_that_starts_on_a_full_disk_reads_on_and_takes_up_runs_when_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stenograph.engine.executor.actors.OBSTACLE_LOOK_S", 0.01)
    hanging = asyncio.Event()

    @st.tool
    async def hang(state: dict[str, Any]) -> None:
        await hanging.wait()

    async with MemoryJournal() as inner:
        async with Engine(inner, tools=[hang]) as engine:
            run = await engine.start(chain("hang"))
        hanging.set()
        journal = FullJournal(inner)
        journal.obstacle = FULL
        async with Engine(journal, tools=[hang]) as engine:
            assert (await engine.get(run.id)).status == "running"
            with pytest.raises(JournalFull):
                await engine.cancel(run.id)
            journal.obstacle = None
            assert (await engine.wait(run.id, 20)).status == "completed"
        types = [record.type for record in await inner.read(run.id)]
        assert types.count("node.attempt_failed") == 1


async def test_what_is_due_on_a_full_disk_is_told_later_and_is_no_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = VirtualClock()
    graph = {"start": "a", "nodes": {"a": {"wait": {"for_s": 60}}}}
    async with MemoryJournal() as inner:
        journal = FullJournal(inner)
        async with Engine(journal, tools=TOOLS, clock=clock) as engine:
            runs = [await engine.run(graph) for _ in range(3)]
            journal.obstacle = FULL
            clock.advance(60)
            async with asyncio.timeout(20):
                while len(clock.timers) < 1 or engine._actors.active:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            journal.obstacle = None
            clock.advance(2)
            for run in runs:
                await settled(engine, run.id, "run.completed", 1)
    assert not caplog.records


async def test_somebody_who_gives_too_much_to_what_runs_ahead_harms_nobody() -> None:
    @st.tool(effects="pure")
    async def step(state: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0.001)
        return {"n": state.get("n", 0) + 1}

    bounds = st.Bounds(event_bytes=4096)
    async with MemoryJournal() as journal, Engine(journal, tools=[step], bounds=bounds) as engine:
        graph = chain(*["step"] * 60)
        graph["nodes"]["asks"] = {"wait": {"signal": "go"}}
        graph["nodes"]["step-59"]["next"] = "asks"
        run = await engine.start(graph)
        actor = engine._actors.active[run.id]
        async with asyncio.timeout(20):
            while not actor._lane.ahead:  # noqa: ASYNC110
                await asyncio.sleep(0)
        with pytest.raises(AppendTooLarge, match=r"signal\.received would be given"):
            await engine.signal(run.id, "go", "x" * 5000)
        await settled(engine, run.id, "wait.opened", 1)
        assert (await engine.get(run.id)).state == {"n": 60}
