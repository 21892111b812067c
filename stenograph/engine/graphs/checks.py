"""What is doubtful in a graph that can run: said as warnings, refused by nobody."""

from __future__ import annotations

from collections.abc import Iterator, Set

from stenograph.engine.errors import Fault
from stenograph.engine.graphs.fork_regions import ForkRegions, Ways
from stenograph.engine.graphs.graph import END, FAIL, Edge
from stenograph.engine.values import pointer


def doubts(start: str, forks: ForkRegions) -> tuple[Fault, ...]:
    """Return a warning for each unreachable node, hidden edge and cycle without any bound.

    ``forks`` holds the ways of the graph; there is nothing wrong with them.
    """
    ways = forks.ways
    return (*_unreachable(start, ways), *_hidden(ways), *_endless(ways, forks.arrivals()))


def _unreachable(start: str, ways: Ways) -> Iterator[Fault]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in ways and name not in reached:
            reached.add(name)
            for edge in ways[name]:
                waiting += [*edge.targets, edge.onward]
    for name in ways:
        if name not in reached:
            detail = "no edge leads here; only a tool's own goto can"
            yield Fault(f"/nodes{pointer(name)}", detail)


def _hidden(ways: Ways) -> Iterator[Fault]:
    for name, edges in ways.items():
        settled: set[str] = set()
        for index, edge in enumerate(edges):
            if edge.on in settled:
                detail = "is never taken: an edge before it always is"
                yield Fault(f"/nodes{pointer(name)}/next/{index}", detail)
            elif edge.is_always_taken:
                settled.add(edge.on)


def _endless(ways: Ways, arrivals: Set[tuple[str, str]]) -> Iterator[Fault]:
    """Warn of each cycle that no edge leaves, and in which none is ever used up.

    A run comes round by the edge that is taken when no other is, so that one shows the cycle. It
    passes a fork to its join; a cycle among the nodes of a branch is left at that join.
    """
    onward = _never_ending(ways, arrivals)
    seen: set[str] = set()
    for start in onward:
        path: list[str] = []
        name = start
        while name not in seen:
            seen.add(name)
            path.append(name)
            name = onward[name]
        if name in path:
            cycle = path[path.index(name) :]
            detail = (
                f"the cycle {' → '.join([*cycle, name])} has no bound, so only limits.steps stops "
                "it; give an edge of it max, until or when"
            )
            yield Fault(f"/nodes{pointer(name)}", detail)


def _never_ending(ways: Ways, arrivals: Set[tuple[str, str]]) -> dict[str, str]:
    """Return the nodes from which, after ``ok``, no edge ever leads to an end, or to a join.

    With each stands where its edge without a condition leads.
    """
    eligible = {name: _eligible(edges) for name, edges in ways.items()}
    into: dict[str, list[str]] = {}
    ending = {END, FAIL}
    for name, edges in eligible.items():
        for edge in edges:
            into.setdefault(edge.onward, []).append(name)
        if not any(edge.is_always_taken for edge in edges) or any(
            (name, edge.onward) in arrivals for edge in edges
        ):
            ending.add(name)
    waiting = list(ending)
    while waiting:
        before = [name for name in into.get(waiting.pop(), ()) if name not in ending]
        ending.update(before)
        waiting += before
    return {name: eligible[name][-1].onward for name in ways if name not in ending}


def _eligible(edges: list[Edge]) -> list[Edge]:
    """Return the edges that may be taken after ``ok``: up to the first that always is."""
    after_ok = [edge for edge in edges if edge.on == "ok"]
    always = [index for index, edge in enumerate(after_ok) if edge.is_always_taken]
    return after_ok[: always[0] + 1] if always else after_ok
