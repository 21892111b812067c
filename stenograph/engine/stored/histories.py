"""Histories: the runs that the journal holds, read and folded; some that are at rest are kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Final

from stenograph.engine.core.boundaries import last_boundary
from stenograph.engine.core.events import Event, RunErased, UnknownEvent, decode
from stenograph.engine.core.folding import evolve
from stenograph.engine.core.run import Run
from stenograph.engine.errors import RunGone, UnknownRun
from stenograph.engine.stored.snapshots import last_snapshot
from stenograph.journal import PAGE_MAX, Journal, Stream

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
        while records := await self._journal.read(run_id, after=after, limit=_few(after, to)):
            for record in records:
                if to is not None and record.seq > to:
                    return
                if record.type == RunErased.TYPE:  # whoever held the run from before holds too much
                    raise RunGone(run_id)
                yield decode(record)
            after = records[-1].seq

    async def now(self, run_id: str) -> Run:
        """Return a run folded up to its last event; raises UnknownRun, RunGone or UnknownEvent."""
        if run_id.startswith("graph/"):  # the streams of graphs are no runs
            raise UnknownRun(run_id)
        # Taken out for as long as it changes: who asks meanwhile folds one of his own.
        run = self._kept.pop(run_id, None) or await last_snapshot(self._journal, run_id)
        async for event in self.events(run_id, after=run.seq):
            _take_in(run, event)
        if not run.seq:
            raise UnknownRun(run_id)
        self.keep(run)
        return run

    async def at(self, run_id: str, seq: int) -> Run:
        """Return a run as it was after its event ``seq``."""
        run = await last_snapshot(self._journal, run_id, seq)
        async for event in self.events(run_id, after=run.seq, to=seq):
            _take_in(run, event)
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


async def in_status(journal: Journal, status: str) -> AsyncIterator[list[Stream]]:
    """Yield the runs that are in a status, page by page, the newest first."""
    wanted = {"kind": "run", "status": status}
    before: int | None = None
    while page := await journal.streams(wanted, before=before, limit=PAGE):
        yield page
        before = page[-1].number


def _few(after: int, to: int | None) -> int:
    """Return how many records to ask for: no more than are wanted, and one that says it is enough."""
    return PAGE_MAX if to is None else min(PAGE_MAX, max(0, to - after) + 1)


def _take_in(run: Run, event: Event) -> None:
    """Evolve a run by what was read; raises UnknownEvent for what no engine of ours can have written."""
    try:
        evolve(run, event)
    except (KeyError, AssertionError, ValueError) as error:
        where = f"{event.run_id} seq {event.seq}"
        raise UnknownEvent(f"{where}: {event.type} does not fit: {error!r}") from error
