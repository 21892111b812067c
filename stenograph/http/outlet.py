"""An outlet: messages to one client, who is let go when it does not take one in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any


class Outlet:
    """Sends texts through a socket's ``send``, one after the other, within ``open``.

    What is looked at, now and then, is for how long a message has been under way: a timer for each
    would take a tenth of all that it takes to send one.
    """

    def __init__(self, send: Callable[[Any], Awaitable[None]], patience_s: float) -> None:
        self._send, self._patience_s = send, patience_s
        self._loop = asyncio.get_running_loop()
        self._begun: float | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """End the block with TimeoutError once a message takes longer than ``patience_s``."""
        async with asyncio.timeout(None) as limit:
            self._look(limit)
            try:
                yield
            finally:
                self._next.cancel()

    async def send(self, text: str) -> None:
        """Send a message; raises what the socket does."""
        self._begun = self._loop.time()
        await self._send({"type": "websocket.send", "text": text, "bytes": None})
        self._begun = None

    def _look(self, limit: asyncio.Timeout) -> None:
        """Let the limit pass, or look again when that could be due."""
        now = self._loop.time()
        due = (now if self._begun is None else self._begun) + self._patience_s
        if due <= now:
            limit.reschedule(now)
        else:
            self._next = self._loop.call_at(due, self._look, limit)
