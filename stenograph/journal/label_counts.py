"""How many streams carry each value of a label: looked at once, and counted along from then on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeAlias

Moves: TypeAlias = list[tuple[int, str | None, str | None]]
"""The offset at which a stream's value became another, what it had been, and what it is."""


class LabelCounts:
    """Counts the values of one label, however many streams there are.

    ``look`` returns an offset and the counts as they were at it, from one moment.
    """

    def __init__(self, look: Callable[[], Awaitable[tuple[int, dict[str, int]]]]) -> None:
        self._look = look
        self._counts: Counter[str] | None = None
        self._looked_at = 0
        self._meanwhile: Moves = []
        self._looking = asyncio.Lock()

    async def now(self) -> dict[str, int]:
        """Return how many streams carry each value; only the first call looks at all of them."""
        async with self._looking:
            if self._counts is None:
                self._meanwhile.clear()
                self._looked_at, found = await self._look()
                self._counts = Counter(found)
                for move in self._meanwhile:
                    self._move(*move)
        return {value: count for value, count in self._counts.items() if count}

    def moved(self, offset: int, before: str | None, after: str | None) -> None:
        """Take in that a stream's value is another since the record at an offset."""
        if before == after:
            return
        if self._counts is not None:
            self._move(offset, before, after)
        elif self._looking.locked():
            self._meanwhile.append((offset, before, after))

    def _move(self, offset: int, before: str | None, after: str | None) -> None:
        assert self._counts is not None, "there is something to count from"
        if offset <= self._looked_at:
            return  # it was in what was found, whenever it is told of: readers see a commit first
        if before is not None:
            self._counts[before] -= 1
        if after is not None:
            self._counts[after] += 1
