"""A graph: data that says which nodes there are, what each does, and where to go next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct

END: Final = "$end"
FAIL: Final = "$fail"
NODES_MAX: Final = 1000
EDGES_MAX: Final = 100
"""Most edges that leave one node."""

Outcome: TypeAlias = Literal["ok", "error", "timeout"]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128)]
Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=31 * 86_400)]

if TYPE_CHECKING:
    from stenograph.engine.tools import Predicate, Tool

    Condition: TypeAlias = str | Predicate | Mapping[str, Any] | None
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
    "operator", "value"}``.
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


def as_data(graph: Graph) -> dict[str, Any]:
    """Return a graph written in Python as the plain data that its JSON would be."""
    import msgspec

    data: dict[str, Any] = msgspec.to_builtins(graph, enc_hook=_by_name)
    return data


def functions_of(graph: Graph) -> list[Any]:
    """Return the tools and predicates that a graph written in Python names as objects."""
    found: list[Any] = []
    for node in graph.nodes.values():
        edges = [node.next] if isinstance(node.next, Edge) else node.next or ()
        found.append(node.tool)
        for edge in edges:
            if isinstance(edge, Edge):
                found += [edge.when, edge.until]
    return [thing for thing in found if callable(thing)]


def _by_name(thing: Any) -> Any:
    from stenograph.engine.tools import Predicate, Tool

    if isinstance(thing, Predicate):
        return {"fn": thing.name}
    if isinstance(thing, Tool):
        return thing.name
    if callable(thing):
        return Tool(thing, name=None, effects="repeatable", version=None).name
    raise TypeError(f"a graph holds data, tools and predicates, no {type(thing).__name__}")
