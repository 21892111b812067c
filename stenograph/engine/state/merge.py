"""Merge: what the branches of a fork changed, folded into one change of the state that forked.

Each key that branches changed is folded from its value at the fork, in branch order and never in
time order, so that the same branches give the same state whichever of them was faster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import Struct

from stenograph.engine.bounds import BOUNDS, Bounds
from stenograph.engine.errors import MergeConflict
from stenograph.engine.graphs.graph import ReducerName
from stenograph.engine.state.patch import added_to, joined
from stenograph.engine.state.reducers import (
    check_kind,
    identity,
    kind_of,
    reduce_value,
    sum_of,
    united,
)
from stenograph.engine.state.rules import Rules
from stenograph.engine.state.state import State, Update
from stenograph.engine.state.writes import Grown, Whole, Write, Writes
from stenograph.engine.tools.draft import ABSENT
from stenograph.engine.values import canonical, clip, pointer

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_FITTING: Final = {"a number": "add", "a list": "concat", "an object": "merge"}
"""The reducer to suggest for a key that holds such a value; replace for any other."""


class Change(Struct, frozen=True):
    """What a branch changed: by key its last JSON (None: removed) and the seq that wrote it."""

    branch: str
    values: Mapping[str, tuple[bytes | None, int]]


class Left(Struct, frozen=True):
    """What one branch left of a key."""

    branch: str
    seq: int
    data: bytes | None


def merge(
    base: State,
    branches: Sequence[Change],
    rules: Rules,
    beside: Mapping[str, Any] = NOTHING,
    bounds: Bounds = BOUNDS,
) -> Update:
    """Return the one change that the branches come to, given in branch order.

    ``beside``: keys that the join itself sets, whatever branches made of them.
    A branch that left a key as it was at the fork did not change it. Raises MergeConflict,
    CannotReduce, NotJson, SchemaViolated or StateTooLarge, and changes nothing.
    """
    changed: dict[str, list[Left]] = {}
    for change in branches:
        for key, (data, seq) in change.values.items():
            if data != base.encoded(key):
                changed.setdefault(key, []).append(Left(change.branch, seq, data))
    writes = Writes(base, rules)
    for key, lefts in changed.items():
        if key not in beside:
            writes.put(key, _folded(key, base.encoded(key), lefts, rules.reducers.get(key)))
    for key, value in beside.items():
        writes.set(key, value)
    return base.update_of(writes, bounds)


def _folded(key: str, base: bytes | None, lefts: list[Left], name: ReducerName | None) -> Write:
    if name == "replace":
        return _whole(lefts[-1].data)
    if any(left.data is None for left in lefts):
        return _removed(key, lefts)
    match name:
        case None:
            return _agreed(key, lefts)
        case "append" | "concat":
            return _extended(key, base, lefts, name)
        case _:
            return _reduced(key, base, lefts, name)


def _whole(data: bytes | None) -> Whole:
    return Whole(data, ABSENT if data is None else msgspec.json.decode(data))


def _removed(key: str, lefts: list[Left]) -> Whole:
    """Remove a key that all who changed it removed."""
    first, *rest = lefts
    if other := [left for left in rest if (left.data is None) != (first.data is None)]:
        fix = "let all of them remove it, or none"
        raise _conflict(
            key, "is removed by one branch and written by another:", [first, *other], fix
        )
    return _whole(None)


def _agreed(key: str, lefts: list[Left]) -> Whole:
    """Take the value that all who changed a key gave it; text apart, equal is equal as JSON."""
    first, *rest = lefts
    write = _whole(first.data)
    others = [left for left in rest if left.data != first.data]
    if others:
        value = identity(write.value)
        others = [left for left in others if identity(_whole(left.data).value) != value]
    if others:
        name = _FITTING.get(kind_of(write.value), "replace")
        fix = (
            f'give the key a reducer in state, e.g. {{"reducer": "{name}"}}, or let the branches '
            f"write different keys"
        )
        raise _conflict(key, "is left with different values by", [first, *others], fix)
    return write


def _extended(key: str, base: bytes | None, lefts: list[Left], name: ReducerName) -> Write:
    """Join what each branch added to the end of a list."""
    path, old = clip(pointer(key)), base or b"[]"
    if not old.startswith(b"["):
        check_kind(name, path, "was", msgspec.json.decode(old))
    tails = [added_to(old, left.data or b"") for left in lefts]
    others = [left for left, tail in zip(lefts, tails, strict=True) if tail is None]
    if others:
        fix = "let branches only add to its end, or give the key another reducer"
        raise _conflict(key, f"has the reducer {name}, but did not only grow in", others, fix)
    data = joined(*filter(None, tails))
    items = msgspec.json.decode(data)
    return Whole(data, items) if base is None else Grown(data, items)


def _reduced(key: str, base: bytes | None, lefts: list[Left], name: ReducerName) -> Whole:
    """Fold the values that branches left of a key onto what it was."""
    path = clip(pointer(key))
    old = _whole(base).value
    check_kind(name, path, "was", old)
    values = [msgspec.json.decode(left.data or b"") for left in lefts]
    for value in values:
        check_kind(name, path, "is left as", value)
    match name:
        case "add":
            # The base and all differences to it: what they left, less the base but for once.
            start = 0 if old is ABSENT else old
            result: Any = sum_of(path, [*values, *[-start] * (len(values) - 1)])
        case "merge":
            result = {} if old is ABSENT else msgspec.json.decode(base or b"")
            for value in values:
                _merge_changes(result, {} if old is ABSENT else old, value)
        case "union":
            result = united(values if old is ABSENT else [old, *values])
        case _:
            result = reduce(lambda kept, new: reduce_value(name, path, kept, new), values, old)
    return Whole(*canonical(result, pointer(key)))


def _merge_changes(target: dict[str, Any], base: dict[str, Any], new: dict[str, Any]) -> None:
    """Merge deeply, in place, what ``new`` has that the base has not: an old leaf wins over none."""
    for key, value in new.items():
        old, there = base.get(key, ABSENT), target.get(key)
        if isinstance(value, dict) and isinstance(there, dict):
            _merge_changes(there, old if isinstance(old, dict) else {}, value)
        elif old is ABSENT or identity(value) != identity(old):
            target[key] = value


def _conflict(key: str, what: str, lefts: list[Left], fix: str) -> MergeConflict:
    writers = [(left.branch, left.seq) for left in lefts]
    return MergeConflict(key, clip(pointer(key)), what, writers, fix)
