"""A run as its events tell it: the one reducer, and the status table.

No clock, no I/O, no randomness, and no condition is evaluated here: outcomes, patches and verdicts
are in the events, so every machine and every later version folds the same history to the same run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Final, Literal, TypeAlias, assert_never

from msgspec import Struct, field

from stenograph.engine.edges import edge_key
from stenograph.engine.events import (
    ErrorInfo,
    Event,
    GraphCreated,
    LimitReached,
    LogWritten,
    NodeAttemptFailed,
    NodeEntered,
    NodeExited,
    Payload,
    RunCancelled,
    RunCancelling,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunLimits,
    RunParked,
    RunRecovered,
    StatePatched,
    TransitionTaken,
)
from stenograph.engine.state import State

Status: TypeAlias = Literal[
    "running", "waiting", "paused", "parked", "cancelling", "completed", "failed", "cancelled"
]
ENDED: Final[frozenset[str]] = frozenset({"completed", "failed", "cancelled"})
ACTIVE: Final[frozenset[str]] = frozenset({"running", "cancelling"})
"""The statuses in which the engine has something to do by itself."""

_STATUS: Final[Mapping[type[Payload], Status]] = {
    RunCreated: "running",
    RunParked: "parked",
    RunCancelling: "cancelling",
    RunCompleted: "completed",
    RunFailed: "failed",
    RunCancelled: "cancelled",
}
"""The status that an event of each type leads to; the other types leave it as it is."""

NOT_A_TRY: Final = frozenset({"Lost", "Interrupted"})
"""Failures that came from outside: they do not count against ``retry.attempts``."""


class Position(Struct):
    """Where a scope stands: in an attempt, between two, or before the first one of a visit."""

    node: str
    visit: int
    attempt: int
    phase: Literal["running", "backing-off", "to-enter"]
    tries: int = 0
    lost: int = 0
    retry_at: str | None = None
    entered_at: str = ""


class Scope(Struct):
    """The run itself (``/``), or a part of it with a state and a place of its own."""

    path: str
    state: State
    position: Position | None = None
    visits: dict[str, int] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)

    def copy(self) -> Scope:
        """Return a scope that changes apart from this one."""
        return Scope(
            self.path,
            self.state.copy(),
            copy(self.position),
            self.visits.copy(),
            self.taken.copy(),
        )


class Run(Struct):
    """A run, folded. Only ``evolve`` changes one, and only its owner calls that."""

    id: str = ""
    seq: int = 0
    status: Status = "running"
    graph_id: str = ""
    version: str = ""
    graph: bytes = b""
    limits: RunLimits = RunLimits(10_000)
    tags: dict[str, str] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    steps: int = 0
    busy_ms: float = 0.0
    error: ErrorInfo | None = None
    reason: str = ""
    created_at: str = ""
    updated_at: str = ""
    finished_at: str | None = None

    @property
    def state(self) -> State:
        """The state of the run: that of scope ``/``."""
        return self.scopes["/"].state

    @property
    def ended(self) -> bool:
        """Whether a terminal event was the last word."""
        return self.status in ENDED

    def copy(self) -> Run:
        """Return a run that changes apart from this one."""
        twin = copy(self)
        twin.scopes = {path: scope.copy() for path, scope in self.scopes.items()}
        return twin


def fold(events: Iterable[Event], run: Run | None = None) -> Run:
    """Return what a run is after ``events``, going on from ``run``, which stays as it was."""
    result = Run() if run is None else run.copy()
    for event in events:
        evolve(result, event)
    return result


def evolve(run: Run, event: Event) -> None:
    """Change ``run``, which the caller owns, by what has happened; it never refuses."""
    run.seq = event.seq
    run.updated_at = event.at
    run.status = status_after(run.status, [event.data])
    match event.data:
        case RunCreated() as created:
            _created(run, event, created)
        case NodeEntered() as entered:
            _entered(run, event.at, entered)
        case NodeAttemptFailed() as failed:
            _attempt_failed(run, failed)
        case NodeExited() as exited:
            run.busy_ms += exited.duration_ms
            run.scopes[exited.scope].position = None
        case StatePatched(scope=scope, patch=patch):
            run.scopes[scope].state.apply(patch)
        case TransitionTaken() as taken:
            _transition(run.scopes[taken.scope], taken)
        case RunParked(reason=reason) | RunCancelling(reason=reason):
            run.reason = reason
        case RunCompleted(reason=reason):
            run.reason = reason
            _end(run, event.at)
        case RunFailed(error=error):
            run.error = error
            _end(run, event.at)
        case RunCancelled():
            _end(run, event.at)
        case RunRecovered() | LimitReached() | LogWritten() | GraphCreated():
            pass
        case _:
            assert_never(event.data)


def _created(run: Run, event: Event, created: RunCreated) -> None:
    run.id = event.run_id
    run.graph_id, run.version, run.graph = created.graph_id, created.version, bytes(created.graph)
    run.limits, run.tags = created.limits, created.tags
    run.created_at = event.at
    run.scopes = {"/": Scope("/", State.from_json(bytes(created.state)))}


def _entered(run: Run, at: str, entered: NodeEntered) -> None:
    scope = run.scopes[entered.scope]
    old = scope.position
    if old is None or old.visit != entered.visit or old.node != entered.node:
        old = Position(entered.node, entered.visit, 0, "to-enter")
    if entered.attempt == 1:
        run.steps += 1
    scope.visits[entered.node] = entered.visit
    scope.position = Position(
        entered.node, entered.visit, entered.attempt, "running", old.tries, old.lost, None, at
    )


def _attempt_failed(run: Run, failed: NodeAttemptFailed) -> None:
    run.busy_ms += failed.duration_ms
    position = run.scopes[failed.scope].position
    assert position is not None, "an attempt that failed had been entered"
    if failed.error.type == "Lost":
        position.lost += 1
    elif failed.error.type not in NOT_A_TRY:
        position.tries += 1
    position.retry_at = failed.retry_at
    position.phase = "to-enter" if failed.retry_at is None else "backing-off"


def _transition(scope: Scope, taken: TransitionTaken) -> None:
    if taken.edge is not None:
        key = edge_key(taken.node, taken.edge)
        scope.taken[key] = scope.taken.get(key, 0) + 1
    if not taken.to.startswith("$"):
        visit = scope.visits.get(taken.to, 0) + 1
        scope.position = Position(taken.to, visit, 0, "to-enter")


def _end(run: Run, at: str) -> None:
    run.finished_at = at
    for scope in run.scopes.values():
        scope.position = None


def status_after(status: Status, payloads: Iterable[Payload]) -> Status:
    """Return the status that a run of ``status`` has after events."""
    for payload in payloads:
        status = _STATUS.get(type(payload), status)
    return status
