"""Reading the edges of a node: where they lead, on what condition, and forks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, Final

from msgspec import Struct

from stenograph.engine.bounds import Bounds
from stenograph.engine.conditions.conditions import (
    Compiled,
    FieldCondition,
    check_condition,
    compile_condition,
)
from stenograph.engine.conditions.expressions import Expression
from stenograph.engine.graphs.graph import END, FAIL, Edge
from stenograph.engine.graphs.parse_state import check_key, check_path, read_by_path
from stenograph.engine.graphs.reading import FIELDS, Reader
from stenograph.engine.values import clip

_TAKEN: Final = frozenset({"index", "state", "context", "error", "visit"})
"""What names in conditions already mean; an item cannot be called so."""


class Known(Struct, frozen=True, kw_only=True):
    """What a graph may name: tools, predicates, graphs and its own id, nodes; and what is secret.

    ``missing`` are names of graphs, some with a version, that are known to lead nowhere.
    """

    tools: Collection[str]
    predicates: Collection[str]
    graphs: Collection[str]
    bounds: Bounds
    missing: Collection[str] = ()
    own_id: str | None = None
    nodes: Mapping[Any, Any] = {}
    targets: Collection[str] = ()
    secrets: frozenset[str] = frozenset()


def read_edges(reader: Reader, data: Any, path: str, known: Known) -> list[dict[str, Any]]:
    """Return the edges that ``next`` spells, each as an object."""
    if isinstance(data, list | tuple):
        if len(data) > (most := known.bounds.edges):
            reader.fault(path, f"has {len(data):,} edges; a node may have {most:,}")
            return []
        return [_edge(reader, each, f"{path}/{index}", known) for index, each in enumerate(data)]
    if data is None:
        return []
    if isinstance(data, str | dict):
        return [_edge(reader, data, path, known)]
    reader.fault(path, "is the name of a node, an edge, or a list of edges")
    return []


def _edge(reader: Reader, data: Any, path: str, known: Known) -> dict[str, Any]:
    if isinstance(data, str):
        reader.known(data, known.targets, path, "node")
        return {"to": data}
    fields = reader.fields(Edge, data, path, skip={"to", "when", "until"})
    given = data if isinstance(data, dict) else {}
    asked = {key: given[key] for key in ("when", "until") if given.get(key) is not None}
    for key, condition in asked.items():
        _condition(reader, condition, f"{path}/{key}", known)
    if len(asked) == 2:
        reader.fault(path, "has both when and until; say it in one condition")
    if "to" in given:
        fields["to"] = given["to"]
        _to(reader, fields, f"{path}/to", known)
    if _is_fork(fields):
        _fork(reader, fields, given, path, known)
    else:
        _no_fork(reader, fields, path)
    return fields | asked


def _condition(reader: Reader, data: Any, path: str, known: Known) -> None:
    match data:
        case {"fn": name, **rest} if not rest:
            reader.known(name, known.predicates, f"{path}/fn", "predicate")
            return
    faults = check_condition(data, path, known.bounds.expression_chars)
    for fault in faults:
        reader.fault(fault.pointer, fault.detail)
    if known.secrets and not faults:
        for name in sorted(_read_by(compile_condition(data)) & known.secrets):
            detail = f"reads {clip(repr(name))}, which is secret; what conditions read is recorded"
            reader.fault(path, detail)


def _read_by(condition: Compiled) -> frozenset[str]:
    if isinstance(condition, Expression):
        return condition.keys
    assert isinstance(condition, FieldCondition), "a predicate was looked at before"
    return read_by_path(condition.field)


def _is_fork(fields: dict[str, Any]) -> bool:
    return fields.get("each") is not None or isinstance(fields.get("to"), list | tuple)


def _to(reader: Reader, fields: dict[str, Any], path: str, known: Known) -> None:
    to, most = fields["to"], known.bounds.nodes
    if not isinstance(to, list | tuple):
        _target(reader, to, path, known, forked=_is_fork(fields))
    elif not 1 <= len(to) <= most:
        reader.fault(path, f"has {len(to):,} names; a fork leads to 1 to {most:,} nodes")
    else:
        for index, name in enumerate(to):
            _target(reader, name, f"{path}/{index}", known, forked=True)
        counts = Counter(name for name in to if isinstance(name, str))
        for name in [name for name, count in counts.items() if count > 1]:
            reader.fault(path, f"names {clip(repr(name))} twice; name each node once")


def _target(reader: Reader, name: Any, path: str, known: Known, *, forked: bool) -> None:
    if reader.known(name, known.targets, path, "node") and forked and name in (END, FAIL):
        reader.fault(path, f"is {name}; the branches of a fork begin at a node")


def _fork(
    reader: Reader, fields: dict[str, Any], given: dict[str, Any], path: str, known: Known
) -> None:
    several = isinstance(fields.get("to"), list | tuple)
    if fields.get("each") is not None:
        check_path(reader, fields["each"], f"{path}/each", secrets=known.secrets)
        if several:
            reader.fault(f"{path}/each", "leads to one node for every item, but to is a list")
    if given.get("join") is None:
        reader.fault(path, "is a fork without a join; name in join where its branches meet")
    elif "join" in fields:
        _join(reader, fields, f"{path}/join", known)
    if several and (fields.get("need") or 0) > len(fields["to"]):
        detail = f"is more than the fork has branches; it has {len(fields['to'])}"
        reader.fault(f"{path}/need", detail)
    _as(reader, fields, f"{path}/as")


def _join(reader: Reader, fields: dict[str, Any], path: str, known: Known) -> None:
    join, to = fields["join"], fields.get("to")
    if join == FAIL:
        reader.fault(path, f"is {FAIL}; branches meet at a node or at {END}")
    elif reader.known(join, known.targets, path, "node") and (
        join in to if isinstance(to, list | tuple) else join == to
    ):
        reader.fault(
            path, f"is {join!r}, where a branch begins; join at a node behind the branches"
        )


def _as(reader: Reader, fields: dict[str, Any], path: str) -> None:
    name = fields.get("as", "item")
    if fields.get("each") is None and name != "item":
        reader.fault(path, "names an item, but the edge has no each")
    elif name in _TAKEN:
        reader.fault(path, f"is {name!r}, which means something else in conditions; choose another")
    else:
        check_key(reader, name, path)


def _no_fork(reader: Reader, fields: dict[str, Any], path: str) -> None:
    for name in ("as", "join", "need", "width", "on_error"):
        if name in fields and fields[name] != FIELDS[Edge][name].default:
            detail = "is for a fork; this edge has no each, and its to is no list"
            reader.fault(f"{path}/{name}", detail)
