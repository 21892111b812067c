"""Playback: a run's events again at the pace at which they happened, or faster, or slower."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Final, TypeAlias

from msgspec import Struct

from stenograph.http.streaming.sifting import Part, Parts, Sieve
from stenograph.journal import Record

SPEED_MAX: Final = 1000.0

Now: TypeAlias = Callable[[], float]
Sleep: TypeAlias = Callable[[float], Awaitable[object]]


class Playback(Struct, frozen=True):
    """How fast: ``speed`` times as it happened (0: without waiting), and no gap above ``max_gap_s``.

    Time goes on from when the event before was due or given, whichever came later. So a run that
    has not ended is played until it is caught up with, and from there on comes live: an event that
    happens now is due at once. At a speed below 1 it stays behind.
    """

    speed: float = 0.0
    max_gap_s: float | None = None

    def gap_s(self, before: Record, after: Record) -> float:
        """Return how long to wait between two events; a clock that was set back is no wait."""
        recorded = (
            datetime.fromisoformat(after.at) - datetime.fromisoformat(before.at)
        ).total_seconds()
        gap = max(0.0, recorded) / self.speed
        return gap if self.max_gap_s is None else min(gap, self.max_gap_s)


AT_ONCE: Final = Playback()


class Player:
    """Keeps the time of one playback: tells which events are due together, and waits for the next."""

    def __init__(
        self, playback: Playback, now: Now = time.monotonic, sleep: Sleep = asyncio.sleep
    ) -> None:
        self.playback, self._now, self._sleep = playback, now, sleep
        self._last: Record | None = None
        self._due = now()

    async def each(self, records: Sequence[Record]) -> AsyncGenerator[Sequence[Record], None]:
        """Yield the records in pieces, each when it is due."""
        start = 0
        for index, record in enumerate(records):
            if self._last is not None:
                self._due += self.playback.gap_s(self._last, record)
            self._last = record
            if (wait_s := self._due - self._now()) > 0:
                if start < index:
                    yield records[start:index]
                    start, wait_s = index, self._due - self._now()
                await self._sleep(max(0.0, wait_s))
            self._due = max(self._due, self._now())
        if start < len(records):
            yield records[start:]


async def played(
    parts: Parts,
    sieve: Sieve,
    playback: Playback,
    *,
    now: Now = time.monotonic,
    sleep: Sleep = asyncio.sleep,
) -> Parts:
    """Yield parts at the pace of a playback, and last what they end with."""
    player = Player(playback, now, sleep)
    async with aclosing(parts):
        async for part in parts:
            if not isinstance(part, Part):
                yield part
                return
            given = 0
            async for piece in player.each(part.records):
                given += len(piece)
                is_last = given == len(part.records)
                yield Part(piece, part.after if is_last else sieve.place(piece[-1]))
            if not part.records:
                yield part


async def played_pages(
    pages: AsyncGenerator[list[Record], None],
    playback: Playback,
    *,
    now: Now = time.monotonic,
    sleep: Sleep = asyncio.sleep,
) -> AsyncGenerator[list[Record], None]:
    """Yield pages of records at the pace of a playback."""
    player = Player(playback, now, sleep)
    async with aclosing(pages):
        async for page in pages:
            async for piece in player.each(page):
                yield list(piece)
