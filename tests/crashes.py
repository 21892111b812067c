"""Crashing at every commit of a run, and seeing what a new engine makes of the journal."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from stenograph.engine import Engine, Event, RunFinished, RunView, decode
from stenograph.engine.core.events import NodeAttemptFailed, NodeExited, TransitionTaken
from stenograph.journal import Journal, JournalFailed, MemoryJournal, NewRecord, Record
from tests.graphs import TOOLS, Sample, with_more

Moment: TypeAlias = Literal["before", "ack-lost", "after"]
MOMENTS: tuple[Moment, ...] = ("before", "ack-lost", "after")


class FaultJournal:
    """A journal that dies at the k-th append: before it, after it, or between it and its answer."""

    def __init__(self, inner: Journal, at: int, moment: Moment) -> None:
        self._inner, self._at, self._moment = inner, at, moment
        self.appends = 0
        self.acknowledged: list[Record] = []
        self.died = asyncio.Event()

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
        if run_id.startswith("graph/"):  # graphs are there before a run begins
            return await self._inner.append(run_id, records, expected_seq=expected_seq, **more)
        self.appends += 1
        if self.died.is_set() or (self.appends == self._at and self._moment == "before"):
            self._die()
        written = await self._inner.append(run_id, records, expected_seq=expected_seq, **more)
        if self.appends == self._at and self._moment == "ack-lost":
            self._die()
        self.acknowledged += written
        if self.appends == self._at:
            self.died.set()
        return written

    def _die(self) -> None:
        self.died.set()
        raise JournalFailed("the process died here")


class Story(Struct, frozen=True):
    """What a run came to: all that a crash must not change, in whatever order branches came."""

    status: str
    state: dict[str, Any]
    path: frozenset[tuple[str, str, int, str, str]]
    exits: frozenset[tuple[str, str, int, str]]
    doubled: tuple[tuple[str, str, int, int], ...] = ()


class Tally(Struct):
    points: int = 0
    lost: int = 0
    doubled: int = 0
    stuck: int = 0

    def __str__(self) -> str:
        return (
            f"{self.points} crash points: "
            f"{self.lost} lost, {self.doubled} doubled, {self.stuck} stuck"
        )


async def crash_everywhere(sample: Sample, tally: Tally) -> list[str]:
    """Crash a sample at each of its commits in each way; returns what went wrong, in words."""
    whole = await _uncrashed(sample)
    faults: list[str] = []
    for moment in MOMENTS:
        at = 1
        while await _crash(sample, at, moment, whole, tally, faults):
            at += 1
    return faults


async def _uncrashed(sample: Sample) -> Story:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        await drive(engine, sample)
        return await _story(engine)


async def _crash(
    sample: Sample, at: int, moment: Moment, whole: Story, tally: Tally, faults: list[str]
) -> bool:
    """Crash once; False when the run has fewer commits than ``at``."""
    async with MemoryJournal() as journal:
        faulty = FaultJournal(journal, at, moment)
        if not await _run_until_it_dies(sample, faulty):
            return False
        tally.points += 1
        async with Engine(journal, tools=TOOLS) as engine:
            view = await drive(engine, sample)
            story = await _story(engine)
        kept = await _all(journal)
        where = f"{moment} commit {at}"
        if missing := [each for each in faulty.acknowledged if each not in kept]:
            tally.lost += len(missing)
            faults.append(f"{where}: {len(missing)} acknowledged events are gone")
        if story.doubled:
            tally.doubled += 1
            faults.append(f"{where}: left twice: {story.doubled}")
        if not view.done and view.status != whole.status:
            tally.stuck += 1
            faults.append(f"{where}: the run is {view.status}")
        if story != whole:
            tally.lost += 1
            faults.append(f"{where}: {story} is not {whole}")
    return True


async def _run_until_it_dies(sample: Sample, journal: FaultJournal) -> bool:
    async with Engine(journal, tools=TOOLS) as engine:
        running = asyncio.ensure_future(drive(engine, sample))
        dying = asyncio.ensure_future(journal.died.wait())
        await asyncio.wait({running, dying}, return_when=asyncio.FIRST_COMPLETED)
        for task in (running, dying):
            task.cancel()
        await asyncio.gather(running, dying, return_exceptions=True)
    return journal.died.is_set()


async def drive(engine: Engine, sample: Sample, run_id: str = "run") -> RunView:
    """Start a sample if need be, and do what people do about it until it has come to its end."""
    for graph in sample.graphs:
        await engine.create_graph(graph)
    if not await engine.journal.head(run_id):
        await engine.start(sample.graph, sample.state, run_id=run_id, **sample.options)
    for _ in range(200):
        events = {record.type for record in await engine.journal.read(run_id)}
        if sample.early and "signal.received" not in events:
            await _send(engine, sample, run_id)
        if sample.pauses and not events & {"run.pausing", "run.completed"}:
            with suppress(RunFinished):
                await engine.pause(run_id)
        if sample.migrates and not events & {"run.migrated", "run.completed", "run.failed"}:
            with suppress(RunFinished):
                await engine.migrate(run_id, with_more(sample.graph), actor="ann")
        view = await engine.wait(run_id, 10)
        if view.status == "failed" and sample.retries and "run.retried" not in events:
            await engine.retry(run_id)
        elif view.status == "paused":
            await engine.resume(run_id)
        elif view.status == "parked" and view.reason == "effects-once":
            await engine.resume(run_id, result=sample.result)
        elif any(wait.kind == "signal" for wait in view.waits) and sample.signals:
            await _send(engine, sample, run_id)
        elif view.status == "waiting":
            await asyncio.sleep(0.002)
        else:
            return view
    return view


async def _send(engine: Engine, sample: Sample, run_id: str) -> None:
    for name, payload in sample.signals.items():
        await engine.signal(run_id, name, payload)


async def _all(journal: Journal) -> list[Record]:
    records: list[Record] = []
    while page := await journal.read_all(after=records[-1].offset if records else 0):
        records += page
    return records


async def _story(engine: Engine) -> Story:
    view = await engine.get("run")
    events: list[Event] = [decode(each) for each in await engine.journal.read("run")]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    ends = [event.type for event in events if event.type in ("run.completed", "run.failed")]
    reopened = [event.type for event in events if event.type == "run.retried"]
    assert len(ends) - len(reopened) == (1 if view.done else 0)
    path = [event.data for event in events if isinstance(event.data, TransitionTaken)]
    exits = [event.data for event in events if isinstance(event.data, NodeExited)]
    left = Counter((each.scope, each.node, each.visit, each.attempt) for each in exits)
    is_repeated = any(isinstance(event.data, NodeAttemptFailed) for event in events)
    return Story(
        view.status,
        view.state,
        frozenset((each.scope, each.node, each.visit, each.to, each.reason) for each in path),
        frozenset(
            (each.scope, each.node, each.visit, each.outcome)
            for each in exits
            # A branch may fail before or after it is stopped, a lost attempt may not have failed.
            if each.outcome == "ok" or (each.scope == "/" and not reopened)
        ),
        tuple(place for place, count in left.items() if count > 1) if not is_repeated else (),
    )
