"""Giving way: a busy loop that lets another thread have the interpreter, now and then."""

from __future__ import annotations

import time
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

EVERY_S: Final = 0.0005
PAUSE_S: Final = 1e-6


@contextmanager
def giving_way(loop: AbstractEventLoop) -> Iterator[None]:
    """Have the loop pause for a moment every ``EVERY_S``, for as long as a thread is at work.

    A loop that is never idle does release the interpreter lock at each turn, but has it back before
    a thread that waits for it is awake, and the thread begins to wait anew: it would starve. A
    sleep, however short, lasts long enough.
    """

    timer: TimerHandle

    def pause() -> None:
        nonlocal timer
        time.sleep(PAUSE_S)
        timer = loop.call_later(EVERY_S, pause)

    timer = loop.call_later(EVERY_S, pause)
    try:
        yield
    finally:
        timer.cancel()
