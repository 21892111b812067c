"""The path of a run, as lines that a person can read and a test can compare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from stenograph.engine.core.events import (
    BranchEnded,
    ErrorInfo,
    Event,
    ForkJoined,
    ForkOpened,
    NodeAttemptFailed,
    NodeExited,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunParked,
    RunPaused,
    StatePatched,
    TransitionTaken,
)
from stenograph.engine.core.folding_scopes import NOT_A_TRY
from stenograph.engine.core.run import Run
from stenograph.engine.core.scopes import call_path


class PathLine(Struct, frozen=True):
    """A line, and the event that tells most of why."""

    text: str
    event: Event


class PathReader:
    """Takes in the events of a run in their order; ``lines`` has one for each step that is whole."""

    def __init__(self) -> None:
        self._lines: list[PathLine] = []
        self._left: Event | None = None

    def note(self, event: Event) -> None:
        """Take in what has happened."""
        left, data = self._left, event.data
        if isinstance(data, StatePatched):
            return
        if left is not None:
            self._left = None
            if isinstance(data, TransitionTaken):
                self._lines.append(PathLine(f"{_exit(left)}{_way(data)}", event))
                return
            self._lines.append(PathLine(_exit(left), left))
        if isinstance(data, NodeExited):
            self._left = event
        elif text := _told(data):
            self._lines.append(PathLine(text, event))

    def lines(self) -> list[PathLine]:
        """Return what there is so far."""
        left = self._left
        return self._lines if left is None else [*self._lines, PathLine(_exit(left), left)]


def standing_line(run: Run) -> str | None:
    """Return where a run stands that has not ended; None for one that has."""
    if run.ended:
        return None
    return f"{run.status} at {', '.join(_standing(run)) or '/'}"


def place_of(data: Any) -> str:
    """Return a visit in one word: its scope, its node and its number."""
    return call_path(data.scope, data.node, data.visit)[:-1]


def _standing(run: Run) -> Iterator[str]:
    for scope in run.scopes.values():
        at = scope.position
        if at is not None and scope.fork is None and at.phase != "calling":
            yield call_path(scope.path, at.node, at.visit)[:-1]


def _exit(event: Event) -> str:
    data = event.data
    assert isinstance(data, NodeExited), "only what was left is told so"
    return f"{place_of(data)} {data.outcome}{_error(data.error)}"


def _way(taken: TransitionTaken) -> str:
    why = taken.reason if taken.label is None else f"{taken.reason}, {taken.label}"
    if taken.fork:
        return f" → {', '.join(taken.fork)}, to join at {taken.to} ({why})"
    return f" → {taken.to} ({why})"


def _told(data: Any) -> str | None:
    """Return what an event says of the path by itself; None for what is no step of it."""
    match data:
        case NodeAttemptFailed(error=error) if error.type not in NOT_A_TRY:
            return f"{place_of(data)} failed{_error(error)}, to be tried again"
        case ForkOpened():
            return f"{place_of(data)} opens {data.count}, of which {data.need} are needed"
        case BranchEnded(outcome=outcome) if outcome != "ok":
            return f"{data.scope} {outcome}{_error(data.error)}"
        case ForkJoined():
            return f"{place_of(data)} joined {data.arrived}{_error(data.error)} → {data.join}"
        case RunCompleted(reason=reason):
            return f"completed ({reason})"
        case RunFailed(error=error):
            return f"failed{_error(error)}"
        case RunCancelled():
            return "cancelled"
        case RunPaused():
            return "paused"
        case RunParked(reason="limit"):
            return "parked (limit)"
        case _:
            return None


def _error(error: ErrorInfo | None) -> str:
    return "" if error is None else f" {error.type}"
