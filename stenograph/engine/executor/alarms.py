"""Alarms: which runs at rest are due, and when; one timer of the clock for all of them."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from stenograph.engine.clock import Clock, Timer
from stenograph.engine.times import to_us


class Alarms:
    """Calls ``ring`` with the id of each run at its time, the earliest first; one alarm a run."""

    def __init__(self, clock: Clock, ring: Callable[[str], None]) -> None:
        self._clock, self._ring = clock, ring
        self._due: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []
        self._timer: Timer | None = None

    def set(self, run_id: str, due_at: str) -> None:
        """Ring for a run at a time, and at no other."""
        due_us = to_us(due_at)
        self._due[run_id] = due_us
        heapq.heappush(self._heap, (due_us, run_id))
        if self._heap[0] == (due_us, run_id):
            self._wind()

    def clear(self, run_id: str) -> None:
        """Do not ring for a run."""
        self._due.pop(run_id, None)

    def close(self) -> None:
        """Ring for nobody any more."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _wind(self) -> None:
        """Set the timer for the earliest alarm; those that were cleared or changed fall away."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        if self._heap:
            delay_s = max(0, self._heap[0][0] - self._clock.now_us()) / 1_000_000
            self._timer = self._clock.call_later(delay_s, self._strike)

    def _strike(self) -> None:
        self._timer = None
        now_us = self._clock.now_us()
        while self._heap and self._heap[0][0] <= now_us:
            due_us, run_id = heapq.heappop(self._heap)
            if self._due.get(run_id) == due_us:
                del self._due[run_id]
                self._ring(run_id)
        self._wind()
