"""Reading a graph: every fault at once, each with its JSON pointer; then its canonical form."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo, replace
from msgspec.structs import fields as fields_of

from stenograph.engine.checks import doubts
from stenograph.engine.conditions import check_condition
from stenograph.engine.errors import Fault, GraphInvalid, NotJson
from stenograph.engine.graph import (
    EDGES_MAX,
    END,
    FAIL,
    NODES_MAX,
    Edge,
    Graph,
    Limits,
    Node,
    Retry,
    edges_of,
)
from stenograph.engine.values import canonical, clip, is_utf8, pointer

ID_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
FAULTS_MAX: Final = 1000
HINTS_MAX: Final = 50
"""A hint compares a name with many, so only the first faults have one."""
_NODE_NAME: Final = re.compile(r"[^\x00-\x1f\x7f$][^\x00-\x1f\x7f]{0,127}")
_A: Final[Mapping[type[Struct], str]] = {
    Graph: "a graph",
    Node: "a node",
    Edge: "an edge",
    Limits: "limits",
    Retry: "a retry",
}
_FIELDS: Final = {kind: {field.name: field for field in fields_of(kind)} for kind in _A}
_STRUCTS: Final[Mapping[str, type[Struct]]] = {"limits": Limits, "retry": Retry}


class ParsedGraph(Struct, frozen=True):
    """A graph that can run: its ``id`` if it names one, canonical JSON, and version (its hash)."""

    id: str | None
    data: bytes
    version: str
    warnings: tuple[Fault, ...]


def parse_graph(
    data: Any, *, tools: Collection[str], predicates: Collection[str] = ()
) -> ParsedGraph:
    """Read a graph from plain data; raises GraphInvalid with everything that is wrong.

    Of more than 1,000 faults the rest are only counted.
    """
    reader = _Reader(tools, predicates)
    sound = reader.graph(data)
    try:
        plain = {} if reader.faults else canonical(sound, "")[1]
    except NotJson as error:
        reader.fault(error.path, error.reason)
    if reader.faults:
        raise GraphInvalid(reader.told(), [])
    graph_id = plain.pop("id", None)
    graph = msgspec.convert(plain, Graph)
    text = msgspec.json.encode(_canonical(graph), order="sorted")
    return ParsedGraph(graph_id, text, hashlib.sha256(text).hexdigest(), doubts(graph))


def duplicate_keys(text: bytes) -> list[Fault]:
    """Return a fault for each key that an object of a JSON text holds twice.

    A parser keeps the last and says nothing; in a graph that would lose a node. Raises ValueError
    for what is no JSON; nesting is the caller's to bound.
    """
    found = json.loads(text, object_pairs_hook=_Pairs)
    return list(islice(_twice(found, ""), FAULTS_MAX)) if isinstance(found, list) else []


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON with all that stood in it."""


def _twice(value: Any, path: str) -> Iterator[Fault]:
    if isinstance(value, _Pairs):
        counts = Counter(key for key, _ in value)
        for name in [name for name, count in counts.items() if count > 1]:
            detail = f"the name {clip(repr(name))} stands twice in one object; give each its own"
            yield Fault(clip(path + pointer(name)), detail)
    items: Iterable[tuple[object, Any]] = value if isinstance(value, _Pairs) else enumerate(value)
    for key, inner in items:
        if isinstance(inner, list):
            yield from _twice(inner, path + pointer(key))


class _Reader:
    """Collects faults while it reads; what could not be read is left out."""

    def __init__(self, tools: Collection[str], predicates: Collection[str]) -> None:
        self.tools, self.predicates = tools, predicates
        self.faults: list[Fault] = []
        self.more = 0

    def fault(self, path: str, detail: str) -> None:
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(Fault(clip(path), clip(detail)))
        else:
            self.more += 1

    def told(self) -> list[Fault]:
        return self.faults + [Fault("", f"and {self.more:,} more")] * (self.more > 0)

    def graph(self, data: Any) -> dict[str, Any]:
        fields = self.fields(Graph, data, "", skip={"nodes"})
        if fields.get("id") is not None and not ID_PATTERN.fullmatch(fields["id"]):
            self.fault("/id", f"{fields['id']!r} is no id: use letters, digits and . _ : -")
        nodes = data.get("nodes") if isinstance(data, dict) else None
        if isinstance(nodes, dict):
            fields["nodes"] = self.nodes(nodes)
            if "start" in fields:
                self.known(fields["start"], nodes, "/start", "node")
        elif isinstance(data, dict) and "nodes" in data:
            self.fault("/nodes", "is an object that gives each node by its name")
        return fields

    def nodes(self, nodes: dict[Any, Any]) -> dict[str, Any]:
        if not nodes:
            self.fault("/nodes", "is empty; a graph has a node at least")
        if len(nodes) > NODES_MAX:
            self.fault("/nodes", f"has {len(nodes):,} nodes; a graph may have {NODES_MAX:,}")
            return {}
        targets = {**nodes, END: None, FAIL: None}
        return {name: self.node(name, node, targets) for name, node in nodes.items()}

    def node(self, name: Any, data: Any, targets: Collection[str]) -> dict[str, Any]:
        path = f"/nodes{pointer(name)}"
        if not (isinstance(name, str) and _NODE_NAME.fullmatch(name) and is_utf8(name)):
            detail = "is no name for a node: 1 to 128 characters, no control ones, no $ first"
            self.fault(path, detail)
        fields = self.fields(Node, data, path, skip={"next", "tool", "config"})
        given = data if isinstance(data, dict) else {}
        if (tool := given.get("tool")) is not None:
            fields["tool"] = tool
            self.known(tool, self.tools, f"{path}/tool", "tool")
        if "config" in given:
            fields["config"] = self.config(given["config"], f"{path}/config")
        fields["next"] = self.edges(given.get("next"), f"{path}/next", targets)
        return fields

    def config(self, data: Any, path: str) -> Any:
        if not isinstance(data, dict):
            self.fault(path, f"is an object, not {_kind(data)}")
            return {}
        try:
            return canonical(data, path)[1]
        except NotJson as error:
            self.fault(error.path, error.reason)

    def edges(self, data: Any, path: str, targets: Collection[str]) -> list[dict[str, Any]]:
        if isinstance(data, list | tuple):
            if len(data) > EDGES_MAX:
                self.fault(path, f"has {len(data):,} edges; a node may have {EDGES_MAX}")
                return []
            return [self.edge(edge, f"{path}/{index}", targets) for index, edge in enumerate(data)]
        if data is None:
            return []
        if isinstance(data, str | dict):
            return [self.edge(data, path, targets)]
        self.fault(path, "is the name of a node, an edge, or a list of edges")
        return []

    def edge(self, data: Any, path: str, targets: Collection[str]) -> dict[str, Any]:
        if isinstance(data, str):
            self.known(data, targets, path, "node")
            return {"to": data}
        fields = self.fields(Edge, data, path, skip={"when", "until"})
        if "to" in fields:
            self.known(fields["to"], targets, f"{path}/to", "node")
        given = data if isinstance(data, dict) else {}
        asked = {key: given[key] for key in ("when", "until") if given.get(key) is not None}
        for key, condition in asked.items():
            self.condition(condition, f"{path}/{key}")
        if len(asked) == 2:
            self.fault(path, "has both when and until; say it in one condition")
        return fields | asked

    def condition(self, data: Any, path: str) -> None:
        match data:
            case {"fn": name, **rest} if not rest:
                self.known(name, self.predicates, f"{path}/fn", "predicate")
            case _:
                for fault in check_condition(data, path):
                    self.fault(fault.pointer, fault.detail)

    def known(self, name: Any, names: Collection[str], path: str, kind: str) -> None:
        if not isinstance(name, str):
            self.fault(path, f"is the name of a {kind}, as text, not {_kind(name)}")
        elif name not in names:
            hint = did_you_mean(name, names) if len(self.faults) < HINTS_MAX else ""
            self.fault(path, f"there is no {kind} {clip(repr(name))}{hint}")

    def fields(
        self, kind: type[Struct], data: Any, path: str, *, skip: Collection[str] = ()
    ) -> dict[str, Any]:
        """Return the fields of ``data`` that are sound, and note a fault for each of the rest."""
        if not isinstance(data, dict):
            self.fault(path, f"is an object, not {_kind(data)}")
            return {}
        known = _FIELDS[kind]
        for name in data:
            if name not in known:
                hint = did_you_mean(str(name), known) if len(self.faults) < HINTS_MAX else ""
                self.fault(path + pointer(name), f"is no field of {_A[kind]}{hint}")
        sound: dict[str, Any] = {}
        for name, field in known.items():
            if field.required and name not in data:
                self.fault(path + pointer(name), "is missing")
            elif name in data and name not in skip:
                self.field(field, data[name], path + pointer(name), sound)
        return sound

    def field(self, field: FieldInfo, value: Any, path: str, sound: dict[str, Any]) -> None:
        if field.name in _STRUCTS and not (value is None and field.default is None):
            sound[field.name] = self.fields(_STRUCTS[field.name], value, path)
            return
        parts = [(path, value, field.type)]
        if get_origin(field.type) is tuple and isinstance(value, list | tuple):
            item_type = get_args(field.type)[0]
            parts = [(f"{path}/{index}", item, item_type) for index, item in enumerate(value)]
        before = len(self.faults)
        for where, part, kind in parts:
            if detail := _mismatch(part, kind):
                self.fault(where, detail)
        if len(self.faults) == before:
            sound[field.name] = value


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a hint at the nearest of ``names``, or what there is when they are few."""
    some = [each for each in islice(names, 100) if isinstance(each, str) and len(each) <= 40]
    near = difflib.get_close_matches(name[:40], some, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    if 0 < len(some) <= 12:
        return f"; there is {', '.join(sorted(some))}"
    return ""


def _mismatch(value: Any, kind: Any) -> str:
    """Return why a value is not of a kind, in one sentence, or nothing."""
    if isinstance(value, str) and not is_utf8(value):
        return "is text with a lone surrogate, which UTF-8 cannot write"
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return str(error)[:1].lower() + str(error)[1:]
    return ""


def _canonical(graph: Graph) -> dict[str, Any]:
    """Return a graph as data in which equal graphs are equal, however they were spelled."""
    nodes = {}
    for name, node in graph.nodes.items():
        edges = [_stated(edge) for edge in edges_of(node)]
        nodes[name] = _stated(replace(node, next=edges or None))
    return _stated(replace(graph, nodes=nodes))


def _stated(struct: Struct) -> dict[str, Any]:
    """Return the fields that are not at their defaults; a later field then changes no version."""
    stated: dict[str, Any] = {}
    for name, field in _FIELDS[type(struct)].items():
        value = getattr(struct, name)
        if value != _default(field):
            stated[name] = _stated(value) if isinstance(value, Struct) else value
    return stated


def _default(field: FieldInfo) -> Any:
    factory = field.default_factory
    return field.default if factory is msgspec.NODEFAULT else factory()


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case list() | tuple():
            return "a list"
        case dict():
            return "an object"
        case str():
            return "text"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case _:
            return type(value).__name__
