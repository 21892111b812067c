"""Lineage: the runs that a fork goes on from, and all their events up to it, as one history."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from msgspec import Struct

from stenograph.engine.core.events import Event, Origin, RunCreated
from stenograph.engine.errors import RunGone
from stenograph.engine.stored.histories import Histories


class Part(Struct, frozen=True):
    """The first events of a run, up to ``to``."""

    run_id: str
    to: int


class Line(Struct, frozen=True):
    """A run and those before it, the oldest first.

    ``lost``: what the oldest goes on from, where that was erased or is not here.
    """

    parts: tuple[Part, ...]
    lost: Origin | None = None

    @property
    def past(self) -> tuple[Part, ...]:
        """All parts, with the one that cannot be read."""
        before = () if self.lost is None else (Part(self.lost.run_id, self.lost.seq),)
        return before + self.parts


async def line_of(histories: Histories, run_id: str, to: int) -> Line:
    """Return the line of a run that there is, up to its event ``to``."""
    parts = [Part(run_id, to)]
    origin = await _origin_of(histories, run_id)
    while origin is not None:
        if not await _is_there(histories, origin):
            break
        parts.append(Part(origin.run_id, origin.seq))
        origin = await _origin_of(histories, origin.run_id)
    return Line(tuple(reversed(parts)), origin)


async def events_of(histories: Histories, line: Line) -> AsyncIterator[Event]:
    """Yield the events of a line, run by run."""
    for part in line.parts:
        async for event in histories.events(part.run_id, to=part.to):
            yield event


async def note_all(histories: Histories, line: Line, note: Callable[[Event], object]) -> None:
    """Have the events of a line noted, run by run, beside the loop where they are many."""
    for part in line.parts:
        await histories.noted(part.run_id, note, to=part.to)


def shared(one: Line, other: Line) -> Part | None:
    """Return the last run whose first events two lines share, and up to which; None: they share none."""
    found: Part | None = None
    for at, (left, right) in enumerate(zip(one.past, other.past, strict=False)):
        if left.run_id != right.run_id or (at == 0 and not _can_be_one(one.lost, other.lost)):
            break
        found = Part(left.run_id, min(left.to, right.to))
        if left.to != right.to:
            break
    return found


def _can_be_one(lost: Origin | None, other: Origin | None) -> bool:
    """Tell whether two lines may begin with one run: of an id that another journal gave, two may be."""
    if lost is None or other is None:
        return lost is other  # what is here is not what the other line went on from
    return lost.seq != other.seq or lost.hash == other.hash


async def _origin_of(histories: Histories, run_id: str) -> Origin | None:
    [first] = [each async for each in histories.events(run_id, to=1)]
    return first.data.origin if isinstance(first.data, RunCreated) else None


async def _is_there(histories: Histories, origin: Origin) -> bool:
    """Tell whether the event that a fork goes on from can be read, and is the very same."""
    try:
        first = [each async for each in histories.events(origin.run_id, to=1)]
        found = histories.events(origin.run_id, after=origin.seq - 1, to=origin.seq)
        hashes = [each.hash async for each in found]
    except RunGone:
        return False
    return bool(first) and hashes == [origin.hash]
