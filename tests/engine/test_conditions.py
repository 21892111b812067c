"""Conditions in their three spellings: an expression, a predicate, a field compared."""

from __future__ import annotations

from typing import Any

import pytest

from stenograph.engine.conditions.conditions import (
    FieldCondition,
    PredicateCondition,
    check_condition,
    compile_condition,
)
from stenograph.engine.conditions.expressions import EvaluationError, Expression, Verdict, View
from stenograph.engine.errors import Fault
from stenograph.engine.state.state import State

STATE: dict[str, Any] = {
    "n": 3,
    "text": "abc",
    "list": [1, 2],
    "none": None,
    "review": {"score": 0.5, "deep": {"a": 1}},
    "a.b": "by its whole name",
    "big": list(range(1000)),
}


def field(name: str, op: str, value: Any) -> dict[str, Any]:
    return {"field": name, "operator": op, "value": value}


def truth(condition: Any, state: Any = STATE) -> bool:
    compiled = compile_condition(condition)
    assert not isinstance(compiled, PredicateCondition)
    return compiled.evaluate(View(state)).truth


def read(condition: Any) -> dict[str, Any]:
    compiled = compile_condition(condition)
    assert not isinstance(compiled, PredicateCondition)
    return compiled.evaluate(View(STATE)).read


def test_a_condition_has_three_spellings() -> None:
    assert isinstance(compile_condition("n == 3"), Expression)
    assert compile_condition({"fn": "is_short"}) == PredicateCondition("is_short")
    assert compile_condition(field("n", "==", 3)) == FieldCondition("n", "==", 3)


@pytest.mark.parametrize(
    ("op", "value", "expected"),
    [
        ("==", 3, True),
        ("==", 4, False),
        ("!=", 3, False),
        ("!=", 4, True),
        (">", 2, True),
        (">", 3, False),
        ("<", 4, True),
        ("<", 3, False),
        (">=", 3, True),
        (">=", 4, False),
        ("<=", 3, True),
        ("<=", 2, False),
        ("in", [3, 4], True),
        ("in", [4], False),
        ("not_in", [4], True),
        ("not_in", [3], False),
    ],
)
def test_a_field_is_compared_with_a_value(op: str, value: Any, expected: bool) -> None:
    assert truth(field("n", op, value)) is expected
    assert truth(field("n", op, value), State.from_values(STATE)) is expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("review.score", 0.5),
        ("review.deep.a", 1),
        ("review", STATE["review"]),
        ("a.b", "by its whole name"),
        ("none", None),
        ("list", [1, 2]),
    ],
)
def test_a_field_is_named_by_its_key_or_by_its_path(name: str, value: Any) -> None:
    assert truth(field(name, "==", value))
    assert read(field(name, "==", value)) == {name: value}


@pytest.mark.parametrize("name", ["missing", "review.missing", "n.missing", "list.0", "", "."])
@pytest.mark.parametrize("op", ["==", "!=", ">", "not_in"])
def test_a_missing_field_makes_any_comparison_false(name: str, op: str) -> None:
    compiled = FieldCondition(name, op, [])
    assert compiled.evaluate(View(STATE)) == Verdict(value=False, truth=False, read={})


def test_a_large_value_that_was_read_is_told_by_its_type_and_length() -> None:
    assert read(field("big", "!=", [])) == {"big": {"type": "list", "length": 1000}}


def test_a_text_is_looked_for_in_a_text_and_a_key_in_an_object() -> None:
    assert truth(field("text", "in", "xabcx"))
    assert truth(field("text", "not_in", "ab"))
    assert truth(field("text", "in", {"abc": 1}))


@pytest.mark.parametrize(
    ("name", "op", "value"),
    [("none", "<", 3), ("text", ">", 3), ("n", "in", "abc"), ("list", "in", {"a": 1})],
)
def test_what_cannot_be_compared_is_said_to_be_so(name: str, op: str, value: Any) -> None:
    with pytest.raises(EvaluationError, match=rf"{name} {op} .* cannot be answered: ") as caught:
        truth(field(name, op, value))
    assert caught.value.position == 0
    assert "does not work between" in str(caught.value)


def test_what_is_said_of_a_large_value_is_short() -> None:
    with pytest.raises(EvaluationError) as caught:
        truth(field("none", "<", "x" * 1_000_000))
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    "condition",
    ["n == 3", field("n", "==", {"a": [None]}), field("n.m", "in", []), field("n", "in", "text")],
    ids=str,
)
def test_a_sound_condition_has_no_faults(condition: Any) -> None:
    assert check_condition(condition, "/when", 2000) == []


ONE_OF = 'is an expression, {"fn": name} or {"field", "operator", "value"}'
OPERATORS = "is no operator; use == != > < >= <= in not_in"
TEXT = "is the name of a field, or its dotted path, as text"


@pytest.mark.parametrize(
    ("condition", "faults"),
    [
        (5, {"/when": ONE_OF}),
        ([], {"/when": ONE_OF}),
        ({}, {"/when": ONE_OF}),
        ({"fn": "p", "more": 1}, {"/when": ONE_OF}),
        ({"field": "n", "operator": "=="}, {"/when": ONE_OF}),
        ({**field("n", "==", 1), "more": 1}, {"/when": ONE_OF}),
        (field("n", "=", 1), {"/when/operator": f"'=' {OPERATORS}"}),
        (field("n", [], 1), {"/when/operator": f"[] {OPERATORS}"}),  # type: ignore[arg-type]
        (field("n", "in", 1), {"/when/value": "is a list, since the operator is 'in'"}),
        (field("n", "not_in", None), {"/when/value": "is a list, since the operator is 'not_in'"}),
        (field(5, "==", 1), {"/when/field": TEXT}),  # type: ignore[arg-type]
        (field("\ud800", "==", 1), {"/when/field": TEXT}),
        (
            field("n", "==", [b""]),
            {"/when/value/0": "is of type bytes; a state holds JSON values only"},
        ),
        (
            field(None, "~", {1: 1}),  # type: ignore[arg-type]
            {
                "/when/field": TEXT,
                "/when/operator": f"'~' {OPERATORS}",
                "/when/value": "has the key 1; keys are text",
            },
        ),
        ("n ==", {"/when": "at column 4: the condition ends too early; a value is missing"}),
        ("'\ud800'", {"/when": "is text with a lone surrogate, which UTF-8 cannot write"}),
    ],
    ids=ascii,
)
def test_faults_of_a_condition_are_told_with_their_places(
    condition: Any, faults: dict[str, str]
) -> None:
    assert check_condition(condition, "/when", 2000) == [Fault(*each) for each in faults.items()]


def test_only_a_sound_condition_can_be_compiled() -> None:
    with pytest.raises(AssertionError, match="an unchecked condition: 5"):
        compile_condition(5)
