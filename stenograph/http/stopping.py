"""The server is to stop: an event that ends the timeouts of all who wait."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Stopping(asyncio.Event):
    """Set once the server is to stop: who waits within a timeout may have that end then, too.

    So a request that waits for one thing alone, as nearly all do, needs no task to watch for this.
    """

    def __init__(self) -> None:
        super().__init__()
        self._limits: set[asyncio.Timeout] = set()

    def set(self) -> None:
        """Have everybody stop waiting."""
        super().set()
        for limit in self._limits:
            expire(limit)

    @contextmanager
    def ends(self, limit: asyncio.Timeout) -> Iterator[None]:
        """Have a timeout run out as soon as the server is to stop."""
        self._limits.add(limit)
        if self.is_set():
            expire(limit)
        try:
            yield
        finally:
            self._limits.remove(limit)


def expire(limit: asyncio.Timeout) -> None:
    """Have a timeout run out now, unless it already has."""
    if not limit.expired():
        limit.reschedule(0)
