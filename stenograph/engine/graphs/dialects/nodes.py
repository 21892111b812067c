"""Nodes as other engines spell them: their names, what they call, and how often it is tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from stenograph.engine.graphs.dialects.notes import Given, Notes
from stenograph.engine.graphs.graph import Node
from stenograph.engine.graphs.reading import FIELDS, kind_of
from stenograph.engine.values import clip, pointer

_TOOL: Final = ("tool", "func", "callable", "fn", "function", "action")
_TIMEOUT: Final = ("timeout_s", "timeout", "timeout_seconds")
_RETRY: Final = ("retry", "retries", "max_retries")
_DELAY: Final = ("retry_delay", "retry_delay_s", "delay")
_LINKS: Final = frozenset({"branches", "loop_condition", "loop_while"})
_KEPT: Final = FIELDS[Node].keys() - {"tool", "timeout_s", "retry", "next"}
NODE_MARKS: Final = (_LINKS | {*_TOOL}) - FIELDS[Node].keys()
"""Fields that tell of another shape; a ``timeout`` alone may be a slip in a canonical one."""
_PLAIN_TYPES: Final = ("standard", "task", "tool")
_RETRIES_MAX: Final = 999


class Found(Struct, frozen=True):
    """A node by its name: what a client gave, and where."""

    name: Any
    data: Any
    path: str


def find_nodes(notes: Notes, nodes: Any) -> list[Found]:
    """Return the nodes of a list or a map that have a name of their own, and note which there are."""
    found: dict[Any, Found] = {}
    items: Iterable[tuple[Any, Any]]
    is_map = isinstance(nodes, dict)
    items = nodes.items() if is_map else enumerate(nodes)
    for key, data in items:
        path = f"/nodes{pointer(key)}"
        named = _name_in_map(notes, key, data, path) if is_map else _name(notes, data, path)
        if named is None:
            continue
        if named.value in found:
            detail = f"names a second node {clip(repr(named.value))}; give each its own name"
            notes.fault(named.path, detail)
        else:
            found[named.value] = Found(named.value, data, path)
    notes.names = {node.name: node.path for node in found.values()}
    return list(found.values())


def read_fields(notes: Notes, node: Found) -> Any:
    """Return the fields of a canonical node, but for its edges."""
    at = f"/nodes{pointer(node.name)}"
    notes.places.made[at] = node.path
    if isinstance(node.data, str):
        notes.places.copied[f"{at}/tool"] = node.path
        return {"tool": node.data, "next": []}
    if not isinstance(node.data, dict):
        return node.data
    data, path = node.data, node.path
    known = {*_KEPT, *_TOOL, *_TIMEOUT, *_LINKS, "id", "name", "type", "next"}
    given = {name: Given(data[name], f"{path}/{name}") for name in _KEPT if _has(data, name)}
    if (tool := notes.one(data, _TOOL, path)) is not None:
        given["tool"] = tool
    if (timeout := notes.one(data, _TIMEOUT, path)) is not None:
        given["timeout_s"] = timeout
    fields = {name: each.value for name, each in given.items()}
    notes.places.copied |= {f"{at}/{name}": each.path for name, each in given.items()}
    if _has(data, "loop_condition") or _has(data, "loop_while"):
        known.add("max_iterations")
    if any(_has(data, name) for name in _RETRY):
        known |= {*_RETRY, *_DELAY}
    if (retry := _retry(notes, data, path, at)) is not None:
        fields["retry"] = retry
    notes.ignore(data, known, path)
    if given.keys().isdisjoint(("tool", "graph", "wait")) and data.get("type") != "conditional":
        notes.warn(path, "calls nothing, as it names no tool; it only leads on")
    if _has(data, "type") and data["type"] not in _PLAIN_TYPES:
        notes.warn(
            f"{path}/type", "is ignored: the edges of a node say whether it branches or loops"
        )
    return fields


def _has(data: Mapping[Any, Any], name: str) -> bool:
    return data.get(name) is not None


def _name(notes: Notes, data: Any, path: str) -> Given | None:
    """Return the name of a node in a list; None, and a fault, when it has none."""
    if isinstance(data, str):
        return Given(data, path)
    if not isinstance(data, dict):
        notes.fault(path, f"is a node, or the name of a tool, not {kind_of(data)}")
        return None
    for key in ("id", "name"):
        if isinstance(data.get(key), str):
            return Given(data[key], f"{path}/{key}")
        if data.get(key) is not None:
            detail = f"is the name of a node, as text, not {kind_of(data[key])}"
            notes.fault(f"{path}/{key}", detail)
            return None
    notes.fault(path, "has no name; give it an id")
    return None


def _name_in_map(notes: Notes, key: Any, data: Any, path: str) -> Given:
    """Return the id of a node in a map, else its key; a name beside these is only a label."""
    own_id = data.get("id") if isinstance(data, dict) else None
    if not isinstance(own_id, str) or own_id == key:
        return Given(key, path)
    notes.warn(f"{path}/id", f"is what the node is called, and not {clip(repr(key))}")
    return Given(own_id, f"{path}/id")


def _retry(notes: Notes, data: Mapping[Any, Any], path: str, at: str) -> Any:
    """Return how a node is tried again, as ``retry`` says it, or the number of retries."""
    if (retry := notes.one(data, _RETRY, path)) is None:
        return None
    if isinstance(retry.value, dict):
        notes.places.copied[f"{at}/retry"] = retry.path
        return retry.value
    notes.places.made[f"{at}/retry"] = retry.path
    count = retry.value
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= _RETRIES_MAX:
        detail = f"is how often it is tried again: a whole number from 0 to {_RETRIES_MAX}"
        notes.fault(retry.path, detail)
    elif (delay := notes.one(data, _DELAY, path)) is not None:
        notes.places.copied[f"{at}/retry/delay_s"] = delay.path
        return {"attempts": count + 1, "delay_s": delay.value, "factor": 1.0, "jitter": False}
    elif count > 0:
        detail = (
            f"is {count + 1} attempts, the second after about 1 s, then twice as long each time"
        )
        notes.warn(retry.path, detail)
        return {"attempts": count + 1}
    return None
