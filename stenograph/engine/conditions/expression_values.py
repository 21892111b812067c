"""What operators and functions of a condition do: Python's own meaning, over JSON values, bounded.

Each takes values and returns a value; none changes what it is given. What cannot be done raises
TypeError, ValueError, LookupError or ArithmeticError with a sentence that says why.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from math import isfinite
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET

INT_MAX: Final = 2**63
"""Largest magnitude of a whole number."""
TEXT_MAX_CHARS: Final = 64 * 1024
LIST_MAX_ITEMS: Final = 10_000
NUMERAL_MAX_CHARS: Final = 100
"""Longest text that is read as a number."""

Number: TypeAlias = int | float
NUMBERS: Final = (int, float)
COLLECTIONS: Final = (str, list, tuple, dict, Mapping)


class EvaluationError(Exception):
    """A condition that cannot be evaluated now; ``position`` is the column, counted from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message, position)
        self.message, self.position = message, position

    def __str__(self) -> str:
        return f"at column {self.position}: {self.message}"


def kind(value: Any) -> str:
    """Return what a value is, in words for a message: ``a text``, ``null``."""
    match value:
        case None:
            return "null"
        case bool():
            return "a truth value"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case Mapping():
            return "a dict"
        case _:
            return "a list"


def weight(value: Any, limit: int) -> int:
    """Return the least its compact JSON can measure, or, early, any number above ``limit``."""
    if isinstance(value, str):
        return len(value) + 2
    total, within = 0, iter([value])
    outer: list[Iterator[Any]] = []
    while total <= limit:
        match next(within, UNSET):
            case int() | float() | None:
                total += 1
            case msgspec.UNSET:
                if not outer:
                    break
                within = outer.pop()
            case str() as text:
                total += len(text) + 2
            case list() as items:
                total += len(items) + 1
                outer.append(within)
                within = iter(items)
            case entries:
                total += 2 * len(entries) + 1
                outer.append(within)
                within = chain.from_iterable(entries.items())
    return total


def bounded(value: Number, what: str = "the result") -> Number:
    """Return a number; raises OverflowError when it is not finite, or whole and beyond INT_MAX."""
    if isinstance(value, float):
        if not isfinite(value):
            raise OverflowError(f"{what} is not finite")
    elif abs(value) > INT_MAX:
        raise OverflowError(f"{what} is beyond ±2**63")
    return value


def number(value: Any, user: str) -> Number:
    """Return the value for ``user``, a sign or a function, which takes bounded numbers only."""
    if isinstance(value, NUMBERS):
        return bounded(value, "the number")
    raise TypeError(f"{user} needs numbers, not {kind(value)}")


def arithmetic(symbol: str, compute: Callable[[Any, Any], Number]) -> Callable[[Any, Any], Number]:
    """Return an operator on two numbers."""
    user = f"`{symbol}`"

    def apply(left: Any, right: Any) -> Number:
        try:
            return bounded(compute(number(left, user), number(right, user)))
        except ZeroDivisionError:
            raise ZeroDivisionError(f"{user} cannot divide by zero") from None

    return apply


def signed(user: str, compute: Callable[[Any], Number]) -> Callable[[Any], Number]:
    """Return an operator or function on one number."""

    def apply(value: Any) -> Number:
        return bounded(compute(number(value, user)))

    return apply


def collective(name: str, compute: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a function over a list, a text or a dict, or over several values as over a list."""

    def apply(*values: Any) -> Any:
        items = values[0] if len(values) == 1 else values
        if not isinstance(items, COLLECTIONS):
            raise TypeError(f"{name}() needs a list, a text or a dict, not {kind(items)}")
        try:
            return compute(items)
        except ValueError:
            raise ValueError(f"{name}() needs at least one item") from None
        except TypeError:
            raise TypeError(f"{name}() cannot compare the items with each other") from None

    return apply


add_numbers: Final = arithmetic("+", operator.add)


def add(left: Any, right: Any) -> Any:
    """Return the sum of two numbers, or two texts or two lists joined."""
    if isinstance(left, str) and isinstance(right, str):
        if len(left) + len(right) > TEXT_MAX_CHARS:
            raise ValueError(f"`+` would make a text longer than {TEXT_MAX_CHARS} characters")
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        if len(left) + len(right) > LIST_MAX_ITEMS:
            raise ValueError(f"`+` would make a list longer than {LIST_MAX_ITEMS} items")
        return left + right
    if isinstance(left, NUMBERS) and isinstance(right, NUMBERS):
        return add_numbers(left, right)
    raise TypeError(f"`+` does not work between {kind(left)} and {kind(right)}")


def to_int(value: Any) -> Number:
    """Return Python's ``int`` of a number or a short text."""
    return bounded(converted(value, int))


def to_float(value: Any) -> Number:
    """Return Python's ``float`` of a number or a short text."""
    return bounded(converted(value, float))


def converted(value: Any, to: type[int] | type[float]) -> Number:
    """Return a number or the number that a short text spells."""
    if not isinstance(value, str):
        return to(number(value, f"{to.__name__}()"))
    if len(value) <= NUMERAL_MAX_CHARS:
        with suppress(ValueError):
            return to(value)
    raise ValueError(f"{to.__name__}() cannot read the text as a number")


def to_text(value: Any) -> str:
    """Return Python's ``str`` of a value, so bounded that no large one is even begun."""
    if isinstance(value, str):
        return value
    if weight(value, TEXT_MAX_CHARS) <= TEXT_MAX_CHARS:
        text = str(dict(value) if isinstance(value, Mapping) else value)
        if len(text) <= TEXT_MAX_CHARS:
            return text
    raise ValueError(f"str() would make a text longer than {TEXT_MAX_CHARS} characters")
