"""Leaving: how a node is left, and what follows: the next one, a fork, or the end of its scope."""

from __future__ import annotations

from typing import assert_never

from stenograph.engine.core.commands import Place
from stenograph.engine.core.edges import Uncaught, Way
from stenograph.engine.core.events import (
    BranchEnded,
    ErrorInfo,
    ForkOpened,
    NodeAttemptFailed,
    NodeExited,
    RunCompleted,
    RunFailed,
    StatePatched,
)
from stenograph.engine.core.openings import count_branches
from stenograph.engine.core.retries import next_try
from stenograph.engine.core.scopes import ROOT, parent_of
from stenograph.engine.core.steps import Steps, refusal, where
from stenograph.engine.core.ways import no_way, transition, way_out, why_not
from stenograph.engine.errors import WriteRefused
from stenograph.engine.graphs.graph import END, FAIL, Edge, Outcome
from stenograph.engine.state.state import Update
from stenograph.engine.state.vault import name_in


def leave(
    steps: Steps, place: Place, update: Update, *, goto: str | None = None, duration_ms: float = 0.0
) -> None:
    """Leave a node that did what it is for: with what it changed, by the way that is then open."""
    if goto is not None and (why := why_not(steps, place.scope, goto)):
        error = ErrorInfo("UnknownNode", f"the tool said to go to {goto!r}, {why}", node=place.node)
        leave_failed(steps, place, "error", error, duration_ms=duration_ms)
        return
    steps.emit(NodeExited(**where(place), outcome="ok", duration_ms=duration_ms))
    patch(steps, place, update)
    way = Way(goto, "goto") if goto is not None else way_out(steps, place, "ok", None)
    _go(steps, place, way)


def fall_short(
    steps: Steps,
    place: Place,
    outcome: Outcome,
    error: ErrorInfo,
    types: tuple[str, ...],
    duration_ms: float = 0.0,
    at: Place | None = None,
) -> None:
    """End an attempt that failed: it is made again later, or the node is left so."""
    retry_at = next_try(steps, place, outcome, types)
    if retry_at is None:
        leave_failed(steps, place, outcome, error, duration_ms=duration_ms, at=at)
        return
    steps.emit(
        NodeAttemptFailed(**where(place), error=error, duration_ms=duration_ms, retry_at=retry_at)
    )


def leave_failed(
    steps: Steps,
    place: Place,
    outcome: Outcome,
    error: ErrorInfo,
    *,
    duration_ms: float = 0.0,
    at: Place | None = None,
) -> None:
    """Leave a node that failed by an edge that catches it; if none does, the scope fails.

    ``at``: where it began to fail, in the sub-graph that the node runs.
    """
    way = way_out(steps, place, outcome, error)
    if isinstance(way, Uncaught) and at is not None:
        fail(steps, place.scope, way.error, at)  # it is not left: a retry goes on within
        return
    steps.emit(NodeExited(**where(place), outcome=outcome, error=error, duration_ms=duration_ms))
    _go(steps, place, way)


def patch(steps: Steps, place: Place, update: Update) -> None:
    """Change the state of a scope."""
    if update.patch:
        steps.emit(StatePatched(**where(place), patch=update.patch))
        steps.scope(place.scope).state.remember(update.decoded)


def end(steps: Steps, path: str, reason: str) -> None:
    """End a scope that came to its end: the run, a branch, or a sub-graph."""
    if path == ROOT:
        steps.emit(RunCompleted(reason=reason))  # type: ignore[arg-type]
        return
    parent, index = parent_of(path)
    if index is not None:
        steps.emit(BranchEnded(scope=path, outcome="ok", reason=reason))
        steps.agenda[parent] = None
        return
    if steps.is_full:  # each graph that it leads out of may bring back as much again
        steps.agenda[path] = None
        return
    place = steps.place(parent)
    try:
        update = _brought_back(steps, parent, path)
    except WriteRefused as refused:
        fall_short(steps, place, "error", refusal(refused, place), (refused.code,))
    else:
        leave(steps, place, update)


def fail(steps: Steps, path: str, error: ErrorInfo, at: Place) -> None:
    """Fail a scope, for what happened ``at`` a place in it: its fork or its caller knows what then."""
    if path == ROOT:
        steps.emit(RunFailed(error=error, scope=at.scope, node=at.node, visit=at.visit))
        return
    parent, index = parent_of(path)
    if index is None:
        fall_short(steps, steps.place(parent), "error", error, (error.type,), at=at)
        return
    steps.emit(
        BranchEnded(
            scope=path,
            outcome="error",
            error=error,
            failed_in=at.scope,
            node=at.node,
            visit=at.visit,
        )
    )
    steps.agenda[parent] = None


def _go(steps: Steps, place: Place, way: Way | Uncaught | None) -> None:
    """Take the way: the transition, and what it leads to."""
    match way:
        case None:
            end(steps, place.scope, "end")
        case Uncaught(error=error):
            fail(steps, place.scope, error, place)
        case Way(fork=Edge() as edge):
            _fork(steps, place, way, edge)
        case Way():
            steps.emit(transition(place, way))
            _arrive(steps, place, way)
        case _:
            assert_never(way)


def _arrive(steps: Steps, place: Place, way: Way) -> None:
    if way.to == FAIL:
        fail(steps, place.scope, no_way(place, way), place)
    elif way.to == END:
        at_an_end = way.reason in ("loop-done", "loop-cap", "no-edge-matched")
        end(steps, place.scope, way.reason if at_an_end else "end")
    else:
        steps.agenda[place.scope] = None


def _fork(steps: Steps, place: Place, way: Way, edge: Edge) -> None:
    """Open a fork; what it needs of the state is looked at before anything is decided."""
    count, error = count_branches(steps, place, edge)
    if error is not None:
        fail(steps, place.scope, error, place)
        return
    steps.emit(transition(place, way, edge.targets))
    is_map = edge.each is not None
    steps.emit(
        ForkOpened(
            **where(place),
            targets=edge.targets,
            count=count,
            join=way.to,
            need=count if edge.need is None else min(edge.need, count),
            on_error=edge.on_error,
            each=edge.each,
            as_=edge.as_ if is_map else None,
            width=edge.width,
        )
    )
    steps.agenda[place.scope] = None


def _brought_back(steps: Steps, parent: str, child: str) -> Update:
    """Return what a sub-graph brings back; raises WriteRefused for what the state may not hold.

    A key that it was given has its new value, as if changed in place; others meet their reducer.
    """
    node, ended = steps.node(parent).node, steps.scope(child)
    keys = list(ended.changed) if node.out is None else [k for k in node.out if k in ended.state]
    # What stands for a secret never goes where the key is none.
    foreign = steps.graph(child).rules.secrets - steps.graph(parent).rules.secrets
    keys = [k for k in keys if k not in foreign or name_in(ended.state.get(k)) is None]
    given = set(steps.scope(parent).state) if node.in_ is None else set(node.in_)
    values = {key: ended.state[key] for key in keys if key in ended.state}
    gone = [key for key in keys if key not in ended.state]
    state, rules, bounds = (
        steps.scope(parent).state,
        steps.graph(parent).rules,
        steps.outside.bounds,
    )
    return state.take(values, rules, given=given, gone=gone, bounds=bounds)
