"""Patches: how a state changed, as JSON Patch (RFC 6902) of two depths only.

``add``, ``replace`` and ``remove`` at ``/key``, and ``add`` at ``/key/-`` for what a list grew by.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from stenograph.engine.values import pointer

GROWTH_MAX_OPS: Final = 1000
"""Up to so many new items each are an operation of their own; more are, if that takes less room."""


class PatchOp(Struct, frozen=True, gc=False, omit_defaults=True):
    """One operation; ``value`` is there for ``add`` and ``replace``."""

    op: Literal["add", "replace", "remove"]
    path: str
    value: Raw | UnsetType = UNSET


def patch_key(key: str, old: bytes | None, new: bytes | None) -> list[PatchOp]:
    """Return the least operations that turn a key's ``old`` JSON into ``new``; None is absence."""
    if new == old:
        return []
    path = pointer(key)
    if new is None:
        return [PatchOp("remove", path)]
    if old is None:
        return [PatchOp("add", path, Raw(new))]
    whole = [PatchOp("replace", path, Raw(new))]
    if not _grew(old, new):
        return whole
    items = msgspec.json.decode(added_to(old, new) or b"[]", type=list[Raw])
    grown = [PatchOp("add", path + "/-", item) for item in items]
    few = len(grown) <= GROWTH_MAX_OPS
    return grown if few or size_of(grown) < size_of(whole) else whole


def grow_key(key: str, old: bytes, items: bytes) -> list[PatchOp]:
    """Return the least operations that add to a key's list what is in another; both as JSON.

    Costs as much as what is added, and decodes nothing else.
    """
    path = pointer(key)
    new = msgspec.json.decode(items, type=list[Raw])
    grown = [PatchOp("add", path + "/-", item) for item in new]
    if len(grown) <= GROWTH_MAX_OPS or size_of(grown) < len(old) + len(items):
        return grown
    return [PatchOp("replace", path, Raw(joined(old, items)))]


def joined(*lists: bytes) -> bytes:
    """Return the JSON of all lists as one."""
    parts: list[bytes | memoryview] = []
    for each in lists:
        if each != b"[]":
            # A view: of a list of a megabyte each copy more takes longer than all else a step does.
            parts += (b"," if parts else b"[", memoryview(each)[1:-1])
    return b"".join((*parts, b"]")) if parts else b"[]"


def added_to(old: bytes, new: bytes) -> bytes | None:
    """Return as a list what a list grew by at its end; None when it did more than grow."""
    if new == old:
        return b"[]"
    return b"[" + new[len(old) - 1 :].removeprefix(b",") if _grew(old, new) else None


def target(op: PatchOp) -> tuple[str, bool]:
    """Return the key that an operation writes, and whether it grows the list there."""
    key, slash, _ = op.path[1:].partition("/")
    return key.replace("~1", "/").replace("~0", "~"), slash == "/"


def size_of(patch: Iterable[PatchOp]) -> int:
    """Return how many bytes a patch has as JSON."""
    return len(msgspec.json.encode(tuple(patch)))


def _grew(old: bytes, new: bytes) -> bool:
    """Tell whether a list only grew at its end: the old elements, a comma, and more."""
    if old == b"[]":
        return new.startswith(b"[")
    end = len(old) - 1
    return old.startswith(b"[") and new.startswith(old[:end]) and new[end : end + 1] == b","
