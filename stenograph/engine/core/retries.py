"""Retries: whether a node that failed is tried again, and when; what must not happen twice is not."""

from __future__ import annotations

from stenograph.engine.core.commands import Place
from stenograph.engine.core.edges import CompiledNode, compile_graph
from stenograph.engine.core.steps import Steps
from stenograph.engine.graphs.graph import Outcome, Retry
from stenograph.engine.tools.tools import Effects


def next_try(steps: Steps, place: Place, outcome: Outcome, types: tuple[str, ...]) -> str | None:
    """Return when an attempt that failed is made again, or None where it is not.

    One that was cut off may have had its effect, and is not made again where that must not be twice.
    """
    node = steps.node(place.scope)
    retry = node.node.retry
    failed = steps.position(place.scope).tries + 1
    if retry is None or failed >= retry.attempts:
        return None
    if retry.on and not set(retry.on) & set(types):
        return None
    is_cut_off = outcome == "timeout" or node.node.graph is not None
    if is_cut_off and _has_effects_once(steps, node):
        return None
    return steps.due(backoff_s(retry, failed, steps.outside.draw))


def effects_of(steps: Steps, node: CompiledNode) -> Effects:
    """Return whether a node may have its effect twice, as it says itself, or else its tool."""
    if node.node.effects is not None or node.tool is None:
        return node.node.effects or "repeatable"
    return steps.outside.effects(node.tool)


def backoff_s(retry: Retry, failed: int, draw: float) -> float:
    """Return how long to wait after the ``failed``-th failure; in [0, max_delay_s].

    Source: "full jitter", M. Brooker, Exponential Backoff And Jitter, AWS, 2015.
    """
    # Past 2.0**1023 a float overflows, and a day-long outage gets there.
    exponent = min(failed - 1, 60)
    delay = min(retry.max_delay_s, retry.delay_s * retry.factor**exponent)
    return delay * draw if retry.jitter else delay


def _has_effects_once(steps: Steps, node: CompiledNode) -> bool:
    """Tell whether a node, or any of the graph that it runs, must not have its effect twice."""
    refs, seen = [node.node.graph], {node.node.graph}
    if node.node.graph is None:
        return effects_of(steps, node) == "once"
    while refs:
        graph = compile_graph(bytes(steps.run.graphs[str(refs.pop())].graph))
        for inner in graph.nodes.values():
            if inner.node.graph is None and effects_of(steps, inner) == "once":
                return True
            if inner.node.graph is not None and inner.node.graph not in seen:
                seen.add(inner.node.graph)
                refs.append(inner.node.graph)
    return False
