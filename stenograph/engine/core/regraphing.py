"""Regraphing: having a run go on in another graph, with every scope where it stands."""

from __future__ import annotations

from collections.abc import Mapping

from stenograph.engine.core.edges import compile_graph
from stenograph.engine.core.events import PinnedGraph
from stenograph.engine.core.run import Run
from stenograph.engine.core.scopes import ROOT, parent_of
from stenograph.engine.core.standing import position_of


def regraph(run: Run, graph: bytes, graphs: Mapping[str, PinnedGraph]) -> None:
    """Pin other graphs: a branch goes on in that of its fork, a sub-graph in what its node runs now.

    Where the node runs none any more, or is gone, the sub-graph stays what it was.
    """
    run.graph, run.graphs = graph, dict(graphs)
    for scope in run.scopes.values():
        if scope.path == ROOT:
            scope.graph = graph
            continue
        outer, index = parent_of(scope.path)
        around = run.scopes[outer].graph
        if index is not None:
            scope.graph = around
        else:
            scope.graph = called_at(around, position_of(run, outer).node, graphs) or scope.graph


def called_at(graph: bytes, node: str, graphs: Mapping[str, PinnedGraph]) -> bytes | None:
    """Return the graph that a node of another runs; None where it runs none, or is not there."""
    found = compile_graph(graph).nodes.get(node)
    pinned = None if found is None else graphs.get(str(found.node.graph))
    return None if pinned is None else bytes(pinned.graph)
