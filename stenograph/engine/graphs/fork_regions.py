"""Where the branches of forks lead, and whether forks nest as brackets do.

The region of a fork is what its branches pass through: the nodes reached from its targets without
passing its join. Within it an inner fork leads on to its own join; the branches of that have a
region of their own. Nodes have numbers, and a set of nodes is an integer with a bit for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Final, TypeAlias

from msgspec import Struct

from stenograph.engine.graphs.graph import END, FAIL, Edge
from stenograph.engine.values import clip

FORKS_MAX: Final = 500
"""Most edges of a graph that fork: each has a region, which is looked for node by node."""

Ways: TypeAlias = dict[str, list[Edge]]
"""The edges of each node of a graph, by its name."""
Nodes: TypeAlias = int


class Misnested(Struct, frozen=True):
    """What is wrong with a fork: edge ``edge`` of ``node``; None for the graph as a whole."""

    node: str | None
    edge: int
    detail: str


class Fork(Struct, frozen=True):
    """One fork: an edge of a node, the targets of its branches, and its join (none: an end)."""

    node: int
    index: int
    edge: Edge
    targets: Nodes
    join: Nodes


class ForkRegions:
    """The forks of a graph whose edges are sound, and their regions.

    Takes time in proportion to the size of the graph and of the regions taken together.
    """

    def __init__(self, ways: Ways) -> None:
        self.ways = ways
        self._names = list(ways)
        self._bits = {name: 1 << number for number, name in enumerate(self._names)}
        self._bits |= {END: 0, FAIL: 0}
        self._onward = [self._set(edge.onward for edge in edges) for edges in ways.values()]
        self._forks = [
            self._fork(number, index, edge)
            for number, edges in enumerate(ways.values())
            for index, edge in enumerate(edges)
            if edge.is_fork
        ]
        self._found: dict[tuple[Nodes, Nodes, bool], Nodes] = {}
        self._anywhere = list(self._onward)
        for fork in self._forks:
            self._anywhere[fork.node] |= fork.targets

    def faults(self) -> Iterator[Misnested]:
        """Return what keeps the forks of the graph from ever joining, or from joining in order."""
        if len(self._forks) > FORKS_MAX:
            detail = f"have {len(self._forks):,} edges that fork; a graph may have {FORKS_MAX:,}"
            yield Misnested(None, 0, detail)
        elif self._forks:
            yield from self._never_arriving()
            yield from self._forking_for_ever()
            yield from self._crossing()

    def arrivals(self) -> set[tuple[str, str]]:
        """Return each node with each join at which a branch arrives by going on there from it."""
        found: set[tuple[str, str]] = set()
        for fork in self._forks:
            if fork.join:
                last = self._region(fork) & self._before[_number(fork.join)]
                join = self._names[_number(fork.join)]
                found.update((self._names[number], join) for number in _numbers(last))
        return found

    def _never_arriving(self) -> Iterator[Misnested]:
        ending = _spread(self._ending(), self._before)
        arriving: dict[Nodes, Nodes] = {}
        for fork in self._forks:
            if fork.targets & ~ending == 0:
                continue
            if fork.join not in arriving:
                arriving[fork.join] = _spread(fork.join, self._before)
            for number in _numbers(fork.targets & ~ending & ~arriving[fork.join]):
                detail = (
                    f"can never join: from {clip(repr(self._names[number]))} a branch reaches "
                    f"neither {_said(fork.edge.join)} nor an end; lead it to one"
                )
                yield self._misnested(fork, detail)

    def _forking_for_ever(self) -> Iterator[Misnested]:
        for fork in self._forks:
            if self._region(fork, deep=True) >> fork.node & 1:
                detail = (
                    f"forks within its own branches, as one leads back to "
                    f"{clip(repr(self._names[fork.node]))}; lead the branches to "
                    f"{_said(fork.edge.join)} first, and go back from there"
                )
                yield self._misnested(fork, detail)

    def _crossing(self) -> Iterator[Misnested]:
        joins: dict[int, Nodes] = {fork.node: 0 for fork in self._forks}
        forking = sum(1 << number for number in joins)
        for outer in self._forks:
            for number in _numbers(self._region(outer, deep=True) & forking):
                joins[number] |= outer.join
        for inner in self._forks:
            if crossed := self._region(inner) & joins[inner.node]:
                detail = (
                    f"crosses another fork: its branches reach {self._first(crossed)}, where that "
                    f"one joins, before they join at {_said(inner.edge.join)}; join the inner "
                    "fork first, as brackets close"
                )
                yield self._misnested(inner, detail)

    def _region(self, fork: Fork, *, deep: bool = False) -> Nodes:
        """Return the region of a fork, or if ``deep`` with those of all the forks in it."""
        key = fork.targets, fork.join, deep
        if key not in self._found:
            steps = self._anywhere if deep else self._onward
            self._found[key] = _spread(fork.targets, steps, without=fork.join)
        return self._found[key]

    @cached_property
    def _before(self) -> list[Nodes]:
        """For each node, those that an edge goes on from to it."""
        before = [0] * len(self._names)
        for number, onward in enumerate(self._onward):
            for after in _numbers(onward):
                before[after] |= 1 << number
        return before

    def _ending(self) -> Nodes:
        """Return the nodes after which a scope can end."""
        return self._set(
            name
            for name, edges in self.ways.items()
            if any(edge.onward in (END, FAIL) for edge in edges)
            or not any(edge.on == "ok" and edge.is_always_taken for edge in edges)
        )

    def _fork(self, number: int, index: int, edge: Edge) -> Fork:
        return Fork(number, index, edge, self._set(edge.targets), self._bits[edge.onward])

    def _set(self, names: Iterable[str]) -> Nodes:
        nodes = 0
        for name in names:
            nodes |= self._bits[name]
        return nodes

    def _first(self, nodes: Nodes) -> str:
        return clip(repr(self._names[next(_numbers(nodes))]))

    def _misnested(self, fork: Fork, detail: str) -> Misnested:
        return Misnested(self._names[fork.node], fork.index, detail)


def _spread(start: Nodes, steps: list[Nodes], *, without: Nodes = 0) -> Nodes:
    """Return all that is reached from ``start`` by ``steps``, itself too, and never ``without``."""
    waiting = reached = start & ~without
    while waiting:
        number = _number(waiting)
        new = steps[number] & ~reached & ~without
        reached |= new
        waiting = (waiting & (waiting - 1)) | new
    return reached


def _number(nodes: Nodes) -> int:
    return (nodes & -nodes).bit_length() - 1


def _numbers(nodes: Nodes) -> Iterator[int]:
    while nodes:
        yield _number(nodes)
        nodes &= nodes - 1


def _said(join: str | None) -> str:
    return clip(repr(join))
