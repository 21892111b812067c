"""Regraphing: having a run go on in another graph, with every scope where it stands."""

from __future__ import annotations

from collections.abc import Mapping

from stenograph.engine.events import PinnedGraph
from stenograph.engine.run import Run
from stenograph.engine.scopes import ROOT, parent_of


def regraph(run: Run, graph: bytes, graphs: Mapping[str, PinnedGraph]) -> dict[str, str]:
    """Pin other graphs; returns the names of those that are gone, by the scopes that stand in them.

    Those scopes, and the branches within them, keep the graph that they have.
    """
    names = {bytes(pinned.graph): name for name, pinned in run.graphs.items()}
    run.graph, run.graphs = graph, dict(graphs)
    gone: dict[str, str] = {}
    for scope in run.scopes.values():
        outer, index = (ROOT, None) if scope.path == ROOT else parent_of(scope.path)
        if scope.path == ROOT:
            scope.graph = graph
        elif index is not None:
            scope.graph = run.scopes[outer].graph
        elif (name := names[scope.graph]) in graphs:
            scope.graph = bytes(graphs[name].graph)
        else:
            gone[scope.path] = name
    return gone
