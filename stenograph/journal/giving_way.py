"""Giving way: a busy loop that lets another thread have the interpreter, now and then."""

from __future__ import annotations

import asyncio
import time
from asyncio import Handle
from typing import Final, Protocol

AFTER_S: Final = 0.0004
"""How long the thread may get no further before a busy loop pauses: about as long as a commit takes."""
PAUSE_S: Final = 1e-6
LOOK_S: Final = 0.0005
"""How often is looked whether the loop is busy, while it is not."""
TURN_S: Final = 0.00005
"""How long a turn of the loop takes at least if it is busy, and never if there is nothing to do."""
STILL_S: Final = 0.001
"""For how long a loop that was busy passes for busy."""


class Worker(Protocol):
    """A thread and what it has to do, as the loop sees it."""

    @property
    def is_under_way(self) -> bool:
        """Whether there is something to do."""

    @property
    def progress(self) -> int:
        """A number that changes with each thing that the thread has done."""


class GivingWay:
    """Has the loop pause for a moment where a thread is at work and gets no further.

    A loop that is never idle does release the interpreter lock at each turn, but has it back before
    a thread that waits for it is awake, and the thread begins to wait anew: it would starve. A
    sleep, however short, lasts long enough.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._next: Handle | None = None
        self._busy_until = 0.0
        self._seen, self._since = worker.progress, self._loop.time()
        """How far the thread was, and when that was news."""

    def begin(self) -> None:
        """Look after the thread from now on, for as long as it is at work."""
        if self._next is None:
            if self._loop.time() < self._busy_until:
                self._next = self._loop.call_soon(self._look)
            else:
                self._next = self._loop.call_later(LOOK_S, self._look)

    def _look(self, turn_began: float | None = None) -> None:
        """Pause if the thread gets no further; look again soon, or in the next turn of a busy loop.

        Whether it is busy, a whole turn tells: one that has nothing to do takes no time.
        """
        now = self._loop.time()
        self._next = None
        is_busy = turn_began is None or now - turn_began > TURN_S
        if turn_began is not None and is_busy:
            self._busy_until = now + STILL_S
        if self._seen != self._worker.progress:
            self._seen, self._since = self._worker.progress, now
        elif now - self._since > AFTER_S and self._worker.is_under_way:
            time.sleep(PAUSE_S)
            now = self._loop.time()
            self._seen, self._since = self._worker.progress, now
        if self._worker.is_under_way:
            if is_busy:
                self._next = self._loop.call_soon(self._look, now)
            else:
                self._next = self._loop.call_later(LOOK_S, self._look)
