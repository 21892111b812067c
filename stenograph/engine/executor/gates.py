"""Gates: how many attempts of one tool go on at once, and how many start in a time."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from stenograph.engine.clock import Clock, Timer
from stenograph.engine.tools.tools import Tool

Leave: TypeAlias = Callable[[], None]
"""Ends a turn: gives up waiting, or makes room for the next; again, it does nothing."""


class Gates:
    """The gates of an engine, one for each tool that declares a limit or a rate."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gates: dict[str, Gate] = {}

    def enter(self, tool: Tool, go: Callable[[], None]) -> Leave:
        """Call ``go`` when the tool may start: now, or on the loop when its turn has come."""
        gate = self._gates.get(tool.name)
        if gate is None:
            gate = self._gates[tool.name] = Gate(tool, self._clock)
        return gate.enter(go)


class Gate:
    """Lets attempts in, in the order of their coming. ``go`` must not raise."""

    def __init__(self, tool: Tool, clock: Clock) -> None:
        self._clock = clock
        self._limit = math.inf if tool.limit is None else tool.limit
        self._per_us = 0 if tool.rate is None else math.ceil(tool.rate.per_s * 1_000_000)
        self._starts: deque[int] = deque(maxlen=0 if tool.rate is None else tool.rate.limit)
        self._waiting: OrderedDict[object, Callable[[], None]] = OrderedDict()
        self._inside: set[object] = set()
        self._timer: Timer | None = None

    def enter(self, go: Callable[[], None]) -> Leave:
        """Join the queue, and perhaps go at once."""
        turn = object()
        self._waiting[turn] = go
        self._admit()
        return partial(self._leave, turn)

    def _leave(self, turn: object) -> None:
        self._waiting.pop(turn, None)
        self._inside.discard(turn)
        self._admit()

    def _admit(self) -> None:
        """Let in whoever may go, and look again when the next one may."""
        while self._waiting and len(self._inside) < self._limit:
            if wait_us := self._wait_us():
                self._look_again(wait_us)
                return
            turn, go = self._waiting.popitem(last=False)
            self._inside.add(turn)
            self._starts.append(self._clock.monotonic_us())
            go()
        self._stop_looking()

    def _wait_us(self) -> int:
        """Return how long it is until one more may start."""
        if not self._starts or len(self._starts) != self._starts.maxlen:
            return 0
        return max(0, self._starts[0] + self._per_us - self._clock.monotonic_us())

    def _look_again(self, wait_us: int) -> None:
        if self._timer is None:
            self._timer = self._clock.call_later(wait_us / 1_000_000, self._woken)

    def _woken(self) -> None:
        self._timer = None
        self._admit()  # which waits on when the timer was a little early

    def _stop_looking(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
