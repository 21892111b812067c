"""A turnstile: only a few go through at a time, and who takes long no longer counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turnstile:
    """Lets ``at_once`` in, in the order of their coming; after ``most_s`` another in somebody's place."""

    def __init__(self, at_once: int, most_s: float) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._most_s = most_s

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a place, and hold it for the block, or the first part of that."""
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._most_s, self._places.release)
        try:
            yield
        finally:
            if loop.time() < timer.when():  # else the timer has given the place up, or is about to
                timer.cancel()
                self._places.release()
