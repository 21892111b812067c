"""A clock that stands still until a test moves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

START_US: Final = 1_800_000_000_000_000
"""2027-01-15T08:00:00Z: where a virtual clock begins."""


class VirtualTimer:
    """A callback and when it is due; gone once it was called or cancelled."""

    def __init__(self, clock: VirtualClock, due_us: int, callback: Callable[[], None]) -> None:
        self.due_us = due_us
        self._clock, self._callback = clock, callback

    def cancel(self) -> None:
        if self in self._clock.timers:
            self._clock.timers.remove(self)

    def fire(self) -> None:
        self.cancel()
        self._callback()


class VirtualClock:
    """Time as the engine knows it; ``timers`` are those that have not come due, oldest first."""

    def __init__(self, now_us: int = START_US) -> None:
        self._now_us = now_us
        self._stepped_us = 0
        self.timers: list[VirtualTimer] = []

    def now_us(self) -> int:
        return self._now_us

    def monotonic_us(self) -> int:
        return self._now_us - self._stepped_us

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> VirtualTimer:
        timer = VirtualTimer(self, self._now_us + round(max(0, delay_s) * 1_000_000), callback)
        self.timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        """Move time on, and call what comes due, each at its own time, those it adds as well."""
        end_us = self._now_us + round(seconds * 1_000_000)
        while due := [timer for timer in self.timers if timer.due_us <= end_us]:
            first = min(due, key=lambda timer: timer.due_us)  # of two at one time, the older
            self._now_us = max(self._now_us, first.due_us)
            first.fire()
        self._now_us = end_us

    def step(self, seconds: float) -> None:
        """Set the clock on or back, as an operator does: no timer comes nearer by it."""
        self._now_us += round(seconds * 1_000_000)
        self._stepped_us += round(seconds * 1_000_000)
        for timer in self.timers:
            timer.due_us += round(seconds * 1_000_000)
