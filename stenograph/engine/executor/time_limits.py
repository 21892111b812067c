"""Time limits of attempts: those of one length end in the order in which they were set.

So one timer of the loop serves them all, and to set or lift a limit costs an entry of a dict.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from stenograph.engine.clock import Clock, Timer


class TimeLimits:
    """Calls who is late; one for all attempts of an engine."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: dict[float, _Line] = {}

    def set(self, seconds: float, late: Callable[[], None]) -> Timer:
        """Call ``late`` on the loop after so many seconds, unless that is cancelled before."""
        line = self._lines.get(seconds)
        if line is None:
            gone = partial(self._lines.pop, seconds, None)
            line = self._lines[seconds] = _Line(self._clock, seconds, gone)
        return line.add(late)

    def close(self) -> None:
        """Call nobody any more."""
        for line in list(self._lines.values()):
            line.close()


class _Limit:
    """One that is late at ``due_us``."""

    __slots__ = ("_line", "due_us", "late")

    def __init__(self, line: _Line, due_us: int, late: Callable[[], None]) -> None:
        self._line, self.due_us, self.late = line, due_us, late

    def cancel(self) -> None:
        """Lift the limit."""
        self._line.lift(self)


class _Line:
    """The limits of one length, the first to end first; ``gone`` is called when none is left."""

    def __init__(self, clock: Clock, seconds: float, gone: Callable[[], object]) -> None:
        self._waiting: dict[_Limit, None] = {}
        self._clock, self._seconds, self._gone = clock, seconds, gone
        self._timer = clock.call_later(seconds, self._look)

    def add(self, late: Callable[[], None]) -> _Limit:
        limit = _Limit(self, self._clock.monotonic_us() + round(self._seconds * 1_000_000), late)
        self._waiting[limit] = None
        return limit

    def lift(self, limit: _Limit) -> None:
        if self._waiting.pop(limit, self) is None and not self._waiting:
            self.close()

    def close(self) -> None:
        self._waiting.clear()
        self._timer.cancel()
        self._gone()

    def _look(self) -> None:
        """Call those whose time is up, and look again when that of the next one is."""
        now_us = self._clock.monotonic_us()
        while self._waiting:
            limit = next(iter(self._waiting))
            if limit.due_us > now_us:
                self._timer = self._clock.call_later(
                    (limit.due_us - now_us) / 1_000_000, self._look
                )
                return
            del self._waiting[limit]
            limit.late()
        self._gone()
