"""Steps: a decision while it is made, its events so far and the run as they leave it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import UNSET

from stenograph.engine.conditions.expressions import WORK_MAX, Budget, TooLong
from stenograph.engine.core.commands import Outside, Place
from stenograph.engine.core.edges import CompiledGraph, CompiledNode, compile_graph
from stenograph.engine.core.events import (
    ErrorInfo,
    NodeEntered,
    Payload,
    SignalReceived,
    StatePatched,
    TransitionTaken,
    WaitOpened,
)
from stenograph.engine.core.folding import take_in
from stenograph.engine.core.run import Run
from stenograph.engine.core.scopes import Position, Scope
from stenograph.engine.core.standing import position_of
from stenograph.engine.errors import WriteRefused
from stenograph.engine.state.state import Update
from stenograph.engine.times import to_text
from stenograph.engine.values import encode

BUDGET: Final = 400
"""About how many events one decision may make; it is followed by others until all is done."""
BUDGET_BYTES: Final = 1024 * 1024
"""When what a decision has changed comes to so much, the rest is for the next one."""
WRITE_PARTS: Final = 60
"""The work of a byte that meets a reducer: to unite lists takes the most."""
FREE_BYTES: Final = 1024


class Steps:
    """What has been decided so far: the events, and the run as they leave it.

    ``agenda``: the scopes that may have something to do next. ``updates``: what a signal that was
    just received changes in the scope that takes it, by its event: finding that out is all the work.
    ``work``: how many parts of it were done that may be much, as conditions count them.
    """

    def __init__(self, run: Run, outside: Outside) -> None:
        self.run = run.layer()
        self.run.seq += outside.ahead
        self.outside = outside
        self.events: list[Payload] = []
        self.agenda: dict[str, None] = {}
        self.updates: dict[tuple[str, int], Update] = {}
        self.work = 0
        self._weight = 0
        self.at = to_text(outside.now_us)

    @property
    def is_full(self) -> bool:
        """Whether the rest must wait for another decision."""
        return len(self.events) >= BUDGET or self._weight >= BUDGET_BYTES or self.work >= WORK_MAX

    def budget(self) -> Budget:
        """Return what the conditions of a node may do together."""
        haste = self.outside.haste
        return Budget() if haste is None else Budget(max(0, haste - self.work), hasty=True)

    def worked(self, parts: int) -> None:
        """Count work; raises TooLong when there is haste, and it was too much for that."""
        self.work += parts
        if self.outside.haste is not None and self.work > self.outside.haste:
            raise TooLong

    def wrote(self, size: int) -> None:
        """Count the work of so many bytes that meet a reducer; a few are free. Raises TooLong."""
        if size > FREE_BYTES:
            self.worked(WRITE_PARTS * size)

    def emit(self, payload: Payload) -> None:
        """Decide that something happens."""
        self.events.append(payload)
        if (weigh := _WEIGHED.get(type(payload))) is not None:
            self._weight += weigh(payload)
        take_in(self.run, payload, self.run.seq + 1, self.at)

    def scope(self, path: str) -> Scope:
        """Return a scope as it is now."""
        return self.run.scopes[path]

    def position(self, path: str) -> Position:
        """Return where a scope stands that has not ended."""
        return position_of(self.run, path)

    def place(self, path: str) -> Place:
        """Return the attempt that a scope stands at."""
        position = self.position(path)
        return Place(path, position.node, position.visit, position.attempt)

    def graph(self, path: str) -> CompiledGraph:
        """Return the graph that a scope goes through."""
        return compile_graph(self.scope(path).graph)

    def node(self, path: str) -> CompiledNode:
        """Return the node that a scope stands at."""
        return self.graph(path).nodes[self.position(path).node]

    def due(self, seconds: float) -> str:
        """Return the time in so many seconds."""
        return to_text(self.outside.now_us + round(seconds * 1_000_000))


def where(place: Place) -> Mapping[str, Any]:
    """Return a place as the fields of an event."""
    return {
        "scope": place.scope,
        "node": place.node,
        "visit": place.visit,
        "attempt": place.attempt,
    }


def refusal(refused: WriteRefused, place: Place) -> ErrorInfo:
    """Return the error of a node whose write the state does not take."""
    return ErrorInfo(refused.code, str(refused), node=place.node)


_WEIGHED: Final[Mapping[type[Payload], Callable[[Any], int]]] = {
    StatePatched: lambda it: sum(len(op.value) for op in it.patch if op.value is not UNSET),
    SignalReceived: lambda it: len(it.payload),
    WaitOpened: lambda it: 0 if it.schema is UNSET else len(it.schema),
    TransitionTaken: lambda it: len(encode(it.considered)) if it.considered else 0,
    NodeEntered: lambda it: len(encode(it.in_)) if it.in_ else 0,
}
"""About how many bytes an event has, where they may be many."""
