"""Ways: which one leads out of a node, by what its edges say or where its tool asked to go."""

from __future__ import annotations

from stenograph.engine.conditions.expressions import Budget, View
from stenograph.engine.core.commands import Place, Unanswered
from stenograph.engine.core.edges import Uncaught, Way, decide_way
from stenograph.engine.core.events import ErrorInfo, TransitionTaken
from stenograph.engine.core.scopes import ROOT, Scope, parent_of
from stenograph.engine.core.steps import Steps
from stenograph.engine.graphs.graph import END, FAIL, Outcome
from stenograph.engine.graphs.reading import did_you_mean


def way_out(
    steps: Steps, place: Place, outcome: Outcome, error: ErrorInfo | None
) -> Way | Uncaught | None:
    """Return the way that a node's edges lead after ``outcome``; None where the scope simply ends.

    Raises Unanswered when predicates must be asked first, and TooLong.
    """
    graph, scope = steps.graph(place.scope), steps.scope(place.scope)
    node = graph.nodes[place.node]
    asked = (place.scope, place.node, place.visit)
    answers = steps.outside.answers.get(asked, {})
    if names := [name for name in node.after[outcome].predicates if name not in answers]:
        raise Unanswered(asked, names, scope.state)
    budget = steps.budget()
    left = budget.left
    way = decide_way(
        node,
        outcome,
        _view_of(scope, place.visit, error, budget),
        error=error,
        taken=scope.taken,
        answers=answers,
        on_no_match=graph.graph.on_no_match,
    )
    steps.worked(left - budget.left)
    return way


def why_not(steps: Steps, path: str, goto: str) -> str:
    """Return why a tool cannot go to a node from a scope, or nothing."""
    nodes = steps.graph(path).nodes
    if goto not in (END, FAIL) and goto not in nodes:
        return f"which is no node of this graph, nor {END} or {FAIL}{did_you_mean(goto, nodes)}"
    if goto in _outer_joins(steps, path):
        return "where an outer fork joins; go to its own join"
    return ""


def transition(place: Place, way: Way, fork: tuple[str, ...] = ()) -> TransitionTaken:
    """Return the event that a way is taken; with a ``fork`` it leads to these nodes first."""
    return TransitionTaken(
        scope=place.scope,
        node=place.node,
        visit=place.visit,
        to=way.to,
        reason=way.reason,
        edge=way.edge,
        label=way.label,
        considered=way.considered,
        fork=fork,
    )


def no_way(place: Place, way: Way) -> ErrorInfo:
    """Return the error of a scope that a way has led to ``$fail``."""
    if way.reason == "no-edge-matched":
        message = (
            f"no edge of node {place.node!r} was eligible; add one without a condition at the end"
        )
        return ErrorInfo("no-edge-matched", message, node=place.node)
    label = f" ({way.label})" if way.label else ""
    by = "the tool said so" if way.edge is None else f"edge {way.edge}{label} leads there"
    return ErrorInfo("failed", f"node {place.node!r} went to $fail: {by}", node=place.node)


def _outer_joins(steps: Steps, path: str) -> set[str]:
    """Return where the forks around that of a branch join: it must not go there past its own."""
    joins: list[str] = []
    while path != ROOT:
        path, index = parent_of(path)
        if index is None:
            break
        joins.append(steps.scope(path).open_fork.join)
    return set(joins[1:]) - set(joins[:1])


def _view_of(scope: Scope, visit: int, error: ErrorInfo | None, budget: Budget) -> View:
    """Return what conditions see of a scope."""
    bindings = scope.bindings
    bindings["visit"] = visit
    if error is not None:
        bindings["error"] = {"type": error.type, "message": error.message, "node": error.node}
    return View(state=scope.state, bindings=bindings, budget=budget)
