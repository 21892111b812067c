"""Comparisons of a condition: Python's own, charged to the evaluation where they may be much work.

Nearly all are of plain values or short texts, and these are compared without a word more.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from stenograph.engine.conditions.expression_lookup import Program, View
from stenograph.engine.conditions.expression_values import EvaluationError, kind
from stenograph.engine.conditions.expression_work import SCALARS, SHORT, Reads, equal

Operation: TypeAlias = Callable[..., Any]

COMPARISONS: Final[dict[type[ast.cmpop], tuple[str, Operation]]] = {
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.In: ("in", operator.contains),
    ast.NotIn: ("not in", operator.contains),
    ast.Is: ("is", operator.is_),
    ast.IsNot: ("is not", operator.is_not),
}
SEQUENCES: Final = frozenset({str, list})


class Comparison(NamedTuple):
    """A comparison: ``quick`` may be used when the left value is plain; ``careful`` always."""

    quick: Operation | None
    careful: Operation


def comparing(symbol: str, test: Operation, position: int) -> Comparison:
    """Return a comparison that raises EvaluationError between values that do not compare."""
    match symbol:
        case "is" | "is not":
            return Comparison(test, lambda left, right, read: test(left, right))
        case "==" | "!=":
            return Comparison(test, equality(symbol, test, position))
        case "in" | "not in":
            return Comparison(None, among(symbol, position))
        case _:
            return order(symbol, test, position)


def equality(symbol: str, test: Operation, position: int) -> Operation:
    """Return ``==`` or ``!=`` of what may be large; a value equals itself without a look at it."""

    def careful(left: Any, right: Any, read: Reads) -> Any:
        left, right = read.plain(left, symbol, position), read.plain(right, symbol, position)
        if left is right:
            return symbol == "=="
        if parts := equal(left, right, read.budget.left):
            read.charge(parts, symbol, position)
        return test(left, right)

    return careful


def order(symbol: str, test: Operation, position: int) -> Comparison:
    """Return ``<`` or its like."""

    def quick(left: Any, right: Any) -> Any:
        try:
            return test(left, right)
        except TypeError:
            raise EvaluationError(incomparable(symbol, left, right), position) from None

    def careful(left: Any, right: Any, read: Reads) -> Any:
        read.compare(symbol, left, right, position)
        return quick(left, right)

    return Comparison(quick, careful)


def among(symbol: str, position: int) -> Operation:
    """Return ``in`` or ``not in``."""
    wanted = symbol == "in"

    def careful(left: Any, right: Any, read: Reads) -> Any:
        small = type(left) in SCALARS or (type(left) is str and len(left) <= SHORT)
        if not (small and type(right) in SEQUENCES and len(right) <= SHORT):
            left = read.plain(left, symbol, position)
            read.compare(symbol, left, right, position)
        try:
            return (left in right) is wanted
        except TypeError:
            raise EvaluationError(incomparable(symbol, left, right), position) from None

    return careful


def incomparable(symbol: str, left: Any, right: Any) -> str:
    """Return why two values cannot be compared."""
    return f"`{symbol}` does not work between {kind(left)} and {kind(right)}"


def compared(first: Program, test: Comparison, second: Program) -> Program:
    """Return the program of one comparison."""
    quick, careful = test
    if quick is None:
        return lambda view, read: careful(first(view, read), second(view, read), read)

    def program(view: View, read: Reads) -> Any:
        left, right = first(view, read), second(view, read)
        if type(left) in SCALARS or (type(left) is str and len(left) <= SHORT):
            return quick(left, right)
        return careful(left, right, read)

    return program


def chained(first: Program, rest: list[tuple[Comparison, Program]]) -> Program:
    """Return the program of ``a < b < c``: each value once, no further than the first false."""

    def program(view: View, read: Reads) -> Any:
        left, holds = first(view, read), True
        for (quick, careful), operand in rest:
            right = operand(view, read)
            holds = (
                quick(left, right)
                if quick and type(left) in SCALARS
                else careful(left, right, read)
            )
            if not holds:
                break
            left = right
        return holds

    return program
