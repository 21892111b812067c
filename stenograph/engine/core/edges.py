"""The one place that decides an edge: where a run goes after a node, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import Struct

from stenograph.engine.conditions.conditions import Compiled, PredicateCondition, compile_condition
from stenograph.engine.conditions.expressions import EvaluationError, Verdict, View
from stenograph.engine.core.events import Considered, ErrorInfo
from stenograph.engine.graphs.graph import END, FAIL, Edge, Graph, Node, Outcome, edges_of
from stenograph.engine.state.rules import Rules, rules_of


class CompiledEdge(Struct, frozen=True):
    """An edge with its condition compiled once; ``negated`` when it was spelled ``until``.

    ``key`` is its ``edge_key``.
    """

    index: int
    key: str
    edge: Edge
    condition: Compiled | None
    negated: bool


class CompiledNode(Struct, frozen=True):
    """A node, and its edges in their order: all, and those that there are ``after`` each outcome."""

    name: str
    node: Node
    tool: str | None
    edges: tuple[CompiledEdge, ...]
    after: Mapping[Outcome, Ways]


class Ways(Struct, frozen=True):
    """Edges, and the predicates that ``decide_way`` may need: none behind an edge always taken."""

    edges: tuple[CompiledEdge, ...]
    predicates: tuple[str, ...]


class Nodes(Mapping[str, CompiledNode]):
    """The nodes of a graph, each compiled when it is first asked for: all at once can take seconds."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._nodes = nodes
        self._compiled: dict[str, CompiledNode] = {}

    def __getitem__(self, name: str) -> CompiledNode:
        """Return a node; raises KeyError."""
        found = self._compiled.get(name)
        if found is None:
            found = self._compiled[name] = _node(name, self._nodes[name])
        return found

    def __contains__(self, name: object) -> bool:
        """Tell whether there is such a node, and compile nothing for it."""
        return name in self._nodes

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._nodes)

    def __len__(self) -> int:
        """Count the nodes."""
        return len(self._nodes)


class CompiledGraph(Struct, frozen=True):
    """A graph ready to run; a function of its canonical JSON alone."""

    graph: Graph
    nodes: Nodes
    rules: Rules


class Way(Struct, frozen=True, gc=False):
    """The way on: ``to`` a node, ``$end`` or ``$fail``, for ``reason``, by edge ``edge``.

    With a ``fork`` by its branches first, and ``to`` is where they join.
    """

    to: str
    reason: Literal[
        "next", "branch", "loop", "goto", "error", "timeout",
        "loop-done", "loop-cap", "no-edge-matched",
    ]  # fmt: skip
    edge: int | None = None
    label: str | None = None
    considered: tuple[Considered, ...] = ()
    fork: Edge | None = None


class Uncaught(Struct, frozen=True, gc=False):
    """There is no way on: an outcome that no edge catches, or an edge that cannot be decided."""

    error: ErrorInfo


Answers: TypeAlias = Mapping[str, bool | ErrorInfo]
"""What the predicates that a node's edges name have answered, or why one could not."""


@lru_cache(maxsize=128)
def compile_graph(canonical: bytes) -> CompiledGraph:
    """Compile a graph from its canonical JSON."""
    graph = msgspec.json.decode(canonical, type=Graph)
    return CompiledGraph(graph, Nodes(graph.nodes), rules_of(graph.state))


def decide_way(
    node: CompiledNode,
    outcome: Outcome,
    view: View,
    *,
    error: ErrorInfo | None,
    taken: Mapping[str, int],
    answers: Answers,
    on_no_match: Literal["fail", "end"],
) -> Way | Uncaught | None:
    """Return the way that a node's edges lead after ``outcome``; None where a run simply ends.

    ``taken`` counts the edges taken in this scope, by ``edge_key``. Raises TooLong.
    """
    candidates = node.after[outcome].edges
    considered: list[Considered] = []
    for candidate in candidates:
        try:
            seen = _consider(candidate, view, taken.get(candidate.key, 0), answers)
        except EvaluationError as fault:
            return Uncaught(_expression_error(node.name, candidate, fault))
        considered.append(seen)
        if seen.verdict:
            return _way(candidate, tuple(considered))
    if error is not None:
        return Uncaught(error)
    return _unmatched(candidates, considered, on_no_match)


def _way(taken: CompiledEdge, considered: tuple[Considered, ...]) -> Way:
    edge = taken.edge
    fork = edge if edge.is_fork else None
    to = edge.targets[0] if edge.join is None else edge.join
    return Way(to, _reason(edge), taken.index, edge.label, considered, fork)


def edge_key(node: str, index: int) -> str:
    """Return the name under which a scope counts how often an edge was taken."""
    return f"{node}#{index}"


def _unmatched(
    candidates: tuple[CompiledEdge, ...],
    considered: list[Considered],
    on_no_match: Literal["fail", "end"],
) -> Way | Uncaught | None:
    """Tell what it means that no edge was eligible after ``ok``."""
    if not candidates:
        return None  # no edges, or for errors only: after ok there is nowhere to go
    last, why = candidates[-1].edge, considered[-1]
    if last.until is not None or last.max is not None:
        capped = last.max is not None and why.taken >= last.max
        return Way(END, "loop-cap" if capped else "loop-done", considered=tuple(considered))
    to = END if on_no_match == "end" else FAIL
    return Way(to, "no-edge-matched", considered=tuple(considered))


def _consider(edge: CompiledEdge, view: View, taken: int, answers: Answers) -> Considered:
    asked = edge.edge
    if asked.max is not None and taken >= asked.max:
        return Considered(edge=edge.index, verdict=False, max=asked.max, taken=taken)
    verdict = _ask(edge.condition, view, answers)
    return Considered(
        edge=edge.index,
        verdict=verdict.truth is not edge.negated,
        when=asked.when,
        until=asked.until,
        max=asked.max,
        taken=0 if asked.max is None else taken,
        read=verdict.read,
    )


def _ask(condition: Compiled | None, view: View, answers: Answers) -> Verdict:
    match condition:
        case None:
            return _ALWAYS
        case PredicateCondition(fn=name):
            answer = answers[name]
            if isinstance(answer, ErrorInfo):
                detail = f"predicate {name!r} raised {answer.type}: {answer.message}"
                raise EvaluationError(detail, 0)
            return Verdict(value=answer, truth=answer, read={})
        case _:
            return condition.evaluate(view)


def _reason(edge: Edge) -> Literal["next", "branch", "loop", "error", "timeout"]:
    if edge.on != "ok":
        return edge.on
    if edge.until is not None or edge.max is not None:
        return "loop"
    return "next" if edge.when is None else "branch"


def _expression_error(node: str, edge: CompiledEdge, fault: EvaluationError) -> ErrorInfo:
    asked = edge.edge.when if edge.edge.when is not None else edge.edge.until
    where = f"edge {edge.index} of node {node!r}"
    return ErrorInfo("expression-error", f"{where}: {asked!r}: {fault}", node=node)


def _node(name: str, node: Node) -> CompiledNode:
    edges = tuple(_edges(name, node))
    after = {
        outcome: _ways([each for each in edges if each.edge.on == outcome]) for outcome in _OUTCOMES
    }
    return CompiledNode(name, node, node.tool, edges, after)  # type: ignore[arg-type]


def _ways(edges: Sequence[CompiledEdge]) -> Ways:
    names: dict[str, None] = {}
    for each in edges:
        if isinstance(each.condition, PredicateCondition):
            names[each.condition.fn] = None
        elif each.condition is None and each.edge.max is None:
            break
    return Ways(tuple(edges), tuple(names))


def _edges(name: str, node: Node) -> Iterator[CompiledEdge]:
    for index, edge in enumerate(edges_of(node)):
        spelled: Any = edge.until if edge.when is None else edge.when
        condition = None if spelled is None else compile_condition(spelled)
        key = edge_key(name, index)
        yield CompiledEdge(index, key, edge, condition, negated=edge.until is not None)


_OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
_ALWAYS: Final = Verdict(value=True, truth=True, read={})
