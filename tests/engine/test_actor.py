"""One actor a run: what it does when the world around it is slow, busy, broken or closing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import stenograph as st
from stenograph.engine import Engine
from stenograph.engine.actor import Said
from stenograph.engine.decide import Recover, decide
from stenograph.journal import (
    JournalBusy,
    JournalFailed,
    MemoryJournal,
    NewRecord,
    Record,
    open_journal,
)
from tests.clocks import VirtualClock
from tests.crashes import FaultJournal
from tests.graphs import TOOLS, chain, one


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
        labels: Mapping[str, str] | None = None,
    ) -> list[Record]:
        if self.busy:
            self.busy -= 1
            raise JournalBusy("another program is writing")
        return await self._inner.append(run_id, records, expected_seq=expected_seq, labels=labels)


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
            monkeypatch.setattr("stenograph.engine.actor.asyncio.sleep", no_time)
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
        actor = engine._actors[run.id]
        actor.tell(Said(next(iter(actor._attempts.values()))))
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
        monkeypatch.setattr("stenograph.engine.actor.decide", broken)
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
    return [record.type for record in await engine.journal.read(run_id)].count(type_)


async def settled(engine: Engine, run_id: str, type_: str, count: int) -> None:
    """Return when a run has so many events of a type."""
    async with asyncio.timeout(20):
        while await count_of(engine, run_id, type_) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
