"""A graph: data that says which nodes there are, what each does, and where to go next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import asdict

from stenograph.engine.tools import Predicate, Source, Tool
from stenograph.engine.tools import tool as as_tool

END: Final = "$end"
FAIL: Final = "$fail"
NODES_MAX: Final = 1000
EDGES_MAX: Final = 100
"""Most edges that leave one node."""

Outcome: TypeAlias = Literal["ok", "error", "timeout"]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128)]
Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=31 * 86_400)]

if TYPE_CHECKING:
    Condition: TypeAlias = str | Predicate | Callable[..., Any] | Mapping[str, Any] | None
    ToolRef: TypeAlias = str | Tool | Callable[..., Any] | None
    Next: TypeAlias = "str | Edge | Sequence[Edge] | None"
else:
    # In canonical form: text, an object, or for a Python spelling whatever names itself.
    Condition = Any
    ToolRef = Any
    Next = Any


class Limits(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How far a run may go before it parks: node entries, and seconds with a node running."""

    steps: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 10_000
    time_s: Seconds | None = None


class Retry(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """When a failed attempt is tried again: ``attempts`` in all, the first among them.

    The n-th retry waits ``delay_s * factor ** (n - 1)``, at most ``max_delay_s``; with ``jitter``
    a random part of it. ``on`` names exception types, bases included; empty means all.
    """

    attempts: Annotated[int, Meta(ge=1, le=1000)] = 3
    delay_s: Annotated[float, Meta(ge=0, le=86_400)] = 1.0
    factor: Annotated[float, Meta(ge=1, le=100)] = 2.0
    max_delay_s: Annotated[float, Meta(ge=0, le=86_400)] = 60.0
    jitter: bool = True
    on: tuple[Name, ...] = ()


class Edge(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A way on: to a node, ``$end`` or ``$fail``. The first eligible edge of a node is taken.

    Eligible: the outcome is ``on``, it was taken fewer than ``max`` times, and ``when`` is true
    (``until`` is false). A condition is an expression, ``{"fn": name}`` or ``{"field",
    "operator", "value"}``; in Python also a predicate, or the function that is to be one.
    """

    to: Name
    when: Condition = None
    until: Condition = None
    on: Outcome = "ok"
    max: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None
    label: Annotated[str, Meta(max_length=200)] | None = None


class Node(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One thing to do: call a ``tool`` (or nothing, as a router), then go by ``next``."""

    tool: ToolRef = None
    config: dict[str, Any] = {}
    retry: Retry | None = None
    timeout_s: Seconds = 300.0
    effects: Literal["repeatable", "once", "pure"] | None = None
    next: Next = None


class Graph(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Nodes by name, and where to start."""

    start: Name
    nodes: dict[str, Node]
    id: str | None = None
    name: Annotated[str, Meta(max_length=200)] | None = None
    limits: Limits = Limits()
    on_no_match: Literal["fail", "end"] = "fail"


def edges_of(node: Node) -> list[Edge]:
    """Return the edges of a node of a graph in canonical form, in their order."""
    return msgspec.convert(node.next or [], list[Edge])


def as_data(graph: Graph) -> dict[str, Any]:
    """Return a graph written in Python as the plain data that its JSON would be.

    What was not built of the classes here is left as it is, for the parser to judge.
    """
    nodes: Any = graph.nodes
    if isinstance(nodes, dict):
        nodes = {name: _node_data(node) for name, node in nodes.items()}
    return {**asdict(graph), "limits": _fields(graph.limits), "nodes": nodes}


def functions_of(graph: Graph) -> list[Source]:
    """Return the tools and predicates that a graph written in Python names as objects.

    Raises ToolRefused for a function that cannot be asked as a predicate.
    """
    nodes = graph.nodes.values() if isinstance(graph.nodes, dict) else ()
    found: list[Source] = []
    for node in nodes:
        if isinstance(node, Node):
            found += [node.tool] if callable(node.tool) else []
            edges = [edge for edge in _listed(node.next) if isinstance(edge, Edge)]
            asked = [each for edge in edges for each in (edge.when, edge.until)]
            found += [_predicate(each) for each in asked if callable(each)]
    return found


def _listed(next_: Any) -> Sequence[Any]:
    return next_ if isinstance(next_, list | tuple) else [next_]


def _fields(value: Any) -> Any:
    return asdict(value) if isinstance(value, Struct) else value


def _node_data(node: Any) -> Any:
    if not isinstance(node, Node):
        return node
    several = isinstance(node.next, list | tuple)
    edges = [_edge_data(edge) for edge in _listed(node.next)]
    data = {"retry": _fields(node.retry), "next": edges if several else edges[0]}
    if callable(node.tool):
        tool = node.tool
        data["tool"] = (tool if isinstance(tool, Tool) else as_tool(tool)).name
    return asdict(node) | data


def _edge_data(edge: Any) -> Any:
    if not isinstance(edge, Edge):
        return edge
    asked = {"when": edge.when, "until": edge.until}
    named = {key: {"fn": _predicate(each).name} for key, each in asked.items() if callable(each)}
    return asdict(edge) | named


def _predicate(condition: Any) -> Predicate:
    return condition if isinstance(condition, Predicate) else Predicate(condition, name=None)
