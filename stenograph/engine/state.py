"""A state: one JSON object, kept encoded key by key, and the private copy that a tool is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import msgspec
from msgspec import UNSET

from stenograph.engine.draft import ABSENT, CONTAINERS, Draft
from stenograph.engine.errors import StateTooLarge
from stenograph.engine.patch import PatchOp, patch_key, size_of, target
from stenograph.engine.values import canonical, encode, plain_key, pointer

STATE_MAX_BYTES: Final = 4 * 1024 * 1024
PATCH_MAX_BYTES: Final = 2 * 1024 * 1024 - 64 * 1024
"""One patch is one event, and an event holds at most 2 MiB; the rest is its envelope."""
OWN_MAX_BYTES: Final = 16 * 1024
"""Up to this size a tool's dict shares nothing with any other, and is compared whole."""


class State(Mapping[str, Any]):
    """A JSON object whose keys are decoded when somebody looks, and never shared with tools.

    As a mapping it gives decoded values, which nobody may change. The owner alone calls ``apply``.

    What a tool does to its draft is seen, however it is done, while the state has at most 16 KiB.
    In a larger one a change is not seen, and not recorded, when it is made in place to a list or an
    object that the tool got hold of past the methods of its dict, as ``msgspec.convert(state, T)``
    does in C; set or return the key, and it is. Conditions and all reads in Python are what replay
    gives even then; only the next such conversion may meet the change.
    """

    __slots__ = ("_decoded", "_encoded", "_spare", "_weight")

    def __init__(self, encoded: dict[str, bytes]) -> None:
        self._encoded = encoded
        self._decoded: dict[str, Any] = {}
        self._spare: dict[str, Any] = {}  # decoded for drafts alone
        self._weight = sum(_weight(key, data) for key, data in encoded.items())

    @classmethod
    def from_json(cls, data: bytes) -> State:
        """Read a state from the JSON text of an object."""
        raw = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        return cls({key: bytes(value) for key, value in raw.items()})

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> State:
        """Make a first state of plain values; raises NotJson or StateTooLarge."""
        encoded = {}
        for given, value in values.items():
            key = plain_key(given)
            encoded[key] = canonical(value, pointer(key))[0]
        state = cls(encoded)
        if state.size > PATCH_MAX_BYTES:
            what = f"{state.size:,} bytes of JSON; it may have {PATCH_MAX_BYTES:,} at the start"
            raise StateTooLarge(f"the state has {what}: pass large inputs as a path or an id")
        return state

    @property
    def size(self) -> int:
        """The length of the state's JSON in bytes."""
        return max(2, 1 + self._weight)

    @property
    def _is_small(self) -> bool:
        return self.size <= OWN_MAX_BYTES

    def __getitem__(self, key: str) -> Any:
        if key not in self._decoded:
            self._decoded[key] = msgspec.json.decode(self._encoded[key])
        return self._decoded[key]

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
        twin._spare, twin._weight = self._spare.copy(), self._weight
        return twin

    def apply(self, patch: Iterable[PatchOp]) -> None:
        """Apply operations in place, in order; for the owner alone."""
        for _, at_one_path in groupby(patch, key=attrgetter("path")):
            ops = list(at_one_path)
            key, grows = target(ops[0])
            values = [bytes(op.value) for op in ops if op.value is not UNSET]
            if grows:
                old = self._encoded.get(key, b"[]")
                values = [b"".join((old[:-1], b"," * (len(old) > 2), b",".join(values), b"]"))]
            self._put(key, values[-1] if values else None)

    def _put(self, key: str, new: bytes | None) -> None:
        self._decoded.pop(key, None)
        self._spare.pop(key, None)
        old = self._encoded.get(key) if new is not None else self._encoded.pop(key, None)
        self._weight -= _weight(key, old)
        self._weight += _weight(key, new)
        if new is not None:
            self._encoded[key] = new

    def remember(self, decoded: Mapping[str, Any]) -> None:
        """Keep values that were decoded on the way, so that nobody decodes them again."""
        values = self._decoded if self._is_small else self._spare
        values.update((key, value) for key, value in decoded.items() if key in self)

    def draft(self) -> Draft:
        """Return a private dict of all values for a tool; what it changes is seen by ``update``."""
        # What is taken here comes back with ``update``, or never: a tool that fails may spoil it.
        spare, self._spare = {} if self._is_small else self._spare, {}
        given = {
            key: spare[key] if key in spare else msgspec.json.decode(data)
            for key, data in self._encoded.items()
        }
        return Draft.of(given, {} if self._is_small else self._encoded.copy())

    def update(self, draft: Draft, returned: Mapping[str, Any]) -> Update:
        """Return what a tool changed: what it did to its draft, then what it returned on top.

        Costs as much as the keys that were touched, whatever the rest of the state weighs.
        Raises NotJson or StateTooLarge, and changes nothing.
        """
        touched = draft.touched()
        rest = draft.given_but(touched)
        if not draft.is_lent:
            touched += self._altered(rest)
        final = {plain_key(key): dict.get(draft, key, ABSENT) for key in touched}
        final.update((plain_key(key), value) for key, value in returned.items())
        ops: list[PatchOp] = []
        decoded: dict[str, Any] = {}
        weight = self._weight
        for key, value in final.items():
            old, new = self._encoded.get(key), None
            if value is not ABSENT:
                new, decoded[key] = canonical(value, pointer(key))
            weight += _weight(key, new) - _weight(key, old)
            ops += patch_key(key, old, new)
        _check_size(ops, 1 + weight)
        self._spare = rest if draft.is_lent else {}
        return Update(tuple(ops), decoded)

    def _altered(self, values: Mapping[str, Any]) -> list[str]:
        """Return the keys whose lists and objects are no longer as they were given."""
        return [
            key
            for key, value in values.items()
            if value.__class__ in CONTAINERS and not self._holds(key, value)
        ]

    def _holds(self, key: str, value: object) -> bool:
        """Tell whether a value is still that of ``key``: neither 1 for true, nor NaN for null."""
        try:
            return encode(value) == self._encoded[key] and bool(value == self[key])
        except Exception:
            return False  # it was altered to what cannot be encoded; the check of it says how


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


def _weight(key: str, data: bytes | None) -> int:
    """Return what a key and its value take in the JSON of a state, with colon and comma."""
    return 0 if data is None else len(encode(key)) + len(data) + 2


def _check_size(ops: list[PatchOp], size: int) -> None:
    if size > STATE_MAX_BYTES:
        raise StateTooLarge(
            f"the state would grow to {size:,} bytes of JSON; it may have {STATE_MAX_BYTES:,}"
        )
    if (change := size_of(ops)) > PATCH_MAX_BYTES:
        raise StateTooLarge(
            f"the change has {change:,} bytes of JSON; one step may write {PATCH_MAX_BYTES:,}"
        )
