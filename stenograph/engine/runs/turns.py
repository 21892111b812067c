"""Turns: how many runs of a graph go on at once, and which one is next."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from stenograph.engine.errors import TooManyRuns
from stenograph.engine.graphs.graph import Concurrency
from stenograph.engine.tools.tools import Rate
from stenograph.engine.values import clip, encode, look_up


class Line(Struct):
    """The runs of one turn: those that go on, and those that wait for it, the oldest first.

    ``starts`` are the times at which the last ones were let go, in microseconds.
    """

    limit: int | None = None
    going: dict[str, None] = field(default_factory=dict)
    queue: dict[str, None] = field(default_factory=dict)
    starts: deque[int] = field(default_factory=deque)


class Turns:
    """Who goes on and who waits, by turn: a graph, or a graph and the value at its ``key``."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._of: dict[str, str] = {}

    def claim(self, turn: str, run_id: str, rules: Concurrency) -> tuple[bool, list[str]]:
        """Put a run into its line; returns whether it must wait, and who must go for its sake.

        Raises TooManyRuns where the policy is to reject.
        """
        line = self._line(turn)
        line.limit = rules.limit
        if run_id in self._of:  # asked for twice at once: it has its place
            return run_id in line.queue, []
        if rules.limit is None or len(line.going) < rules.limit:
            self.seat(turn, run_id)
            return False, []
        if rules.policy == "reject":
            raise TooManyRuns(turn, f"{rules.limit} at once")
        self.wait(turn, run_id)
        too_many = len(line.going) + len(line.queue) - rules.limit
        older = [*line.going, *line.queue][:too_many]
        return True, older if rules.policy == "cancel_old" else []

    def has(self, run_id: str) -> bool:
        """Tell whether a run has its place in a line."""
        return run_id in self._of

    def seat(self, turn: str, run_id: str) -> None:
        """Count a run among those that go on."""
        self._line(turn).going[run_id] = None
        self._of[run_id] = turn

    def wait(self, turn: str, run_id: str) -> None:
        """Count a run among those that wait for their turn."""
        self._line(turn).queue[run_id] = None
        self._of[run_id] = turn

    def leave(self, run_id: str) -> list[str]:
        """Take a run out of its line; returns those whose turn has come by that."""
        turn = self._of.pop(run_id, None)
        if turn is None:
            return []
        line = self._line(turn)
        line.going.pop(run_id, None)
        line.queue.pop(run_id, None)
        called = self.call(turn)
        if not (line.going or line.queue or line.starts):
            del self._lines[turn]
        return called

    def limit(self, turn: str, limit: int | None) -> None:
        """Say how many may go on at once."""
        self._line(turn).limit = limit

    def call(self, turn: str) -> list[str]:
        """Let as many go on as may, in their order; returns them."""
        line = self._line(turn)
        called = []
        while line.queue and (line.limit is None or len(line.going) < line.limit):
            called.append(next(iter(line.queue)))
            del line.queue[called[-1]]
            line.going[called[-1]] = None
        return called

    def knows(self, turn: str) -> bool:
        """Tell whether earlier starts of a turn are known."""
        return bool(self._line(turn).starts)

    def started(self, turn: str, at_us: int, rate: Rate | None) -> None:
        """Count a start, where that matters."""
        if rate is not None:
            self._line(turn).starts.append(at_us)

    def next_start(self, turn: str, rate: Rate, now_us: int) -> int:
        """Return when a rate allows one more start: now, or later."""
        starts = self._line(turn).starts
        while len(starts) > rate.limit:
            starts.popleft()
        if len(starts) < rate.limit:
            return now_us
        return max(now_us, starts[0] + round(rate.per_s * 1_000_000))

    def _line(self, turn: str) -> Line:
        return self._lines.setdefault(turn, Line())


def turn_of(graph_id: str, rules: Concurrency, state: Mapping[str, Any]) -> str:
    """Return the name of the line in which a run stands: of its graph, or one for each ``key``."""
    if rules.key is None:
        return graph_id
    try:
        value = look_up(state, rules.key)
    except KeyError:
        value = None
    return clip(f"{graph_id} {encode(value).decode()}")
