"""Graphs in the shapes of other engines: read as what they mean, and given back as canonical data.

A graph is of another shape when its nodes stand in a list, when it has ``edges``, ``loops``,
``start_node`` or ``entry_point``, or when a node has a field such as ``func`` or ``branches``.
Every other is left as it is. docs/dialects.md has the spellings, and what each becomes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from msgspec import Struct

from stenograph.engine.bounds import BOUNDS, Bounds
from stenograph.engine.errors import Fault, GraphInvalid
from stenograph.engine.graphs.dialects.edges import (
    BRANCH,
    FROM,
    ON,
    Link,
    edges_in,
    read_branches,
    read_edge,
    read_next,
)
from stenograph.engine.graphs.dialects.loops import add_loops, own_loop, warn_of_dead_ends
from stenograph.engine.graphs.dialects.nodes import NODE_MARKS, Found, find_nodes, read_fields
from stenograph.engine.graphs.dialects.notes import Notes
from stenograph.engine.graphs.graph import Graph
from stenograph.engine.graphs.reading import FIELDS, kind_of
from stenograph.engine.values import clip, pointer

START: Final = ("start_node", "entry_point", "start")
_MARKS: Final = frozenset({"edges", "loops", "start_node", "entry_point"})
_KEPT: Final = FIELDS[Graph].keys() - {"start", "nodes"}


class Translation(Struct, frozen=True):
    """A graph as canonical data, with what is wrong and what was assumed, in a client's words.

    ``place`` returns where something of ``data`` stood: a client's pointer for one into ``data``.
    """

    data: Any
    place: Callable[[str], str] = str
    faults: list[Fault] = []
    warnings: list[Fault] = []


def translate(data: Any, predicates: Collection[str] = (), bounds: Bounds = BOUNDS) -> Translation:
    """Return any graph in canonical form; one that is so already, or is no graph, as it stands.

    Text that names one of ``predicates`` asks it. What was not understood of a value is handed on
    for the parser to judge. Raises GraphInvalid for more nodes or edges than a graph may have.
    """
    if not _is_dialect(data, bounds):
        return Translation(data)
    _refuse_too_much(data, bounds)
    notes = Notes(predicates, bounds)
    plain = {name: data[name] for name in _KEPT if data.get(name) is not None}
    if isinstance(data.get("nodes"), list | tuple | dict):
        plain["nodes"] = _nodes(notes, data)
    elif "nodes" in data:
        plain["nodes"] = data["nodes"]
    _start(notes, data, plain)
    plain.setdefault("on_no_match", "end")
    notes.ignore(data, {*_KEPT, *_MARKS, *START, "nodes"}, "")
    return Translation(plain, notes.places.place, notes.faults.told(), notes.warnings.told())


def _is_dialect(data: Any, bounds: Bounds) -> bool:
    if not isinstance(data, dict):
        return False
    nodes = data.get("nodes")
    if (nodes and isinstance(nodes, list | tuple)) or not _MARKS.isdisjoint(data):
        return True
    some = islice(nodes.values(), bounds.nodes) if isinstance(nodes, dict) else ()
    return any(isinstance(node, dict) and not NODE_MARKS.isdisjoint(node) for node in some)


def _refuse_too_much(data: Mapping[str, Any], bounds: Bounds) -> None:
    for name, most in (("nodes", bounds.nodes), ("edges", bounds.nodes * bounds.edges)):
        given = data.get(name)
        if isinstance(given, list | tuple | dict) and len(given) > most:
            detail = f"has {len(given):,} {name}; a graph may have {most:,}"
            raise GraphInvalid([Fault(f"/{name}", detail)], [])


def _start(notes: Notes, data: Mapping[str, Any], plain: dict[str, Any]) -> None:
    if (given := notes.one(data, START, "")) is not None:
        plain["start"], notes.places.copied["/start"] = given.value, given.path
    elif notes.names:
        plain["start"], notes.places.copied["/start"] = next(iter(notes.names.items()))
        notes.warn(
            "", f"does not say where to start; it is {clip(repr(plain['start']))}, the first"
        )


def _nodes(notes: Notes, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nodes of a graph by their names, with all edges that leave them."""
    found = find_nodes(notes, data["nodes"])
    links = {node.name: _own_links(notes, node) for node in found}
    _add_edges(notes, data.get("edges"), links)
    if data.get("loops") is not None:
        add_loops(notes, data["loops"], links)
    warn_of_dead_ends(notes, links)
    nodes = {}
    for node in found:
        nodes[node.name] = read_fields(notes, node)
        if isinstance(nodes[node.name], dict):
            links[node.name].sort(key=lambda link: link.kind)
            nodes[node.name]["next"] = _next(notes, node.name, links[node.name])
    if "on_no_match" not in data:
        _warn_of_no_match(notes, links)
    return nodes


def _own_links(notes: Notes, node: Found) -> list[Link]:
    """Return the links that a node itself says."""
    if not isinstance(node.data, dict):
        return []
    return [
        *own_loop(notes, node.name, node.data, node.path),
        *read_branches(notes, node.name, node.data.get("branches"), f"{node.path}/branches"),
        *read_next(notes, node.name, node.data.get("next"), f"{node.path}/next"),
    ]


def _add_edges(notes: Notes, edges: Any, links: Mapping[str, list[Link]]) -> None:
    """Add the links of a list or a map of edges to those that the nodes say themselves."""
    added: list[Link] = []
    match edges:
        case None:
            pass
        case list() | tuple():
            added = _listed(notes, edges)
        case dict():
            for source, ways in edges.items():
                path = f"/edges{pointer(source)}"
                if notes.faults.known(source, notes.names, path, "node"):
                    added += read_next(notes, source, ways, path)
        case _:
            detail = f"is a list of edges, or where each node leads, not {kind_of(edges)}"
            notes.fault("/edges", detail)
    own = {name: [link for link in each if link.kind == ON] for name, each in links.items()}
    new = [link for link in added if not any(_is_same(link, each) for each in own[link.source])]
    for link in new:
        links[link.source].append(link)
    for name in dict.fromkeys(link.source for link in new):
        if own[name]:
            detail = f"says where {clip(repr(name))} leads, and so do edges, which come after it"
            notes.warn(own[name][0].path, detail)


def _listed(notes: Notes, edges: Sequence[Any]) -> list[Link]:
    """Return the links of a list of edges; of a node with too many of them only the first."""
    links: list[Link] = []
    counts: Counter[str] = Counter()
    most = notes.bounds.edges
    for index, edge in enumerate(edges):
        path = f"/edges/{index}"
        if (source := _source_of(notes, edge, path)) is not None:
            counts[source] += 1
            if counts[source] <= most:
                links += read_edge(notes, source, edge, path)
    for name, count in counts.items():
        if count > most:
            notes.fault(notes.names[name], f"has {count:,} edges; a node may have {most:,}")
    return links


def _source_of(notes: Notes, edge: Any, path: str) -> str | None:
    """Return the node that an edge of a list leaves; None, and a fault, when there is none."""
    if not isinstance(edge, dict):
        notes.fault(path, f"is an edge: an object with from and to, not {kind_of(edge)}")
    elif (source := notes.one(edge, FROM, path)) is None:
        notes.fault(path, "begins nowhere; name in from the node that it leaves")
    elif notes.faults.known(source.value, notes.names, source.path, "node"):
        name: str = source.value
        return name
    return None


def _is_same(link: Link, other: Link) -> bool:
    """Tell whether two links say no more than that they lead to one node."""
    if link.kind != ON or not link.fields.keys() == other.fields.keys() == {"to"}:
        return False
    to, again = link.fields["to"], other.fields["to"]
    return isinstance(to, str) and isinstance(again, str) and to == again


def _next(notes: Notes, name: str, links: list[Link]) -> list[dict[str, Any]]:
    """Return the canonical edges of a node, and note where each of their parts stood."""
    edges: list[dict[str, Any]] = []
    for link in links:
        for fields, places in edges_in(notes, link):
            at = f"/nodes{pointer(name)}/next/{len(edges)}"
            notes.places.made[at] = link.path
            for part, path in places.items():
                notes.places.copied[f"{at}/{part}"] = path
            edges.append(fields)
    return edges


def _warn_of_no_match(notes: Notes, links: Mapping[str, list[Link]]) -> None:
    """Warn once that a run may end where all edges have conditions, as other engines have it."""
    asking = [name for name, own in links.items() if own and own[-1].kind == BRANCH]
    if asking:
        names = ", ".join(map(repr, asking[:3])) + ", …" * (len(asking) > 3)
        detail = f"a run ends at {names} when no edge matches; with on_no_match: fail it would fail"
        notes.warn("", clip(detail))
