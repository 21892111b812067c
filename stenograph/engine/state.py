"""A state: one JSON object, kept encoded key by key, and the private copy that a tool is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET

from stenograph.engine.draft import ABSENT, Draft
from stenograph.engine.errors import NotJson, StateTooLarge
from stenograph.engine.patch import PatchOp, patch_key, target
from stenograph.engine.values import canonical, encode, is_utf8, pointer

STATE_MAX_BYTES: Final = 4 * 1024 * 1024
PATCH_MAX_BYTES: Final = 2 * 1024 * 1024 - 64 * 1024
"""One patch is one event, and an event holds at most 2 MiB; the rest is its envelope."""
CHECK_ALL_BYTES: Final = 16 * 1024
"""Up to this size a whole state is compared after a tool, not only the keys it was seen to take."""


class State(Mapping[str, Any]):
    """A JSON object whose keys are decoded when somebody looks, and never shared with tools.

    As a mapping it gives decoded values, which nobody may change. The owner alone calls ``apply``.
    """

    __slots__ = ("_decoded", "_encoded", "size")

    def __init__(self, encoded: dict[str, bytes]) -> None:
        self._encoded = encoded
        self._decoded: dict[str, Any] = {}
        self.size = 2 + sum(_size(key, data) for key, data in encoded.items())

    @classmethod
    def from_json(cls, data: bytes) -> State:
        """Read a state from the JSON text of an object."""
        raw = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        return cls({key: bytes(value) for key, value in raw.items()})

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> State:
        """Make a first state of plain values; raises NotJson or StateTooLarge."""
        encoded = {}
        for key, value in values.items():
            _check_key(key)
            encoded[key] = canonical(value, pointer(key))[0]
        state = cls(encoded)
        if state.size > PATCH_MAX_BYTES:
            what = f"{state.size:,} bytes of JSON; it may have {PATCH_MAX_BYTES:,} at the start"
            raise StateTooLarge(f"the state has {what}: pass large inputs as a path or an id")
        return state

    def __getitem__(self, key: str) -> Any:
        try:
            return self._decoded[key]
        except KeyError:
            value = self._decoded[key] = msgspec.json.decode(self._encoded[key])
            return value

    def __contains__(self, key: object) -> bool:
        return key in self._encoded

    def __iter__(self) -> Iterator[str]:
        return iter(self._encoded)

    def __len__(self) -> int:
        return len(self._encoded)

    def to_json(self) -> bytes:
        """Return the whole state as JSON text."""
        fields = (encode(key) + b":" + data for key, data in self._encoded.items())
        return b"{" + b",".join(fields) + b"}"

    def to_values(self) -> dict[str, Any]:
        """Return the whole state as a fresh dict of its own."""
        values: dict[str, Any] = msgspec.json.decode(self.to_json())
        return values

    def copy(self) -> State:
        """Return a state that changes apart from this one."""
        twin = State.__new__(State)
        twin._encoded, twin._decoded = self._encoded.copy(), self._decoded.copy()
        twin.size = self.size
        return twin

    def apply(self, patch: Iterable[PatchOp]) -> None:
        """Apply operations in place, in order; for the owner alone."""
        for op in patch:
            key, grows = target(op)
            old = self._encoded.pop(key) if op.op == "remove" else self._encoded.get(key)
            self._decoded.pop(key, None)
            if old is not None:
                self.size -= _size(key, old)
            if op.value is not UNSET:
                new = bytes(op.value)
                if grows and old is not None:
                    new = old[:-1] + (b"," if len(old) > 2 else b"") + new + b"]"
                self._encoded[key] = new
                self.size += _size(key, new)

    def remember(self, decoded: Mapping[str, Any]) -> None:
        """Keep values that were decoded on the way, so that nobody decodes them again."""
        self._decoded.update((key, value) for key, value in decoded.items() if key in self)

    def draft(self) -> Draft:
        """Return a private dict of all values for a tool; what it changes is seen by ``update``."""
        if len(self._decoded) != len(self._encoded):
            for key in self._encoded:
                self[key]
        return Draft({key: self._decoded[key] for key in self._encoded}, self._encoded)

    def update(self, draft: Draft, returned: Mapping[str, Any]) -> Update:
        """Return what a tool changed: what it did to its draft, then what it returned on top.

        Costs as much as the keys that were touched, whatever the rest of the state weighs.
        Raises NotJson or StateTooLarge, and changes nothing.
        """
        touched = draft.touched()
        if self.size <= CHECK_ALL_BYTES:
            touched += self._altered_unseen(draft)
        final: dict[str, Any] = {key: dict.get(draft, key, ABSENT) for key in touched}
        final.update(returned)
        ops: list[PatchOp] = []
        decoded: dict[str, Any] = {}
        size = self.size
        for key, value in final.items():
            _check_key(key)
            old, new = self._encoded.get(key), None
            if value is not ABSENT:
                new, decoded[key] = canonical(value, pointer(key))
                size += _size(key, new)
            size -= _size(key, old) if old is not None else 0
            ops += patch_key(key, old, new)
        _check_size(ops, size)
        return Update(tuple(ops), decoded)

    def _altered_unseen(self, draft: Draft) -> list[str]:
        """Return keys altered through C code that reads a dict past its methods (msgspec.convert)."""
        altered = []
        for key, value in draft.unseen():
            try:
                same = encode(value) == self._encoded[key]
            except Exception:
                same = False  # what cannot be encoded any more was altered; the check says how
            if not same:
                altered.append(key)
                self._decoded.pop(key, None)  # the tool has altered this very value
        return altered


class Update:
    """What a tool changed: the patch for the journal, and the new values, decoded, by key."""

    __slots__ = ("decoded", "patch")

    def __init__(self, patch: tuple[PatchOp, ...] = (), decoded: dict[str, Any] | None = None):
        self.patch = patch
        self.decoded = decoded or {}

    def over(self, state: State) -> Mapping[str, Any]:
        """Return the state as it will be once the patch is applied, without copying the rest."""
        return _Patched(state, self) if self.patch else state


class _Patched(Mapping[str, Any]):
    def __init__(self, state: State, update: Update) -> None:
        self._state, self._new = state, update.decoded
        self._gone = {target(op)[0] for op in update.patch if op.op == "remove"}

    def __getitem__(self, key: str) -> Any:
        if key in self._new:
            return self._new[key]
        if key in self._gone:
            raise KeyError(key)
        return self._state[key]

    def __iter__(self) -> Iterator[str]:
        yield from (key for key in self._state if key not in self._gone)
        yield from (key for key in self._new if key not in self._state)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _size(key: str, data: bytes) -> int:
    return len(key) + len(data) + 4  # quotes, colon and comma


def _check_key(key: object) -> None:
    if not (isinstance(key, str) and is_utf8(key)):
        raise NotJson("", f"has the key {key!r}; the keys of a state are text")


def _check_size(ops: list[PatchOp], size: int) -> None:
    change = sum(len(bytes(op.value)) + len(op.path) for op in ops if op.value is not UNSET)
    if size > STATE_MAX_BYTES:
        raise StateTooLarge(
            f"the state would grow to {size:,} bytes of JSON; it may have {STATE_MAX_BYTES:,}"
        )
    if change > PATCH_MAX_BYTES:
        raise StateTooLarge(
            f"the change has {change:,} bytes of JSON; one step may write {PATCH_MAX_BYTES:,}"
        )
