"""The flow of runs into an engine: at once, later, or in their turn, as their graphs' rules say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from stenograph.engine.clock import Clock
from stenograph.engine.core.commands import Start
from stenograph.engine.core.edges import compile_graph
from stenograph.engine.errors import TooManyRuns
from stenograph.engine.graphs.graph import Concurrency
from stenograph.engine.runs.turns import Turns, turn_of
from stenograph.engine.state.state import State
from stenograph.engine.stored.histories import in_status
from stenograph.engine.times import to_us
from stenograph.engine.tools.tools import Rate
from stenograph.journal import Journal

UNFINISHED: Final = ("running", "waiting", "paused", "parked", "cancelling")


class Flow:
    """Keeps the lines of runs; ``call`` is told whose turn has come, ``cancel`` who must make room."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        *,
        call: Callable[[str], None],
        cancel: Callable[[str, str], None],
    ) -> None:
        self._journal, self._clock = journal, clock
        self._call, self._cancel = call, cancel
        self._turns = Turns()

    async def form(self) -> None:
        """Form the lines of the runs that have not ended, and call those whose turn it is."""
        found: list[tuple[int, str, str, str, bool]] = []
        for status in UNFINISHED:
            async for page in in_status(self._journal, status):
                found += [
                    (
                        each.number,
                        each.run_id,
                        turn,
                        each.labels.get("turn_limit", ""),
                        bool(each.labels.get("queued")),
                    )
                    for each in page
                    if (turn := each.labels.get("turn"))
                ]
        for _, run_id, turn, limit, is_queued in sorted(found):
            (self._turns.wait if is_queued else self._turns.seat)(turn, run_id)
            self._turns.limit(turn, int(limit) if limit else None)
        for turn in {turn for _, _, turn, _, _ in found}:
            for run_id in self._turns.call(turn):
                self._call(run_id)

    async def admit(self, run_id: str, start: Start, state: State) -> Start:
        """Return a start as its graph's rules allow it: now, later, or in its turn.

        Raises TooManyRuns where they reject it.
        """
        rules = compile_graph(start.graph).graph.concurrency
        assert rules is not None, "only where a graph has rules a run stands in a line"
        turn = turn_of(start.graph_id, rules, state)
        if self._turns.has(run_id):  # asked for twice at once: one start, and one place
            return replace(start, turn=turn, is_queued=self._turns.claim(turn, run_id, rules)[0])
        at_us = self._clock.now_us()
        if rules.rate is not None:
            at_us = await self._time_of(turn, rules, rules.rate)
        is_queued, olds = self._turns.claim(turn, run_id, rules)
        self._turns.started(turn, at_us, rules.rate)
        for old in olds:
            self._cancel(old, f"run {run_id} takes its place")
        delay_s = max(start.delay_s, (at_us - self._clock.now_us()) / 1_000_000)
        return replace(start, turn=turn, is_queued=is_queued, delay_s=delay_s)

    def left(self, run_id: str) -> None:
        """Let the next ones go on: a run has ended, or did not begin."""
        for each in self._turns.leave(run_id):
            self._call(each)

    def seat(self, run_id: str, turn: str | None) -> None:
        """Count a run among those that go on: it was reopened, which no rule forbids."""
        if turn is not None:
            self._turns.seat(turn, run_id)

    async def _time_of(self, turn: str, rules: Concurrency, rate: Rate) -> int:
        """Return when the rate allows one more start."""
        if not self._turns.knows(turn):
            before = await self._journal.streams({"turn": turn}, limit=rate.limit)
            for stream in reversed(before):
                at = stream.labels.get("starts_at") or stream.created_at
                self._turns.started(turn, to_us(at), rate)
        now_us = self._clock.now_us()
        at_us = self._turns.next_start(turn, rate, now_us)
        if at_us > now_us and rules.policy == "reject":
            raise TooManyRuns(turn, f"{rate.limit} in {rate.per_s:g} s")
        return at_us


def has_lines(start: Start) -> bool:
    """Tell whether the runs of a graph may have to wait for one another."""
    return compile_graph(start.graph).graph.concurrency is not None
