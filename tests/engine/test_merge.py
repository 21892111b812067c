"""Merge: what branches come to, key by key, in branch order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph.engine.errors import CannotReduce, MergeConflict, SchemaViolated, StateTooLarge
from stenograph.engine.graphs.graph import ReducerName, StateKey
from stenograph.engine.state.merge import Change, merge
from stenograph.engine.state.reducers import identity
from stenograph.engine.state.rules import NO_RULES, Rules, rules_of
from stenograph.engine.state.state import State
from stenograph.engine.values import encode
from tests.engine.test_patch import applied, ops
from tests.engine.test_state import LISTS, RETURNED, RULES, Calls
from tests.json_values import JSON, STATES

GONE = object()
INTS = st.integers(-1000, 1000)
FLOATS = st.floats(-1e6, 1e6)


def change(number: int, values: dict[str, Any]) -> Change:
    left = {k: (None if v is GONE else encode(v), 10 + number) for k, v in values.items()}
    return Change(f"/fork#1[{number}]/", left)


def changes(branches: Iterable[dict[str, Any]]) -> list[Change]:
    return [change(number, values) for number, values in enumerate(branches)]


def merged(
    base: dict[str, Any], *branches: dict[str, Any], rules: Rules = NO_RULES
) -> dict[str, Any]:
    """The base with the patch applied, as the journal's reader and the state itself have it."""
    state = State.from_values(base)
    update = merge(state, changes(branches), rules)
    expected: dict[str, Any] = applied(base, update.patch)
    state.apply(update.patch)
    assert state.to_values() == expected
    assert state.size == len(state.to_json())
    return expected


def folded(name: ReducerName, base: Any, *lefts: Any) -> Any:
    """What a key becomes that had ``base`` (or nothing: GONE) and that branches left as they did."""
    rules = rules_of({"k": StateKey(reducer=name)})
    result = merged(
        {} if base is GONE else {"k": base}, *({"k": left} for left in lefts), rules=rules
    )
    return result.get("k", GONE)


def conflict(rules: Rules, base: dict[str, Any], *branches: dict[str, Any]) -> MergeConflict:
    with pytest.raises(MergeConflict) as refused:
        merge(State.from_values(base), changes(branches), rules)
    assert refused.value.code == "merge-conflict"
    return refused.value


def rule(name: ReducerName) -> Rules:
    return rules_of({"k": StateKey(reducer=name)})


def after(base: dict[str, Any], returned: dict[str, Any]) -> dict[str, Any]:
    """What a branch that returned something left of the keys that it changed."""
    state = State.from_values(base)
    state.apply(state.accept(returned, RULES).patch)
    return {key: state[key] for key in returned}


@given(STATES, st.lists(STATES, max_size=4))
def test_branches_that_write_different_keys_come_to_what_a_sequence_does(
    base: dict[str, Any], writes: list[dict[str, Any]]
) -> None:
    taken: set[str] = set()
    branches = []
    for values in writes:
        branches.append({key: value for key, value in values.items() if key not in taken})
        taken |= values.keys()
    expected = dict(base)
    for branch in branches:
        expected |= branch
    assert merged(base, *branches) == expected
    assert merged(base, *reversed(branches)) == expected


@given(st.lists(RETURNED, max_size=1), RETURNED)
def test_one_branch_alone_comes_to_what_it_returned(
    before: list[dict[str, Any]], returned: dict[str, Any]
) -> None:
    base: dict[str, Any] = {}
    for values in before:
        base |= after(base, values)
    left = after(base, returned)
    assert encode(merged(base, left, rules=RULES)) == encode(merged(base, left))


@given(LISTS, st.lists(LISTS, max_size=4))
def test_tails_of_lists_are_joined_in_branch_order(base: list[Any], tails: list[list[Any]]) -> None:
    lefts = [base + tail for tail in tails]
    added = [item for tail in tails for item in tail]
    assert folded("concat", base, *lefts) == base + added
    assert folded("append", base, *lefts) == base + added
    assert folded("append", GONE, *tails) == (added if tails else GONE)


@given(INTS, st.lists(INTS, max_size=5))
def test_add_sums_the_differences(base: int, differences: list[int]) -> None:
    lefts = [base + each for each in differences]
    assert folded("add", base, *lefts) == base + sum(differences)
    assert folded("add", GONE, *differences) == (sum(differences) if differences else GONE)


@given(FLOATS, st.lists(FLOATS | INTS, max_size=5), st.randoms())
def test_a_sum_is_exact_so_that_it_does_not_depend_on_the_order(
    base: float, lefts: list[float], random: Any
) -> None:
    expected = folded("add", base, *lefts)
    random.shuffle(lefts)
    assert folded("add", base, *lefts) == expected


@given(LISTS, st.lists(LISTS, max_size=4))
def test_a_union_is_that_of_the_base_and_all(base: list[Any], lefts: list[list[Any]]) -> None:
    result = base
    for left in lefts:
        result = folded("union", result, left)
    lefts = [left for left in lefts if encode(left) != encode(base)]
    assert encode(folded("union", base, *lefts)) == encode(result if lefts else base)


@given(INTS, st.lists(INTS, min_size=1, max_size=4))
def test_least_and_greatest_are_those_of_the_base_and_all(base: int, lefts: list[int]) -> None:
    assert folded("min", base, *lefts) == min(base, *lefts)
    assert folded("max", base, *lefts) == max(base, *lefts)
    assert folded("max", GONE, *lefts) == max(lefts)


@given(st.dictionaries(st.sampled_from("abc"), JSON), st.lists(st.dictionaries(st.sampled_from("abc"), JSON), max_size=4))  # fmt: skip
def test_merged_objects_have_what_any_branch_changed(
    base: dict[str, Any], writes: list[dict[str, Any]]
) -> None:
    result = folded("merge", base, *({**base, **each} for each in writes))
    for key in set(base).union(*writes):
        given = [each[key] for each in writes if key in each]
        if key in base:
            kept = identity(base[key])
            given = [base[key], *(value for value in given if identity(value) != kept)]
        if not any(isinstance(each, dict) for each in given):
            assert encode(result[key]) == encode(given[-1])


def test_a_branch_that_left_a_leaf_alone_does_not_undo_another() -> None:
    base = {"a": {"x": 1, "y": 1}, "b": 1}
    first = {"a": {"x": 2, "y": 1}, "b": 1}
    second = {"a": {"x": 1, "y": 3}, "b": 1, "c": {"d": 1}}
    third = {"a": 5, "b": 1, "c": {"e": 2}}
    assert folded("merge", base, first, second) == {"a": {"x": 2, "y": 3}, "b": 1, "c": {"d": 1}}
    assert folded("merge", base, first, second, third) == {"a": 5, "b": 1, "c": {"d": 1, "e": 2}}
    assert folded("merge", base, third, first) == {"a": {"x": 2, "y": 1}, "b": 1, "c": {"e": 2}}
    assert folded("merge", GONE, first, second)["a"] == {"x": 1, "y": 3}


def test_replace_takes_the_last_branch_in_order() -> None:
    assert folded("replace", 0, 1, 2) == 2
    assert folded("replace", 0, 1, GONE) is GONE
    assert folded("replace", 0, 2, 0) == 2, "who left it as it was did not write"


def test_without_a_reducer_equal_values_are_fine() -> None:
    assert merged({}, {"k": {"a": 1, "b": 2}}, {"k": {"b": 2, "a": 1.0}}) == {"k": {"a": 1, "b": 2}}
    assert merged({"k": 1}, {"k": GONE}, {"k": GONE}) == {}
    assert merged({"k": 1}, {"k": 2}, {"k": 1}, {"k": 2}) == {"k": 2}
    assert merged({"k": 1}) == {"k": 1}


@pytest.mark.parametrize(
    ("value", "name"), [(1, "add"), ([1], "concat"), ({"a": 1}, "merge"), ("x", "replace")]
)
def test_without_a_reducer_different_values_are_a_conflict(value: Any, name: str) -> None:
    error = conflict(NO_RULES, {}, {"k": value}, {"k": value}, {"k": None})
    assert error.writers == (("/fork#1[0]/", 10), ("/fork#1[2]/", 12))
    assert (error.key, error.path, error.more) == ("k", "/k", 0)
    assert str(error) == (
        "/k is left with different values by /fork#1[0]/ (event 10), /fork#1[2]/ (event 12); "
        f'give the key a reducer in state, e.g. {{"reducer": "{name}"}}, '
        "or let the branches write different keys"
    )


def test_a_conflict_names_a_few_and_counts_the_rest() -> None:
    error = conflict(NO_RULES, {}, *({"k": number} for number in range(1000)))
    assert [branch for branch, _ in error.writers] == [f"/fork#1[{n}]/" for n in range(3)]
    assert error.more == 997
    assert "and 997 more" in str(error)


@pytest.mark.parametrize("rules", [NO_RULES, rule("add"), rule("append"), rule("merge")])
def test_removed_by_one_and_written_by_another_is_a_conflict(rules: Rules) -> None:
    error = conflict(rules, {"k": 1}, {"k": GONE}, {"k": GONE}, {"k": 2})
    assert error.writers == (("/fork#1[0]/", 10), ("/fork#1[2]/", 12))
    assert "is removed by one branch and written by another" in str(error)
    assert merged({"k": 1}, {"k": GONE}, {"k": GONE}, rules=rules) == {}


@pytest.mark.parametrize("left", [[], [2], [1, 3], [0, 1, 2], {}, 1], ids=str)
def test_a_branch_that_did_not_only_grow_a_list_is_a_conflict(left: Any) -> None:
    error = conflict(rule("append"), {"k": [1, 2]}, {"k": [1, 2, 3]}, {"k": left})
    assert error.writers == (("/fork#1[1]/", 11),)
    assert "has the reducer append, but did not only grow in /fork#1[1]/ (event 11)" in str(error)


@pytest.mark.parametrize(
    ("name", "base", "left"),
    [("append", 1, [1]), ("add", 1, "x"), ("add", "x", 1), ("min", 1, "a"), ("merge", {}, [])],
)
def test_what_does_not_fit_its_reducer_is_refused(name: ReducerName, base: Any, left: Any) -> None:
    with pytest.raises(CannotReduce, match=r"^/k "):
        merge(State.from_values({"k": base}), changes([{"k": left}]), rule(name))


def test_a_sum_beyond_an_integer_is_refused() -> None:
    with pytest.raises(CannotReduce, match=r"beyond ±2\^63"):
        merge(State({}), changes([{"k": 2**62}] * 2), rule("add"))


def test_a_merged_state_has_the_limits_and_schemas_of_any() -> None:
    rules = rules_of({"k": StateKey(reducer="append", schema={"maxItems": 2})})
    with pytest.raises(SchemaViolated, match="/k does not fit"):
        merge(State.from_values({"k": [1]}), changes([{"k": [1, 2]}, {"k": [1, 3]}]), rules)
    with pytest.raises(StateTooLarge, match="one step may write"):
        merge(State({}), changes({"k": ["x" * 500_000]} for _ in range(5)), rule("append"))


@pytest.mark.parametrize("base", [GONE, [], ["old"]], ids=["no list", "an empty list", "a list"])
def test_a_hundred_thousand_branches_append_in_one_pass(
    monkeypatch: pytest.MonkeyPatch, base: Any
) -> None:
    state = State({} if base is GONE else {"k": encode(base)})
    old = [] if base is GONE else base
    branches = changes({"k": [*old, number]} for number in range(100_000))
    calls = Calls(monkeypatch)
    update = merge(state, branches, rule("append"))
    assert calls.bytes_since_last_asked() < 20_000_000
    monkeypatch.undo()
    assert [op.op for op in update.patch] == ["add" if base is GONE else "replace"]
    state.apply(update.patch)
    assert state["k"] == [*old, *range(100_000)]


@pytest.mark.parametrize("name", ["add", "merge", "union", "max", "replace", None])
def test_a_hundred_thousand_branches_fold_in_one_pass(
    monkeypatch: pytest.MonkeyPatch, name: ReducerName | None
) -> None:
    lefts: dict[Any, Any] = {"merge": {"a": {"b": 1}}, "union": [1, 2]}
    expected = {"add": 100_000, "merge": {"a": {"b": 1}}, "union": [1, 2]}
    branches = changes({"k": lefts.get(name, 1)} for _ in range(100_000))
    calls = Calls(monkeypatch)
    update = merge(State({}), branches, rule(name) if name else NO_RULES)
    assert calls.bytes_since_last_asked() < 10_000_000
    assert ops(update.patch) == [("add", "/k", expected.get(str(name), 1))]


def test_the_base_is_not_changed() -> None:
    state = State.from_values({"a": {"x": {}}, "b": [1], "c": [[1]]})
    rules = rules_of(
        {
            "a": StateKey(reducer="merge"),
            "b": StateKey(reducer="append"),
            "c": StateKey(reducer="union"),
        }
    )
    before = msgspec.json.decode(state.to_json())
    left = {"a": {"x": {"y": 1}}, "b": [1, 2], "c": [[1], [2]]}
    merge(state, changes([left, left]), rules)
    assert before == dict(state) == state.to_values()
