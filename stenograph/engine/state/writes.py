"""Writes: what is put into a state at one time, and the one patch that it comes to."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import msgspec
from msgspec import Struct

from stenograph.engine.errors import NotJson, SchemaViolated
from stenograph.engine.graphs.graph import ReducerName
from stenograph.engine.graphs.schemas import Effort
from stenograph.engine.state.patch import PatchOp, grow_key, joined, patch_key
from stenograph.engine.state.reducers import GROWING, check_kind, items_of, reduce_value
from stenograph.engine.state.rules import Rules
from stenograph.engine.tools.draft import ABSENT, CONTAINERS
from stenograph.engine.values import canonical, clip, encode, is_canonical, pointer


class Held(Protocol):
    """The state that is written to."""

    def encoded(self, key: str) -> bytes | None: ...  # noqa: D102

    def __getitem__(self, key: str) -> Any: ...


class Whole(Struct, frozen=True, gc=False):
    """A key's new value as JSON and decoded; None and ABSENT when it is removed."""

    data: bytes | None
    value: Any


class Grown(Struct, frozen=True, gc=False):
    """What a key's list grows by, as JSON and decoded; what is in it already is left alone."""

    data: bytes
    items: list[Any]


Write: TypeAlias = Whole | Grown


class Outcome(Struct, frozen=True, gc=False):
    """The patch of all writes, the new values and the new ends of lists by key, and the growth.

    ``weight`` is by how many bytes the JSON of the state grows.
    """

    patch: tuple[PatchOp, ...]
    decoded: dict[str, Any]
    grown: dict[str, list[Any]]
    weight: int


class Writes:
    """Collects writes to a state, which it does not change."""

    def __init__(self, state: Held, rules: Rules) -> None:
        self._state, self._rules = state, rules
        self._writes: dict[str, Write] = {}
        self._effort: Effort | None = None

    def set(self, key: str, value: Any) -> None:
        """Put a value in the place of the old, or remove it (ABSENT); raises NotJson."""
        gone = value is ABSENT
        new = Whole(None, ABSENT) if gone else Whole(*canonical(value, pointer(key)))
        self._writes[key] = new

    def put(self, key: str, write: Write) -> None:
        """Take a write that is known to be JSON."""
        self._writes[key] = write

    def reduce(self, key: str, value: Any) -> None:
        """Let a value meet what is there, by the reducer of its key; raises CannotReduce, NotJson."""
        name = self._rules.reducers.get(key, "replace")
        path = pointer(key)
        if name == "replace":
            self.set(key, value)
        elif name in GROWING:
            items = items_of(name, clip(path), value)
            data, fresh = _items(items, path, is_one=name == "append")
            self._grow(key, name, Grown(data, fresh))
        else:
            self._reduce(key, name, canonical(value, path)[1])

    def reduce_json(self, key: str, data: bytes) -> None:
        """Let a value meet what is there, as ``reduce`` does; it is not encoded anew if need not be."""
        value, name = msgspec.json.decode(data), self._rules.reducers.get(key, "replace")
        if name == "append":
            data, value = b"[" + data + b"]", [value]
        if not is_canonical(data, value):
            self.reduce(key, value[0] if name == "append" else value)
        elif name == "replace":
            self.put(key, Whole(data, value))
        elif name in GROWING:
            items = value if name == "append" else items_of(name, clip(pointer(key)), value)
            self._grow(key, name, Grown(data, items))
        else:
            self._reduce(key, name, value)

    def outcome(self) -> Outcome:
        """Return what all writes come to; raises SchemaViolated."""
        patch: list[PatchOp] = []
        decoded: dict[str, Any] = {}
        grown: dict[str, list[Any]] = {}
        weight = 0
        for key, write in self._writes.items():
            old = self._state.encoded(key)
            if isinstance(write, Grown):
                assert old is not None, "only a list that is there can grow"
                ops = grow_key(key, old, write.data)
                grown[key] = write.items
                weight += _growth(old, write.data)
            else:
                ops = patch_key(key, old, write.data)
                if write.data is not None:
                    decoded[key] = write.value
                weight += gain(key, old, write.data)
            if ops:
                self._check(key)
            patch += ops
        return Outcome(tuple(patch), decoded, grown, weight)

    def _reduce(self, key: str, name: ReducerName, fresh: Any) -> None:
        """Let a value meet what is there; of two that are JSON comes one that is."""
        new = reduce_value(name, clip(pointer(key)), self._value(key), fresh)
        data = encode(new)
        # Decoded anew: what it took over from the old value is another copy's as well.
        is_shared = new.__class__ in CONTAINERS
        self._writes[key] = Whole(data, msgspec.json.decode(data) if is_shared else new)

    def _grow(self, key: str, name: Any, new: Grown) -> None:
        before = self._writes.get(key)
        old = self._state.encoded(key) if before is None else before.data
        if old is None:
            self._writes[key] = Whole(new.data, new.items)
            return
        if not old.startswith(b"["):
            check_kind(name, clip(pointer(key)), "was", self._value(key))
        if before is None:
            self._writes[key] = new
        elif isinstance(before, Grown):
            self._writes[key] = Grown(joined(before.data, new.data), before.items + new.items)
        else:
            self._writes[key] = Whole(joined(old, new.data), before.value + new.items)

    def _value(self, key: str) -> Any:
        """Return the value of a key as it is after the writes so far, or ABSENT."""
        write = self._writes.get(key)
        if isinstance(write, Whole):
            return write.value
        old: Any = ABSENT if self._state.encoded(key) is None else self._state[key]
        return old if write is None else old + write.items

    def _check(self, key: str) -> None:
        if key not in self._rules.schemas or (value := self._value(key)) is ABSENT:
            return
        self._effort = self._effort or Effort()
        if fault := self._rules.fault(key, value, self._effort):
            raise SchemaViolated(key, fault.pointer, fault.detail)


def weight_of(key: str, data: bytes | None) -> int:
    """Return what a key and its value take in the JSON of a state, with colon and comma."""
    return 0 if data is None else len(encode(key)) + len(data) + 2


def gain(key: str, old: bytes | None, new: bytes | None) -> int:
    """Return by how many bytes the JSON of a state grows when a key has a ``new`` value."""
    if old is not None and new is not None:  # as almost always: then the key counts for nothing
        return len(new) - len(old)
    return weight_of(key, new) - weight_of(key, old)


def _growth(old: bytes, added: bytes) -> int:
    """Return by how many bytes a list grows: brackets go, a comma comes between."""
    return 0 if added == b"[]" else len(added) - 2 + (old != b"[]")


def _items(items: list[Any], path: str, *, is_one: bool) -> tuple[bytes, list[Any]]:
    try:
        data, fresh = canonical(items, path)
    except NotJson:
        if is_one:
            canonical(items[0], path + "/-")
        raise
    return data, fresh
