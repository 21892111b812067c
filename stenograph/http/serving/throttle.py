"""What both protocols do with a client that costs too much, or takes nothing of what it is sent."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from time import thread_time
from typing import Final

from stenograph.http.serving.deadline import Deadline

LARGE_BYTES: Final = 2 * 1024
"""What is shorter can cost nothing worth a look at the clock."""
COSTLY_S: Final = 0.01
PAUSES: Final = 10
"""Whoever sends what takes longer to take in than that is not read for so many times as long."""


class Throttle(asyncio.Protocol):
    """Reads less from a client the more it costs to take in what it sends, and waits for it a while.

    Thousands of frames or chunks of a byte each fit into what is read at once. ``taking`` is how
    long the client may take none of what it is sent.
    """

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    taking: Deadline

    def pause_writing(self) -> None:
        """Give the client a while to take what it was sent."""
        super().pause_writing()
        self.taking.begin()

    def resume_writing(self) -> None:
        """Go on sending."""
        super().resume_writing()
        self.taking.end()

    def throttled(self, take: Callable[[bytes], None], data: bytes) -> None:
        """Take data in, and then look at what that has cost."""
        if len(data) < LARGE_BYTES:
            take(data)
            return
        begin = thread_time()
        take(data)
        took = thread_time() - begin
        if took > COSTLY_S:
            self.transport.pause_reading()
            self.loop.call_later(PAUSES * took, self.read_on)

    def read_on(self) -> None:
        """Read again, unless there is another reason not to."""
        if not self.is_paused:
            self.transport.resume_reading()

    @property
    @abstractmethod
    def is_paused(self) -> bool:
        """Whether uvicorn has something to be done first."""
        ...
