"""The work of one evaluation: bounded over all its operations, and counted from values alone."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode

from stenograph.engine.conditions.conditions import FieldCondition
from stenograph.engine.conditions.expression_values import weight
from stenograph.engine.conditions.expression_work import (
    COMPARED,
    WORK_MAX,
    Budget,
    Reads,
    deep,
    searched,
)
from stenograph.engine.conditions.expressions import EvaluationError, View, compile_expression

MANY: Final = 50_000
STATE: Final[dict[str, Any]] = {
    "xs": list(range(MANY)),
    "ys": list(range(MANY)),
    "rows": [[n, n] for n in range(20_000)],
    "words": [f"word {n}" for n in range(MANY)],
    "others": [f"word {n}" for n in range(MANY)],
    "keys": {f"k{n}": n for n in range(MANY)},
    "twin": {f"k{n}": n for n in range(MANY)},
    "text": "a" * 1_000_000,
    "copy": "a" * 999_999 + "b",
    "some": list(range(9_000)),
}


def value(text: str, state: Mapping[str, Any] = STATE) -> Any:
    return compile_expression(text).evaluate(View(state)).value


def error(text: str, state: Mapping[str, Any] = STATE) -> EvaluationError:
    with pytest.raises(EvaluationError) as caught:
        value(text, state)
    return caught.value


OPERATIONS: Final = {
    "xs == ys": True,
    "xs != ys": False,
    "xs < ys": False,
    "words == others": True,
    "keys == twin": True,
    "-1 in xs": False,
    "-1 not in xs": True,
    "[1, 2] in rows": False,
    "text == copy": False,
    "text < copy": True,
    "'b' in text": False,
    "'bb' in text": False,
    "max(xs)": MANY - 1,
    "min(words)": "word 0",
    "max(rows) == [1, 1]": False,
    "max(text)": "a",
    "all(xs)": False,
    "any(xs)": True,
    "len(str(some))": 52_890,
    "text in words": False,
    "xs in rows": False,
}


@pytest.mark.parametrize("text", OPERATIONS)
def test_an_operation_on_tens_of_thousands_of_items_is_done(text: str) -> None:
    assert value(text) == OPERATIONS[text]


@pytest.mark.parametrize("text", [each for each in OPERATIONS if each[:4] not in ("text", "'b' ")])
def test_what_is_done_again_and_again_ends_in_an_error(text: str) -> None:
    state = {**STATE, **{name: STATE[name] * 5 for name in ("xs", "ys", "words", "others")}}
    nodes = sum(isinstance(each, ast.expr) for each in ast.walk(ast.parse(text)))
    again = ", ".join([text] * (250 // nodes))
    assert "go over more data than they may together" in error(f"[{again}]", state).message


def test_the_error_says_which_operation_where_and_what_to_do() -> None:
    spent = error(" or ".join(["xs != ys"] * 10))
    assert spent.position == 7 * len("xs != ys or ")
    assert spent.message == (
        "with `!=` the node's conditions go over more data than they may together; "
        "let a tool do that, and test its result here"
    )
    assert error(" and ".join(["max(xs)"] * 10)).message.startswith(
        "with `max()` the node's conditions"
    )


def test_each_evaluation_has_all_of_its_work_again() -> None:
    six = compile_expression(" or ".join(["xs != ys"] * 6))
    assert [six.evaluate(View(STATE)).truth for _ in range(3)] == [False] * 3


def test_a_value_equals_itself_without_a_look_at_it() -> None:
    huge = {"xs": [0] * 2_000_000}
    assert value(" and ".join(["xs == xs and state == context"] * 30), huge) is True
    assert value("xs != xs or state != state", huge) is False


def test_values_of_other_kinds_or_lengths_differ_without_a_look_at_them() -> None:
    huge = {"xs": [0] * 2_000_000, "t": "a" * 2_000_000}
    assert value(" or ".join(["xs == [1] or xs == t or t == 'a' or 1 == xs"] * 12), huge) is False


def test_a_state_that_is_no_dict_is_made_one_only_once() -> None:
    state = MappingProxyType({**{f"k{n}": n for n in range(MANY)}, "ds": [{}] * 100})
    assert value("state in ds or state == 1 or [state] == [state, state]", state) is False
    assert value("[state] == [context]", state) is True


def test_lists_in_lists_are_weighed_once_more_a_level_where_they_are_ordered() -> None:
    nested: list[Any] = [0] * 1000
    for _ in range(200):
        nested = [nested]
    assert deep(nested, WORK_MAX, deeper=1) > 100 * deep([0] * 1000, WORK_MAX)
    assert deep(nested, WORK_MAX) < 2 * deep([0] * 1000, WORK_MAX)


def test_weighing_ends_where_the_work_does() -> None:
    rows = Rows([[0]] * 10)
    assert deep([rows, rows], 100) == 101
    assert rows.seen == 0


class Rows(list[Any]):
    """A list that counts how often it was gone through."""

    seen = 0

    def __iter__(self) -> Any:
        self.seen += 1
        return super().__iter__()


def test_a_search_that_holds_a_text_against_each_place_is_counted_as_such() -> None:
    assert searched(3, 2) == searched(1, 64) == 0
    assert searched(90, 29_999) > 7 * searched(90, 30_000)
    assert searched(1, 1_000_000) < searched(2, 1_000_000) // 8


def test_a_field_compared_has_the_same_bound() -> None:
    huge, other = [0] * 500_000, [0] * 500_000
    with pytest.raises(EvaluationError, match="with `==` the node's conditions go over") as caught:
        FieldCondition("xs", "==", huge).evaluate(View({"xs": other}))
    assert caught.value.position == 0
    with pytest.raises(EvaluationError, match="with `not in` the node's conditions go over"):
        FieldCondition("xs", "not_in", [[0] * 500_000]).evaluate(View({"xs": other}))
    assert FieldCondition("xs", "==", STATE["ys"]).evaluate(View(STATE)).truth


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values, values, st.sampled_from(sorted(COMPARED)))
def test_what_is_small_is_never_too_much(left: Any, right: Any, symbol: str) -> None:
    read = Reads({}, Budget())
    read.compare(symbol, left, right, 0)
    assert 0 < read.budget.left <= WORK_MAX


@given(values)
def test_a_weight_is_at_most_what_the_value_measures_as_json(found: Any) -> None:
    assert weight(found, 10**6) <= len(encode(found))
