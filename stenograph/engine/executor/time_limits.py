"""Time limits of attempts: those of one length end in the order in which they were set.

So one timer of the loop serves them all, and to set or lift a limit costs an entry of a dict.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from stenograph.engine.clock import Clock

_log: Final = logging.getLogger("stenograph.engine")


class TimeLimits:
    """Calls who is late; one for all attempts of an engine."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: dict[float, Line] = {}
        self._resting: Line | None = None

    def set(self, seconds: float, late: Callable[[], None]) -> Line:
        """Call ``late`` on the loop after so many seconds, unless it is lifted from its line before."""
        line = self._lines.get(seconds)
        if line is None:
            line = self._lines[seconds] = Line(self._clock, seconds, self._rest, self._gone)
        line.add(late)
        return line

    def close(self) -> None:
        """Call nobody any more."""
        for line in list(self._lines.values()):
            line.close()

    def _rest(self, line: Line) -> None:
        """Keep the timer of a line in which none is left, for the next is soon to come: of one line."""
        last, self._resting = self._resting, line
        if last is not None and last is not line and not last:
            last.close()

    def _gone(self, line: Line) -> None:
        if self._lines.get(line.seconds) is line:  # or who was late has closed it
            del self._lines[line.seconds]
        if self._resting is line:
            self._resting = None


class Line:
    """The limits of one length, the first to end first: when each is due, by whom to call then.

    ``rest`` is told when none is left, and ``gone`` is called when its timer is.
    """

    def __init__(
        self,
        clock: Clock,
        seconds: float,
        rest: Callable[[Line], None],
        gone: Callable[[Line], None],
    ) -> None:
        self.seconds = seconds
        self._due_us: dict[Callable[[], None], int] = {}
        self._clock, self._us = clock, round(seconds * 1_000_000)
        self._rest, self._gone = rest, gone
        self._timer = clock.call_later(seconds, self._look)

    def __len__(self) -> int:
        return len(self._due_us)

    def add(self, late: Callable[[], None]) -> None:
        """Set a limit; whoever is called has one at a time."""
        self._due_us[late] = self._clock.monotonic_us() + self._us

    def lift(self, late: Callable[[], None]) -> None:
        """Do not call ``late`` any more."""
        if self._due_us.pop(late, None) is not None and not self._due_us:
            self._rest(self)

    def close(self) -> None:
        """Lift all limits."""
        self._due_us.clear()
        self._timer.cancel()
        self._gone(self)

    def _look(self) -> None:
        """Call those whose time is up, and look again when that of the next one is."""
        now_us = self._clock.monotonic_us()
        while self._due_us:
            late, due_us = next(iter(self._due_us.items()))
            if due_us > now_us:
                delay_s = (due_us - now_us) / 1_000_000
                self._timer = self._clock.call_later(delay_s, self._look)
                return
            del self._due_us[late]
            try:
                late()
            except Exception:  # whatever it is, the time of all others counts on
                _log.exception("who was told that the time is up could not stop in order")
        self._gone(self)
