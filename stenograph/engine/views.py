"""Views of runs, as the outside sees them: a run's summary, its state at an event, its visits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, assert_never

import msgspec
from msgspec import Struct

from stenograph.engine.events import (
    ErrorInfo,
    Event,
    LogWritten,
    NodeAttemptFailed,
    NodeEntered,
    NodeExited,
    StatePatched,
    TransitionTaken,
)
from stenograph.engine.run import Run, Status

OfAVisit: TypeAlias = (
    NodeEntered | NodeAttemptFailed | NodeExited | StatePatched | TransitionTaken | LogWritten
)


class RunView(Struct, frozen=True, kw_only=True):
    """A run at one moment: after event ``seq``. ``state_json`` is the JSON text of its state."""

    id: str
    graph_id: str
    version: str
    status: Status
    seq: int
    steps: int
    current: tuple[str, ...]
    tags: dict[str, str]
    error: ErrorInfo | None
    reason: str
    created_at: str
    updated_at: str
    finished_at: str | None
    state_json: bytes

    @property
    def state(self) -> dict[str, Any]:
        """The state, decoded anew at each look."""
        values: dict[str, Any] = msgspec.json.decode(self.state_json)
        return values

    @property
    def done(self) -> bool:
        """Whether the run has ended."""
        return self.finished_at is not None


class StateAt(Struct, frozen=True, kw_only=True):
    """The state of a run after event ``seq``, as JSON text and decoded."""

    run_id: str
    seq: int
    status: Status
    json: bytes

    @property
    def values(self) -> dict[str, Any]:
        """The state, decoded anew at each look."""
        values: dict[str, Any] = msgspec.json.decode(self.json)
        return values


class Visit(Struct, kw_only=True):
    """One visit of a node, from its entry to the transition that left it."""

    scope: str
    node: str
    visit: int
    attempts: int
    tool: str | None
    status: Literal["running", "ok", "error", "timeout", "interrupted"]
    started_at: str
    finished_at: str | None = None
    duration_ms: float | None = None
    entered_seq: int
    seq: int
    to: str | None = None
    error: ErrorInfo | None = None
    message: str = ""
    changed: tuple[str, ...] = ()


def view(run: Run) -> RunView:
    """Return a run as the outside sees it."""
    positions = [scope.position for scope in run.scopes.values() if scope.position is not None]
    return RunView(
        id=run.id,
        graph_id=run.graph_id,
        version=run.version,
        status=run.status,
        seq=run.seq,
        steps=run.steps,
        current=tuple(position.node for position in positions),
        tags=run.tags,
        error=run.error,
        reason=run.reason,
        created_at=run.created_at,
        updated_at=run.updated_at,
        finished_at=run.finished_at,
        state_json=run.state.to_json(),
    )


def visits(events: Iterable[Event], *, ended: bool) -> list[Visit]:
    """Return the visits of a run, in the order of their entry."""
    rows: dict[tuple[str, str, int], Visit] = {}
    for event in events:
        data = event.data
        if not isinstance(data, OfAVisit):
            continue
        key = (data.scope, data.node, data.visit)
        if isinstance(data, NodeEntered) and key not in rows:
            rows[key] = Visit(
                scope=data.scope,
                node=data.node,
                visit=data.visit,
                attempts=0,
                tool=data.tool,
                status="running",
                started_at=event.at,
                entered_seq=event.seq,
                seq=event.seq,
            )
        _tell(rows[key], event, data)
    if ended:
        for row in rows.values():
            row.status = "interrupted" if row.status == "running" else row.status
    return list(rows.values())


def _tell(row: Visit, event: Event, data: OfAVisit) -> None:
    row.seq = event.seq
    match data:
        case NodeEntered(attempt=attempt):
            row.attempts = attempt
        case NodeAttemptFailed(error=error):
            row.error = error
        case NodeExited(outcome=outcome, error=error, duration_ms=duration_ms):
            row.status, row.error, row.duration_ms = outcome, error, duration_ms
            row.finished_at = event.at
        case StatePatched(patch=patch):
            row.changed = tuple(dict.fromkeys(op.path for op in patch))
        case TransitionTaken(to=to):
            row.to = to
        case LogWritten(message=message):
            row.message = message
        case _:
            assert_never(data)
