"""Changes: how one JSON value becomes another, as a list in the manner of JSON Patch (RFC 6902)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from stenograph.engine.audit.blame_trees import same
from stenograph.engine.values import pointer


class Change(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One operation, to be done in the order of the list; with what was there before, too."""

    op: Literal["add", "replace", "remove"]
    path: str
    old: Any | UnsetType = UNSET
    new: Any | UnsetType = UNSET


def changes(old: Any, new: Any, path: str = "") -> Iterator[Change]:
    """Yield what turns ``old`` into ``new``: nothing when they are the same, and little when alike.

    Objects are compared by key. Of lists what they begin and end with alike is left; what is
    between is compared by position. Takes time in proportion to the values.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _of_objects(old, new, path)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _of_lists(old, new, path)
    elif not same(old, new):
        yield Change(op="replace", path=path, old=old, new=new)


def applied(value: Any, ops: Iterable[Change]) -> Any:
    """Return a value with changes made to it; the value itself stays as it was."""
    top = [value]
    for op in ops:
        keys = [each.replace("~1", "/").replace("~0", "~") for each in op.path.split("/")[1:]]
        at: Any = top
        last: Any = 0
        for key in keys:
            at[last] = at = copy(at[last])
            last = int(key) if isinstance(at, list) else key
        if op.op == "remove":
            del at[last]
        elif op.op == "add" and isinstance(at, list):
            at.insert(last, op.new)
        else:
            at[last] = op.new
    return top[0]


def _of_objects(old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Change]:
    for key, value in old.items():
        if key in new:
            yield from changes(value, new[key], path + pointer(key))
        else:
            yield Change(op="remove", path=path + pointer(key), old=value)
    for key, value in new.items():
        if key not in old:
            yield Change(op="add", path=path + pointer(key), new=value)


def _of_lists(old: list[Any], new: list[Any], path: str) -> Iterator[Change]:
    shorter = min(len(old), len(new))
    first = next((at for at in range(shorter) if not same(old[at], new[at])), shorter)
    rest = shorter - first
    alike = next((at for at in range(rest) if not same(old[-1 - at], new[-1 - at])), rest)
    ends = len(old) - alike, len(new) - alike
    both = min(ends)
    for at in range(first, both):
        yield from changes(old[at], new[at], f"{path}/{at}")
    for at in range(ends[0] - 1, both - 1, -1):
        yield Change(op="remove", path=f"{path}/{at}", old=old[at])
    for at in range(both, ends[1]):
        yield Change(op="add", path=f"{path}/{at}", new=new[at])
