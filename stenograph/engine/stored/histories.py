"""Histories: the runs that the journal holds, read and folded; some that are at rest are kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Final

from stenograph.engine.core.boundaries import last_boundary
from stenograph.engine.core.events import Event, RunErased, UnknownEvent, decode
from stenograph.engine.core.folding import evolve
from stenograph.engine.core.run import Run
from stenograph.engine.errors import RunGone, UnknownRun
from stenograph.engine.stored.snapshots import last_snapshot
from stenograph.journal import PAGE_MAX, Journal, Record, Stream, are_few, run_at_length

KEPT_MAX: Final = 64
"""How many folded runs that are at rest are kept, so that reading one again reads only what is new."""
PAGE: Final = 500


class Histories:
    """Folds runs from their events; who gets one must not change it, but for what he ``take``s."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._kept: OrderedDict[str, Run] = OrderedDict()

    async def events(
        self, run_id: str, *, after: int = 0, to: int | None = None
    ) -> AsyncIterator[Event]:
        """Yield the events of a run with ``seq > after``, up to and with ``to``."""
        while records := await self._page(run_id, after, to):
            for record in records:
                yield decode(record)
            after = records[-1].seq

    async def noted(self, run_id: str, note: Callable[[Event], object], *, to: int) -> None:
        """Have all events of a run up to ``to`` noted, in order: beside the loop where they are many."""
        after = 0
        while records := await self._page(run_id, after, to):
            await run_at_length(partial(_note, records, note), at_once=are_few(records))
            after = records[-1].seq

    async def now(self, run_id: str) -> Run:
        """Return a run folded up to its last event; raises UnknownRun, RunGone or UnknownEvent."""
        if run_id.startswith("graph/"):  # the streams of graphs are no runs
            raise UnknownRun(run_id)
        # Taken out for as long as it changes: who asks meanwhile folds one of his own.
        run = self._kept.pop(run_id, None) or await last_snapshot(self._journal, run_id)
        await self._go_on(run)
        if not run.seq:
            raise UnknownRun(run_id)
        self.keep(run)
        return run

    async def at(self, run_id: str, seq: int) -> Run:
        """Return a run as it was after its event ``seq``."""
        run = await last_snapshot(self._journal, run_id, seq)
        await self._go_on(run, seq)
        return run

    async def boundary(self, run_id: str, at: int) -> int:
        """Return the last seq up to ``at`` after which a run can be taken up: nothing is half done.

        Costs as much as lies between two snapshots: they are taken after whole steps alone.
        """
        run = await last_snapshot(self._journal, run_id, at)
        while run.ended or run.status == "cancelling":
            run = await last_snapshot(self._journal, run_id, run.seq - 1)
        events: list[Event | None] = [
            event async for event in self.events(run_id, after=run.seq, to=at + 1)
        ]
        if len(events) <= at - run.seq:
            events.append(None)
        return max(run.seq, last_boundary(events))

    async def hash_of(self, run_id: str, seq: int) -> str:
        """Return the hash of an event that there is."""
        [record] = await self._journal.read(run_id, after=seq - 1, limit=1)
        return record.hash

    async def _go_on(self, run: Run, to: int | None = None) -> None:
        """Take in the events after those that a run has, up to and with ``to``.

        Raises UnknownEvent for what no engine of ours can have written.
        """
        while records := await self._page(run.id, run.seq, to):
            try:
                for record in records:
                    evolve(run, decode(record))
            except (KeyError, AssertionError, ValueError) as error:
                where = f"{record.run_id} seq {record.seq}"
                message = f"{where}: {record.type} does not fit: {error!r}"
                raise UnknownEvent(message) from error
            run.growth.count(records)

    async def _page(self, run_id: str, after: int, to: int | None) -> list[Record]:
        """Return some records, the next ones, up to and with ``to``; none where there are no more."""
        limit = PAGE_MAX if to is None else min(PAGE_MAX, max(0, to - after))
        records = await self._journal.read(run_id, after=after, limit=limit) if limit else []
        if any(record.type == RunErased.TYPE for record in records):
            raise RunGone(run_id)  # whoever held the run from before holds too much
        return records

    def keep(self, run: Run) -> None:
        """Keep a run that is at rest, and let the one go that was read the longest ago."""
        self._kept[run.id] = run
        self._kept.move_to_end(run.id)
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)

    def take(self, run: Run) -> Run:
        """Return a run as the caller's own, which he may change."""
        if self._kept.get(run.id) is not run:  # somebody folds it further, or has it still
            return run.copy()
        return self._kept.pop(run.id)

    def forget(self, run_id: str) -> None:
        """Keep a run no longer."""
        self._kept.pop(run_id, None)


def _note(records: Sequence[Record], note: Callable[[Event], object]) -> None:
    for record in records:
        note(decode(record))


async def in_status(journal: Journal, status: str) -> AsyncIterator[list[Stream]]:
    """Yield the runs that are in a status, page by page, the newest first."""
    wanted = {"kind": "run", "status": status}
    before: int | None = None
    while page := await journal.streams(wanted, before=before, limit=PAGE):
        yield page
        before = page[-1].number
