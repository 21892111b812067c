"""A graph: data that says which nodes there are, what each does, and where to go next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import replace

from stenograph.engine.errors import Fault, GraphInvalid
from stenograph.engine.tools.tools import Predicate, Rate, Seconds, Source, Tool
from stenograph.engine.tools.tools import tool as as_tool
from stenograph.engine.values import clip, pointer

END: Final = "$end"
FAIL: Final = "$fail"
"""Most edges that leave one node."""

BRANCHES_MAX: Final = 100_000
"""Most branches of one fork."""

Outcome: TypeAlias = Literal["ok", "error", "timeout"]
ReducerName: TypeAlias = Literal[
    "replace", "append", "concat", "add", "merge", "union", "min", "max"
]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128)]
Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]
"""A key of a state."""
Path: TypeAlias = Annotated[str, Meta(min_length=1, max_length=1000)]
"""Where a value is in a state: a key, or keys with dots between them."""
WaitSeconds: TypeAlias = Annotated[float, Meta(gt=0, le=10 * 366 * 86_400)]
TIMEOUT_S: Final = 300.0
"""For how long a tool may run, unless its node says."""

if TYPE_CHECKING:
    Condition: TypeAlias = str | Predicate | Callable[..., Any] | Mapping[str, Any] | None
    ToolRef: TypeAlias = str | Tool | Callable[..., Any] | None
    GraphRef: TypeAlias = "str | Graph | None"
    Next: TypeAlias = "str | Edge | Sequence[Edge] | None"
    Targets: TypeAlias = "str | Sequence[str]"
else:
    # In canonical form: text, an object, or for a Python spelling whatever names itself.
    Condition = Any
    ToolRef = Any
    GraphRef = Any
    Next = Any
    Targets = Any


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

    A fork goes ``to`` several nodes at once, or with ``each``, the path of a list in the state, to
    one for every item, which is there called ``as``; at most ``width`` branches at a time. The
    scope goes on at ``join`` (a node or ``$end``) when ``need`` of them have arrived, all by
    default. A branch that fails fails the fork, unless ``on_error`` collects: then its error is
    put into the list ``errors`` of the state, and it counts as arrived.
    """

    to: Targets
    when: Condition = None
    until: Condition = None
    on: Outcome = "ok"
    max: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None
    label: Annotated[str, Meta(max_length=200)] | None = None
    each: Path | None = None
    as_: Key = field(name="as", default="item")
    join: Name | None = None
    need: Annotated[int, Meta(ge=1, le=BRANCHES_MAX)] | None = None
    width: Annotated[int, Meta(ge=1, le=BRANCHES_MAX)] | None = None
    on_error: Literal["fail", "collect"] = "fail"

    @property
    def is_fork(self) -> bool:
        """Whether it leads to branches, which join."""
        return self.join is not None

    @property
    def targets(self) -> tuple[str, ...]:
        """The nodes that it leads to."""
        return (self.to,) if isinstance(self.to, str) else tuple(self.to)

    @property
    def onward(self) -> str:
        """Where the scope goes on: at the join of a fork, else where the edge leads."""
        return self.targets[0] if self.join is None else self.join

    @property
    def is_always_taken(self) -> bool:
        """Whether it is eligible each time that the outcome is its own."""
        return self.when is None and self.until is None and self.max is None


class Wait(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a node waits for: a ``signal``, or for a time to pass or to come; exactly one of them.

    A signal's payload must fit ``schema`` (JSON Schema) and is put into the state under the
    signal's name; after ``timeout_s`` the outcome is ``timeout``. ``at`` is a time (RFC 3339), or
    the path of one in the state.
    """

    signal: Key | None = None
    schema: Any = None
    timeout_s: WaitSeconds | None = None
    for_s: WaitSeconds | None = None
    at: Path | None = None


class StateKey(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is declared of a key of the state.

    ``reducer``: how what a node returns meets the old value, and how branches are merged;
    ``schema``: the JSON Schema of its values; ``secret``: kept out of every event.
    """

    reducer: ReducerName | None = None
    schema: Any = None
    secret: bool = False


class Concurrency(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How many runs of a graph go on at once: ``limit``, apart for each value at the path ``key``.

    One too many is queued, rejected, or takes the place of the oldest, which is cancelled
    (``policy``). ``rate`` spreads starts over time.
    """

    limit: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    key: Path | None = None
    policy: Literal["queue", "reject", "cancel_old"] = "queue"
    rate: Rate | None = None


class Node(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One thing to do, then go by ``next``: call a ``tool``, run a ``graph``, ``wait``, or nothing.

    ``graph`` is the id of a stored one (``id@version`` for an older). Its state begins with ``in``,
    keys that are given the values at paths of this state, or else as a copy of it; of what it ends
    with the keys in ``out`` come back, or else all that it changed. ``timeout_s`` is 300 for a tool
    and none for a graph, unless given.
    """

    tool: ToolRef = None
    graph: GraphRef = None
    wait: Wait | None = None
    config: dict[str, Any] = {}
    in_: dict[Key, Path] | None = field(name="in", default=None)
    out: tuple[Key, ...] | None = None
    retry: Retry | None = None
    timeout_s: WaitSeconds | None = None
    effects: Literal["repeatable", "once", "pure"] | None = None
    next: Next = None


class Graph(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Nodes by name, and where to start."""

    start: Name
    nodes: dict[str, Node]
    id: str | None = None
    name: Annotated[str, Meta(max_length=200)] | None = None
    state: dict[Key, StateKey] = {}
    limits: Limits = Limits()
    concurrency: Concurrency | None = None
    on_no_match: Literal["fail", "end"] = "fail"


def edges_of(node: Node) -> list[Edge]:
    """Return the edges of a node of a graph in canonical form, in their order.

    Where one leads is text, or for several nodes a tuple.
    """
    edges = msgspec.convert(node.next or [], list[Edge])
    return [
        replace(each, to=tuple(each.to)) if isinstance(each.to, list) else each for each in edges
    ]


def as_data(graph: Graph) -> dict[str, Any]:
    """Return a graph written in Python as the plain data that its JSON would be.

    A graph within it becomes its id. What was not built of the classes here is left as it is, for
    the parser to judge.
    """
    nodes: Any = graph.nodes
    if isinstance(nodes, dict):
        nodes = {name: _node_data(node) for name, node in nodes.items()}
    state: Any = graph.state
    if isinstance(state, dict):
        state = {name: _fields(key) for name, key in state.items()}
    flow = {"limits": _fields(graph.limits), "concurrency": _fields(graph.concurrency)}
    return {**_fields(graph), **flow, "state": state, "nodes": nodes}


def functions_of(graph: Graph) -> list[Source]:
    """Return the tools and predicates that a graph written in Python names as objects.

    Those of the graphs within it are not among them. Raises ToolRefused for a function that cannot
    be asked as a predicate.
    """
    found: list[Source] = []
    for _, node in _nodes(graph):
        found += [node.tool] if callable(node.tool) else []
        edges = [edge for edge in _listed(node.next) if isinstance(edge, Edge)]
        asked = [each for edge in edges for each in (edge.when, edge.until)]
        found += [_predicate(each) for each in asked if callable(each)]
    return found


def subgraphs_of(graph: Graph) -> list[Graph]:
    """Return the graphs that nodes name as objects, at any depth, each once and inner ones first.

    Stored in this order, each finds those that it names. Raises GraphInvalid for a graph without
    an id, and for two different ones of the same id, with pointers into ``graph``.
    """
    found: list[Graph] = []
    entered: set[int] = set()
    ids: dict[str, Graph] = {} if graph.id is None else {graph.id: graph}
    faults: list[Fault] = []
    waiting = [(graph, "", False)]
    while waiting:
        outer, path, is_left = waiting.pop()
        if is_left:
            found.append(outer)
        elif id(outer) not in entered:
            entered.add(id(outer))
            if outer is not graph:
                faults += _id_faults(outer, path, ids)
                waiting.append((outer, path, True))
            for name, node in reversed(_nodes(outer)):
                if isinstance(node.graph, Graph):
                    waiting.append((node.graph, path + pointer("nodes", name, "graph"), False))
    if faults:
        raise GraphInvalid(faults, [])
    return found


def _id_faults(graph: Graph, path: str, ids: dict[str, Graph]) -> list[Fault]:
    if not isinstance(graph.id, str):
        return [Fault(clip(path), "is a graph without an id, by which it could be stored")]
    other = ids.setdefault(graph.id, graph)
    if other is not graph and as_data(other) != as_data(graph):
        detail = f"is another graph of the id {clip(repr(graph.id))}; give each its own"
        return [Fault(clip(path), detail)]
    return []


def _nodes(graph: Graph) -> list[tuple[str, Node]]:
    items = graph.nodes.items() if isinstance(graph.nodes, dict) else ()
    return [(name, node) for name, node in items if isinstance(node, Node)]


def _listed(next_: Any) -> Sequence[Any]:
    return next_ if isinstance(next_, list | tuple) else [next_]


def _fields(value: Any) -> Any:
    """Return a struct as the object that its JSON would be; what is none is left as it is."""
    if not isinstance(value, Struct):
        return value
    names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
    return {name: _fields(getattr(value, field)) for name, field in names}


def _node_data(node: Any) -> Any:
    if not isinstance(node, Node):
        return node
    edges = [_edge_data(edge) for edge in _listed(node.next)]
    tool, inner = node.tool, node.graph
    if callable(tool):
        tool = (tool if isinstance(tool, Tool) else as_tool(tool)).name
    if isinstance(inner, Graph) and inner.id is not None:
        inner = inner.id
    next_ = edges if isinstance(node.next, list | tuple) else edges[0]
    plain = _fields(replace(node, tool=None, graph=None, next=None))
    return {**plain, "tool": tool, "graph": inner, "next": next_}


def _edge_data(edge: Any) -> Any:
    if not isinstance(edge, Edge):
        return edge
    asked = {"when": edge.when, "until": edge.until}
    named = {key: {"fn": _predicate(each).name} for key, each in asked.items() if callable(each)}
    return _fields(edge) | named


def _predicate(condition: Any) -> Predicate:
    return condition if isinstance(condition, Predicate) else Predicate(condition, name=None)
