"""What a JSON Schema costs besides its parts: bounds of numbers, lists of values, patterns.

A look at a value takes the library some 10 ns, and these take it far longer: it compares fractions
exactly, and each value with each of a list unless all of them are text. Costs are in such looks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

COSTS_MAX: Final = 5_000_000
"""Most that one check may cost: some 50 ms."""
NAMED_APART: Final = ("dependentRequired", "dependentSchemas", "dependencies")
"""What has names that are each looked for in each object."""

_FRACTION: Final = re.compile(rb"\d[.e]")
_EXPONENT: Final = re.compile(rb"\de")


class Cost(Struct, frozen=True):
    """What a look costs at any value; at a fraction besides; and at one with an exponent besides."""

    each: int = 0
    fraction: int = 0
    exponent: int = 0

    def of(self, data: bytes) -> int:
        """Return at least what it costs to look at every value of JSON text in this way."""
        values = 1 + data.count(b",") + data.count(b"[") + data.count(b"{")
        cost = self.each * values
        if self.fraction:
            cost += self.fraction * len(_FRACTION.findall(data))
        if self.exponent:
            cost += self.exponent * len(_EXPONENT.findall(data))
        return cost


PATTERN: Final = Cost(each=45)
"""Python is asked; the text is counted apart."""
MULTIPLE: Final = Cost(each=100, fraction=100, exponent=1000)
BOUND: Final = Cost(each=46)
WHOLE_BOUND: Final = Cost(each=1, fraction=5)


def total(costs: Iterable[tuple[int, Cost]]) -> Cost:
    """Return what many costs come to, each so many times."""
    each = fraction = exponent = 0
    for times, cost in costs:
        each += times * cost.each
        fraction += times * cost.fraction
        exponent += times * cost.exponent
    return Cost(each, fraction, exponent)


def greatest(one: Cost, other: Cost) -> Cost:
    """Return a cost that is at least each of two."""
    return Cost(
        max(one.each, other.each),
        max(one.fraction, other.fraction),
        max(one.exponent, other.exponent),
    )


def cost_of(schema: Mapping[str, Any]) -> Cost:
    """Return what a look by this schema alone costs, without those within it."""
    named = sum(len(schema[key]) for key in NAMED_APART if isinstance(schema.get(key), dict))
    costs = [Cost(each=1 + named)]
    costs += [_BY_KEYWORD[key](schema[key]) for key in schema.keys() & _BY_KEYWORD.keys()]
    return total((1, cost) for cost in costs)


def _of_multiple(given: Any) -> Cost:
    if isinstance(given, int):
        return Cost(each=2, fraction=100, exponent=1000)
    return Cost(each=2000) if "e" in repr(given) else MULTIPLE


def _of_bound(given: Any) -> Cost:
    return WHOLE_BOUND if isinstance(given, int) else BOUND


def _of_const(given: Any) -> Cost:
    return greatest(Cost(each=10), _of_value(given))


def _of_value(given: Any) -> Cost:
    """Return what it costs to compare a value with one that is given."""
    match given:
        case None | bool() | str():
            return Cost(each=1)
        case int():
            return Cost(each=1, fraction=90)
        case float():
            return Cost(each=100)
        case _:
            return Cost(each=12)


def _of_values(given: Any) -> Cost:
    if not isinstance(given, list) or all(isinstance(each, str) for each in given):
        return Cost()  # text is looked up
    return total((1, _of_value(each)) for each in given)


_BY_KEYWORD: Final[Mapping[str, Callable[[Any], Cost]]] = {
    "const": _of_const,
    "enum": _of_values,
    "multipleOf": _of_multiple,
    "minimum": _of_bound,
    "maximum": _of_bound,
    "exclusiveMinimum": _of_bound,
    "exclusiveMaximum": _of_bound,
    "pattern": lambda given: PATTERN,
    "uniqueItems": lambda given: Cost(each=8),
}
