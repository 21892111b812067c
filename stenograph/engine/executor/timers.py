"""Timers of a run that is active: one for each scope in which something will be due, one for time_s."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Final

from stenograph.engine.clock import Clock, Timer
from stenograph.engine.core.commands import Due, TimeUp
from stenograph.engine.core.run import Run
from stenograph.engine.core.standing import due_at
from stenograph.engine.executor.crew import Crew
from stenograph.engine.times import to_us

_NO_TIMER: Final[tuple[None, None]] = None, None


class Timers:
    """Tells what is due in each scope, at its time."""

    def __init__(self, run: Run, clock: Clock, tell: Callable[[Due], None]) -> None:
        self._run, self._clock, self._tell = run, clock, tell
        self._timers: dict[str, tuple[str, Timer]] = {}

    def scopes(self) -> list[str]:
        """Return the scopes that have a timer."""
        return list(self._timers)

    def follow(self, paths: Collection[str]) -> None:
        """Set the timers of scopes; what is overdue is told in the order in which it was due."""
        new: list[tuple[str, str]] = []
        for path in paths:
            due, (known, timer) = due_at(self._run, path), self._timers.get(path, _NO_TIMER)
            if due == known:
                continue
            if timer is not None:
                del self._timers[path]
                timer.cancel()
            if due:
                new.append((due, path))
        for due, path in sorted(new):
            delay_s = max(0, to_us(due) - self._clock.now_us()) / 1_000_000
            ring = partial(self._ring, path, due)
            self._timers[path] = (due, self._clock.call_later(delay_s, ring))

    def close(self) -> None:
        """Tell nothing any more."""
        for _, timer in self._timers.values():
            timer.cancel()

    def _ring(self, path: str, due: str) -> None:
        self._timers.pop(path, None)
        self._tell(Due(path, due))


class Deadline:
    """Tells when what runs has run for as long as the run's ``time_s`` allows."""

    def __init__(self, run: Run, crew: Crew, clock: Clock, tell: Callable[[TimeUp], None]) -> None:
        self._run, self._crew, self._clock, self._tell = run, crew, clock, tell
        self._timer: Timer | None = None
        self._timed = 0

    def set(self) -> None:
        """Have a clock run; it is set anew when more run than when it was set."""
        if self._timer is None and self._run.limits.time_s is None:
            return
        size = len(self._crew)
        if self._timer is not None and not 0 < size <= self._timed:
            self.close()
        if self._timer is None and size and self._run.limits.time_s is not None:
            self._timed = size
            delay_s = self._left_ms() / 1000 / size
            self._timer = self._clock.call_later(max(0.0, delay_s), self._look)

    def close(self) -> None:
        """Let the clock stand still."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """Tell that the time is up, or, when less has run since than might have, look again later."""
        self._timer = None
        if self._left_ms() <= 0:
            self._tell(TimeUp(running_ms=self._crew.running_ms()))
        else:
            self.set()

    def _left_ms(self) -> float:
        limit_ms = (self._run.limits.time_s or 0) * 1000
        return limit_ms - self._run.busy_ms - sum(self._crew.running_ms().values())
