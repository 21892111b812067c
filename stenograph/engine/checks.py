"""What is doubtful in a graph that can run: said as warnings, refused by nobody."""

from __future__ import annotations

from collections.abc import Iterator

from stenograph.engine.errors import Fault
from stenograph.engine.graph import Edge, Graph
from stenograph.engine.values import pointer


def doubts(graph: Graph) -> tuple[Fault, ...]:
    """Return a warning for each unreachable node, hidden edge and cycle without any bound."""
    ways = {name: _edges(graph, name) for name in graph.nodes}
    return (*_unreachable(graph, ways), *_hidden(ways), *_endless(ways))


def _edges(graph: Graph, name: str) -> list[Edge]:
    edges = graph.nodes[name].next
    return [edge for edge in edges or () if isinstance(edge, Edge)]


def _unreachable(graph: Graph, ways: dict[str, list[Edge]]) -> Iterator[Fault]:
    reached: set[str] = set()
    waiting = [graph.start]
    while waiting:
        name = waiting.pop()
        if name in ways and name not in reached:
            reached.add(name)
            waiting += [edge.to for edge in ways[name]]
    for name in ways:
        if name not in reached:
            detail = "no edge leads here; only a tool's own goto can"
            yield Fault(f"/nodes{pointer(name)}", detail)


def _hidden(ways: dict[str, list[Edge]]) -> Iterator[Fault]:
    for name, edges in ways.items():
        settled: set[str] = set()
        for index, edge in enumerate(edges):
            if edge.on in settled:
                detail = "is never taken: an edge before it always is"
                yield Fault(f"/nodes{pointer(name)}/next/{index}", detail)
            elif _always(edge):
                settled.add(edge.on)


def _endless(ways: dict[str, list[Edge]]) -> Iterator[Fault]:
    """Follow from each node the one edge that is always taken; meeting it again is a cycle."""
    always = {
        name: next((edge.to for edge in edges if edge.on == "ok"), None)
        for name, edges in ways.items()
        if all(_always(edge) for edge in edges[:1] if edge.on == "ok")
    }
    settled: set[str] = set()
    for start in ways:
        path: dict[str, None] = {}
        name: str | None = start
        while name in always and name not in path and name not in settled:
            path[name] = None
            name = always[name]
        if name in path:
            cycle = list(path)[list(path).index(name) :]
            detail = (
                f"the cycle {' → '.join([*cycle, cycle[0]])} has no bound, so only limits.steps "
                "stops it; give an edge of it max, until or when"
            )
            yield Fault(f"/nodes{pointer(cycle[0])}", detail)
        settled.update(path)


def _always(edge: Edge) -> bool:
    return edge.when is None and edge.until is None and edge.max is None
