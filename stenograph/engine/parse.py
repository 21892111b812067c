"""Reading a graph: every fault at once, each with its JSON pointer; then its canonical form."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from stenograph.engine.checks import doubts
from stenograph.engine.conditions import check_condition
from stenograph.engine.errors import Fault, GraphInvalid, NotJson
from stenograph.engine.graph import EDGES_MAX, END, FAIL, NODES_MAX, Edge, Graph, Node
from stenograph.engine.values import canonical, pointer

ID_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_NODE_NAME: Final = re.compile(r"[^\x00-\x1f\x7f$][^\x00-\x1f\x7f]{0,127}")


class ParsedGraph(Struct, frozen=True):
    """A graph that can run: its ``id`` if it names one, canonical JSON, and version (its hash)."""

    id: str | None
    data: bytes
    version: str
    warnings: tuple[Fault, ...]


def parse_graph(
    data: Any, *, tools: Collection[str], predicates: Collection[str] = ()
) -> ParsedGraph:
    """Read a graph from plain data; raises GraphInvalid with everything that is wrong."""
    reader = _Reader(tools, predicates)
    canonical_data = reader.graph(data)
    if reader.faults:
        raise GraphInvalid(reader.faults, reader.warnings)
    graph_id = canonical_data.pop("id", None)
    graph = msgspec.convert(canonical_data, Graph)
    text = msgspec.json.encode(graph, order="sorted")
    version = hashlib.sha256(text).hexdigest()
    return ParsedGraph(graph_id, text, version, (*reader.warnings, *doubts(graph)))


def duplicate_keys(text: bytes) -> list[Fault]:
    """Return a fault for each key that an object of a JSON text holds twice.

    A parser keeps the last and says nothing; in a graph that would lose a node.
    """
    faults: list[Fault] = []
    _note_twice(json.loads(text, object_pairs_hook=_Pairs), "", faults)
    return faults


class _Pairs(dict[str, Any]):
    """An object of JSON that remembers which of its keys stood twice."""

    def __init__(self, items: list[tuple[str, Any]]) -> None:
        super().__init__(items)
        counts = Counter(key for key, _ in items)
        self.twice = [key for key, count in counts.items() if count > 1]


def _note_twice(value: Any, path: str, faults: list[Fault]) -> None:
    if isinstance(value, _Pairs):
        for key in value.twice:
            detail = f"the name {key!r} stands twice in one object; give each its own"
            faults.append(Fault(path + pointer(key), detail))
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        if isinstance(inner, dict | list):
            _note_twice(inner, path + pointer(key), faults)


class _Reader:
    """Collects faults while it reads; what could not be read is left out."""

    def __init__(self, tools: Collection[str], predicates: Collection[str]) -> None:
        self.tools, self.predicates = tools, predicates
        self.faults: list[Fault] = []
        self.warnings: list[Fault] = []

    def fault(self, path: str, detail: str) -> None:
        self.faults.append(Fault(path, detail))

    def graph(self, data: Any) -> dict[str, Any]:
        fields = self.fields(Graph, data, "", skip={"nodes"})
        if "id" in fields and fields["id"] is not None and not ID_PATTERN.fullmatch(fields["id"]):
            self.fault("/id", f"{fields['id']!r} is no id: use letters, digits and . _ : -")
        nodes = data.get("nodes") if isinstance(data, dict) else None
        if isinstance(nodes, dict):
            fields["nodes"] = self.nodes(nodes)
            self.target("/start", data.get("start"), nodes, ends=False)
        elif isinstance(data, dict) and "nodes" in data:
            self.fault("/nodes", "is an object that gives each node by its name")
        return fields

    def nodes(self, nodes: Mapping[str, Any]) -> dict[str, Any]:
        if not nodes:
            self.fault("/nodes", "is empty; a graph has a node at least")
        if len(nodes) > NODES_MAX:
            self.fault("/nodes", f"has {len(nodes):,} nodes; a graph may have {NODES_MAX:,}")
            return {}
        for name in nodes:
            if not _NODE_NAME.fullmatch(name):
                detail = "is no name for a node: 1 to 128 characters, no control ones, no $ first"
                self.fault(f"/nodes{pointer(name)}", detail)
        return {
            name: self.node(node, f"/nodes{pointer(name)}", nodes) for name, node in nodes.items()
        }

    def node(self, data: Any, path: str, nodes: Mapping[str, Any]) -> dict[str, Any]:
        fields = self.fields(Node, data, path, skip={"next", "tool"})
        tool = data.get("tool") if isinstance(data, dict) else None
        if tool is not None:
            fields["tool"] = tool
            self.known(tool, self.tools, f"{path}/tool", "tool")
        self.json_only(fields.get("config", {}), f"{path}/config")
        edges = self.edges(data.get("next") if isinstance(data, dict) else None, path, nodes)
        return {**fields, "next": edges} if edges else fields

    def edges(self, data: Any, path: str, nodes: Mapping[str, Any]) -> list[dict[str, Any]]:
        path = f"{path}/next"
        if data is None:
            return []
        if isinstance(data, str):
            return [self.edge({"to": data}, path, path, nodes)]
        if isinstance(data, dict):
            return [self.edge(data, path, f"{path}/to", nodes)]
        if not isinstance(data, list | tuple):
            self.fault(path, "is the name of a node, an edge, or a list of edges")
            return []
        if len(data) > EDGES_MAX:
            self.fault(path, f"has {len(data)} edges; a node may have {EDGES_MAX}")
            return []
        return [
            self.edge(
                {"to": edge} if isinstance(edge, str) else edge,
                f"{path}/{index}",
                f"{path}/{index}" if isinstance(edge, str) else f"{path}/{index}/to",
                nodes,
            )
            for index, edge in enumerate(data)
        ]

    def edge(self, data: Any, path: str, to: str, nodes: Mapping[str, Any]) -> dict[str, Any]:
        fields = self.fields(Edge, data, path, skip={"when", "until"})
        if "to" in fields:
            self.target(to, fields["to"], nodes)
        given = data if isinstance(data, dict) else {}
        for key in ("when", "until"):
            condition = given.get(key)
            if condition is not None:
                fields[key] = condition
                faults, warnings = check_condition(condition, f"{path}/{key}", self.predicates)
                self.faults += faults
                self.warnings += warnings
        if given.get("when") is not None and given.get("until") is not None:
            self.fault(path, "has both when and until; say it in one condition")
        return fields

    def target(self, path: str, to: Any, nodes: Collection[str], *, ends: bool = True) -> None:
        if isinstance(to, str) and not (ends and to in (END, FAIL)):
            self.known(to, nodes, path, "node")

    def known(self, name: Any, names: Collection[str], path: str, kind: str) -> None:
        if not isinstance(name, str):
            self.fault(path, f"is the name of a {kind}, as text")
        elif name not in names:
            self.fault(path, f"there is no {kind} {name!r}{did_you_mean(name, names)}")

    def json_only(self, value: Any, path: str) -> None:
        try:
            canonical(value, path)
        except NotJson as error:
            self.fault(error.path, error.reason)

    def fields(self, kind: type[Struct], data: Any, path: str, *, skip: set[str]) -> dict[str, Any]:
        """Return the fields of ``data`` that are sound, and note a fault for each of the rest."""
        if not isinstance(data, dict):
            self.fault(path, f"is an object, not {_kind(data)}")
            return {}
        known = {field.name: field for field in msgspec.structs.fields(kind)}
        for name in data:
            if name not in known:
                hint = did_you_mean(str(name), known)
                self.fault(path + pointer(name), f"is no field of a {kind.__name__.lower()}{hint}")
        sound: dict[str, Any] = {}
        for name, field in known.items():
            if field.required and name not in data:
                self.fault(path + pointer(name), "is missing")
            elif name in data and name not in skip:
                self.field(field.type, data[name], path + pointer(name), name, sound)
        return sound

    def field(self, kind: Any, value: Any, path: str, name: str, sound: dict[str, Any]) -> None:
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            detail, _, inner = str(error).partition(" - at `")
            self.fault(path + _pointer_of(inner.rstrip("`")), detail)
        else:
            sound[name] = value


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a hint at the nearest of ``names``, or what there is when they are few."""
    names = list(names)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    if 0 < len(names) <= 12:
        return f"; there is {', '.join(sorted(names))}"
    return ""


def _pointer_of(path: str) -> str:
    """Turn the path of a msgspec error, ``$.on[0]``, into a JSON pointer."""
    return re.sub(r"\.([^.\[]+)|\[([^\]]+)\]", r"/\1\2", path.removeprefix("$"))


def _kind(value: Any) -> str:
    names = {
        type(None): "null",
        list: "a list",
        tuple: "a list",
        str: "text",
        bool: "true or false",
    }
    return names.get(type(value), "a number")
