"""How much work a JSON Schema can make of a value: its schemas, counted level by level.

Two branches of an ``anyOf`` that lead to the same schema look at a value twice, and two such steps
four times. A schema that refers to itself can so take exponential time; here is what bounds it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import unquote

from msgspec import Struct

from stenograph.engine.graphs.schema_costs import Cost, cost_of, greatest, total
from stenograph.engine.values import VALUE_MAX_DEPTH, pointer

Where: TypeAlias = Literal["here", "below", "apart"]
Group: TypeAlias = str | None
"""The name of a property; None for what any item or property may meet."""

WAYS_MAX: Final = 1000
"""In how many ways one value may be looked at."""
STEPS_MAX: Final = 50_000
"""How far the counting itself may go."""

_ONE: Final[dict[str, Where]] = {
    "not": "here",
    "if": "here",
    "then": "here",
    "else": "here",
    "items": "below",
    "additionalItems": "below",
    "unevaluatedItems": "below",
    "contains": "below",
    "additionalProperties": "below",
    "unevaluatedProperties": "below",
    "propertyNames": "below",
}
_LIST: Final[dict[str, Where]] = {
    "allOf": "here",
    "anyOf": "here",
    "oneOf": "here",
    "items": "below",
    "prefixItems": "below",
}
_NAMED: Final[dict[str, Where]] = {
    "dependentSchemas": "here",
    "dependencies": "here",
    "properties": "below",
    "patternProperties": "below",
    "$defs": "apart",
    "definitions": "apart",
}


class Part(Struct, frozen=True):
    """A schema within a schema: where it looks, at which property, its pointer, and itself."""

    where: Where
    group: Group
    pointer: str
    schema: dict[str, Any]


class Levels(Struct, frozen=True):
    """In how many ways a value is looked at, at most, what that costs, and how deep it was counted."""

    ways: int
    depth: int | None = None
    cost: Cost = Cost()


class Node(Struct):
    """A schema and the pointers of those that it leads to, within this value and below it."""

    weight: int
    cost: Cost = Cost()
    here: list[str] = []
    below: list[tuple[Group, str]] = []


def parts(schema: Mapping[str, Any], at: str) -> Iterator[Part]:
    """Yield the schemas directly within one; what is data there, as in ``enum``, is none."""
    for key, value in schema.items():
        if key in _ONE and isinstance(value, dict):
            yield Part(_ONE[key], None, at + pointer(key), value)
        elif key in _LIST and isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    yield Part(_LIST[key], None, at + pointer(key, index), item)
        elif key in _NAMED and isinstance(value, dict):
            for name, item in value.items():
                if isinstance(item, dict):
                    group = name if key == "properties" else None
                    yield Part(_NAMED[key], group, at + pointer(key, name), item)


def nodes_of(root: dict[str, Any]) -> dict[str, tuple[dict[str, Any], Node]]:
    """Return all schemas of a schema by pointer; raises LookupError(pointer) for a lost ``$ref``."""
    found: dict[str, tuple[dict[str, Any], Node]] = {}
    todo = [("", root)]
    while todo:
        at, schema = todo.pop()
        if at in found:
            continue
        node = Node(_weight(schema), cost_of(schema))
        found[at] = (schema, node)
        for part in parts(schema, at):
            todo.append((part.pointer, part.schema))
            if part.where == "here":
                node.here.append(part.pointer)
            elif part.where == "below":
                node.below.append((part.group, _aim(root, part)))
        if isinstance(ref := schema.get("$ref"), str):
            aim, target = resolve(root, ref, at)
            if isinstance(target, dict):
                node.here.append(aim)
                todo.append((aim, target))
    return found


def resolve(root: Any, ref: str, at: str) -> tuple[str, Any]:
    """Return the pointer and the schema of a local ``$ref``; raises LookupError(at)."""
    keys = [
        key.replace("~1", "/").replace("~0", "~")
        for key in unquote(ref.removeprefix("#")).split("/")
    ]
    found = root
    for key in keys[1:]:
        match found:
            case dict() if key in found:
                found = found[key]
            case list() if key.isascii() and key.isdigit() and int(key[:9]) < len(found):
                found = found[int(key[:9])]
            case _:
                raise LookupError(at)
    if not isinstance(found, dict | bool):
        raise LookupError(at)
    return pointer(*keys[1:]), found


def count(nodes: Mapping[str, Node]) -> Levels:
    """Count the ways down from the root; raises RecursionError(pointer) when one leads nowhere."""
    expanded = _expand(nodes)
    if expanded is None:
        return Levels(0, -1)
    level, seen, ways, made = [Counter({"": 1})], set(), 0, 0
    cost = Cost()
    for depth in range(VALUE_MAX_DEPTH + 1):
        nexts: list[Counter[str]] = []
        for counts in level:
            state = frozenset(counts.items())
            if state in seen:
                continue
            seen.add(state)
            closed = _closed(counts, expanded)
            here = sum(number * nodes[at].weight for at, number in closed.items())
            made += len(closed) + sum(len(nodes[at].below) for at in closed)
            if here > WAYS_MAX or made > STEPS_MAX:
                return Levels(ways, depth - 1, cost)
            ways = max(ways, here)
            cost = greatest(cost, total((number, nodes[at].cost) for at, number in closed.items()))
            nexts += _below(closed, nodes)
        if not nexts:
            break
        level = nexts
    return Levels(ways, None, cost)


def _aim(root: Any, part: Part) -> str:
    """Return where a schema is; of one that only refers to another, where the other is."""
    ref = part.schema.get("$ref")
    if len(part.schema) != 1 or not isinstance(ref, str):
        return part.pointer
    aim, target = resolve(root, ref, part.pointer)
    return aim if isinstance(target, dict) else part.pointer


def _weight(schema: Mapping[str, Any]) -> int:
    """Return what a look by this schema alone costs: long lists of names and values are work."""
    listed = (schema.get(key) for key in ("enum", "required", "properties", "patternProperties"))
    return 1 + sum(len(each) for each in listed if isinstance(each, list | dict)) // 8


def _expand(nodes: Mapping[str, Node]) -> dict[str, Counter[str]] | None:
    """Return for each schema how often it applies each other to the same value, itself once.

    None when they are too many to count.
    """
    done: dict[str, Counter[str]] = {}
    size = 0
    for start in nodes:
        todo, path = [start], dict[str, None]()
        while todo:
            at = todo[-1]
            if at in done:
                todo.pop()
            elif at in path:
                done[at] = Counter({at: 1})
                for aim in nodes[at].here:
                    for inner, number in done[aim].items():
                        done[at][inner] += number
                del path[at]
                todo.pop()
                size += len(done[at])
                if size > STEPS_MAX:
                    return None
            else:
                path[at] = None
                for aim in nodes[at].here:
                    if aim in path:
                        raise RecursionError(at)
                    todo.append(aim)
    return done


def _closed(counts: Counter[str], expanded: Mapping[str, Counter[str]]) -> Counter[str]:
    closed: Counter[str] = Counter()
    for at, times in counts.items():
        for inner, number in expanded[at].items():
            closed[inner] += times * number
    return closed


def _below(closed: Counter[str], nodes: Mapping[str, Node]) -> list[Counter[str]]:
    groups: dict[Group, Counter[str]] = {}
    for at, times in closed.items():
        for group, aim in nodes[at].below:
            groups.setdefault(group, Counter())[aim] += times
    every = groups.pop(None, Counter())
    return [each + every for each in groups.values()] + [every] * bool(every)
