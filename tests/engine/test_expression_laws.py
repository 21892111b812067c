"""Laws of conditions, over generated ones: Python's own value, no effect, an honest record."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterator, Mapping
from copy import deepcopy
from math import isfinite
from typing import Any, Final, NamedTuple

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from stenograph.engine.conditions.expressions import (
    EvaluationError,
    Expression,
    ExpressionFault,
    Verdict,
    View,
    compile_expression,
    shown,
)


class Spelled(NamedTuple):
    """One condition as we spell it, and as Python's ``eval`` is given it."""

    ours: str
    pythons: str


Spelling = SearchStrategy[Spelled]


def words(*spellings: str) -> Spelling:
    return st.sampled_from([Spelled(each, each) for each in spellings])


def pair(ours: str, pythons: str, *parts: Spelling) -> Spelling:
    def fill(chosen: tuple[Spelled, ...]) -> Spelled:
        mine, theirs = zip(*chosen, strict=True)
        return Spelled(ours.format(*mine), pythons.format(*theirs))

    return st.tuples(*parts).map(fill)


def same(template: str, *parts: Spelling) -> Spelling:
    return pair(template, template, *parts)


def calculated(left: Spelling, right: Spelling) -> Spelling:
    signs = words("+", "-", "*", "/", "//", "%")
    return pair("({1} {0} {2})", "arithmetic('{0}', {1}, {2})", signs, left, right)


def dotted(owner: Spelling) -> Spelling:
    return pair("{0}.{1}", '{0}["{1}"]', owner, words("n", "t", "d", "get", "xs", "é"))


class Grammar(NamedTuple):
    """Conditions by what they probably are, so that most can be evaluated."""

    number: Spelling
    text: Spelling
    listed: Spelling
    truth: Spelling
    other: Spelling


LEAVES: Final = Grammar(
    words("0", "2", "-1", "0.5", "n", "x", "visit", "xs[-1]", 'rows[0]["n"]', 'state.get("n")'),
    words("t", "''", "'a'", "'12'", "'n'", "ts[0]", 'd["t"]', 'context.get("t", "b")'),
    words("xs", "ts", "rows", "[]", 'state["xs"]', "[1, 'a', None]"),
    words("b", "False", "(z is None)", '("n" in state)', '("a key" not in context)'),
    words("d", "z", "other", "rows[0]", "context", "error", "item", "unknown", "{}", "d"),
)
comparison: Final = words("==", "!=", "<", "<=", ">", ">=", "in", "not in")


def grown(by: Grammar) -> Grammar:
    """Return the grammar one level deeper."""
    number, text, listed, truth, other = by
    some = st.one_of(*by)
    return Grammar(
        st.one_of(
            number,
            same("{}({})", words("len", "any", "all"), listed | text),
            same("{}({})", words("abs", "int", "float", "bool"), number | text),
            same("{}({}, {})", words("min", "max"), number, number),
            pair("(-{})", "arithmetic('-', 0, {})", words("n", "visit")),
            same("({} if {} else {})", number, truth, some),
            calculated(number, number),
            calculated(some, some),
        ),
        st.one_of(
            text,
            same("str({})", some),
            same("{}[{}]", text, number),
            pair("({} + {})", "arithmetic('+', {}, {})", text, text),
        ),
        st.one_of(
            listed,
            same("[{}, {}]", some, number),
            pair("({}, {})", "[{}, {}]", text, text),
            pair("({} + {})", "arithmetic('+', {}, {})", listed, listed),
        ),
        st.one_of(
            truth,
            same("({} {} {})", number, comparison, number),
            same("({} {} {} {} {})", number, comparison, number, comparison, number),
            same("({} {} {})", text, comparison, text | listed),
            same("({} {} {} {} {})", some, comparison, some, comparison, some),
            same("({} is not True)", some),
            same("(not {})", some),
        ),
        st.one_of(
            other,
            same("({} and {})", truth, some),
            same("({} or {} or {})", some, truth, some),
            same("{}[{}]", some, number | text),
            same("{}.get({}, {})", other, text, some),
            same("{}({})", words("min", "max"), listed),
            dotted(other),
        ),
    )


# Deferred, for the name of so large a strategy would be printed in full.
conditions: Final[Spelling] = st.deferred(lambda: st.one_of(*grown(grown(grown(LEAVES)))))

numbers = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 9) | st.floats(-1e6, 1e6)
texts = st.sampled_from(["", "a", "n", "12", "1.5", "é", "inf", "nan"]) | st.text(max_size=3)
scalars = st.none() | st.booleans() | numbers | texts
json = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
record = st.fixed_dictionaries(
    {"n": numbers, "t": texts},
    optional={"d": st.fixed_dictionaries({"n": numbers}), "get": json, "é": json},
)
states = st.fixed_dictionaries(
    {
        "n": st.integers(-3, 9),
        "x": numbers,
        "t": texts,
        "b": st.booleans(),
        "z": st.none(),
        "xs": st.lists(numbers, max_size=4),
        "ts": st.lists(texts, max_size=4),
        "d": record,
        "rows": st.lists(record, max_size=3),
        "other": json,
    },
    optional={"a key": json, "visit": json, "item": json},
)
bindings = st.fixed_dictionaries({"visit": st.integers(1, 3)}, optional={"error": record})
views = st.builds(View, states, bindings)

BINARY: Final = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}


def within(value: Any) -> Any:
    if not isfinite(value) or (isinstance(value, int) and abs(value) > 2**63):
        raise OverflowError
    return value


def arithmetic(symbol: str, left: Any, right: Any) -> Any:
    """Python's operator, without the repetition of lists and texts, and within our limits."""
    if symbol == "+" and type(left) is type(right) and isinstance(left, str | list):
        return left + right
    if not (isinstance(left, int | float) and isinstance(right, int | float)):
        raise TypeError
    return within(BINARY[symbol](left, right))


PYTHON: Final[dict[str, Any]] = {
    "__builtins__": {},
    **{each.__name__: each for each in (len, abs, min, max, any, all, bool, str, arithmetic)},
    "int": lambda value: within(int(value)),
    "float": lambda value: within(float(value)),
}
REFUSALS: Final = (ArithmeticError, AttributeError, LookupError, NameError, TypeError, ValueError)


def pythons_value(condition: str, view: View) -> str:
    """Return what ``eval`` makes of a condition, its type too, or that it raises."""
    keys = {name: value for name, value in view.state.items() if name not in ("item", "visit")}
    scope = {**keys, **view.bindings, "state": view.state, "context": view.state}
    try:
        with warnings.catch_warnings(action="ignore"):
            return repr(eval(condition, PYTHON, scope))
    except REFUSALS:
        return "refused"


STATIC: Final = ("more than", "a look-up is by", "runs into")
"""Faults of generated conditions that Python would meet only where it gets there, or never."""


def evaluated(condition: str, view: View) -> Verdict | None:
    """Return our verdict; None when the condition cannot be evaluated."""
    found = compiled(condition)
    assume(isinstance(found, Expression) or not any(each in str(found) for each in STATIC))
    assert isinstance(found, Expression)
    try:
        return found.evaluate(view)
    except EvaluationError:
        return None


@settings(max_examples=500, deadline=None)
@given(conditions, views)
def test_the_value_is_the_one_of_pythons_eval(condition: Spelled, view: View) -> None:
    verdict = evaluated(condition.ours, view)
    found = "refused" if verdict is None else repr(verdict.value)
    assert found == pythons_value(condition.pythons, view)
    assert verdict is None or verdict.truth is bool(verdict.value)


@settings(max_examples=200, deadline=None)
@given(conditions, views)
def test_no_condition_changes_what_it_sees(condition: Spelled, view: View) -> None:
    before = repr(deepcopy((view.state, view.bindings)))
    evaluated(condition.ours, view)
    assert repr((view.state, view.bindings)) == before


@settings(max_examples=200, deadline=None)
@given(conditions, views)
def test_a_recorded_path_leads_to_what_was_recorded(condition: Spelled, view: View) -> None:
    assume(".get(" not in condition.ours)  # what was found in a default is at no path
    verdict = evaluated(condition.ours, view)
    for path, kept in verdict.read.items() if verdict else ():
        again = evaluated(path, view)
        assert kept == (shown(again.value) if again else None)


@settings(max_examples=200, deadline=None)
@given(conditions, views)
def test_a_record_is_small(condition: Spelled, view: View) -> None:
    verdict = evaluated(condition.ours, view)
    kept = verdict.read.values() if verdict else []
    assert all(len(msgspec.json.encode(each)) <= 128 for each in kept)


class Watched(Mapping[str, Any]):
    """A state that notes which of its values were read."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self.state, self.seen = state, set[str]()

    def __getitem__(self, key: str) -> Any:
        self.seen.add(key)
        return self.state[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.state)

    def __len__(self) -> int:
        return len(self.state)


@settings(max_examples=300, deadline=None)
@given(conditions, views)
def test_unless_dynamic_a_condition_reads_no_key_but_those_it_names(
    condition: Spelled, view: View
) -> None:
    watched = Watched(view.state)
    evaluated(condition.ours, View(watched, view.bindings))
    expression = compile_expression(condition.ours)
    assert expression.dynamic or watched.seen <= expression.keys


FRAGMENTS: Final = r"""
    a state len get item and or not in is if else None True false lambda for f r 0 1 2.5 .5 1e9
    1e999 0x1 0777 1_0 1j 'a' "b" ' " '''a''' \ \n \d é ﬁ ( ) [ ] { } {} , . : ; := = == != < <= >
    >= + - * ** / // % @ & | ^ ~ << >> ! # $ ? ` ... ->
"""
fragments = st.sampled_from([*FRAGMENTS.split(), " "])
scraps = st.lists(fragments | st.characters(), max_size=30)


def compiled(text: str) -> Expression | ExpressionFault:
    try:
        return compile_expression(text)
    except ExpressionFault as fault:
        return fault


@settings(max_examples=1000, deadline=None)
@given(st.text(max_size=60) | scraps.map("".join) | scraps.map(" ".join))
def test_any_text_is_compiled_or_refused_at_a_place_in_it(text: str) -> None:
    with warnings.catch_warnings(record=True, action="always") as warned:
        found = compiled(text)
    assert not warned
    assert isinstance(found, Expression) or 0 <= found.position <= len(text)
