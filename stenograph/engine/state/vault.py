"""The vault: what stands for a secret in events and states, and the values that tools get for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from stenograph.engine.errors import SecretLeaked, SecretRefused, StateTooLarge
from stenograph.engine.state.masking import Mask
from stenograph.engine.tools.draft import ABSENT
from stenograph.engine.values import canonical, encode, pointer

SECRETS_MAX_BYTES: Final = 256 * 1024
"""Most bytes of JSON that the secrets of one step may have together."""

_MARK: Final = "$secret"


class Sealed(Struct, frozen=True):
    """``values`` as they may be written down, and the ``secrets`` to store, JSON by name."""

    values: dict[str, Any]
    secrets: dict[str, bytes]


class Vault:
    """The secrets of one run, as the keys that one graph declares secret see them.

    ``values`` are the decoded values by name, ``key#n``. What is sealed here is known at once, and
    masked, also before it is stored. Names are never given twice: ``n`` goes on from the highest
    there is and from ``after``, which is the run's ``seq`` once it has forgotten secrets, else 0.
    """

    def __init__(
        self, keys: Collection[str], values: Mapping[str, Any] | None = None, *, after: int = 0
    ) -> None:
        self.keys = frozenset(keys)
        self.values = dict(values or {})
        self._mask = Mask()
        self._last: dict[str, int] = {}
        self._after = after
        for name, value in self.values.items():
            self._learn(name, value)

    @classmethod
    def stored(cls, keys: Collection[str], stored: Mapping[str, bytes], *, after: int = 0) -> Vault:
        """Return a vault of what the journal has kept."""
        decoded = {name: msgspec.json.decode(value) for name, value in stored.items()}
        return cls(keys, decoded, after=after)

    def with_keys(self, keys: Collection[str]) -> Vault:
        """Return the same vault for another graph of the run: a sub-graph."""
        twin = Vault.__new__(Vault)
        twin.__dict__.update(self.__dict__)
        twin.keys = frozenset(keys)
        return twin

    def open(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Return the real values of the secret keys of a state, fresh: for a tool and nobody else.

        Keys that are not there, and references whose secret was forgotten, are left out.
        """
        return {
            key: canonical(self.values[name], pointer(key))[1]
            for key in sorted(self.keys & state.keys())
            if (name := name_in(state[key])) in self.values
        }

    def missing(self, state: Mapping[str, Any]) -> list[str]:
        """Return the secret keys of a state whose values are forgotten, as after the run's end."""
        names = {key: name_in(state[key]) for key in sorted(self.keys & state.keys())}
        return [key for key, name in names.items() if name is not None and name not in self.values]

    def seal_given(self, values: Mapping[str, Any]) -> Sealed:
        """Seal what comes from outside: a first state, or a signal's payload under its key.

        Raises SecretRefused, NotJson or StateTooLarge.
        """
        given = {key: value for key, value in values.items() if key in self.keys}
        for key, value in given.items():
            if name_in(value) is not None:
                raise SecretRefused(key)
        sealed = self._seal(given)
        return Sealed({**values, **sealed.values}, sealed.secrets)

    def seal(self, state: Mapping[str, Any], changed: Mapping[str, Any]) -> Sealed:
        """Seal what a tool made of secret keys; ``ABSENT`` is a key that it deleted, and stays that.

        A value that is the old one gets the old reference. Other keys are left out.
        Raises NotJson or StateTooLarge.
        """
        mine = {key: value for key, value in changed.items() if key in self.keys}
        kept = {
            key: state[key] for key in mine if key in state and self._is_as_in(state, key, mine)
        }
        gone = {key: ABSENT for key, value in mine.items() if value is ABSENT}
        new = {key: mine[key] for key in mine.keys() - kept.keys() - gone.keys()}
        sealed = self._seal({key: new[key] for key in mine if key in new})
        return Sealed({**kept, **gone, **sealed.values}, sealed.secrets)

    def seal_across(self, values: Mapping[str, Any], secret: Collection[str]) -> Sealed:
        """Seal what goes from one graph's state into that of this vault's graph.

        ``secret`` are those of the keys in ``values`` that were secret where they come from. There a
        reference is the engine's own and goes on; anywhere else it is data like any other.
        """
        foreign = {
            key: value
            for key, value in values.items()
            if key in self.keys and not (key in secret and name_in(value) is not None)
        }
        sealed = self._seal(foreign)
        return Sealed({**values, **sealed.values}, sealed.secrets)

    @property
    def longest(self) -> int:
        """The length of the longest text that is masked, in characters."""
        return self._mask.longest

    def mask(self, text: str) -> str:
        """Return text with ``[secret KEY]`` in place of every secret; mask first, then cut."""
        return self._mask.mask(text)

    def mask_json(self, data: bytes) -> bytes:
        """Return JSON text with every secret in it masked; it stays JSON."""
        return self._mask.mask_json(data)

    def leak(self, data: bytes) -> str | None:
        """Return the key whose secret stands in a JSON value about to be written, or None.

        References are no leak.
        """
        return self._mask.leak(data)

    def check(self, data: bytes, where: str) -> None:
        """Raise SecretLeaked when a secret stands in a JSON value; ``where`` names that in words."""
        if (key := self.leak(data)) is not None:
            raise SecretLeaked(key, where)

    def _is_as_in(self, state: Mapping[str, Any], key: str, changed: Mapping[str, Any]) -> bool:
        """Tell whether a key has the value that it had, or, that being forgotten, its reference."""
        value, old = changed[key], name_in(state[key])
        if value is ABSENT:
            return False
        if old is None:  # plain where it came from: a reference now would change what it is
            return canonical(value, pointer(key))[0] == encode(state[key])
        if old not in self.values:
            return name_in(value) == old
        path = pointer(key)
        return canonical(value, path)[0] == canonical(self.values[old], path)[0]

    def _seal(self, values: Mapping[str, Any]) -> Sealed:
        encoded = {key: canonical(value, pointer(key)) for key, value in values.items()}
        if (size := sum(len(data) for data, _ in encoded.values())) > SECRETS_MAX_BYTES:
            what = f"{size:,} bytes of JSON; they may have {SECRETS_MAX_BYTES:,} together"
            raise StateTooLarge(f"the secrets {', '.join(sorted(values))[:300]} have {what}")
        refs: dict[str, Any] = {}
        secrets: dict[str, bytes] = {}
        for key, (data, value) in encoded.items():
            name = f"{key}#{self._next(key)}"
            refs[key], secrets[name] = ref_of(name), data
            self.values[name] = value
            self._learn(name, value)
        return Sealed(refs, secrets)

    def _next(self, key: str) -> int:
        return max(self._last.get(key, 0), self._after) + 1

    def _learn(self, name: str, value: Any) -> None:
        key, _, number = name.rpartition("#")
        self._last[key] = max(self._last.get(key, 0), int(number))
        self._mask.add(key, name, value)


def ref_of(name: str) -> dict[str, str]:
    """Return what stands for the secret of that name."""
    return {_MARK: name}


def name_in_json(data: bytes) -> str | None:
    """Return the name of the secret that a value, as JSON, stands for, or None: then it is a value."""
    return name_in(msgspec.json.decode(data)) if data else None


def name_in(value: Any) -> str | None:
    """Return the name of the secret that a value stands for, or None: then it is a value."""
    if isinstance(value, dict) and len(value) == 1:
        name = value.get(_MARK)
        return name if isinstance(name, str) else None
    return None
