"""A state: one JSON object, kept encoded key by key, and the private copy that a tool is given."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import msgspec
from msgspec import UNSET

from stenograph.engine.bounds import BOUNDS, Bounds
from stenograph.engine.errors import StateRefused, StateTooLarge
from stenograph.engine.graphs.schemas import Effort
from stenograph.engine.state.patch import PatchOp, joined, size_of, target
from stenograph.engine.state.rules import NO_RULES, Rules
from stenograph.engine.state.writes import Outcome, Writes, gain, weight_of
from stenograph.engine.tools.draft import ABSENT, CONTAINERS, Draft
from stenograph.engine.values import canonical, encode, plain_key, pointer

OWN_MAX_BYTES: Final = 16 * 1024
"""Up to this size a tool's dict shares nothing with any other, and is compared whole."""
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class State(Mapping[str, Any]):
    """A JSON object whose keys are decoded when somebody looks, and never shared with tools.

    As a mapping it gives decoded values, which nobody may change. The owner alone calls ``apply``.

    What a tool does to its draft is seen, however it is done, while the state has at most 16 KiB.
    In a larger one a change is not seen, and not recorded, when it is made in place to a list or an
    object that the tool got hold of past the methods of its dict, as ``msgspec.convert(state, T)``
    does in C; set or return the key, and it is. Conditions and all reads in Python are what replay
    gives even then; only the next such conversion may meet the change.
    """

    __slots__ = ("_decoded", "_digests", "_drafts", "_encoded", "_spare", "_weight")

    def __init__(self, encoded: dict[str, bytes]) -> None:
        self._encoded = encoded
        self._decoded: dict[str, Any] = {}
        self._spare: dict[str, Any] = {}  # decoded for drafts alone
        self._drafts = 0  # how many were made
        self._digests: dict[str, bytes] = {}
        self._weight = sum(weight_of(key, data) for key, data in encoded.items())

    @classmethod
    def from_json(cls, data: bytes) -> State:
        """Read a state from the JSON text of an object."""
        return cls({key: bytes(value) for key, value in _OBJECT.decode(data).items()})

    @classmethod
    def from_values(
        cls, values: Mapping[str, Any], rules: Rules = NO_RULES, bounds: Bounds = BOUNDS
    ) -> State:
        """Make a first state of plain values.

        Raises NotJson, StateTooLarge, or StateRefused with everything that does not fit its schema.
        """
        fresh = {}
        for given, value in values.items():
            key = plain_key(given)
            fresh[key] = canonical(value, pointer(key))
        state = cls({key: data for key, (data, _) in fresh.items()})
        if state.size > (most := min(bounds.state_bytes, bounds.change_bytes)):
            what = f"{state.size:,} bytes of JSON; it may have {most:,} at the start"
            raise StateTooLarge(f"the state has {what}: pass large inputs as a path or an id")
        effort = Effort()
        faults = [rules.fault(key, value, effort) for key, (_, value) in fresh.items()]
        if found := [fault for fault in faults if fault]:
            raise StateRefused(found)
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

    def encoded(self, key: str) -> bytes | None:
        """Return the JSON of a key's value; None when there is no such key."""
        return self._encoded.get(key)

    def raw(self) -> Iterable[tuple[str, bytes]]:
        """Return all keys, each with the JSON of its value."""
        return self._encoded.items()

    def to_json(self) -> bytes:
        """Return the whole state as JSON text."""
        fields = (encode(key) + b":" + data for key, data in self._encoded.items())
        return b"{" + b",".join(fields) + b"}"

    def to_values(self) -> dict[str, Any]:
        """Return the whole state as a fresh dict of its own."""
        values: dict[str, Any] = msgspec.json.decode(self.to_json())
        return values

    def digest(self) -> bytes:
        """Return a hash of the state, in whatever order its keys are.

        Asked again it costs as much as the values that changed, and little a key.
        """
        for key in self._encoded.keys() - self._digests.keys():
            self._digests[key] = hashlib.sha256(self._encoded[key]).digest()
        return hashlib.sha256(encode(sorted(self._digests.items()))).digest()

    def copy(self) -> State:
        """Return a state that changes apart from this one."""
        twin = State.__new__(State)
        twin._encoded, twin._decoded = self._encoded.copy(), self._decoded.copy()
        twin._spare, twin._weight = self._spare.copy(), self._weight
        twin._digests, twin._drafts = self._digests.copy(), self._drafts
        return twin

    def succeed(self, original: State) -> None:
        """Take the place of the state that this one is a copy of.

        What was handed out there meanwhile is not handed out again here.
        """
        if self._drafts != original._drafts:
            self._drafts, self._spare = original._drafts, {}

    def child(self, extra: Mapping[str, bytes], gone: Iterable[str] = ()) -> State:
        """Return a copy without some keys and with others put on top as JSON: a branch's view."""
        twin = self.copy()
        for key in gone:
            twin._put(key, None)
        for key, data in extra.items():
            twin._put(key, data)
        return twin

    def apply(self, patch: Iterable[PatchOp]) -> None:
        """Apply operations in place, in order; for the owner alone."""
        for ops in _by_path(tuple(patch)):
            key, grows = target(ops[0])
            values = [bytes(op.value) for op in ops if op.value is not UNSET]
            if grows:
                self._grow(key, b"[" + b",".join(values) + b"]")
            else:
                self._put(key, values[-1] if values else None)

    def _grow(self, key: str, items: bytes) -> None:
        """Add to the end of a list; what was decoded of it stays so."""
        decoded, spare = self._decoded.get(key), self._spare.get(key)
        self._put(key, joined(self._encoded.get(key, b"[]"), items))
        # New lists: the old ones may be another copy's, or lie in the dict of a tool.
        if decoded is not None:
            self._decoded[key] = decoded + msgspec.json.decode(items)
        if spare is not None:
            self._spare[key] = spare + msgspec.json.decode(items)

    def _put(self, key: str, new: bytes | None) -> None:
        for known in (self._decoded, self._spare, self._digests):
            if key in known:
                del known[key]
        self._weight += gain(key, self._encoded.get(key), new)
        if new is not None:
            self._encoded[key] = new
        else:
            self._encoded.pop(key, None)

    def remember(self, decoded: Mapping[str, Any]) -> None:
        """Keep values that were decoded on the way, so that nobody decodes them again."""
        values = self._decoded if self._is_small else self._spare
        for key, value in decoded.items():
            if key in self._encoded:
                values[key] = value

    def regain(self, twin: State) -> None:
        """Take over what was decoded for the drafts of a copy, of the values that are still there."""
        for key, value in twin._spare.items():
            if self._encoded.get(key) is twin._encoded[key]:
                self._spare[key] = value

    def rest(self) -> None:
        """Let go of the decoded values of a large state: kept, they cost memory and collections."""
        if not self._is_small:
            self._decoded, self._spare = {}, {}

    def draft(self) -> Draft:
        """Return a private dict of all values for a tool; what it changes is seen by ``update``."""
        # What is taken here comes back with ``update``, or never: a tool that fails may spoil it.
        spare, self._spare = {} if self._is_small else self._spare, {}
        self._drafts += 1
        given = {
            key: spare[key] if key in spare else msgspec.json.decode(data)
            for key, data in self._encoded.items()
        }
        return Draft.of(given, {} if self._is_small else self._encoded.copy())

    def update(
        self,
        draft: Draft,
        returned: Mapping[str, Any],
        rules: Rules = NO_RULES,
        bounds: Bounds = BOUNDS,
    ) -> Update:
        """Return what a tool changed: what it did to its draft, then what it returned on top.

        What was changed in place is the new value; what was returned meets it by its key's reducer.
        Costs as much as the keys that were touched, whatever the rest of the state weighs.
        Raises WriteRefused, and changes nothing.
        """
        touched = draft.touched()
        rest = draft.given_but(touched)
        if not draft.is_lent:
            touched += self._altered(rest)
        writes = Writes(self, rules)
        for key in touched:
            writes.set(plain_key(key), dict.get(draft, key, ABSENT))
        for key, value in returned.items():
            writes.reduce(plain_key(key), value)
        update = self.update_of(writes, bounds)
        self._spare = rest if draft.is_lent else {}
        return update

    def accept(
        self, values: Mapping[str, Any], rules: Rules = NO_RULES, bounds: Bounds = BOUNDS
    ) -> Update:
        """Return what values from outside change, each by its key's reducer; raises WriteRefused."""
        writes = Writes(self, rules)
        for key, value in values.items():
            writes.reduce(plain_key(key), value)
        return self.update_of(writes, bounds)

    def accept_json(self, key: str, data: bytes, rules: Rules, bounds: Bounds) -> Update:
        """Return what one value changes, as ``accept`` does; it came as JSON."""
        writes = Writes(self, rules)
        writes.reduce_json(plain_key(key), data)
        return self.update_of(writes, bounds)

    def take(
        self,
        values: Mapping[str, Any],
        rules: Rules,
        *,
        given: Collection[str],
        gone: Iterable[str],
        bounds: Bounds = BOUNDS,
    ) -> Update:
        """Return what a sub-graph's values change; raises WriteRefused.

        A key that it was ``given`` has its new value, as if changed in place, and one that is
        ``gone`` goes; others meet their reducer.
        """
        writes = Writes(self, rules)
        for key in gone:
            writes.set(key, ABSENT)
        for key, value in values.items():
            if key in given:
                writes.set(key, value)
            else:
                writes.reduce(key, value)
        return self.update_of(writes, bounds)

    def update_of(self, writes: Writes, bounds: Bounds = BOUNDS) -> Update:
        """Return what writes to this state come to; raises StateTooLarge or SchemaViolated."""
        outcome = writes.outcome()
        _check_size(outcome, 1 + self._weight + outcome.weight, bounds)
        return Update(outcome.patch, outcome.decoded, outcome.grown)

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
    """What was changed: the patch for the journal, and decoded by key new values and list ends."""

    __slots__ = ("decoded", "grown", "patch")

    def __init__(
        self,
        patch: tuple[PatchOp, ...] = (),
        decoded: dict[str, Any] | None = None,
        grown: dict[str, list[Any]] | None = None,
    ) -> None:
        self.patch = patch
        self.decoded = decoded or {}
        self.grown = grown or {}


def _by_path(patch: tuple[PatchOp, ...]) -> Iterable[Sequence[PatchOp]]:
    """Return the operations of a patch, together those that follow each other at one path."""
    if len(patch) == 1:  # as almost every patch has
        return (patch,)
    return (tuple(ops) for _, ops in groupby(patch, key=attrgetter("path")))


def _check_size(outcome: Outcome, size: int, bounds: Bounds) -> None:
    if size > (most := bounds.state_bytes) and outcome.weight > 0:
        raise StateTooLarge(f"the state would grow to {size:,} bytes of JSON; it may have {most:,}")
    if (change := size_of(outcome.patch)) > (most := bounds.change_bytes):
        raise StateTooLarge(f"the change has {change:,} bytes of JSON; one step may write {most:,}")
