"""The private dict that a tool is given: a plain dict in every way that knows what was taken.

It holds all its values, so that code in C which reads a dict past its methods finds them. In a
large state the lists and objects among them are lent: the next tool's dict holds them again. They
are handed out as fresh decodes, so that what a tool keeps or changes is its own, and only the keys
that were handed out, set or deleted need be looked at when it has returned.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, ValuesView
from typing import Any, Final

import msgspec


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
CONTAINERS: Final = frozenset({list, dict})
"""The types whose values can be changed in place."""


class Draft(dict[str, Any]):
    """A dict of ``given`` values; ``lent`` is the JSON of those that the tool must not get hold of.

    Made by ``Draft.of``: ``type(state)(…)``, an idiom for one more of the same, is a plain dict.
    """

    __slots__ = ("_given", "_lent", "_set")

    _given: dict[str, Any]
    _lent: Mapping[str, bytes]
    _set: dict[str, None]  # a set that keeps its order

    def __new__(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[misc]  # noqa: D102
        return dict(*args, **kwargs)

    @classmethod
    def of(cls, given: dict[str, Any], lent: Mapping[str, bytes]) -> Draft:
        """Return a draft; both are its own from now on."""
        draft = dict.__new__(cls)
        dict.update(draft, given)
        draft._given, draft._lent, draft._set = given, lent, {}
        return draft

    @property
    def is_lent(self) -> bool:
        """Whether lists and objects in it were lent, and so not looked at unless touched."""
        return bool(self._lent)

    def touched(self) -> list[str]:
        """Return the keys that were deleted, set or handed out, also past the methods here."""
        gone = [key for key in self._given if key not in self]
        taken = [
            key for key, value in dict.items(self) if value is not self._given.get(key, ABSENT)
        ]
        return list(dict.fromkeys([*gone, *self._set, *taken]))

    def has_touched(self, key: str) -> bool:
        """Tell whether a key is among the ``touched``."""
        return key in self._set or dict.get(self, key, ABSENT) is not self._given.get(key, ABSENT)

    def given_but(self, touched: Iterable[str]) -> dict[str, Any]:
        """Return the values that were given, but for those of ``touched`` keys."""
        rest = self._given.copy()
        for key in touched:
            rest.pop(key, None)
        return rest

    def _own(self, key: str, value: Any) -> Any:
        """Return a value, or in place of one that is lent a fresh decode."""
        is_lent = key in self._lent and key not in self._set and value is self._given.get(key)
        return msgspec.json.decode(self._lent[key]) if is_lent else value

    def _hand_out(self, key: str, value: Any) -> Any:
        if value.__class__ in CONTAINERS:
            value = self._own(key, value)
            dict.__setitem__(self, key, value)
        return value

    def _hand_out_all(self) -> None:
        for key, value in list(dict.items(self)):
            self._hand_out(key, value)

    def __getitem__(self, key: str) -> Any:
        return self._hand_out(key, dict.__getitem__(self, key))

    def get(self, key: str, default: Any = None, /) -> Any:  # noqa: D102
        value = dict.get(self, key, ABSENT)
        return default if value is ABSENT else self._hand_out(key, value)

    # With an __iter__ of its own, dict(state) and {**state} come through keys() and [] as well.
    def __iter__(self) -> Iterator[str]:
        return dict.__iter__(self)

    def values(self) -> ValuesView[Any]:  # type: ignore[override]  # noqa: D102
        self._hand_out_all()
        return dict.values(self)

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]  # noqa: D102
        self._hand_out_all()
        return dict.items(self)

    def __setitem__(self, key: str, value: Any) -> None:
        dict.__setitem__(self, key, value)
        self._set[key] = None

    def setdefault(self, key: str, default: Any = None, /) -> Any:  # noqa: D102
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, /, *default: Any) -> Any:  # noqa: D102
        return self._own(key, dict.pop(self, key, *default))

    def popitem(self) -> tuple[str, Any]:  # noqa: D102
        key, value = dict.popitem(self)
        return key, self._own(key, value)

    def update(self, /, *others: Any, **named: Any) -> None:  # noqa: D102
        new = dict(*others, **named)
        dict.update(self, new)
        self._set.update(dict.fromkeys(new))

    def __ior__(self, other: Any) -> Draft:  # type: ignore[override]
        self.update(other)
        return self

    def __or__(self, other: Any) -> Any:
        return dict(self) | other

    def __ror__(self, other: Any) -> Any:
        return other | dict(self)

    def copy(self) -> dict[str, Any]:  # noqa: D102
        return dict(self)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        twin: dict[str, Any] = {}
        memo[id(self)] = twin  # before its values, which may hold it again
        twin.update((key, copy.deepcopy(value, memo)) for key, value in self.items())
        return twin

    def __reduce__(self) -> tuple[Callable[[], Any], tuple[()], None, None, Iterator[Any]]:
        return dict, (), None, None, iter(self.items())
