"""A state: what it costs, what it refuses, and that nobody changes it but by a patch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph.engine.bounds import BOUNDS
from stenograph.engine.errors import (
    CannotReduce,
    Fault,
    NotJson,
    SchemaViolated,
    StateRefused,
    StateTooLarge,
)
from stenograph.engine.graphs.graph import StateKey
from stenograph.engine.graphs.schemas import compile_schema
from stenograph.engine.state import state as state_module
from stenograph.engine.state.patch import PatchOp
from stenograph.engine.state.reducers import reduce_value
from stenograph.engine.state.rules import NO_RULES, Rules, rules_of
from stenograph.engine.state.state import OWN_MAX_BYTES, State, Update
from stenograph.engine.state.writes import Writes
from stenograph.engine.tools.draft import ABSENT
from stenograph.engine.values import encode
from tests.engine.test_patch import ops
from tests.json_values import JSON, KEYS, STATES

MIB = 1024 * 1024
LARGE = {f"key{n}": ["x" * 10_000, {"n": n}] for n in range(100)}
"""A megabyte in a hundred keys."""


RULES = rules_of(
    {
        "log": StateKey(reducer="append"),
        "all": StateKey(reducer="concat"),
        "n": StateKey(reducer="add"),
        "info": StateKey(reducer="merge"),
        "tags": StateKey(reducer="union"),
        "low": StateKey(reducer="min"),
        "high": StateKey(reducer="max"),
        "last": StateKey(reducer="replace"),
        "age": StateKey(schema={"type": "integer"}),
        "ages": StateKey(reducer="append", schema={"items": {"type": "integer"}}),
    }
)


def step(
    state: State, returned: Mapping[str, Any], rules: Rules = NO_RULES, /, **set_: Any
) -> Update:
    """One tool: it sets some keys of its draft, and returns others."""
    draft = state.draft()
    draft.update(set_)
    update = state.update(draft, returned, rules)
    state.apply(update.patch)
    state.remember(update.decoded)
    return update


class Calls:
    """Which values went through the encoder and the decoder, by their JSON."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.encoded: list[bytes] = []
        self.decoded: list[bytes] = []
        json = msgspec.json
        encode, decode = json.encode, json.decode

        def counted_encode(value: Any, **options: Any) -> bytes:
            data = encode(value, **options)
            self.encoded.append(data)
            return data

        def counted_decode(data: bytes, **options: Any) -> Any:
            self.decoded.append(data)
            return decode(data, **options)

        monkeypatch.setattr(json, "encode", counted_encode)
        monkeypatch.setattr(json, "decode", counted_decode)

    def bytes_since_last_asked(self) -> int:
        total = sum(map(len, self.encoded)) + sum(map(len, self.decoded))
        self.encoded.clear()
        self.decoded.clear()
        return total


@given(STATES)
def test_a_state_is_what_it_was_made_of(values: dict[str, Any]) -> None:
    state = State.from_values(values)
    assert dict(state) == values == state.to_values()
    assert list(state) == list(values)
    assert len(state) == len(values)
    assert all(key in state for key in values)
    assert dict(State.from_json(state.to_json())) == values


def test_a_key_that_is_not_there_raises_a_key_error() -> None:
    state = State.from_values({"a": 1})
    assert state.get("b") is None
    with pytest.raises(KeyError, match="b"):
        state["b"]


def test_values_are_decoded_when_somebody_looks_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    state = State.from_values({"a": [1], "b": [2]})
    calls = Calls(monkeypatch)
    assert state["a"] is state["a"]
    assert calls.decoded == [b"[1]"]


def test_a_large_state_at_rest_holds_nothing_decoded_and_gives_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large = {"a": ["x" * OWN_MAX_BYTES], "b": [2]}
    for values, decoded_again in (({"a": [1], "b": [2]}, []), (large, [b"[2]"])):
        state = State.from_values(values)
        assert state["b"] == [2]
        state.rest()
        calls = Calls(monkeypatch)
        assert state["b"] == [2]
        assert calls.decoded == decoded_again
        assert dict(state) == values


@pytest.mark.parametrize(("name", "new"), [("merge", {"b": 1}), ("union", [[1]])])
def test_what_a_reducer_took_over_is_no_copys(name: Any, new: Any) -> None:
    old: Any = {"merge": {"a": [0]}, "union": [[0]]}[name]
    first = State.from_values({"key": old, "large": "x" * OWN_MAX_BYTES})
    assert first["key"] == old  # decoded, and so the copy has it as well
    other, rules = first.copy(), Rules({"key": name})
    update = first.update(first.draft(), {"key": new}, rules)
    first.apply(update.patch)
    first.remember(update.decoded)
    past_its_methods = msgspec.convert(first.draft(), dict[str, Any])["key"]
    (past_its_methods["a"] if name == "merge" else past_its_methods[0]).append("spoilt")
    assert other["key"] == old


@given(st.lists(STATES, min_size=1, max_size=5))
def test_the_size_is_the_length_of_the_json_after_any_patches(
    states: list[dict[str, Any]],
) -> None:
    state = State({})
    for values in states:
        draft = state.draft()
        for key in list(draft)[::2]:
            del draft[key]
        state.apply(state.update(draft, values).patch)
        assert state.size == len(state.to_json())
        assert state.size == State.from_json(state.to_json()).size == state.copy().size


def test_a_copy_changes_apart() -> None:
    state = State.from_values({"a": [1], "b": 1})
    twin = state.copy()
    step(twin, {"a": [1, 2]}, b=2)
    assert dict(state) == {"a": [1], "b": 1}
    assert dict(twin) == {"a": [1, 2], "b": 2}


def test_what_is_returned_lies_on_top_of_what_was_set() -> None:
    state = State.from_values({"a": 1, "b": 1, "c": 1})
    update = step(state, {"a": 3, "d": None}, a=2, b=2)
    assert dict(state) == {"a": 3, "b": 2, "c": 1, "d": None}
    assert ops(update.patch) == [
        ("replace", "/a", 3),
        ("replace", "/b", 2),
        ("add", "/d", None),
    ]


def test_a_deleted_key_that_is_returned_is_there() -> None:
    state = State.from_values({"a": 1})
    draft = state.draft()
    del draft["a"]
    assert ops(state.update(draft, {"a": 2}).patch) == [("replace", "/a", 2)]


def test_keys_of_text_subclasses_are_the_keys_they_spell() -> None:
    class Loud(str):
        def __str__(self) -> str:
            return self.upper()

    state = State.from_values({Loud("a"): 1})
    update = step(state, {Loud("a"): 2}, **{Loud("b"): 3})
    assert state.to_json() == b'{"a":2,"b":3}'
    assert [op.path for op in update.patch] == ["/b", "/a"]


def test_a_patch_is_applied_in_its_order_and_grows_a_list_at_once() -> None:
    state = State.from_values({"a": [], "b": [1], "d": [1]})
    raw = msgspec.Raw
    state.apply(
        [
            PatchOp("add", "/a/-", raw(b"1")),
            PatchOp("add", "/a/-", raw(b"[2]")),
            PatchOp("replace", "/b", raw(b"[]")),
            PatchOp("add", "/b/-", raw(b"3")),
            PatchOp("remove", "/a"),
            PatchOp("add", "/c", raw(b"null")),
            PatchOp("add", "/d/-", raw(b"2")),
            PatchOp("add", "/d/-", raw(b"3")),
        ]
    )
    assert state.to_json() == b'{"b":[3],"d":[1,2,3],"c":null}'


def test_one_small_key_of_a_large_state_costs_that_key(monkeypatch: pytest.MonkeyPatch) -> None:
    state = State.from_values({**LARGE, "n": 0, "log": [1, 2]})
    step(state, {})  # whoever is first decodes them all
    calls = Calls(monkeypatch)
    for number in range(3):
        step(state, {"n": number})
        assert calls.bytes_since_last_asked() < 1000
        draft = state.draft()
        draft["log"].append(number)
        state.apply(state.update(draft, {}).patch)
        assert calls.bytes_since_last_asked() < 1000


def test_a_key_that_was_only_read_costs_that_key(monkeypatch: pytest.MonkeyPatch) -> None:
    state = State.from_values(LARGE)
    step(state, {})
    calls = Calls(monkeypatch)
    draft = state.draft()
    assert draft["key7"][1] == {"n": 7}
    assert state.update(draft, {}).patch == ()
    assert calls.bytes_since_last_asked() < 4 * len(msgspec.json.encode(LARGE["key7"]))


def test_what_a_tool_changed_is_decoded_once_for_all_that_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = State.from_values(LARGE)
    step(state, {"key7": ["y" * 5000]})
    calls = Calls(monkeypatch)
    state.draft()
    assert calls.decoded == []
    state = State.from_values({"a": [1], "b": [2]})
    step(state, {"a": [1, 2]})
    calls = Calls(monkeypatch)
    assert state["a"] == [1, 2]
    assert calls.decoded == []


def test_a_small_state_is_looked_through_but_not_decoded_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = State.from_values({"a": [1], "b": {"c": 2}, "n": 1})
    step(state, {})
    draft = state.draft()
    draft["a"].append(2)
    calls = Calls(monkeypatch)
    assert len(state.update(draft, {}).patch) == 1
    assert calls.decoded.count(b"[1,2]") == 1
    assert b'{"c":2}' not in calls.decoded


def test_what_somebody_else_has_written_is_read() -> None:
    for values in ({"a": [1]}, {**LARGE, "a": [1]}):
        state = State.from_values(values)
        step(state, {})
        assert state["a"] == state.draft()["a"] == [1]
        state.update(state.draft(), {})
        state.apply([PatchOp("replace", "/a", msgspec.Raw(b"[2]"))])
        assert msgspec.to_builtins(state.draft())["a"] == state.draft()["a"] == state["a"] == [2]


def test_a_list_grows_by_what_is_new_whatever_its_length() -> None:
    state = State.from_values({"log": ["x" * 100] * 10_000})
    draft = state.draft()
    draft["log"] += ["y", "z"]
    update = state.update(draft, {})
    assert ops(update.patch) == [("add", "/log/-", "y"), ("add", "/log/-", "z")]


def test_the_first_state_has_a_limit() -> None:
    def of_size(size: int) -> State:
        return State.from_values({"k": "x" * (size - 8)})

    assert of_size(BOUNDS.change_bytes).size == BOUNDS.change_bytes
    with pytest.raises(StateTooLarge, match="2,031,617 bytes of JSON; it may have 2,031,616"):
        of_size(BOUNDS.change_bytes + 1)


def test_one_change_has_a_limit_and_refused_it_changes_nothing() -> None:
    state = State.from_values({"a": 1})
    overhead = len('[{"op":"replace","path":"/a","value":""}]')
    assert step(state, {"a": "x" * (BOUNDS.change_bytes - overhead)}).patch
    before = state.to_json()
    draft = state.draft()
    with pytest.raises(StateTooLarge, match="one step may write 2,031,616"):
        state.update(draft, {"a": "y" * (BOUNDS.change_bytes - overhead + 1), "b": 1})
    assert state.to_json() == before


@pytest.mark.parametrize("what", ["removed", "added"])
def test_a_change_of_very_many_small_keys_counts_whole(what: str) -> None:
    """A patch that no event can hold would leave its run stuck."""
    many = {f"{n:06d}": 0 for n in range(70_000)}
    state = State.from_values(many if what == "removed" else {})
    draft = state.draft()
    draft.clear()
    with pytest.raises(StateTooLarge, match="one step may write"):
        state.update(draft, {} if what == "removed" else many)


def test_the_state_has_a_limit_and_refused_it_changes_nothing() -> None:
    state = State({})
    for key in "abc":
        step(state, {key: "x" * (BOUNDS.state_bytes // 3 - 100)})
    room = BOUNDS.state_bytes - state.size - len(',"d":""')
    before = state.to_json()
    with pytest.raises(StateTooLarge, match="would grow to 4,194,305 bytes of JSON"):
        state.update(state.draft(), {"d": "x" * (room + 1)})
    assert state.to_json() == before
    step(state, {"d": "x" * room})
    assert state.size == len(state.to_json()) == BOUNDS.state_bytes


def test_what_is_no_json_is_refused_and_changes_nothing() -> None:
    state = State.from_values({"a": [1], "b": [2]})
    draft = state.draft()
    draft["a"].append(float("nan"))
    draft["b"].append(3)
    with pytest.raises(NotJson, match="/a/1 is nan"):
        state.update(draft, {})
    assert state.to_json() == b'{"a":[1],"b":[2]}'
    assert dict(state.draft()) == {"a": [1], "b": [2]}


@pytest.mark.parametrize("key", [1, None, b"a", "\ud800"])
def test_the_keys_of_a_state_are_text(key: Any) -> None:
    with pytest.raises(NotJson, match="keys are text"):
        State.from_values({key: 1})
    state = State({})
    with pytest.raises(NotJson, match="keys are text"):
        state.update(state.draft(), {key: 1})
    draft = state.draft()
    draft[key] = 1
    with pytest.raises(NotJson, match="keys are text"):
        state.update(draft, {})


@pytest.mark.parametrize(
    ("before", "after"), [(1, True), (1, 1.0), (False, 0), ([1], (1, 2))], ids=str
)
def test_a_change_in_place_to_what_is_nearly_the_same_is_seen(before: Any, after: Any) -> None:
    state = State.from_values({"a": [before]})
    draft = state.draft()
    draft["a"][0] = after
    state.apply(state.update(draft, {}).patch)
    assert state.to_json() == b'{"a":[%s]}' % msgspec.json.encode(after)


@pytest.mark.parametrize(
    ("before", "after"), [(None, float("nan")), ("YQ==", b"a"), ([1], {1}), (1, len)], ids=str
)
def test_a_change_in_place_to_what_only_looks_alike_as_json_is_refused(
    before: Any, after: Any
) -> None:
    state = State.from_values({"a": [before]})
    draft = state.draft()
    draft["a"][0] = after
    with pytest.raises(NotJson, match="/a/0"):
        state.update(draft, {})


def test_a_small_state_is_one_that_is_compared_whole() -> None:
    fits = "x" * (OWN_MAX_BYTES - len('{"a":[],"pad":""}'))
    assert not State.from_values({"a": [], "pad": fits}).draft().is_lent
    assert State.from_values({"a": [], "pad": fits + "x"}).draft().is_lent
    assert state_module.OWN_MAX_BYTES == 16 * 1024


LISTS = st.lists(JSON, max_size=4)
RETURNED: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "log": JSON,
        "all": LISTS,
        "n": st.integers(-100, 100) | st.floats(-100, 100),
        "info": st.dictionaries(KEYS, JSON, max_size=3),
        "tags": LISTS,
        "low": st.integers(-1000, 1000),
        "high": st.integers(-1000, 1000),
        "last": JSON,
        "free": JSON,
    },
)


@pytest.mark.parametrize("pad", [0, OWN_MAX_BYTES])
@given(steps=st.lists(RETURNED, max_size=5))
def test_what_is_returned_meets_what_is_there_by_the_reducer_of_its_key(
    pad: int, steps: list[dict[str, Any]]
) -> None:
    state, plain = State.from_values({"pad": "x" * pad}), {"pad": "x" * pad}
    twin = state.copy()
    for returned in steps:
        for key, value in returned.items():
            name = RULES.reducers.get(key, "replace")
            plain[key] = reduce_value(name, "", plain.get(key, ABSENT), value)
        draft = state.draft()
        update = state.update(draft, returned, RULES)
        assert twin.accept(returned, RULES).patch == update.patch
        expected = after(state, update), len(after(state, update))
        for each in (state, twin):
            each.apply(update.patch)
            each.remember(update.decoded)
        assert expected == (dict(state), len(state))
        assert dict(state) == state.to_values() == plain == dict(state.draft())
        assert state.size == len(state.to_json())
    assert twin.to_json() == state.to_json()


@pytest.mark.parametrize("values", [{"n": 1}, LARGE])
def test_a_state_keeps_no_value_of_a_key_that_it_has_not(values: dict[str, Any]) -> None:
    state = State.from_values(values)
    state.remember({"other": [1]})
    assert "other" not in state
    assert "other" not in state.draft()
    with pytest.raises(KeyError):
        state["other"]


def test_what_was_changed_in_place_is_the_value_that_the_returned_one_meets() -> None:
    state = State.from_values({"log": [1], "n": 1, "all": [1]})
    draft = state.draft()
    draft["log"].append(2)
    draft["n"] = 10
    del draft["all"]
    update = state.update(draft, {"log": 3, "n": 5, "all": [2]}, RULES)
    assert ops(update.patch) == [
        ("replace", "/all", [2]),
        ("replace", "/n", 15),
        ("add", "/log/-", 2),
        ("add", "/log/-", 3),
    ]
    assert update.decoded == {"log": [1, 2, 3], "n": 15, "all": [2]}


def test_two_values_for_one_key_meet_it_one_after_the_other() -> None:
    state = State.from_values({"log": [1], "low": 7})
    writes = Writes(state, RULES)
    for value in (2, 3):
        writes.reduce("log", value)
        writes.reduce("low", value)
    update = state.update_of(writes)
    assert ops(update.patch) == [("add", "/log/-", 2), ("add", "/log/-", 3), ("replace", "/low", 2)]
    assert after(state, update) == {"log": [1, 2, 3], "low": 2}


@pytest.mark.parametrize("key", ["free", "log", "low"])
def test_what_came_as_json_is_accepted_as_its_value_would_be(key: str) -> None:
    state = State.from_values({"log": [1], "low": 7, "free": None})
    as_json = state.accept_json(key, b"3", RULES, BOUNDS)
    assert as_json.patch == state.accept({key: 3}, RULES).patch
    assert after(state, as_json)[key] == {"free": 3, "log": [1, 3], "low": 3}[key]


@pytest.mark.parametrize("key", ["free", "log"])
@pytest.mark.parametrize("data", [b'{ "a" : 1.50 }', b'{"a":1,"a":2}', b'"\\u0061"', b"1E3"])
def test_json_that_came_from_elsewhere_is_written_as_our_own(key: str, data: bytes) -> None:
    state = State.from_values({"log": [1]})
    accepted = state.accept({key: msgspec.json.decode(data)}, RULES)
    assert state.accept_json(key, data, RULES, BOUNDS).patch == accepted.patch


@pytest.mark.parametrize("key", ["free", "log"])
@pytest.mark.parametrize(
    "data", [b"[" * 65 + b"]" * 65, b"9223372036854775808", b'{"a":' * 70 + b"1" + b"}" * 70]
)
def test_json_that_came_from_elsewhere_keeps_to_the_bounds_of_values(key: str, data: bytes) -> None:
    with pytest.raises(NotJson):
        State.from_values({}).accept_json(key, data, RULES, BOUNDS)


@pytest.mark.parametrize("key", ["log", "all", "free"])
def test_what_came_as_json_is_not_written_as_json_again_to_grow_a_list(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = State.from_values({"log": [0], "all": [0]})
    wanted = state.accept({key: [1, 2]}, RULES)

    def never(value: object, path: str) -> Any:
        raise AssertionError(f"{path} was JSON already")

    monkeypatch.setattr("stenograph.engine.state.writes.canonical", never)
    got = state.accept_json(key, b"[1,2]", RULES, BOUNDS)
    assert (got.patch, got.decoded, got.grown) == (wanted.patch, wanted.decoded, wanted.grown)


def test_keys_that_are_checked_together_share_what_that_may_cost() -> None:
    dear = compile_schema({"items": {"enum": [n + 0.5 for n in range(100)]}})
    rules, value = Rules(schemas={"a": dear, "b": dear}), [0.5] * 300
    assert State.from_values({"a": value}, rules)["a"] == value
    assert State({}).accept({"b": value}, rules).patch
    with pytest.raises(StateRefused, match="too many values to check"):
        State.from_values({"a": value, "b": value}, rules)
    with pytest.raises(SchemaViolated, match="too many values to check"):
        State({}).accept({"a": value, "b": value}, rules)


def test_adding_nothing_is_no_change() -> None:
    state = State.from_values({"all": [1]})
    assert state.accept({"all": []}, RULES).patch == ()
    assert ops(State({}).accept({"all": []}, RULES).patch) == [("add", "/all", [])]


def test_adding_to_a_large_list_costs_what_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    state = State.from_values({"log": [{"n": n, "x": "x" * 90} for n in range(10_000)]})
    assert len(state["log"]) == 10_000
    state.update(state.draft(), {})  # whoever is first decodes it
    calls = Calls(monkeypatch)
    for number in range(3):
        update = step(state, {"log": {"n": number}}, RULES)
        assert ops(update.patch) == [("add", "/log/-", {"n": number})]
        assert after(state, update)["log"][-1] == {"n": number}
        assert calls.bytes_since_last_asked() < 1000
    assert len(state["log"]) == 10_003
    assert calls.decoded == []


def test_a_list_that_grows_does_not_grow_in_copies_or_in_drafts() -> None:
    state = State.from_values({"log": [0], "pad": "x" * OWN_MAX_BYTES})
    state.update(state.draft(), {})
    before, twin, draft = state["log"], state.copy(), state.draft()
    lent = dict.__getitem__(draft, "log")
    state.update(draft, {})
    state.apply(state.accept({"log": 1}, RULES).patch)
    assert (before, twin["log"], lent, state["log"]) == ([0], [0], [0], [0, 1])


def test_what_does_not_fit_its_reducer_is_refused_and_changes_nothing() -> None:
    state = State.from_values({"log": "x", "n": 2**63 - 1})
    with pytest.raises(CannotReduce, match=r"/log has the reducer append, .* but was text"):
        state.accept({"log": 1}, RULES)
    with pytest.raises(CannotReduce, match=r"/n would be an integer beyond ±2\^63"):
        step(state, {"log": [], "n": 1}, rules_of({"n": StateKey(reducer="add")}))
    with pytest.raises(NotJson, match="/log/-/1 is nan"):
        state.accept({"log": [1, float("nan")]}, RULES)
    with pytest.raises(NotJson, match="/all/1 is nan"):
        state.accept({"all": [1, float("nan")]}, RULES)
    with pytest.raises(NotJson, match="/log"):
        State({}).accept({"log": nested(64)}, RULES)
    assert state.to_values() == {"log": "x", "n": 2**63 - 1}


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_every_key_that_is_written_fits_its_schema() -> None:
    state = State.from_values({"age": 1, "ages": [1]}, RULES)
    step(state, {"ages": 2}, RULES, age=3)
    with pytest.raises(SchemaViolated) as refused:
        step(state, {"ages": "x"}, RULES)
    assert refused.value.key == "ages"
    assert refused.value.pointer == "/ages/2"
    assert refused.value.sentence == 'expected integer, found "x"'
    assert refused.value.code == "schema-violated"
    with pytest.raises(SchemaViolated, match="/age does not fit the schema of its key"):
        step(state, {}, RULES, age="x")
    with pytest.raises(SchemaViolated, match="/age"):
        state.accept({"age": None}, RULES)
    assert state.to_values() == {"age": 3, "ages": [1, 2]}


def test_a_key_with_a_schema_may_be_removed_or_left_alone() -> None:
    state = State.from_values({"age": "old", "free": 1})
    draft = state.draft()
    assert draft["age"] == "old"
    assert state.update(draft, {}, RULES).patch == ()
    del draft["age"]
    assert ops(state.update(draft, {}, RULES).patch) == [("remove", "/age")]


def test_a_first_state_tells_of_everything_that_does_not_fit() -> None:
    with pytest.raises(StateRefused, match="the state cannot be taken: /age: expected") as refused:
        State.from_values({"age": "x", "ages": [1, None], "free": "x"}, RULES)
    assert refused.value.faults == [
        Fault("/age", 'expected integer, found "x"'),
        Fault("/ages/1", "expected integer, found null"),
    ]


def test_a_child_has_some_keys_on_top_and_changes_apart() -> None:
    state = State.from_values({"a": 1, "b": [1]})
    child = state.child({"item": b'{"n":1}', "a": b"2"})
    assert dict(child) == {"a": 2, "b": [1], "item": {"n": 1}}
    assert child.size == len(child.to_json())
    step(child, {"b": 2})
    assert state.to_values() == {"a": 1, "b": [1]}


def test_the_json_of_a_key_can_be_had() -> None:
    state = State.from_values({"a": {"b": 1}})
    assert (state.encoded("a"), state.encoded("b")) == (b'{"b":1}', None)
    assert state.encoded("a") == encode(state["a"])


def after(state: State, update: Update) -> dict[str, Any]:
    twin = state.copy()
    twin.apply(update.patch)
    return dict(twin)
