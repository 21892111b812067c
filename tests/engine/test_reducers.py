"""Reducers: how what is returned meets what is there."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stenograph.engine.errors import CannotReduce
from stenograph.engine.graphs.graph import ReducerName
from stenograph.engine.state.reducers import identity, reduce_value
from stenograph.engine.tools.draft import ABSENT
from tests.json_values import FLOATS, INTS, JSON, TEXTS

LISTS = st.lists(JSON, max_size=4)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=4)
NUMBERS = INTS | FLOATS


def reduced(name: ReducerName, old: Any, new: Any) -> Any:
    return reduce_value(name, "/k", old, new)


@given(JSON | st.just(ABSENT), JSON)
def test_replace_takes_the_new(old: Any, new: Any) -> None:
    assert reduced("replace", old, new) is new


@given(LISTS, JSON)
def test_append_adds_one_whatever_it_is(old: list[Any], new: Any) -> None:
    assert reduced("append", old, new) == [*old, new]
    assert reduced("append", ABSENT, new) == [new]


@given(LISTS, LISTS)
def test_concat_adds_all(old: list[Any], new: list[Any]) -> None:
    assert reduced("concat", old, new) == old + new
    assert reduced("concat", ABSENT, new) == new


@given(INTS, INTS)
def test_integers_sum_to_an_integer_or_not_at_all(old: int, new: int) -> None:
    if -(2**63) <= old + new < 2**63:
        assert reduced("add", old, new) == old + new
        assert isinstance(reduced("add", old, new), int)
    else:
        with pytest.raises(CannotReduce, match=r"/k would be an integer beyond ±2\^63"):
            reduced("add", old, new)


@given(NUMBERS, FLOATS)
def test_numbers_sum_as_python_sums_them(old: float, new: float) -> None:
    assume(math.isfinite(old + new))
    assert reduced("add", old, new) == old + new
    assert reduced("add", ABSENT, new) == new


def test_a_sum_that_json_cannot_say_is_refused() -> None:
    with pytest.raises(CannotReduce, match="too large for JSON"):
        reduced("add", 1.7e308, 1.7e308)


@given(OBJECTS, OBJECTS)
def test_what_is_new_wins_at_the_leaves(old: dict[str, Any], new: dict[str, Any]) -> None:
    result = reduced("merge", old, new)
    assert result.keys() == old.keys() | new.keys()
    for key in old.keys() | new.keys():
        was, now = old.get(key), new.get(key)
        if key in new and isinstance(was, dict) and isinstance(now, dict):
            assert result[key] == reduced("merge", was, now)
        else:
            assert result[key] == (now if key in new else was)
    assert reduced("merge", ABSENT, new) == new


def test_merge_goes_deep_and_null_is_a_value() -> None:
    old = {"a": {"b": {"c": 1}}, "d": 1}
    new = {"a": {"b": {"e": None}}, "d": None}
    assert reduced("merge", old, new) == {"a": {"b": {"c": 1, "e": None}}, "d": None}
    assert old == {"a": {"b": {"c": 1}}, "d": 1}


@given(LISTS, LISTS)
def test_a_union_has_every_item_once_in_the_order_of_first_appearance(
    old: list[Any], new: list[Any]
) -> None:
    result = reduced("union", old, new)
    keys = [identity(item) for item in result]
    assert keys == list(dict.fromkeys(identity(item) for item in old + new))
    assert [identity(x) for x in reduced("union", ABSENT, new)] == list(
        dict.fromkeys(map(identity, new))
    )


def test_equal_is_what_json_calls_equal() -> None:
    old = [1, True, {"a": 1, "b": [1]}]
    new = [1.0, False, 0, {"b": [True], "a": 1}, {"b": [1.0], "a": 1}, "1", None]
    assert reduced("union", old, new) == [*old, False, 0, {"b": [True], "a": 1}, "1", None]


@given(NUMBERS, NUMBERS)
def test_min_and_max_compare_numbers(old: float, new: float) -> None:
    assert reduced("min", old, new) == min(old, new)
    assert reduced("max", old, new) == max(old, new)


@given(TEXTS, TEXTS)
def test_min_and_max_compare_texts(old: str, new: str) -> None:
    assert reduced("min", old, new) == min(old, new)
    assert reduced("max", old, new) == max(old, new)
    assert reduced("min", ABSENT, new) == reduced("max", ABSENT, new) == new


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("append", "x", 1, "has the reducer append, which adds to a list, but was text"),
        ("concat", [], 1, "has the reducer concat, which joins lists, but is given a number"),
        ("concat", {}, [], "has the reducer concat, which joins lists, but was an object"),
        ("add", 1, True, "has the reducer add, which sums numbers, but is given true or false"),
        ("add", False, 1, "has the reducer add, which sums numbers, but was true or false"),
        ("add", ABSENT, "1", "has the reducer add, which sums numbers, but is given text"),
        ("add", None, 1, "has the reducer add, which sums numbers, but was null"),
        ("merge", ABSENT, [1], "has the reducer merge, which merges objects, but is given a list"),
        ("union", 1, [], "has the reducer union, which unites lists, but was a number"),
        ("min", 1, "a", "was a number and is given text: not comparable"),
        ("max", "a", 1, "was text and is given a number: not comparable"),
        ("max", ABSENT, None, "compares numbers, or texts, but is given null"),
        ("max", ABSENT, {1}, "compares numbers, or texts, but is given a set"),
    ],
)
def test_what_does_not_fit_is_refused(name: ReducerName, old: Any, new: Any, sentence: str) -> None:
    with pytest.raises(CannotReduce) as refused:
        reduced(name, old, new)
    assert sentence in str(refused.value)
    assert (refused.value.path, refused.value.code) == ("/k", "cannot-reduce")
