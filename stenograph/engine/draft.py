"""The private dict that a tool is given: a plain dict in every way that knows what was taken.

It holds all values, so that code in C which reads a dict past its methods finds them. Lists and
objects are handed out as fresh decodes, so that what a tool keeps or changes is its own; the keys
handed out, set or deleted are noted, and only those are looked at when the tool has returned.
"""

from __future__ import annotations

import copy
from collections.abc import ItemsView, Iterator, ValuesView
from typing import Any, Final

import msgspec


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
_CONTAINERS: Final = (list, dict)


class Draft(dict[str, Any]):
    """A dict over ``values``, whose JSON is in ``encoded``; see the module."""

    __slots__ = ("_encoded", "_touched")

    def __init__(self, values: dict[str, Any], encoded: dict[str, bytes]) -> None:
        dict.__init__(self, values)
        self._encoded = encoded
        self._touched: dict[str, None] = {}  # a set that keeps its order

    def touched(self) -> list[str]:
        """Return the keys that were handed out, set or deleted, in that order."""
        return list(self._touched)

    def unseen(self) -> list[tuple[str, Any]]:
        """Return the lists and objects that were not handed out, by key."""
        return [
            (key, value)
            for key, value in dict.items(self)
            if isinstance(value, _CONTAINERS) and key not in self._touched
        ]

    def _hand_out(self, key: str, value: Any) -> Any:
        if value.__class__ in _CONTAINERS and key in self and key not in self._touched:
            value = msgspec.json.decode(self._encoded[key])
            dict.__setitem__(self, key, value)
            self._touched[key] = None
        return value

    def _hand_out_all(self) -> None:
        for key, value in list(dict.items(self)):
            self._hand_out(key, value)

    def __getitem__(self, key: str) -> Any:
        return self._hand_out(key, dict.__getitem__(self, key))

    def get(self, key: str, default: Any = None) -> Any:  # noqa: D102
        return self._hand_out(key, dict.get(self, key, default))

    # With an __iter__ of its own, dict(state) and {**state} come through keys() and [] as well.
    def __iter__(self) -> Iterator[str]:
        return dict.__iter__(self)

    def values(self) -> ValuesView[str, Any]:  # type: ignore[override]  # noqa: D102
        self._hand_out_all()
        return dict.values(self)  # type: ignore[return-value]

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]  # noqa: D102
        self._hand_out_all()
        return dict.items(self)  # type: ignore[return-value]

    def __setitem__(self, key: str, value: Any) -> None:
        dict.__setitem__(self, key, value)
        self._touched[key] = None

    def __delitem__(self, key: str) -> None:
        dict.__delitem__(self, key)
        self._touched[key] = None

    def setdefault(self, key: str, default: Any = None) -> Any:  # noqa: D102
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:  # type: ignore[override]  # noqa: D102
        if key not in self:
            return dict.pop(self, key, *default)
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:  # noqa: D102
        key = next(reversed(self), ABSENT)
        if isinstance(key, _Absent):
            raise KeyError("popitem(): dictionary is empty")
        return key, self.pop(key)

    def clear(self) -> None:  # noqa: D102
        self._touched.update(dict.fromkeys(self))
        dict.clear(self)

    def update(self, *others: Any, **named: Any) -> None:  # type: ignore[override]  # noqa: D102
        for key, value in dict(*others, **named).items():
            self[key] = value

    def __ior__(self, other: Any) -> Draft:  # type: ignore[misc, override]
        self.update(other)
        return self

    def __or__(self, other: Any) -> dict[str, Any]:  # type: ignore[override]
        return dict(self) | other

    def __ror__(self, other: Any) -> dict[str, Any]:  # type: ignore[override]
        return other | dict(self)  # type: ignore[no-any-return]

    def copy(self) -> dict[str, Any]:  # noqa: D102
        return dict(self)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return copy.deepcopy(dict(self), memo)

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self),)
