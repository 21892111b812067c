"""Audit: why, who and in what way, asked of runs that the journal holds; it reads, and no more."""

from __future__ import annotations

from collections.abc import Iterable

from stenograph.engine.actors import Actors
from stenograph.engine.blame import Blamer
from stenograph.engine.blame_view import BlameAt, blame_at
from stenograph.engine.diff import RunDiff, Told, compare, diff
from stenograph.engine.errors import SeqNotReached
from stenograph.engine.histories import Histories
from stenograph.engine.reasons import Reason, why
from stenograph.engine.trails import Trails


class Audit:
    """Reads a run's events once for each answer."""

    def __init__(self, actors: Actors, histories: Histories) -> None:
        self._actors, self._histories = actors, histories

    async def why(self, run_id: str, seq: int) -> Reason:
        """Return why an event happened; raises UnknownRun or SeqNotReached."""
        return (await self._reasons(run_id, [await self._point(run_id, seq)]))[seq]

    async def blame(self, run_id: str, path: str, at: int | None, scope: str) -> BlameAt:
        """Return who last wrote what stands at a path of a scope's state after event ``at``."""
        seq = await self._point(run_id, at)
        blamer = Blamer()
        async for event in self._histories.events(run_id, to=seq):
            blamer.note(event)
        return blame_at(blamer, path, scope)

    async def diff(self, run_id: str, other: str, at: int | None, other_at: int | None) -> RunDiff:
        """Return how two runs differ, each after an event, or as it is now."""
        left = await self._told(run_id, at)
        right = await self._told(other, other_at)
        compared = compare(left, right)
        asked, other_asked = compared.asked()
        reasons = await self._reasons(run_id, asked)
        return diff(compared, reasons, await self._reasons(other, other_asked))

    async def _point(self, run_id: str, seq: int | None) -> int:
        """Return an event of a run, the last one by default; raises UnknownRun, SeqNotReached."""
        run = await self._actors.load(run_id)
        if seq is not None and not 1 <= seq <= run.seq:
            raise SeqNotReached(run_id, asked=seq, head=run.seq)
        return run.seq if seq is None else seq

    async def _told(self, run_id: str, at: int | None) -> Told:
        told = Told()
        async for event in self._histories.events(run_id, to=await self._point(run_id, at)):
            told.note(event)
        return told

    async def _reasons(self, run_id: str, seqs: Iterable[int]) -> dict[int, Reason]:
        """Return the reasons of some events; 0 is none."""
        wanted = set(seqs) - {0}
        found: dict[int, Reason] = {}
        if not wanted:
            return found
        trails = Trails()
        async for event in self._histories.events(run_id, to=max(wanted)):
            if event.seq in wanted:
                found[event.seq] = why(trails, event)
            trails.note(event)
        return found
