"""What is noted while a graph of another shape is read: faults, assumptions, and places."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from stenograph.engine.bounds import Bounds
from stenograph.engine.graphs.reading import HINTS_MAX, Reader, did_you_mean
from stenograph.engine.values import pointer

HARMLESS: Final = frozenset({"description", "label", "metadata"})
"""What other engines keep for people; it is left out, and nothing is said of it."""


class Given(Struct, frozen=True):
    """A value, and the pointer to where a client gave it."""

    value: Any
    path: str


class Places:
    """Where each part of a canonical graph stood in what a client gave.

    What was ``copied`` is the same within, too; of what was ``made`` only the whole had a place.
    """

    def __init__(self) -> None:
        self.copied: dict[str, str] = {"": ""}
        self.made: dict[str, str] = {}

    def place(self, at: str) -> str:
        """Return the client's pointer for a pointer into the canonical graph."""
        rest = ""
        while True:
            if at in self.copied:
                return self.copied[at] + rest
            if at in self.made:
                return self.made[at]
            at, _, last = at.rpartition("/")
            rest = f"/{last}{rest}"


class Notes:
    """Collects faults and warnings with the client's pointers, and knows what can be named."""

    def __init__(self, predicates: Collection[str], bounds: Bounds) -> None:
        self.predicates, self.bounds = predicates, bounds
        self.names: Mapping[str, str] = {}
        """The nodes that were found, and where."""
        self.places = Places()
        self.faults, self.warnings = Reader(), Reader()

    def fault(self, path: str, detail: str) -> None:
        """Note what is wrong."""
        self.faults.fault(path, detail)

    def warn(self, path: str, detail: str) -> None:
        """Note what was assumed."""
        self.warnings.fault(path, detail)

    def hint(self, name: str, names: Iterable[str]) -> str:
        """Return what might have been meant, for the first warnings only, as it takes time."""
        return did_you_mean(name, names) if len(self.warnings.faults) < HINTS_MAX else ""

    def one(self, data: Mapping[Any, Any], names: Iterable[str], path: str) -> Given | None:
        """Return what an object gives under one of several names; null is as good as nothing."""
        found: Given | None = None
        first = ""
        for name in names:
            value = data.get(name)
            if value is not None and found is None:
                found, first = Given(value, path + pointer(name)), name
            elif found is not None and value is not None and not _same(value, found.value):
                detail = f"differs from {first}; they are one thing: give one of them"
                self.fault(path + pointer(name), detail)
        return found

    def ignore(self, data: Mapping[Any, Any], known: Collection[str], path: str) -> None:
        """Warn of each field of an object that has no meaning there."""
        for name, value in data.items():
            if name not in known and name not in HARMLESS and value is not None:
                self.warn(path + pointer(name), "is ignored; it means nothing here")


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values are one; of lists and objects, which may be deep, it is not asked."""
    return (
        isinstance(one, str | int | float) and isinstance(other, str | int | float) and one == other
    )
