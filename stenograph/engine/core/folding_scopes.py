"""What an event changes in the scope that it happened in: nodes, forks, sub-graphs and waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw

from stenograph.engine.core.edges import edge_key
from stenograph.engine.core.events import (
    BranchEnded,
    ForkJoined,
    ForkOpened,
    NodeAttemptFailed,
    NodeEntered,
    NodeExited,
    Payload,
    StatePatched,
    TimerFired,
    TimerSet,
    TransitionTaken,
    WaitOpened,
    WaitResolved,
)
from stenograph.engine.core.placing import aim, begin, drop, drop_branches, move, place, stop
from stenograph.engine.core.run import Run
from stenograph.engine.core.scopes import (
    ROOT,
    Branch,
    Fork,
    Phase,
    Position,
    Scope,
    branch_scope,
    call_path,
    index_of,
    parent_of,
)
from stenograph.engine.core.standing import position_of
from stenograph.engine.state.patch import target
from stenograph.engine.state.state import State
from stenograph.engine.values import encode, look_up

NOT_A_TRY: Final = frozenset({"Lost", "Interrupted"})
"""Failures that came from outside: they do not count against ``retry.attempts``."""


def _entered(run: Run, entered: NodeEntered, _: int, at: str) -> None:
    if entered.scope not in run.scopes:
        _branch(run, entered.scope)
    scope = run.scopes[entered.scope]
    old = scope.position
    assert old is not None, "a scope that enters a node stands before it"
    if entered.attempt == 1:
        run.steps += 1
    scope.visits[entered.node] = entered.visit
    phase: Phase = "running" if entered.graph is None else "calling"
    now = Position(
        entered.node,
        entered.visit,
        entered.attempt,
        phase,
        old.tries,
        old.lost,
        entered_at=at,
    )
    place(run, scope, now)
    if entered.graph is not None:
        _call(run, scope, entered, entered.graph)


def _branch(run: Run, path: str) -> None:
    """Begin the branch at a path."""
    parent, index = run.scopes[parent_of(path)[0]], index_of(path)
    fork = parent.open_fork
    begin(run, branch_scope(parent, path), fork.target(index))
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
    begin(run, Scope(path, state, graph=bytes(run.graphs[ref].graph)))


def _exited(run: Run, exited: NodeExited, _: int, __: str) -> None:
    run.busy_ms += exited.duration_ms
    position = position_of(run, exited.scope)
    if position.phase == "calling":
        drop(run, call_path(exited.scope, exited.node, exited.visit))
    move(run, position, "left")
    position.due_at, position.kind = None, exited.outcome


def _patched(run: Run, patched: StatePatched, seq: int, _: str) -> None:
    scope = run.scopes[patched.scope]
    scope.state.apply(patched.patch)
    if scope.path != ROOT:
        for op in patched.patch:
            scope.changed[target(op)[0]] = seq


def _attempt_failed(run: Run, failed: NodeAttemptFailed, _: int, __: str) -> None:
    run.busy_ms += failed.duration_ms
    position = position_of(run, failed.scope)
    if position.phase == "calling":
        drop(run, call_path(failed.scope, failed.node, failed.visit))
    if failed.error.type == "Lost":
        position.lost += 1
    if failed.error.type in NOT_A_TRY:
        position.unsure = True
    else:
        position.tries += 1
    position.retry_at, position.due_at = failed.retry_at, None
    move(run, position, "to-enter" if failed.retry_at is None else "backing-off")


def _transition(run: Run, taken: TransitionTaken, _: int, __: str) -> None:
    scope = run.scopes[taken.scope]
    if taken.edge is not None:
        key = edge_key(taken.node, taken.edge)
        scope.taken[key] = scope.taken.get(key, 0) + 1
    if not taken.fork and not taken.to.startswith("$"):
        aim(run, scope, taken.to)


def _fork_opened(run: Run, opened: ForkOpened, _: int, __: str) -> None:
    scope = run.scopes[opened.scope]
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
    move(run, position_of(run, scope.path), "forked")


def _branch_ended(run: Run, ended: BranchEnded, _: int, __: str) -> None:
    index = index_of(ended.scope)
    fork = run.scopes[parent_of(ended.scope)[0]].open_fork
    changed: dict[str, tuple[bytes | None, int]] = {}
    fork.open -= 1
    if ended.outcome == "ok":
        scope = run.scopes[ended.scope]
        for key, seq in scope.changed.items():
            if key not in scope.hidden:
                changed[key] = (scope.state.encoded(key), seq)
        drop(run, ended.scope)
    elif ended.outcome == "error" and fork.collects:
        drop(run, ended.scope)
    else:
        stop(run, ended.scope)  # kept, so that a retry of the run goes on from there
    fork.arrived += ended.outcome == "ok" or (ended.outcome == "error" and fork.collects)
    fork.failed += ended.outcome == "error" and not fork.collects
    fork.branches[index] = Branch(
        ended.outcome, changed, ended.error, ended.failed_in, ended.node, ended.visit
    )


def _fork_joined(run: Run, joined: ForkJoined, _: int, __: str) -> None:
    scope = run.scopes[joined.scope]
    position = position_of(run, scope.path)
    drop_branches(run, scope)
    if joined.error is not None or joined.join.startswith("$"):
        move(run, position, "left")
    else:
        aim(run, scope, joined.join)


def _wait_opened(run: Run, wait: WaitOpened, seq: int, _: str) -> None:
    position = position_of(run, wait.scope)
    move(run, position, "waiting")
    position.kind, position.signal, position.since = wait.kind, wait.signal, seq
    position.schema = b"" if wait.schema is UNSET else bytes(wait.schema)


def _wait_resolved(run: Run, resolved: WaitResolved, _: int, __: str) -> None:
    position = position_of(run, resolved.scope)
    is_before_entry = position.kind in ("delay", "turn")
    move(run, position, "to-enter" if is_before_entry else "running")
    if position.signal is not None and resolved.signal_seq is not None:
        kept = run.signals[position.signal]
        run.signals[position.signal] = tuple(s for s in kept if s.seq != resolved.signal_seq)
        if not run.signals[position.signal]:
            del run.signals[position.signal]
    position.due_at = None


def _timer_set(run: Run, timer: TimerSet, _: int, __: str) -> None:
    position_of(run, timer.scope).due_at = timer.due_at


def _timer_fired(run: Run, timer: TimerFired, _: int, __: str) -> None:
    position_of(run, timer.scope).due_at = None


OF_A_SCOPE: Final[Mapping[type[Payload], Callable[[Run, Any, int, str], None]]] = {
    NodeEntered: _entered,
    NodeExited: _exited,
    StatePatched: _patched,
    TransitionTaken: _transition,
    NodeAttemptFailed: _attempt_failed,
    ForkOpened: _fork_opened,
    BranchEnded: _branch_ended,
    ForkJoined: _fork_joined,
    WaitOpened: _wait_opened,
    WaitResolved: _wait_resolved,
    TimerSet: _timer_set,
    TimerFired: _timer_fired,
}
"""How a run takes in what happened in a scope: the event, its seq and its time."""
