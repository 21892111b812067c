"""Views of runs, as the outside sees them: a run's summary, its state at an event, its visits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stenograph.engine.core.events import (
    ErrorInfo,
    Event,
    LogWritten,
    NodeAttemptFailed,
    NodeEntered,
    NodeExited,
    Origin,
    Payload,
    RunCreated,
    StatePatched,
    TransitionTaken,
)
from stenograph.engine.core.folding import evolve
from stenograph.engine.core.run import Run, Status
from stenograph.engine.core.scopes import ROOT, Position
from stenograph.engine.core.standing import within

SHOWN_MAX: Final = 100


class WaitView(Struct, frozen=True, kw_only=True):
    """What a scope of a run waits for: a signal that fits ``schema``, or a time, or its turn."""

    scope: str
    node: str
    kind: str
    since: int
    signal: str | None = None
    due_at: str | None = None
    schema: Any = None


class ParkedView(Struct, frozen=True, kw_only=True):
    """The node that a person must judge before a parked run goes on, and the scope it is in."""

    scope: str
    node: str


class RunView(Struct, frozen=True, kw_only=True):
    """A run at one moment: after event ``seq``. ``state_json`` is the JSON text of its state.

    ``current``: the nodes it is at, ``waits``: what it waits for, both the first 100; ``replayed``:
    this had been asked before, with the same key or id; ``origin``: what it was forked from; ``imported``:
    it was brought here as a file, and is only read and forked, whatever its status; ``erased``: its
    words are gone from the journal, its events and their hashes stand; ``traceparent``: the trace
    that it was begun in.
    """

    id: str
    graph_id: str
    version: str
    status: Status
    seq: int
    steps: int
    current: tuple[str, ...]
    waits: tuple[WaitView, ...]
    tags: dict[str, str]
    error: ErrorInfo | None
    reason: str
    created_at: str
    updated_at: str
    finished_at: str | None
    state_json: bytes
    parked: ParkedView | None = None
    origin: Origin | None = None
    replayed: bool = False
    imported: bool = False
    erased: bool = False
    traceparent: str | None = None

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
    """One visit of a node, from its entry to the transition that left it.

    ``entered_in``: the run that ``entered_seq`` is of where that is another, which this one was forked
    from while the visit was under way.
    """

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
    entered_in: str = ""


def viewed(run: Run, replayed: bool) -> RunView:
    """Return a run as the outside sees it; ``replayed``: what was asked of it was asked before."""
    return replace(view(run), replayed=True) if replayed else view(run)


def view(run: Run) -> RunView:
    """Return a run as the outside sees it."""
    scopes = [] if run.ended else list(islice(_standing(run), SHOWN_MAX))
    return RunView(
        id=run.id,
        graph_id=run.graph_id,
        version=run.version,
        status=run.status,
        seq=run.seq,
        steps=run.steps,
        current=tuple(dict.fromkeys(position.node for _, position in scopes)),
        waits=tuple(_wait(scope, at) for scope, at in scopes if at.phase == "waiting"),
        tags=run.tags,
        error=run.error,
        reason=run.reason,
        created_at=run.created_at,
        updated_at=run.updated_at,
        finished_at=run.finished_at,
        state_json=run.state.to_json(),
        parked=_parked(run),
        origin=run.origin,
        traceparent=run.traceparent,
    )


def _parked(run: Run) -> ParkedView | None:
    scope, node = run.parked_at
    return ParkedView(scope=scope, node=node) if node and run.status == "parked" else None


def _standing(run: Run) -> Iterator[tuple[str, Position]]:
    """Yield where the scopes stand that have something to do themselves."""
    for scope in within(run, ROOT):
        if scope.position is not None and scope.position.phase not in ("forked", "calling"):
            yield scope.path, scope.position


def _wait(scope: str, at: Position) -> WaitView:
    return WaitView(
        scope=scope,
        node=at.node,
        kind=at.kind,
        since=at.since,
        signal=at.signal,
        due_at=at.due_at,
        schema=msgspec.json.decode(at.schema) if at.schema else None,
    )


class Visits:
    """The visits that the events of a run tell of, noted one after the other.

    Of a fork those that its origin began and it went on with are told whole where the events of
    that, up to the fork, come first.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, int], Visit] = {}
        self._run_id = ""

    def note(self, event: Event) -> None:
        """Take in what has happened."""
        data: Any = event.data  # of a type that ``_TELLS`` knows, it has the fields of a visit
        self._run_id = event.run_id
        rows = self._rows
        if rows and isinstance(data, RunCreated):
            rows = self._rows = _taken_over(rows, event)
        if (tell := _TELLS.get(type(data))) is None:
            return
        key = (data.scope, data.node, data.visit)
        if key not in rows:  # in a fork it may have begun before: in the origin
            rows[key] = Visit(
                scope=data.scope,
                node=data.node,
                visit=data.visit,
                attempts=0,
                tool=data.tool if isinstance(data, NodeEntered) else None,
                status="running",
                started_at=event.at,
                entered_seq=event.seq,
                seq=event.seq,
                entered_in=event.run_id,
            )
        rows[key].seq = event.seq
        tell(rows[key], data, event.at)

    def rows(self, *, ended: bool) -> list[Visit]:
        """Return them in the order of their entry; those that an ended run left were interrupted."""
        for row in self._rows.values():
            row.entered_in = row.entered_in if row.entered_in != self._run_id else ""
            row.status = "interrupted" if ended and row.status == "running" else row.status
        return list(self._rows.values())


def visits(events: Iterable[Event], *, ended: bool) -> list[Visit]:
    """Return the visits of a run, in the order of their entry."""
    found = Visits()
    for event in events:
        found.note(event)
    return found.rows(ended=ended)


def _taken_over(
    rows: Mapping[tuple[str, str, int], Visit], created: Event
) -> dict[tuple[str, str, int], Visit]:
    """Return the visits, of those of its origin, that a fork is in."""
    run = Run()
    evolve(run, created)
    at = [(path, scope.position) for path, scope in run.scopes.items()]
    going = {
        (path, p.node, p.visit) for path, p in at if p and (p.phase != "to-enter" or p.attempt)
    }
    kept = {key: row for key, row in rows.items() if key in going}
    for row in kept.values():
        row.seq = created.seq  # the last of it that this run has, which may be all
    return kept


def _entered(row: Visit, entered: NodeEntered, _: str) -> None:
    row.attempts, row.status, row.finished_at = entered.attempt, "running", None


def _attempt_failed(row: Visit, failed: NodeAttemptFailed, _: str) -> None:
    row.error = failed.error


def _exited(row: Visit, exited: NodeExited, at: str) -> None:
    row.status, row.error, row.duration_ms = exited.outcome, exited.error, exited.duration_ms
    row.finished_at = at


def _patched(row: Visit, patched: StatePatched, _: str) -> None:
    row.changed = tuple(dict.fromkeys(op.path for op in patched.patch))


def _left(row: Visit, taken: TransitionTaken, _: str) -> None:
    row.to = taken.to


def _said(row: Visit, line: LogWritten, _: str) -> None:
    row.message = line.message


_TELLS: Final[Mapping[type[Payload], Callable[[Visit, Any, str], None]]] = {
    NodeEntered: _entered,
    NodeAttemptFailed: _attempt_failed,
    NodeExited: _exited,
    StatePatched: _patched,
    TransitionTaken: _left,
    LogWritten: _said,
}
"""What each event of a visit says of it."""
