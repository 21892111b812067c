"""Work that takes a while, in threads beside the event loop.

Each thread that runs Python keeps the interpreter for 5 ms before the loop has it again, each time
that the loop looks for what is new. So what requests bring is done one at a time: many at once would
none end sooner. And while it is done, threads give way after 1 ms; at all times that would be too often.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from threading import Lock
from typing import Final, TypeVar

from stenograph.journal.record import Record

T = TypeVar("T")
AT_ONCE_BYTES: Final = 32 * 1024
"""So much JSON takes a few milliseconds: with ten thousand keys, a megabyte takes a tenth of a second."""
AT_ONCE_RECORDS: Final = 200
SWITCH_S: Final = 0.001


class QuickSwitching:
    """Has all threads give way after a millisecond while work is done that it runs."""

    def __init__(self) -> None:
        self._lock, self._under_way = Lock(), 0
        self._usual_s = 0.0

    def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns."""
        with self._lock:
            if not self._under_way:
                self._usual_s = sys.getswitchinterval()
                sys.setswitchinterval(min(self._usual_s, SWITCH_S))
            self._under_way += 1
        try:
            return work()
        finally:
            with self._lock:
                self._under_way -= 1
                if not self._under_way:
                    sys.setswitchinterval(self._usual_s)


class SerialThread:
    """A thread for work that many bring, each in turn; it stays for as long as the process.

    The work itself must bring none to the same thread and wait for it.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, name)
        self._turns: dict[asyncio.AbstractEventLoop, tuple[asyncio.Lock, int]] = {}

    async def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, when its turn has come.

        Who is cancelled gives up the turn; work that has begun then ends before any other begins.
        """
        loop = asyncio.get_running_loop()
        async with self._turn(loop):
            return await loop.run_in_executor(self._executor, _QUICK.run, work)

    @asynccontextmanager
    async def _turn(self, loop: asyncio.AbstractEventLoop) -> AsyncIterator[None]:
        lock, users = self._turns.get(loop, (asyncio.Lock(), 0))
        self._turns[loop] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._turns.pop(loop)
            if users > 1:
                self._turns[loop] = lock, users - 1


_QUICK: Final = QuickSwitching()
_BRIEF: Final = SerialThread("stenograph-brief")
_LONG: Final = SerialThread("stenograph-long")


def are_few(records: Sequence[Record]) -> bool:
    """Tell whether records are so few, and so small, that they are decoded in a few milliseconds."""
    few = len(records) <= AT_ONCE_RECORDS
    return few and sum(len(each.data) for each in records) <= AT_ONCE_BYTES


async def briefly(work: Callable[[], T], *, at_once: bool = False) -> T:
    """Return what work of at most a tenth of a second returns; ``at_once`` if it takes far less.

    Who is cancelled meanwhile leaves it to end by itself; so with the two below.
    """
    return work() if at_once else await _BRIEF.run(work)


async def at_length(work: Callable[[], T], *, at_once: bool = False) -> T:
    """Return what work of some seconds returns, on the thread that all such share; or ``at_once``."""
    return work() if at_once else await _LONG.run(work)


async def apart(work: Callable[[], T]) -> T:
    """Return what work of any length returns, which mostly waits, on a thread that ends with it."""
    executor = ThreadPoolExecutor(1)
    try:
        return await asyncio.get_running_loop().run_in_executor(executor, work)
    finally:
        executor.shutdown(wait=False)
