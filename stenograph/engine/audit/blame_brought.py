"""What is brought over: values as branches and sub-graphs left them, each with its blame."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from stenograph.engine.audit.blame_trees import Brought, Mark, Tree, Writer


class Left(Struct):
    """A value as a branch or a sub-graph left it, with its tree; ``size``: of the list it began with."""

    data: bytes
    tree: Tree
    size: int | None = None

    @property
    def value(self) -> Any:
        """The value, decoded anew."""
        return msgspec.json.decode(self.data)


class Brings(Struct):
    """What the next patch of a scope brings over: by key what was left of it, in branch order."""

    lefts: dict[str, list[Left]] = field(default_factory=dict)
    failed: list[Writer] = field(default_factory=list)
    collects: bool = False


def hand_of(by: Mark, lefts: list[Left]) -> Brought:
    """Return the hand that brings over what was left."""
    return Brought(by, [(left.value, left.tree) for left in lefts])


def tail_of(left: Left, most: int) -> list[tuple[Any, Tree]]:
    """Return what somebody added to a list, each item with its tree; or the whole, as one item."""
    value = left.value
    whole = [(value, left.tree)]
    if not isinstance(value, list):
        return whole
    first = max(0, len(value) - most) if left.size is None else left.size
    items = [(item, left.tree.part(at)) for at, item in enumerate(value[first:], first)]
    return items if left.size is not None else [*items, *whole]


def size_of(data: bytes | None) -> int:
    """Return how many items a value in JSON has, if it is a list."""
    is_list = data is not None and data.startswith(b"[")
    return len(msgspec.json.decode(data, type=list[Raw])) if data is not None and is_list else 0
