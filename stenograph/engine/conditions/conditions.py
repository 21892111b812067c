"""Conditions of edges, in their three spellings: an expression, a predicate, a field compared."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from msgspec import Struct

from stenograph.engine.conditions.expression_lookup import shown
from stenograph.engine.conditions.expression_values import kind
from stenograph.engine.conditions.expression_work import Reads
from stenograph.engine.conditions.expressions import (
    EvaluationError,
    Expression,
    ExpressionFault,
    Verdict,
    View,
    compile_expression,
)
from stenograph.engine.errors import Fault, NotJson
from stenograph.engine.values import canonical, clip, is_utf8, look_up

_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "in": lambda value, among: value in among,
    "not_in": lambda value, among: value not in among,
}


class FieldCondition(Struct, frozen=True):
    """A field of the state compared with a constant; a missing field makes it false."""

    field: str
    operator: str
    value: Any

    def evaluate(self, view: View) -> Verdict:
        """Compare; raises EvaluationError when the two cannot be compared, or are too much to."""
        try:
            found = look_up(view.state, self.field)
        except KeyError:
            return Verdict(value=False, truth=False, read={})
        Reads({}, view.budget).compare(self.operator.replace("_", " "), found, self.value, 0)
        try:
            truth = bool(_OPERATORS[self.operator](found, self.value))
        except TypeError:
            asked = clip(f"{self.field} {self.operator} {self.value!r}")
            kinds = f"{kind(found)} and {kind(self.value)}"
            message = f"{asked} cannot be answered: it does not work between {kinds}"
            raise EvaluationError(message, 0) from None
        return Verdict(value=truth, truth=truth, read={self.field: shown(found)})


class PredicateCondition(Struct, frozen=True):
    """A registered function, asked by its name outside the pure core; here is its answer."""

    fn: str


Compiled: TypeAlias = Expression | FieldCondition | PredicateCondition


def compile_condition(condition: Any) -> Compiled:
    """Compile a condition that ``check_condition`` found sound."""
    match condition:
        case str():
            return compile_expression(condition)
        case {"fn": str(name)}:
            return PredicateCondition(name)
        case {"field": str(field), "operator": str(op), "value": value}:
            return FieldCondition(field, op, value)
        case _:
            raise AssertionError(f"an unchecked condition: {condition!r}")


def check_condition(condition: Any, path: str, most: int) -> list[Fault]:
    """Return what is wrong with an expression or a field's comparison that stands at ``path``.

    An expression may have ``most`` characters.
    """
    match condition:
        case str():
            return _check_expression(condition, path, most)
        case {"field": field, "operator": op, "value": value, **rest} if not rest:
            return _check_field(field, op, value, path)
        case _:
            detail = 'is an expression, {"fn": name} or {"field", "operator", "value"}'
            return [Fault(path, detail)]


def _check_expression(text: str, path: str, most: int) -> list[Fault]:
    if not is_utf8(text):
        return [Fault(path, "is text with a lone surrogate, which UTF-8 cannot write")]
    try:
        compile_expression(text, most)
    except ExpressionFault as fault:
        return [Fault(path, str(fault))]
    return []


def _check_field(field: object, op: object, value: object, path: str) -> list[Fault]:
    faults = []
    if not isinstance(field, str) or not field or not is_utf8(field):
        faults.append(Fault(f"{path}/field", "is the name of a field, or its dotted path, as text"))
    if not isinstance(op, str) or op not in _OPERATORS:
        detail = f"{clip(repr(op))} is no operator; use {' '.join(_OPERATORS)}"
        faults.append(Fault(f"{path}/operator", detail))
    elif op in ("in", "not_in") and not isinstance(value, list | str | dict):
        faults.append(Fault(f"{path}/value", f"is a list, since the operator is {op!r}"))
    try:
        canonical(value, f"{path}/value")
    except NotJson as error:
        faults.append(Fault(error.path, error.reason))
    return faults
