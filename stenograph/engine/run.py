"""A run as its events tell it: the one reducer.

No clock, no I/O, no randomness, and no condition is evaluated here: outcomes, patches and verdicts
are in the events, so every machine and every later version folds the same history to the same run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Raw, Struct, field

from stenograph.engine.edges import compile_graph, edge_key
from stenograph.engine.events import (
    BranchEnded,
    ErrorInfo,
    Event,
    ForkJoined,
    ForkOpened,
    GraphCreated,
    LimitReached,
    LogWritten,
    NodeAttemptFailed,
    NodeEntered,
    NodeExited,
    Payload,
    PinnedGraph,
    RunCancelled,
    RunCancelling,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunLimits,
    RunParked,
    RunPaused,
    RunPausing,
    RunRecovered,
    RunResumed,
    RunRetried,
    SignalReceived,
    StatePatched,
    TimerFired,
    TimerSet,
    TransitionTaken,
    WaitOpened,
    WaitResolved,
)
from stenograph.engine.patch import target
from stenograph.engine.scopes import (
    ROOT,
    Branch,
    Fork,
    Layer,
    Phase,
    Position,
    Scope,
    branch_path,
    branch_scope,
    call_path,
    index_of,
    look_up,
    parent_of,
)
from stenograph.engine.state import State
from stenograph.engine.values import encode

Status: TypeAlias = Literal[
    "running", "waiting", "paused", "parked", "cancelling", "completed", "failed", "cancelled"
]
ENDED: Final[frozenset[str]] = frozenset({"completed", "failed", "cancelled"})
ACTIVE: Final[frozenset[str]] = frozenset({"running", "cancelling"})
"""The statuses in which the engine has something to do by itself."""
GOING: Final[frozenset[str]] = frozenset({"running", "waiting"})
"""The statuses in which a run goes on."""

_STATUS: Final[Mapping[type[Payload], Status]] = {
    RunCreated: "running",
    RunPaused: "paused",
    RunParked: "parked",
    RunResumed: "running",
    RunRetried: "running",
    RunCancelling: "cancelling",
    RunCompleted: "completed",
    RunFailed: "failed",
    RunCancelled: "cancelled",
}
"""The status that an event of each type leads to; the other types leave it as it is."""

NOT_A_TRY: Final = frozenset({"Lost", "Interrupted"})
"""Failures that came from outside: they do not count against ``retry.attempts``."""


class Kept(Struct, frozen=True):
    """A signal that nobody has used yet, by the event that brought it."""

    seq: int
    payload: bytes
    scope: str | None


class Run(Struct):
    """A run, folded. Only ``evolve`` changes one, and only its owner calls that.

    ``halt``: why nothing new is begun although the run has not come to rest yet; ``phases``: how
    many scopes stand in each phase; ``parked_at``: the scope and the node that a person must judge.
    """

    id: str = ""
    seq: int = 0
    status: Status = "running"
    graph_id: str = ""
    version: str = ""
    graph: bytes = b""
    graphs: dict[str, PinnedGraph] = field(default_factory=dict)
    limits: RunLimits = RunLimits(10_000)
    tags: dict[str, str] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    phases: dict[Phase, int] = field(default_factory=dict)
    signals: dict[str, tuple[Kept, ...]] = field(default_factory=dict)
    halt: Literal["", "pause", "limit", "time"] = ""
    parked_at: tuple[str, str] = ("", "")
    steps: int = 0
    busy_ms: float = 0.0
    error: ErrorInfo | None = None
    reason: str = ""
    failed_in: str = ""
    key: str | None = None
    request: str | None = None
    turn: str | None = None
    created_at: str = ""
    updated_at: str = ""
    finished_at: str | None = None

    @property
    def state(self) -> State:
        """The state of the run: that of scope ``/``."""
        return self.scopes[ROOT].state

    @property
    def ended(self) -> bool:
        """Whether a terminal event was the last word."""
        return self.status in ENDED

    @property
    def goes_on(self) -> bool:
        """Whether new nodes may be entered."""
        return self.status in GOING and not self.halt

    @property
    def is_queued(self) -> bool:
        """Whether the run waits for its turn to begin."""
        at = self.scopes[ROOT].position if ROOT in self.scopes else None
        return at is not None and at.phase == "waiting" and at.kind == "turn"

    def count(self, *phases: Phase) -> int:
        """Return how many scopes stand in one of the phases."""
        return sum(self.phases.get(phase, 0) for phase in phases)

    def copy(self) -> Run:
        """Return a run that changes apart from this one."""
        twin = copy(self)
        twin.scopes = {path: scope.copy() for path, scope in self.scopes.items()}
        twin.phases, twin.signals = self.phases.copy(), self.signals.copy()
        return twin

    def layer(self) -> Run:
        """Return a copy that costs what is looked at in it, for as long as this one stays."""
        twin = copy(self)
        twin.scopes = Layer(self.scopes)
        twin.phases, twin.signals = self.phases.copy(), self.signals.copy()
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
    run.status = _STATUS.get(type(event.data), run.status)
    match event.data:
        case NodeEntered() as entered:
            _entered(run, event.at, entered)
        case NodeExited() as exited:
            _exited(run, exited)
        case StatePatched() as patched:
            _patched(run.scopes[patched.scope], event.seq, patched)
        case TransitionTaken() as taken:
            _transition(run, run.scopes[taken.scope], taken)
        case NodeAttemptFailed() as failed:
            _attempt_failed(run, failed)
        case ForkOpened() as opened:
            _fork_opened(run, run.scopes[opened.scope], opened)
        case BranchEnded() as ended:
            _branch_ended(run, ended)
        case ForkJoined() as joined:
            _fork_joined(run, run.scopes[joined.scope], joined)
        case WaitOpened() as wait:
            _wait_opened(run, event, wait)
        case WaitResolved() as resolved:
            _wait_resolved(run, resolved)
        case TimerSet(scope=scope, due_at=due_at):
            _position(run, scope).due_at = due_at
        case TimerFired(scope=scope):
            _position(run, scope).due_at = None
        case SignalReceived() as signal:
            kept = Kept(event.seq, bytes(signal.payload), signal.scope)
            run.signals[signal.name] = (*run.signals.get(signal.name, ()), kept)
        case LogWritten() | GraphCreated():
            pass
        case _:
            _of_the_run(run, event)
    if run.status in GOING:
        is_waiting = run.count("waiting") and not run.count("running", "backing-off")
        run.status = "waiting" if is_waiting else "running"


def _of_the_run(run: Run, event: Event) -> None:
    """Take in what happened to the run as a whole."""
    match event.data:
        case RunCreated() as created:
            _created(run, event, created)
        case RunPausing(reason=reason):
            run.halt, run.reason = "pause", reason
        case RunPaused():
            pass
        case LimitReached(limit=limit):
            run.halt = "time" if limit == "time_s" else "limit"
            if limit == "time_s":
                _interrupt(run)
        case RunParked() as parked:
            run.reason, run.parked_at = parked.reason, (parked.scope, parked.node)
        case RunResumed(limits=limits):
            _go_on(run, limits)
        case RunRetried(limits=limits):
            _reopen(run)
            _go_on(run, limits)
        case RunRecovered():
            _interrupt(run)
        case RunCancelling(reason=reason):
            run.reason = reason
        case RunCompleted(reason=reason):
            run.reason = reason
            _end(run, event.at)
        case RunFailed(error=error, scope=scope):
            run.error, run.finished_at, run.failed_in = error, event.at, scope
        case RunCancelled():
            _end(run, event.at)
        case _:
            raise AssertionError(f"not an event of a run as a whole: {event.type}")


def _created(run: Run, event: Event, created: RunCreated) -> None:
    run.id = event.run_id
    run.graph_id, run.version, run.graph = created.graph_id, created.version, bytes(created.graph)
    run.graphs, run.limits, run.tags = created.graphs, created.limits, created.tags
    run.key, run.request, run.turn = created.key, created.request, created.turn
    run.created_at = event.at
    _begin(run, Scope(ROOT, State.from_json(bytes(created.state)), graph=run.graph))


def _begin(run: Run, scope: Scope, node: str | None = None) -> None:
    """Put a scope into the run, before its first node."""
    _drop(run, scope.path)
    run.scopes[scope.path] = scope
    first = node or compile_graph(scope.graph).graph.start
    _place(run, scope, Position(first, 1, 0, "to-enter"))


def _entered(run: Run, at: str, entered: NodeEntered) -> None:
    if entered.scope not in run.scopes:
        _branch(run, entered.scope)
    scope = run.scopes[entered.scope]
    old = _position(run, entered.scope)
    if entered.attempt == 1:
        run.steps += 1
    scope.visits[entered.node] = entered.visit
    phase: Phase = "running" if entered.graph is None else "calling"
    now = Position(
        entered.node, entered.visit, entered.attempt, phase, old.tries, old.lost, entered_at=at
    )
    _place(run, scope, now)
    if entered.graph is not None:
        _call(run, scope, entered, entered.graph)


def _branch(run: Run, path: str) -> None:
    """Begin the branch at a path."""
    parent, index = run.scopes[parent_of(path)[0]], index_of(path)
    fork = parent.open_fork
    _begin(run, branch_scope(parent, path), fork.target(index))
    fork.branches[index] = Branch("open")
    fork.next, fork.open = max(fork.next, index + 1), fork.open + 1


def _call(run: Run, scope: Scope, entered: NodeEntered, ref: str) -> None:
    """Begin the sub-graph that a node runs: with a copy of the state here, or parts of it."""
    path = call_path(scope.path, entered.node, entered.visit)
    if entered.in_ is None:
        state = scope.state.child({})
    else:
        given = {key: encode(look_up(scope.state, at)) for key, at in entered.in_.items()}
        state = State(given)
    _begin(run, Scope(path, state, graph=bytes(run.graphs[ref].graph)))


def _exited(run: Run, exited: NodeExited) -> None:
    run.busy_ms += exited.duration_ms
    position = _position(run, exited.scope)
    if position.phase == "calling":
        _drop(run, call_path(exited.scope, exited.node, exited.visit))
    _move(run, position, "left")
    position.due_at, position.kind = None, exited.outcome


def _patched(scope: Scope, seq: int, patched: StatePatched) -> None:
    scope.state.apply(patched.patch)
    if scope.path != ROOT:
        for op in patched.patch:
            scope.changed[target(op)[0]] = seq


def _attempt_failed(run: Run, failed: NodeAttemptFailed) -> None:
    run.busy_ms += failed.duration_ms
    position = _position(run, failed.scope)
    if position.phase == "calling":
        _drop(run, call_path(failed.scope, failed.node, failed.visit))
    if failed.error.type == "Lost":
        position.lost += 1
    if failed.error.type in NOT_A_TRY:
        position.unsure = True
    else:
        position.tries += 1
    position.retry_at, position.due_at = failed.retry_at, None
    _move(run, position, "to-enter" if failed.retry_at is None else "backing-off")


def _transition(run: Run, scope: Scope, taken: TransitionTaken) -> None:
    if taken.edge is not None:
        key = edge_key(taken.node, taken.edge)
        scope.taken[key] = scope.taken.get(key, 0) + 1
    if not taken.fork and not taken.to.startswith("$"):
        _aim(run, scope, taken.to)


def _aim(run: Run, scope: Scope, node: str) -> None:
    visit = scope.visits.get(node, 0) + 1
    _place(run, scope, Position(node, visit, 0, "to-enter"))


def _fork_opened(run: Run, scope: Scope, opened: ForkOpened) -> None:
    items: list[bytes] | None = None
    if opened.each is not None:
        whole = encode(look_up(scope.state, opened.each))
        items = [bytes(item) for item in msgspec.json.decode(whole, type=list[Raw])]
    scope.fork = Fork(
        targets=opened.targets,
        count=opened.count,
        join=opened.join,
        need=opened.need,
        collects=opened.on_error == "collect",
        width=opened.width,
        items=items,
        as_=opened.as_ or "item",
    )
    _move(run, _position(run, scope.path), "forked")


def _branch_ended(run: Run, ended: BranchEnded) -> None:
    index = index_of(ended.scope)
    fork = run.scopes[parent_of(ended.scope)[0]].open_fork
    changed: dict[str, tuple[bytes | None, int]] = {}
    fork.open -= 1
    if ended.outcome == "ok":
        scope = run.scopes[ended.scope]
        for key, seq in scope.changed.items():
            if key not in scope.hidden:
                changed[key] = (scope.state.encoded(key), seq)
        _drop(run, ended.scope)
    elif ended.outcome == "error" and fork.collects:
        _drop(run, ended.scope)
    else:
        _stop(run, ended.scope)  # kept, so that a retry of the run goes on from there
    fork.arrived += ended.outcome == "ok" or (ended.outcome == "error" and fork.collects)
    fork.failed += ended.outcome == "error" and not fork.collects
    fork.branches[index] = Branch(
        ended.outcome, changed, ended.error, ended.failed_in, ended.node, ended.visit
    )


def _fork_joined(run: Run, scope: Scope, joined: ForkJoined) -> None:
    position = _position(run, scope.path)
    _drop_branches(run, scope)
    if joined.error is not None or joined.join.startswith("$"):
        _move(run, position, "left")
    else:
        _aim(run, scope, joined.join)


def _wait_opened(run: Run, event: Event, wait: WaitOpened) -> None:
    position = _position(run, wait.scope)
    _move(run, position, "waiting")
    position.kind, position.signal, position.since = wait.kind, wait.signal, event.seq
    position.schema = b"" if wait.schema is UNSET else bytes(wait.schema)


def _wait_resolved(run: Run, resolved: WaitResolved) -> None:
    position = _position(run, resolved.scope)
    is_before_entry = position.kind in ("delay", "turn")
    _move(run, position, "to-enter" if is_before_entry else "running")
    if position.signal is not None and resolved.signal_seq is not None:
        kept = run.signals[position.signal]
        run.signals[position.signal] = tuple(s for s in kept if s.seq != resolved.signal_seq)
        if not run.signals[position.signal]:
            del run.signals[position.signal]
    position.due_at = None


def _interrupt(run: Run) -> None:
    """Cut off what runs: the engine stopped, or the time was up."""
    for scope in list(run.scopes.values()) if run.count("running") else ():
        if scope.position is not None and scope.position.phase == "running":
            _move(run, scope.position, "interrupted")


def _go_on(run: Run, limits: RunLimits | None) -> None:
    """Let a run go on; of what may have had its effect a person has judged what parked it."""
    path, node = run.parked_at
    if node and path in run.scopes:
        judged = _position(run, path)
        judged.lost, judged.unsure = 0, False
    run.limits = limits or run.limits
    run.halt, run.reason, run.parked_at = "", "", ("", "")


def _reopen(run: Run) -> None:
    """Take a failed run up where it was: what failed is to be entered again, with a fresh budget."""
    run.error, run.finished_at = None, None
    failed = {run.failed_in}
    for scope in run.scopes.values():
        if scope.fork is not None:
            failed |= {each.failed_in for each in scope.fork.branches.values() if each.error}
    for scope in list(run.scopes.values()):
        position = _position(run, scope.path)
        if scope.fork is not None:
            _reopen_branches(scope.fork)
        position.tries = position.lost = 0
        if position.phase == "left" and scope.path not in failed:
            continue  # it has come to its end, and only that is still to be said
        if position.phase in ("left", "stopped", "running", "interrupted"):
            had_effect = position.phase == "left" and position.kind == "ok"  # its edges failed
            position.unsure |= had_effect or position.phase in ("running", "interrupted")
            _move(run, position, "to-enter")


def _reopen_branches(fork: Fork) -> None:
    for index in range(fork.next):
        branch = fork.branches[index]
        if branch.status == "cancelled" or (branch.status == "error" and not fork.collects):
            fork.branches[index] = Branch("open")
            fork.open += 1
    fork.failed = 0


def _end(run: Run, at: str) -> None:
    run.finished_at = at
    root, at_last = run.scopes[ROOT], _position(run, ROOT)
    _drop_branches(run, root)
    _drop(run, call_path(ROOT, at_last.node, at_last.visit))
    _place(run, root, None)


def _drop(run: Run, path: str) -> None:
    """Take a scope out of the run, and all within it."""
    scope = run.scopes.pop(path, None)
    if scope is not None:
        _drop_branches(run, scope)
        if scope.position is not None and scope.position.phase == "calling":
            _drop(run, call_path(path, scope.position.node, scope.position.visit))
        _place(run, scope, None)


def _drop_branches(run: Run, scope: Scope) -> None:
    for path in branches_of(scope):
        _drop(run, path)
    scope.fork = None


def _stop(run: Run, path: str) -> None:
    """Stop a branch and all within it, but keep where they stand."""
    for each in within(run, path):
        position = _position(run, each.path)
        position.retry_at = position.due_at = None
        if position.phase not in ("forked", "calling", "left"):
            position.unsure |= position.phase == "running"
            _move(run, position, "stopped")


def within(run: Run, path: str) -> Iterator[Scope]:
    """Yield a scope and those within it that have not ended, the outer first; for reading alone."""
    paths = [path]
    while paths:
        scope = peek(run, paths.pop())
        assert scope is not None, "an open branch, or a graph that is called, has its scope"
        yield scope
        if scope.fork is not None:
            paths += [
                each
                for index, each in enumerate(branches_of(scope))
                if scope.fork.branches[index].status == "open"
            ][::-1]
        elif scope.position is not None and scope.position.phase == "calling":
            paths.append(call_path(scope.path, scope.position.node, scope.position.visit))


def peek(run: Run, path: str) -> Scope | None:
    """Return a scope for reading alone, which costs nothing, also in a layer over a run."""
    scopes = run.scopes
    return scopes.peek(path) if isinstance(scopes, Layer) else scopes.get(path)


def branches_of(scope: Scope) -> list[str]:
    """Return the paths of the branches that were entered, in their order."""
    if scope.fork is None:
        return []
    assert scope.position is not None, "a scope with a fork stands at the node that forked"
    node, visit = scope.position.node, scope.position.visit
    return [branch_path(scope.path, node, visit, index) for index in range(scope.fork.next)]


def _position(run: Run, path: str) -> Position:
    position = run.scopes[path].position
    assert position is not None, "what happens to a scope happens where it stands"
    return position


def _place(run: Run, scope: Scope, position: Position | None) -> None:
    """Put a scope somewhere: the only place that does, so that the phases are counted right."""
    if scope.position is not None:
        run.phases[scope.position.phase] -= 1
    scope.position = position
    if position is not None:
        run.phases[position.phase] = run.phases.get(position.phase, 0) + 1


def _move(run: Run, position: Position, phase: Phase) -> None:
    run.phases[position.phase] -= 1
    position.phase = phase
    run.phases[phase] = run.phases.get(phase, 0) + 1
