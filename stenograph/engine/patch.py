"""Patches: how a state changed, as JSON Patch (RFC 6902) of two depths only.

``add``, ``replace`` and ``remove`` at ``/key``, and ``add`` at ``/key/-`` for what a list grew by.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from stenograph.engine.values import pointer


class PatchOp(Struct, frozen=True, omit_defaults=True):
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
    if _grew(old, new):
        tail = msgspec.json.decode(b"[" + new[len(old) : -1] + b"]", type=list[Raw])
        return [PatchOp("add", path + "/-", item) for item in tail]
    return [PatchOp("replace", path, Raw(new))]


def _grew(old: bytes, new: bytes) -> bool:
    """Tell whether a list only grew at its end: the old elements, a comma, and more."""
    end = len(old) - 1
    return (
        len(old) > 2
        and len(new) > len(old)
        and old.startswith(b"[")
        and new[end : end + 1] == b","
        and new.startswith(old[:end])
    )


def target(op: PatchOp) -> tuple[str, bool]:
    """Return the key that an operation writes, and whether it grows the list there."""
    key, slash, tail = op.path[1:].partition("/")
    return key.replace("~1", "/").replace("~0", "~"), slash == "/" and tail == "-"
