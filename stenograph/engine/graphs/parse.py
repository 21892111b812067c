"""Reading a graph: every fault at once, each with its JSON pointer; then its canonical form."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo, replace

from stenograph.engine.bounds import BOUNDS, Bounds
from stenograph.engine.errors import Fault, GraphInvalid, NotJson
from stenograph.engine.graphs.checks import doubts
from stenograph.engine.graphs.dialects import Translation, translate
from stenograph.engine.graphs.duplicates import duplicate_keys
from stenograph.engine.graphs.fork_regions import ForkRegions, Misnested
from stenograph.engine.graphs.graph import END, FAIL, Graph, edges_of
from stenograph.engine.graphs.parse_edges import Known
from stenograph.engine.graphs.parse_nodes import REF_PATTERN, read_node
from stenograph.engine.graphs.parse_state import check_path, read_state, secrets_of
from stenograph.engine.graphs.reading import FAULTS_MAX, FIELDS, HINTS_MAX, Reader, did_you_mean
from stenograph.engine.values import canonical, pointer

__all__ = (
    "FAULTS_MAX",
    "HINTS_MAX",
    "ID_PATTERN",
    "ParsedGraph",
    "did_you_mean",
    "duplicate_keys",
    "graph_refs",
    "parse_graph",
)

ID_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


class ParsedGraph(Struct, frozen=True):
    """A graph that can run: its ``id`` if it names one, canonical JSON, and version (its hash)."""

    id: str | None
    data: bytes
    version: str
    warnings: tuple[Fault, ...]


def parse_graph(
    data: Any,
    *,
    tools: Collection[str],
    predicates: Collection[str] = (),
    graphs: Collection[str] = (),
    missing: Collection[str] = (),
    bounds: Bounds = BOUNDS,
) -> ParsedGraph:
    """Read a graph from plain data; raises GraphInvalid with everything that is wrong.

    It may have the shape of another engine's; faults and warnings point into what was given.
    ``graphs`` are the ids of stored graphs, of which nodes may name any version that is not among
    ``missing`` (``id@version``). Of more than 1,000 faults the rest are only counted. How
    forks nest is looked at when nothing else is wrong.
    """
    given = translate(data, predicates, bounds)
    reader = Reader(given.place)
    known = Known(tools=tools, predicates=predicates, graphs=graphs, missing=missing, bounds=bounds)
    sound = _read(reader, given.data, known)
    try:
        plain = {} if given.faults or reader.faults else canonical(sound, "")[1]
    except NotJson as error:
        reader.fault(error.path, error.reason)
    _refuse_faults(given, reader)
    graph_id = plain.pop("id", None)
    graph = msgspec.convert(plain, Graph)
    forks = ForkRegions({name: edges_of(node) for name, node in graph.nodes.items()})
    for fault in forks.faults():
        reader.fault(_place(fault, given.data["nodes"]), fault.detail)
    _refuse_faults(given, reader)
    text = msgspec.json.encode(_canonical(graph), order="sorted")
    version = hashlib.sha256(text).hexdigest()
    found = [Fault(given.place(each.pointer), each.detail) for each in doubts(graph.start, forks)]
    return ParsedGraph(graph_id, text, version, (*given.warnings, *found))


def graph_refs(data: Any, bounds: Bounds = BOUNDS) -> list[str]:
    """Return what graphs the nodes of plain data name, ``id`` or ``id@version``, each once.

    What could be no reference, as no graph could run with it, is left out. Raises GraphInvalid for
    a graph of another engine's shape that is too large to be read.
    """
    data = translate(data, bounds=bounds).data
    nodes = data.get("nodes") if isinstance(data, dict) else None
    some = islice(nodes.values(), bounds.nodes) if isinstance(nodes, dict) else ()
    named = [node.get("graph") for node in some if isinstance(node, dict)]
    sound = [ref for ref in named if isinstance(ref, str) and REF_PATTERN.fullmatch(ref)]
    return list(dict.fromkeys(sound))


def _refuse_faults(given: Translation, reader: Reader) -> None:
    if given.faults or reader.faults:
        raise GraphInvalid([*given.faults, *reader.told()], given.warnings)


def _read(reader: Reader, data: Any, known: Known) -> dict[str, Any]:
    fields = reader.fields(Graph, data, "", skip={"nodes", "state"})
    given = data if isinstance(data, dict) else {}
    own_id = fields.get("id")
    if own_id is not None and not ID_PATTERN.fullmatch(own_id):
        reader.fault("/id", f"{own_id!r} is no id: use letters, digits and . _ : -")
    if "state" in given:
        fields["state"] = read_state(reader, given["state"], "/state")
    secrets = secrets_of(fields.get("state", {}))
    if fields.get("concurrency") is not None:
        _flow(reader, given["concurrency"], fields["concurrency"], secrets)
    nodes = given.get("nodes")
    if isinstance(nodes, dict):
        targets = {**nodes, END: None, FAIL: None}
        fields["nodes"] = _nodes(
            reader,
            nodes,
            replace(known, own_id=own_id, nodes=nodes, targets=targets, secrets=secrets),
        )
        if "start" in fields:
            reader.known(fields["start"], nodes, "/start", "node")
    elif "nodes" in given:
        reader.fault("/nodes", "is an object that gives each node by its name")
    return fields


def _nodes(reader: Reader, nodes: dict[Any, Any], known: Known) -> dict[str, Any]:
    if not nodes:
        reader.fault("/nodes", "is empty; a graph has a node at least")
    if len(nodes) > (most := known.bounds.nodes):
        reader.fault("/nodes", f"has {len(nodes):,} nodes; a graph may have {most:,}")
        return {}
    return {name: read_node(reader, name, node, known) for name, node in nodes.items()}


def _flow(reader: Reader, given: Any, fields: dict[str, Any], secrets: frozenset[str]) -> None:
    path = "/concurrency"
    if isinstance(given, dict) and given.get("limit") is None and given.get("rate") is None:
        reader.fault(path, "limits nothing; give it a limit, a rate, or both")
    if fields.get("key") is not None:
        check_path(reader, fields["key"], f"{path}/key", secrets=secrets)


def _place(fault: Misnested, nodes: dict[str, Any]) -> str:
    """Return the pointer to a fork as it was spelled: an edge that stands alone has no number."""
    if fault.node is None:
        return "/nodes"
    several = isinstance(nodes[fault.node]["next"], list | tuple)
    return f"/nodes{pointer(fault.node)}/next" + f"/{fault.edge}" * several


def _canonical(graph: Graph) -> dict[str, Any]:
    """Return a graph as data in which equal graphs are equal, however they were spelled."""
    nodes = {}
    for name, node in graph.nodes.items():
        edges = [_stated(edge) for edge in edges_of(node)]
        nodes[name] = _stated(replace(node, next=edges or None))
    state = {name: _stated(key) for name, key in graph.state.items()}
    return _stated(replace(graph, nodes=nodes, state=state))


def _stated(struct: Struct) -> dict[str, Any]:
    """Return the fields that are not at their defaults; a later field then changes no version."""
    stated: dict[str, Any] = {}
    for name, field in FIELDS[type(struct)].items():
        value = getattr(struct, field.name)
        if value != _default(field):
            stated[name] = _stated(value) if isinstance(value, Struct) else value
    return stated


def _default(field: FieldInfo) -> Any:
    factory = field.default_factory
    return field.default if factory is msgspec.NODEFAULT else factory()
