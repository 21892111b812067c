"""Entering: how a scope enters a tool's node, a router, or a node that runs a graph."""

from __future__ import annotations

from stenograph.engine.core.commands import Place
from stenograph.engine.core.edges import CompiledNode
from stenograph.engine.core.events import LimitReached, NodeEntered, TimerSet
from stenograph.engine.core.leaving import leave_failed
from stenograph.engine.core.openings import why_no_call
from stenograph.engine.core.scopes import call_path
from stenograph.engine.core.steps import Steps


def enter(steps: Steps, place: Place, node: CompiledNode, *, graph: str | None = None) -> None:
    """Enter a node; with ``graph`` it runs that one."""
    steps.emit(
        NodeEntered(
            scope=place.scope,
            node=place.node,
            visit=place.visit,
            attempt=place.attempt,
            tool=node.tool,
            tool_version=None if node.tool is None else steps.outside.version(node.tool),
            graph=graph,
            graph_version=None if graph is None else steps.run.graphs[graph].version,
            in_=None if graph is None else node.node.in_,
        )
    )


def call(steps: Steps, place: Place, node: CompiledNode) -> None:
    """Enter a node that runs a graph, which begins, or fail there when it cannot."""
    if (error := why_no_call(steps, place, node)) is not None:
        enter(steps, place, node)
        leave_failed(steps, place, "error", error)
        return
    enter(steps, place, node, graph=str(node.node.graph))
    set_time_limit(steps, place.scope)
    steps.agenda[call_path(place.scope, place.node, place.visit)] = None


def is_at_limit(steps: Steps) -> bool:
    """Tell whether no more nodes may be entered; if so, that is decided here."""
    run, most = steps.run, steps.outside.bounds.run_events
    if run.seq >= most:
        steps.emit(LimitReached(limit="events", value=most))
    elif run.steps >= run.limits.steps:
        steps.emit(LimitReached(limit="steps", value=run.limits.steps))
    else:
        return False
    return True


def set_time_limit(steps: Steps, path: str) -> None:
    """Set the timer of a sub-graph that may only take so long."""
    seconds = steps.node(path).node.timeout_s
    set_timer(steps, path, None if seconds is None else steps.due(seconds))


def set_timer(steps: Steps, path: str, due_at: str | None) -> None:
    """Have something happen to what a scope does now when a time comes, if ever it does."""
    if due_at is not None:
        at = steps.position(path)
        steps.emit(TimerSet(scope=path, node=at.node, visit=at.visit, due_at=due_at))
