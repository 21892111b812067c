"""Plausible: whether an event can follow in a run, for histories that come from who knows where.

A fold never refuses, for what it is given has happened. Of a file nobody knows that; so what says of
a scope that it is where it is not, or names what the graph has not, is told before it is folded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final, TypeAlias

import msgspec
from msgspec import UNSET

from stenograph.engine.core.edges import compile_graph
from stenograph.engine.core.events import (
    BranchEnded,
    Event,
    ForkJoined,
    ForkOpened,
    NodeAttemptFailed,
    NodeEntered,
    NodeExited,
    RunCreated,
    RunLimits,
    RunMigrated,
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
from stenograph.engine.core.keying import KEYS_MAX
from stenograph.engine.core.run import Run, key_id
from stenograph.engine.core.scopes import (
    Fork,
    Phase,
    Position,
    Scope,
    branch_path,
    is_scope,
    parent_of,
)
from stenograph.engine.graphs.graph import END, FAIL, Limits
from stenograph.engine.state.patch import PatchOp, target
from stenograph.engine.state.state import State
from stenograph.engine.times import is_time
from stenograph.engine.tools.trace_ids import sane_traceparent
from stenograph.engine.values import look_up, pointer

OfAScope: TypeAlias = (
    NodeEntered
    | NodeAttemptFailed
    | NodeExited
    | StatePatched
    | TransitionTaken
    | ForkOpened
    | ForkJoined
    | WaitOpened
    | WaitResolved
    | TimerSet
    | TimerFired
)
HERE: Final = (
    NodeEntered,
    NodeAttemptFailed,
    NodeExited,
    TransitionTaken,
    ForkOpened,
    WaitOpened,
    WaitResolved,
    TimerSet,
    TimerFired,
)
"""What is of the very visit that its scope is in."""
PHASES: Final[Mapping[type, tuple[Phase, ...]]] = {
    NodeEntered: ("to-enter", "backing-off"),
    NodeAttemptFailed: ("running", "interrupted", "calling"),
    NodeExited: ("to-enter", "running", "interrupted", "calling"),
    StatePatched: ("left", "to-enter"),
    TransitionTaken: ("left",),
    ForkOpened: ("left",),
    ForkJoined: ("forked",),
    WaitOpened: ("to-enter", "running"),
    WaitResolved: ("waiting",),
    TimerSet: ("waiting", "calling"),
    TimerFired: ("waiting", "calling"),
}
"""Where a scope stands before each event of it."""


def implausible(run: Run, event: Event) -> str | None:
    """Return why an event cannot follow what a run is, or None where nothing speaks against it."""
    data = event.data
    if run.seq and run.ended and not isinstance(data, RunRetried):
        return "the run has ended before"
    if isinstance(data, RunCreated | RunResumed | RunRetried) and not _can_limit(data.limits):
        return "nobody can have set such limits"
    if isinstance(data, RunCreated) and _misnames_its_trace(data):
        return "its traceparent is none"
    if isinstance(data, SignalReceived | RunResumed | RunRetried | RunMigrated) and data.key:
        if len(run.keyed) >= KEYS_MAX:
            return f"no run remembers more than {KEYS_MAX:,} idempotency keys"
        if key_id(data.actor, data.key) in run.keyed:
            return "its idempotency key was used before"
    if isinstance(data, BranchEnded):
        if data.outcome == "error" and data.error is None:
            return "a branch failed of no error"
        return None if data.scope in run.scopes else f"there is no scope {data.scope[:140]!r}"
    return _of_a_scope(run, data) if isinstance(data, OfAScope) else None


def misplaced(run: Run) -> str | None:
    """Return why the scopes of a run cannot stand as they do, or None where nothing speaks against it."""
    for scope in run.scopes.values():
        at, fork = scope.position, scope.fork
        if at is None and not run.ended:
            return f"scope {scope.path[:140]} stands nowhere"
        if at is not None and (
            at.node not in _nodes(scope) or _no_time(at.due_at, at.retry_at, at.entered_at or None)
        ):
            return f"scope {scope.path[:140]} stands where it cannot"
        if fork is not None and (at is None or not _has_its_branches(fork)):
            return f"the fork of scope {scope.path[:140]} does not have its branches"
    return None


def _misnames_its_trace(created: RunCreated) -> bool:
    given = created.traceparent
    return given is not None and sane_traceparent(given) != given


def _of_a_scope(run: Run, data: OfAScope) -> str | None:
    scope = run.scopes.get(data.scope)
    if scope is None:
        begins = isinstance(data, NodeEntered) and _is_next_branch(run, data)
        return None if begins else f"there is no scope {data.scope[:140]!r}"
    at, nodes = scope.position, _nodes(scope)
    if at is None or data.node not in nodes:
        return f"scope {scope.path[:140]} cannot be at {data.node[:140]!r}"
    if isinstance(data, NodeEntered) and at.node != data.node:
        return f"scope {scope.path[:140]} is to enter {at.node[:140]!r}"
    if isinstance(data, HERE) and (at.node, at.visit) != (data.node, data.visit):
        return f"scope {scope.path[:140]} is in another visit"
    if not _can_follow(data, scope, at):
        return f"scope {scope.path[:140]} is {at.phase} then"
    if isinstance(data, WaitResolved) and data.reason == "signal" and not _has_come(run, data, at):
        return "no such signal had come that could end the wait"
    return _of_what_it_names(data, scope, nodes)


def _of_what_it_names(data: OfAScope, scope: Scope, nodes: Collection[str]) -> str | None:
    """Return which node that an event leads to, or what else it names, cannot be."""
    named: tuple[str, ...] = ()
    match data:
        case TransitionTaken(to=to, fork=fork):
            named = () if fork else (to,)
        case ForkOpened(targets=targets, join=join, each=each, count=count):
            named = (*targets, join)
            items = targets if each is None else look_up(scope.state, each)
            if not targets or not isinstance(items, list | tuple) or count != len(items):
                return "a fork has a branch for each of its targets or items"
            if not _can_be_met(data.need, count, data.width):
                return f"no fork of {count} branches needs {data.need} of them"
        case ForkJoined(join=join):
            named = (join,)
            if scope.fork is None:
                return f"scope {scope.path[:140]} has not forked"
        case NodeExited(outcome=outcome, error=error) if outcome != "ok" and error is None:
            return f"it tells of no error, and its outcome is {outcome!r}"
        case NodeAttemptFailed(retry_at=due) | TimerSet(due_at=due) if _no_time(due):
            return f"{str(due)[:40]!r} is no time"
        case StatePatched(patch=patch):
            return _unfit(patch, scope.state)
        case _:
            pass
    for name in named:
        if name not in nodes and name not in (END, FAIL):
            return f"there is no node {name[:140]!r}"
    return None


def _has_its_branches(fork: Fork) -> bool:
    """Tell whether a fork counts right, for who goes through the branches relies on that."""
    there = len(fork.targets if fork.items is None else fork.items)
    if not (fork.next == len(fork.branches) <= fork.count == there and fork.targets) or any(
        index >= fork.next for index in fork.branches
    ):
        return False
    came = Counter(each.status for each in fork.branches.values())
    errors = 0 if fork.collects else came["error"]
    arrived = came["ok"] + came["error"] - errors
    return (
        _can_be_met(fork.need, fork.count, fork.width)
        and (fork.open, fork.failed, fork.arrived) == (came["open"], errors, arrived)
        and all(each.error or each.status != "error" for each in fork.branches.values())
    )


def _can_be_met(need: int, count: int, width: int | None) -> bool:
    """Tell whether so many branches can be needed, and so many be open at a time."""
    return 0 <= need <= count and (width is None or width >= 1)


def _is_next_branch(run: Run, entered: NodeEntered) -> bool:
    """Tell whether what is entered begins the branch that a fork is to begin next."""
    if not is_scope(entered.scope):
        return False
    parent = run.scopes.get(parent_of(entered.scope)[0])
    if parent is None or parent.fork is None or parent.position is None:
        return False
    at, fork = parent.position, parent.fork
    return (
        fork.next < fork.count
        and entered.scope == branch_path(parent.path, at.node, at.visit, fork.next)
        and entered.node == fork.target(fork.next)
    )


def _can_follow(data: OfAScope, scope: Scope, at: Position) -> bool:
    """Tell whether a scope can stand where it does before an event of it."""
    if at.phase not in PHASES[type(data)]:
        return False
    if isinstance(data, StatePatched) and at.phase == "to-enter":  # what the last fork came to
        return data.visit <= scope.visits.get(data.node, 0)
    return True


def _has_come(run: Run, resolved: WaitResolved, at: Position) -> bool:
    """Tell whether the signal that is said to have ended a wait is one that it waits for, not used up."""
    kept = run.signals.get(at.signal or "", ())
    return any(each.seq == resolved.signal_seq for each in kept)


def _can_limit(limits: RunLimits | None) -> bool:
    try:
        msgspec.convert(limits, Limits | None, from_attributes=True)
    except msgspec.ValidationError:
        return False
    return True


def _unfit(patch: Iterable[PatchOp], state: State) -> str | None:
    """Return why a state cannot be patched so: what is no list cannot grow."""
    lists: dict[str, bool] = {}
    for op in patch:
        key, grows = target(op)
        value = b"" if op.value is UNSET else bytes(op.value)
        old = state.encoded(key)
        is_list = lists.get(key, old is None or old.startswith(b"["))
        if op.path != pointer(key) + ("/-" if grows else "") or (grows and op.op != "add"):
            return f"no state is patched at {op.path[:140]!r}"
        if (not value) != (op.op == "remove") or (grows and not is_list):
            return f"{op.path[:140]!r} cannot be patched so"
        lists[key] = is_list if grows else value.startswith(b"[") or not value
    return None


def _nodes(scope: Scope) -> Collection[str]:
    return compile_graph(scope.graph).nodes


def _no_time(*texts: str | None) -> bool:
    return any(text is not None and not is_time(text) for text in texts)
