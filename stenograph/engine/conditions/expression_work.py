"""The work that conditions may do: what goes over whole values is charged before it is done.

The nodes that a tree may have bound how many operations there are, and this how much they do together:
each operation could go over a state of megabytes. One part
is about a nanosecond, but the count depends on the values alone, so that a decision can be made
again. What a few hundred operations can do unseen, as on numbers, is free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import NoneType
from typing import Any, Final

from msgspec import Struct

from stenograph.engine.conditions.expression_values import (
    COLLECTIONS,
    TEXT_MAX_CHARS,
    EvaluationError,
    weight,
)

WORK_MAX: Final = 40_000_000
"""Most parts of the conditions of a node: 400,000 items compared, or 13 million characters searched."""
GLANCE: Final = 20
"""Of an item that is held against a plain value, or asked whether it is true."""
ITEM: Final = 100
"""Of an item that is weighed, as it may be a collection, and compared."""
ENTRY: Final = 200
"""Of a key of a dict and its value."""
COLLECTION: Final = 250
"""Of a list or a dict, besides what it holds."""
SEARCHED: Final = 3
"""Of a character of a text that another is searched in."""
SPELLED: Final = 8
"""How much more it takes to make something a text than to compare it."""
SHORT: Final = 64
"""Texts and lists up to this length are compared, or looked through for what is plain, for free."""

SCALARS: Final[frozenset[type]] = frozenset({int, float, bool, NoneType})
PLAIN: Final = SCALARS | {str}
NATIVE: Final = PLAIN | {list, dict}


class TooLong(Exception):
    """What is done in haste takes longer than that; do it again, with time."""


class Budget(Struct, gc=False):
    """How many parts there are ``left`` to do; ``hasty``: whether who asked could take more time."""

    left: int = WORK_MAX
    hasty: bool = False


class Reads(Struct, gc=False):
    """What one evaluation ``found``, by the paths of its look-ups, and what it may still do.

    ``whole`` is the state as a dict, once one was needed.
    """

    found: dict[str, Any]
    budget: Budget
    whole: dict[str, Any] | None = None

    def charge(self, parts: int, user: str, position: int) -> None:
        """Take parts for ``user``, an operator or function; raises EvaluationError, or TooLong."""
        budget = self.budget
        budget.left -= parts
        if budget.left < 0:
            if budget.hasty:
                raise TooLong
            message = (
                f"with `{user}` the node's conditions go over more data than they may together; "
                "let a tool do that, and test its result here"
            )
            raise EvaluationError(message, position)

    def compare(self, symbol: str, left: Any, right: Any, position: int) -> None:
        """Charge what a comparison may cost."""
        weigh = COMPARED.get(symbol)
        if weigh and (parts := weigh(left, right, self.budget.left)):
            self.charge(parts, symbol, position)

    def plain(self, value: Any, user: str, position: int) -> Any:
        """Return a value for comparing: the state, which is no dict, as a dict made only once."""
        if type(value) in NATIVE or not isinstance(value, Mapping):
            return value
        if self.whole is None:
            self.charge(ENTRY * len(value), user, position)
            self.whole = dict(value)
        return self.whole


def is_small(value: Any) -> bool:
    """Return whether comparing with a value costs no more than a glance."""
    return type(value) in SCALARS or (isinstance(value, str) and len(value) <= SHORT)


def equal(left: Any, right: Any, most: int) -> int:
    """Return the parts of ``==``, which ends at once between other kinds and other lengths."""
    kind = type(left)
    if kind in SCALARS or kind is not type(right) or len(left) != len(right):
        return 0
    if kind is str:
        return len(left) // 4
    if kind is list and len(right) <= SHORT and SCALARS.issuperset(map(type, right)):
        return 0
    return deep(right, most)


def ordered(left: Any, right: Any, most: int) -> int:
    """Return the parts of ``<`` and its like."""
    if isinstance(left, str) and isinstance(right, str):
        return min(len(left), len(right)) // 4
    if isinstance(left, list) and isinstance(right, list):
        return deep(right[: len(left)], most, deeper=1)
    return 0


def found(left: Any, right: Any, most: int) -> int:
    """Return the parts of ``in``; a key is found in a dict at once."""
    if isinstance(right, str):
        return searched(len(left), len(right)) if isinstance(left, str) else 0
    if not isinstance(right, list):
        return 0
    if is_small(left):
        return GLANCE * len(right) if len(right) > SHORT else 0
    glances = ITEM * len(right)
    if glances > most:
        return glances
    alike = [item for item in right if type(item) is type(left) and len(item) == len(left)]
    return glances + deep(alike, most) if alike else glances


def searched(short: int, long: int) -> int:
    """Return the parts of a search for a text of one length in a text of another.

    CPython may hold the short one against each place of a text that is not long; beyond, its search
    takes linear time.
    """
    if short > long or long <= SHORT:
        return 0
    if short == 1:
        return long // 8
    anew = long < 2500 or (long < 30_000 and short < 100)
    return long * (SEARCHED + short // 4 * anew)


def deep(value: list[Any] | dict[str, Any], most: int, *, deeper: int = 0) -> int:
    """Return the parts of going through a value; the walk ends early when it is above ``most``.

    With ``deeper`` 1 each level counts once more than the one above: where Python orders two lists,
    it first finds the items that differ, and does so again within these.
    """
    parts, factor, layer = 0, 1, [value]
    while layer:
        below: list[Any] = []
        for each in layer:
            if isinstance(each, list):
                items, own = each, COLLECTION + ITEM * len(each)
            else:
                items, own = list(each.values()), COLLECTION + ENTRY * len(each) + letters(each)
            parts += own * factor
            if parts > most:
                return most + 1
            if not SCALARS.issuperset(map(type, items)):
                parts += letters([item for item in items if type(item) is str]) * factor
                below += [item for item in items if type(item) not in PLAIN]
        layer, factor = below, factor + deeper
    return parts


def letters(texts: Iterable[str]) -> int:
    """Return the parts of comparing texts, which takes far less than a search."""
    return sum(map(len, texts)) // 4


def seen(values: list[Any], most: int) -> int:
    """Return the parts of ``any`` and ``all``."""
    items = values[0]
    return GLANCE * len(items) if isinstance(items, COLLECTIONS) and len(items) > SHORT else 0


def extreme(values: list[Any], most: int) -> int:
    """Return the parts of ``max`` and ``min``, of one collection or of many values."""
    for value in values:
        if type(value) not in SCALARS:
            break
    else:
        return 0
    items = values[0] if len(values) == 1 else values
    if isinstance(items, list):
        return deep(items, most, deeper=1)
    return GLANCE * len(items) if isinstance(items, COLLECTIONS) else 0


def spelled(values: list[Any], most: int) -> int:
    """Return the parts of ``str``, which itself refuses what is longer than its bound."""
    value = values[0]
    if type(value) in SCALARS or isinstance(value, str):
        return 0
    size = weight(value, TEXT_MAX_CHARS)
    return SPELLED * (deep(value, most) + size) if size <= TEXT_MAX_CHARS else 0


COMPARED: Final[dict[str, Callable[[Any, Any, int], int]]] = {
    "==": equal,
    "!=": equal,
    "<": ordered,
    "<=": ordered,
    ">": ordered,
    ">=": ordered,
    "in": found,
    "not in": found,
}
CALLED: Final[dict[str, Callable[[list[Any], int], int]]] = {
    "all": seen,
    "any": seen,
    "max": extreme,
    "min": extreme,
    "str": spelled,
}
