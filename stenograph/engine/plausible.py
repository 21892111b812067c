"""Plausible: whether an event can follow in a run, for histories that come from who knows where.

A fold never refuses, for what it is given has happened. Of a file nobody knows that; so what says of
a scope that it is where it is not, or names what the graph has not, is told before it is folded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Final, TypeAlias

from stenograph.engine.edges import compile_graph
from stenograph.engine.events import (
    BranchEnded,
    Event,
    ForkJoined,
    ForkOpened,
    NodeAttemptFailed,
    NodeEntered,
    NodeExited,
    RunRetried,
    StatePatched,
    TimerFired,
    TimerSet,
    TransitionTaken,
    WaitOpened,
    WaitResolved,
)
from stenograph.engine.graph import END, FAIL
from stenograph.engine.run import Run
from stenograph.engine.scopes import Fork, Scope, index_of, is_scope, parent_of
from stenograph.engine.times import is_time

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


def implausible(run: Run, event: Event) -> str | None:
    """Return why an event cannot follow what a run is, or None where nothing speaks against it."""
    data = event.data
    if run.seq and run.ended and not isinstance(data, RunRetried):
        return "the run has ended before"
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


def _of_a_scope(run: Run, data: OfAScope) -> str | None:
    scope = run.scopes.get(data.scope)
    if scope is None:
        begins = isinstance(data, NodeEntered) and _is_next_branch(run, data.scope)
        return None if begins else f"there is no scope {data.scope[:140]!r}"
    at, nodes = scope.position, _nodes(scope)
    if at is None or data.node not in nodes:
        return f"scope {scope.path[:140]} cannot be at {data.node[:140]!r}"
    if isinstance(data, NodeEntered) and at.node != data.node:
        return f"scope {scope.path[:140]} is to enter {at.node[:140]!r}"
    if isinstance(data, HERE) and (at.node, at.visit) != (data.node, data.visit):
        return f"scope {scope.path[:140]} is in another visit"
    return _of_what_it_names(data, scope, nodes)


def _of_what_it_names(data: OfAScope, scope: Scope, nodes: Collection[str]) -> str | None:
    """Return which node that an event leads to, or what else it names, cannot be."""
    named: tuple[str, ...] = ()
    match data:
        case TransitionTaken(to=to, fork=fork):
            named = () if fork else (to,)
        case ForkOpened(targets=targets, join=join, each=each, count=count):
            named = (*targets, join)
            if not targets or (each is None and count != len(targets)):
                return "a fork has a branch for each of its targets"
        case ForkJoined(join=join):
            named = (join,)
            if scope.fork is None:
                return f"scope {scope.path[:140]} has not forked"
        case NodeExited(outcome=outcome, error=error) if outcome != "ok" and error is None:
            return f"it tells of no error, and its outcome is {outcome!r}"
        case NodeAttemptFailed(retry_at=due) | TimerSet(due_at=due) if _no_time(due):
            return f"{str(due)[:40]!r} is no time"
        case _:
            pass
    for name in named:
        if name not in nodes and name not in (END, FAIL):
            return f"there is no node {name[:140]!r}"
    return None


def _has_its_branches(fork: Fork) -> bool:
    """Tell whether a fork counts right, for who goes through the branches relies on that."""
    if not fork.next == len(fork.branches) <= fork.count or any(
        index >= fork.next for index in fork.branches
    ):
        return False
    came = Counter(each.status for each in fork.branches.values())
    errors = 0 if fork.collects else came["error"]
    arrived = came["ok"] + came["error"] - errors
    return (fork.open, fork.failed, fork.arrived) == (came["open"], errors, arrived) and all(
        each.error or each.status != "error" for each in fork.branches.values()
    )


def _is_next_branch(run: Run, path: str) -> bool:
    """Tell whether a path is that of the branch that a fork is to begin next."""
    if not is_scope(path) or parent_of(path)[1] is None:
        return False
    parent = run.scopes.get(parent_of(path)[0])
    return parent is not None and parent.fork is not None and parent.fork.next == index_of(path)


def _nodes(scope: Scope) -> Collection[str]:
    return compile_graph(scope.graph).nodes


def _no_time(*texts: str | None) -> bool:
    return any(text is not None and not is_time(text) for text in texts)
