"""What both protocols do with a client that costs too much, or takes nothing of what it is sent."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from functools import partial
from time import thread_time
from typing import TYPE_CHECKING, Final

from stenograph.http.serving.deadline import Deadline

if TYPE_CHECKING:
    from stenograph.http.serving.server_config import ServerConfig

LARGE_BYTES: Final = 2 * 1024
"""What is shorter can cost nothing worth a look at the clock."""
COSTLY_S: Final = 0.005
PAUSES: Final = 10
"""Whoever sends what takes longer to take in than that is not read for so many times as long."""


class Intake:
    """What is taken in by all connections together in one turn of the loop, as far as it costs much.

    Else many clients who each send what costs a little less would hold the loop together.
    """

    def __init__(self) -> None:
        self._spent_s = 0.0
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def is_full(self) -> bool:
        """Whether what comes now is for another turn."""
        return self._spent_s >= COSTLY_S or bool(self._waiting)

    def spend(self, loop: asyncio.AbstractEventLoop, took_s: float) -> None:
        """Count what something has cost in this turn."""
        if not self._spent_s:
            loop.call_soon(self._begin)
        self._spent_s += took_s

    def wait(self, take: Callable[[], None]) -> None:
        """Have something taken in, which spends, when its turn has come; for whom it ``is_full``."""
        self._waiting.append(take)

    def _begin(self) -> None:
        """Begin another turn, with what has waited the longest."""
        self._spent_s = 0.0
        while self._waiting and self._spent_s < COSTLY_S:
            self._waiting.popleft()()


class Throttle(asyncio.Protocol):
    """Reads less from a client the more it costs to take in what it sends, and waits for it a while.

    Thousands of frames or chunks of a byte each fit into what is read at once. ``taking`` is how
    long the client may take none of what it is sent.
    """

    config: ServerConfig
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    taking: Deadline
    held: bytes = b""
    """What has come, and is for another turn of the loop."""

    def pause_writing(self) -> None:
        """Give the client a while to take what it was sent."""
        super().pause_writing()
        self.taking.begin()

    def resume_writing(self) -> None:
        """Go on sending."""
        super().resume_writing()
        self.taking.end()

    def throttled(self, take: Callable[[bytes], None], data: bytes) -> None:
        """Take data in, in this turn of the loop or a later one, and look at what that has cost."""
        if self.held:
            self.held += data
        elif len(data) < LARGE_BYTES:
            take(data)
        elif self.config.intake.is_full:
            self.held = data
            self.transport.pause_reading()
            self.config.intake.wait(partial(self._take_held, take))
        else:
            self._take(take, data)

    def _take_held(self, take: Callable[[bytes], None]) -> None:
        data, self.held = self.held, b""
        if self.transport.is_closing():
            return
        self.read_on()
        self._take(take, data)

    def _take(self, take: Callable[[bytes], None], data: bytes) -> None:
        begin = thread_time()
        try:
            take(data)
        finally:
            took_s = thread_time() - begin
            self.config.intake.spend(self.loop, took_s)
        if took_s > COSTLY_S:
            self.transport.pause_reading()
            self.loop.call_later(PAUSES * took_s, self.read_on)

    def read_on(self) -> None:
        """Read again, unless there is another reason not to."""
        if not self.is_paused:
            self.transport.resume_reading()

    @property
    @abstractmethod
    def is_paused(self) -> bool:
        """Whether uvicorn has something to be done first."""
        ...
