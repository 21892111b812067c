"""A turnstile: only a few go through at a time, and who takes long no longer counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turnstile:
    """Lets ``at_once`` in, in the order of their coming; it belongs to one event loop."""

    def __init__(self, at_once: int) -> None:
        self._places = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def one(self, most_s: float) -> AsyncIterator[None]:
        """Wait for a place, and hold it for the block, or for the first ``most_s`` of that."""
        await self._places.acquire()
        is_held = True

        def leave() -> None:
            nonlocal is_held
            if is_held:
                is_held = False
                self._places.release()

        timer = asyncio.get_running_loop().call_later(most_s, leave)
        try:
            yield
        finally:
            timer.cancel()
            leave()
