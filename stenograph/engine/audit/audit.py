"""Audit: why, who and in what way, asked of runs that the journal holds; it reads, and no more."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from stenograph.engine.audit.blame import Blamer
from stenograph.engine.audit.blame_view import BlameAt, blame_at
from stenograph.engine.audit.diff import RunDiff, Told, compare, diff
from stenograph.engine.audit.diff_visits import EventId
from stenograph.engine.audit.lineage import Line, events_of, line_of, note_all, shared
from stenograph.engine.audit.reasons import Reason, why
from stenograph.engine.audit.trails import Trails
from stenograph.engine.errors import SeqNotReached
from stenograph.engine.executor.actors import Actors
from stenograph.engine.stored.histories import Histories
from stenograph.journal import run_at_length


class Audit:
    """Reads the events of a run, and of those it was forked from, once for each answer."""

    def __init__(self, actors: Actors, histories: Histories) -> None:
        self._actors, self._histories = actors, histories

    async def why(self, run_id: str, seq: int) -> Reason:
        """Return why an event happened; raises UnknownRun or SeqNotReached."""
        line = await self._line(run_id, seq)
        return (await self._reasons(line, [(run_id, seq)]))[run_id, seq]

    async def blame(self, run_id: str, path: str, at: int | None, scope: str) -> BlameAt:
        """Return who last wrote what stands at a path of a scope's state after event ``at``."""
        line = await self._line(run_id, at)
        blamer = Blamer()
        await note_all(self._histories, line, blamer.note)
        return await run_at_length(partial(blame_at, blamer, path, scope, line.lost))

    async def diff(
        self,
        run_id: str,
        other: str,
        at: int | None,
        other_at: int | None,
        *,
        so_far: bool = False,
    ) -> RunDiff:
        """Return how two runs differ, each after an event, or as it is now.

        ``so_far``: the right one is on its way, and what it has not come to yet is no difference.
        """
        line, other_line = await self._line(run_id, at), await self._line(other, other_at)
        left, right = await self._told(line), await self._told(other_line)
        same = shared(line, other_line)
        compared = await run_at_length(partial(compare, left, right, same, so_far=so_far))
        asked, other_asked = compared.asked()
        reasons = await self._reasons(line, asked)
        other_reasons = await self._reasons(other_line, other_asked)
        return await run_at_length(partial(diff, compared, reasons, other_reasons))

    async def _point(self, run_id: str, seq: int | None) -> int:
        """Return an event of a run, the last one by default; raises UnknownRun, SeqNotReached."""
        run = await self._actors.load(run_id)
        if seq is not None and not 1 <= seq <= run.seq:
            raise SeqNotReached(run_id, asked=seq, head=run.seq)
        return run.seq if seq is None else seq

    async def _line(self, run_id: str, at: int | None) -> Line:
        return await line_of(self._histories, run_id, await self._point(run_id, at))

    async def _told(self, line: Line) -> Told:
        told = Told(line)
        await note_all(self._histories, line, told.note)
        return told

    async def _reasons(self, line: Line, ids: Iterable[EventId]) -> dict[EventId, Reason]:
        """Return the reasons of some events of a line."""
        wanted = set(ids)
        found: dict[EventId, Reason] = {}
        trails = Trails()
        events = events_of(self._histories, line)
        while len(found) < len(wanted):
            event = await anext(events)
            if (event.run_id, event.seq) in wanted:
                found[event.run_id, event.seq] = why(trails, event)
            trails.note(event)
        return found
