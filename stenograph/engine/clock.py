"""Time, from outside: the only source of now and of later."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """Something that will happen, unless it is cancelled."""

    def cancel(self) -> None:
        """Make it not happen; once it has happened, do nothing."""


class Clock(Protocol):
    """What the engine knows of time."""

    def now_us(self) -> int:
        """Return microseconds since 1970 in UTC; may step back when somebody sets the clock."""

    def monotonic_us(self) -> int:
        """Return microseconds since some moment; never steps back, so durations come from it."""

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback`` on the event loop after ``delay_s`` seconds."""


class SystemClock:
    """The machine's clock, and the running loop's timers."""

    def now_us(self) -> int:
        """Return microseconds since 1970 in UTC."""
        return time.time_ns() // 1000

    def monotonic_us(self) -> int:
        """Return microseconds since some moment before the process began."""
        return time.monotonic_ns() // 1000

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback`` on the running loop after ``delay_s`` seconds."""
        return asyncio.get_running_loop().call_later(delay_s, callback)
