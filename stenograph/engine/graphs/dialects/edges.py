"""Edges as other engines spell them: lists, maps, branches and loops, all become links."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from stenograph.engine.graphs.dialects.conditions import (
    CONDITION_FIELDS,
    Condition,
    asked,
    only,
    read_condition,
    spelled_in,
)
from stenograph.engine.graphs.dialects.notes import Given, Notes
from stenograph.engine.graphs.graph import END, FAIL, Edge
from stenograph.engine.graphs.reading import FIELDS, kind_of
from stenograph.engine.values import clip, pointer

ROUND, BRANCH, LOOP, ON = range(4)
"""What kind of link is asked before which: the way round of a loop node, branches, loops, others."""
FROM: Final = ("from", "from_node", "source")
LOOP_MAX: Final = 5
"""How often a loop is gone round that does not say."""
_TO: Final = ("to", "to_node", "target", "next")
_UNTIL: Final = ("until_expression", "until")
_CAP: Final = ("max_iterations", "max")
_KEPT: Final = FIELDS[Edge].keys() - {"to", "when", "until", "max"}
_EDGE_FIELDS: Final = (
    _KEPT | CONDITION_FIELDS | {*FROM, *_TO, *_UNTIL, *_CAP, "type", "loop", "condition", "when"}
)
_TYPES: Final = ("sequential", "branch", "loop")
_ENDS: Final = ("END", "end", "__end__")
_DEFAULTS: Final = ("default_next", "default", "next")
_ELSE: Final = ("default", "else")


class Link(Struct):
    """An edge on its way to its canonical form; ``places`` are those of its fields."""

    source: str
    kind: int
    path: str
    fields: dict[str, Any]
    places: dict[str, str]
    when: Condition | None = None
    until: Condition | None = None
    fails: bool = False
    """Whether the run fails where the link was taken as often as it may be."""


def read_next(notes: Notes, source: str, data: Any, path: str) -> list[Link]:
    """Return where ``next`` of a node, or its entry in a map of edges, leads."""
    match data:
        case None:
            return []
        case str():
            return [_plain(notes, source, data, path)]
        case list() | tuple():
            return _several(notes, source, data, path)
        case dict() if "branches" in data or "default_next" in data:
            links = read_branches(notes, source, data.get("branches"), f"{path}/branches")
            notes.ignore(data, {"branches", *_DEFAULTS}, path)
            last = notes.one(data, _DEFAULTS, path)
            return links + ([] if last is None else [_plain(notes, source, last.value, last.path)])
        case dict() if data and _EDGE_FIELDS.isdisjoint(data):
            return read_branches(notes, source, data, path)
        case dict():
            return read_edge(notes, source, data, path)
        case _:
            detail = f"is the name of a node, an edge, or a list of edges, not {kind_of(data)}"
            notes.fault(path, detail)
            return []


def read_branches(notes: Notes, source: str, data: Any, path: str) -> list[Link]:
    """Return the branches of a node: a list of edges, or a target for each condition."""
    match data:
        case None:
            return []
        case list() | tuple():
            return _several(notes, source, data, path)
        case dict() if len(data) > (most := notes.bounds.edges):
            notes.fault(path, f"has {len(data):,} edges; a node may have {most:,}")
            return []
        case dict():
            return [_branch(notes, source, condition, to, path) for condition, to in data.items()]
        case _:
            detail = f"is a list of branches, or a node for each condition, not {kind_of(data)}"
            notes.fault(path, detail)
            return []


def read_edge(notes: Notes, source: str, edge: dict[Any, Any], path: str) -> list[Link]:
    """Return the link that an object spells; none when it leads nowhere, which is a fault."""
    notes.ignore(edge, _EDGE_FIELDS | {"else"}, path)
    to = _target_of(notes, edge, path)
    if to is None:
        notes.fault(path, "leads nowhere; name in to the node that comes next")
        return []
    link = _plain(notes, source, to.value, path)
    link.places["to"] = to.path
    for name in _KEPT:
        if edge.get(name) is not None:
            link.fields[name], link.places[name] = edge[name], f"{path}/{name}"
    link.when = _when(notes, edge, path)
    loop = _loop_of(notes, edge, path)
    if (until := notes.one(loop, (*_UNTIL, "condition"), f"{path}/loop")) is None:
        until = notes.one(edge, _UNTIL, path)
    link.until = None if until is None else read_condition(notes, until.value, until.path)
    if (cap := notes.one(loop, _CAP, f"{path}/loop") or notes.one(edge, _CAP, path)) is not None:
        link.fields["max"], link.places["max"] = cap.value, cap.path
    _kind(notes, link, edge, path)
    other = edge.get("else")
    return [link] if other is None else [link, _plain(notes, source, other, f"{path}/else")]


def edges_in(notes: Notes, link: Link) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """Return the canonical edges of a link, each with the places of its parts."""
    fields, places = dict(link.fields), dict(link.places)
    for key, test in asked(notes, link.when, link.until).items():
        fields[key] = test.value
        places |= {key + part: path for part, path in test.places.items()}
    yield fields, places
    if link.fails:
        fields = {**fields, "to": FAIL, "label": "loop-limit"}
        del fields["max"]
        yield fields, places


def _plain(notes: Notes, source: str, to: Any, path: str) -> Link:
    """Return a link that is taken whenever it is its turn."""
    if isinstance(to, str) and to in _ENDS and to not in notes.names:
        notes.warn(path, f"is read as the end, {END}: no node is called {to!r}")
        to = END
    return Link(source, ON, path, {"to": END if to is None else to}, {"to": path})


def _several(
    notes: Notes, source: str, items: list[Any] | tuple[Any, ...], path: str
) -> list[Link]:
    if len(items) > (most := notes.bounds.edges):
        notes.fault(path, f"has {len(items):,} edges; a node may have {most:,}")
        return []
    links = []
    for index, item in enumerate(items):
        where = f"{path}/{index}"
        if isinstance(item, dict):
            links += read_edge(notes, source, item, where)
        elif isinstance(item, str):
            links.append(_plain(notes, source, item, where))
        else:
            notes.fault(where, f"is an edge, or the name of a node, not {kind_of(item)}")
    return links


def _branch(notes: Notes, source: str, condition: Any, to: Any, path: str) -> Link:
    path += pointer(condition)
    link = _plain(notes, source, to, path)
    if not _is_else(notes, condition, path):
        link.when, link.kind = read_condition(notes, condition, path), BRANCH
    return link


def _is_else(notes: Notes, condition: Any, path: str) -> bool:
    """Tell whether a condition is the word for what is left when no other is true."""
    found = isinstance(condition, str) and condition in _ELSE and condition not in notes.predicates
    if found:
        notes.warn(path, "is read as the way that is taken when no condition is true")
    return found


def _target_of(notes: Notes, edge: dict[Any, Any], path: str) -> Given | None:
    """Return where an edge leads; null is the end, and nothing is None."""
    if (given := notes.one(edge, _TO, path)) is not None:
        return given
    return next((Given(END, path + pointer(name)) for name in _TO if name in edge), None)


def _when(notes: Notes, edge: dict[Any, Any], path: str) -> Condition | None:
    tests = [
        read_condition(notes, edge[name], f"{path}/{name}")
        for name in ("condition", "when")
        if edge.get(name) is not None and not _is_else(notes, edge[name], f"{path}/{name}")
    ]
    tests += spelled_in(notes, edge, path)
    return only(notes, tests, path) if tests else None


def _loop_of(notes: Notes, edge: dict[Any, Any], path: str) -> Mapping[Any, Any]:
    loop = edge.get("loop")
    if isinstance(loop, dict):
        notes.ignore(loop, {*_UNTIL, *_CAP, "condition"}, f"{path}/loop")
        return loop
    if loop is not None and not isinstance(loop, bool):
        detail = f"is an object with max_iterations and until_expression, not {kind_of(loop)}"
        notes.fault(f"{path}/loop", detail)
    return {}


def _kind(notes: Notes, link: Link, edge: dict[Any, Any], path: str) -> None:
    """Settle what kind of link an edge is: by its type, or by what it has."""
    kind = edge.get("type")
    if kind is not None and kind not in _TYPES:
        shown = clip(repr(kind)) if isinstance(kind, str) else kind_of(kind)
        notes.warn(f"{path}/type", f"is ignored: {shown} is none of {', '.join(_TYPES)}")
    named = ("loop", "max_iterations", "until_expression")
    if kind == "loop" or any(edge.get(name) not in (None, False) for name in named):
        link.kind, link.fails = LOOP, True
        if "max" not in link.fields:
            detail = f"has no max_iterations; it goes round {LOOP_MAX} times, then the run fails"
            notes.warn(path, detail)
            link.fields["max"] = LOOP_MAX
        elif link.until is None:
            notes.warn(
                path, "says no until_expression, so the run fails once it was taken so often"
            )
    elif link.until is not None or "max" in link.fields:
        link.kind = LOOP
    elif link.when is not None:
        link.kind = BRANCH
        if kind == "sequential":
            notes.warn(path, "is a branch, as it has a condition")
    elif kind == "branch":
        detail = "is a branch without a condition; it is taken when no other edge is"
        notes.warn(path, detail)
