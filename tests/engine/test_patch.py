"""Patches: the least that leads from one state to the next, at two depths only."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph.engine.state.patch import (
    GROWTH_MAX_OPS,
    PatchOp,
    added_to,
    grow_key,
    joined,
    patch_key,
    size_of,
    target,
)
from stenograph.engine.state.state import State
from stenograph.engine.values import encode
from tests.json_values import JSON, STATES


def ops(patch: list[PatchOp] | tuple[PatchOp, ...]) -> list[Any]:
    """The patch as its readers get it."""
    return [tuple(op.values()) for op in json.loads(msgspec.json.encode(patch))]


def patch(old: Any, new: Any, key: str = "k") -> list[Any]:
    return ops(patch_key(key, encode(old), encode(new)))


def applied(state: dict[str, Any], change: Any) -> dict[str, Any]:
    """RFC 6902, as far as a patch may use it, over decoded values."""
    state = json.loads(json.dumps(state))
    for op in json.loads(msgspec.json.encode(change)):
        first, *rest = op["path"].split("/")[1:]
        key = first.replace("~1", "/").replace("~0", "~")
        match op["op"], rest:
            case "add", ["-"]:
                state[key].append(op["value"])
            case "add", []:
                assert key not in state
                state[key] = op["value"]
            case "replace", []:
                assert key in state
                state[key] = op["value"]
            case "remove", []:
                del state[key]
            case _:
                raise AssertionError(f"{op} is no operation of a patch")
    return state


@given(STATES, STATES)
def test_a_patch_leads_from_any_state_to_any_other(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    state = State.from_values(old)
    draft = state.draft()
    draft.clear()
    change = state.update(draft, new).patch
    assert applied(old, change) == new
    state.apply(change)
    assert state.to_values() == new
    assert {k: encode(v) for k, v in state.items()} == {k: encode(v) for k, v in new.items()}


@given(STATES)
def test_no_change_makes_no_patch(values: dict[str, Any]) -> None:
    state = State.from_values(values)
    assert state.update(state.draft(), {}).patch == ()
    assert state.update(state.draft(), values).patch == ()
    draft = state.draft()
    list(draft.items())
    assert state.update(draft, {}).patch == ()


@given(STATES, STATES, st.data())
def test_patches_have_two_depths_and_touch_only_what_changed(
    old: dict[str, Any], new: dict[str, Any], data: st.DataObject
) -> None:
    kept = data.draw(st.lists(st.sampled_from(sorted(old)), unique=True)) if old else []
    new |= {key: old[key] for key in kept}
    state = State.from_values(old)
    change = state.update(state.draft(), new).patch
    for op in change:
        key, grows = target(op)
        assert key in new
        assert key not in kept
        assert op.path.count("/") == 1 + grows
        assert not grows or (op.op == "add" and op.path.endswith("/-"))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([1], [1, 2, "x"], [("add", "/k/-", 2), ("add", "/k/-", "x")]),
        ([], [[1]], [("add", "/k/-", [1])]),
        (["a,b]"], ["a,b]", "]"], [("add", "/k/-", "]")]),
        ([[1]], [[1], [2, 3]], [("add", "/k/-", [2, 3])]),
        ([{"a": 1}], [{"a": 1}, None], [("add", "/k/-", None)]),
    ],
)
def test_a_list_that_only_grew_adds_its_new_items(old: Any, new: Any, expected: list[Any]) -> None:
    assert patch(old, new) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([1], [12]),
        ([1], [12, 3]),
        ([1, 2], [1]),
        ([1, 2], [0, 1, 2]),
        ([[1]], [[1, 2]]),
        (["a"], ['a","b']),
        ([1], []),
        ([], {}),
        ([], "[1]"),
        ([1], {"a": 1}),
        ("[1", "[1,2"),
        ({"a": [1]}, {"a": [1, 2]}),
        ({}, {"a": 1}),
        (None, 0),
        (1, True),
        (1, 1.0),
    ],
    ids=str,
)
def test_any_other_change_replaces_the_value(old: Any, new: Any) -> None:
    assert patch(old, new) == [("replace", "/k", new)]


def test_what_is_new_is_added_and_what_is_gone_removed() -> None:
    assert ops(patch_key("k", None, b"[1]")) == [("add", "/k", [1])]
    assert ops(patch_key("k", b"[1]", None)) == [("remove", "/k")]
    assert patch_key("k", None, None) == []


def test_null_is_a_value() -> None:
    assert patch(1, None) == [("replace", "/k", None)]
    assert msgspec.json.decode(b'{"op":"add","path":"/k","value":null}', type=PatchOp) == PatchOp(
        "add", "/k", msgspec.Raw(b"null")
    )


@pytest.mark.parametrize(
    ("key", "path"), [("", "/"), ("-", "/-"), ("/", "/~1"), ("~", "/~0"), ("a/-", "/a~1-")]
)
def test_keys_are_escaped_so_that_none_is_taken_for_a_place_in_a_list(key: str, path: str) -> None:
    (whole,) = patch_key(key, None, b"1")
    (grown,) = patch_key(key, b"[1]", b"[1,2]")
    assert (whole.path, target(whole)) == (path, (key, False))
    assert (grown.path, target(grown)) == (f"{path}/-", (key, True))


def test_a_list_that_grew_by_very_many_small_items_is_replaced_if_that_is_less() -> None:
    small = list(range(GROWTH_MAX_OPS + 1))
    assert len(patch([], small[:-1])) == GROWTH_MAX_OPS
    assert patch([], small) == [("replace", "/k", small)]


def test_a_list_that_grew_by_very_many_items_is_not_written_again_if_that_is_more() -> None:
    old, new = ["x" * 100_000], list(range(GROWTH_MAX_OPS + 1))
    assert len(patch(old, old + new)) == len(new)


@given(STATES)
def test_the_size_of_a_patch_is_the_length_of_its_json(values: dict[str, Any]) -> None:
    state = State({})
    change = state.update(state.draft(), values).patch
    assert size_of(change) == len(msgspec.json.encode(change))


LISTS = st.lists(JSON, max_size=4)


@given(LISTS, LISTS)
def test_adding_to_a_list_is_the_list_with_more_in_it(old: list[Any], new: list[Any]) -> None:
    change = grow_key("k", encode(old), encode(new))
    assert applied({"k": old}, change) == {"k": old + new}
    assert len(change) == len(new)
    assert json.loads(joined(encode(old), encode(new))) == old + new


def test_a_long_list_is_written_once_when_it_is_added_to() -> None:
    old, items = encode(["x" * 100] * 10_000), encode(["y"])
    tracemalloc.start()
    try:
        new = joined(old, items)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(new) <= peak < 1.1 * len(new)


@given(LISTS, LISTS)
def test_what_a_list_grew_by_is_known_unless_it_did_more(old: list[Any], new: list[Any]) -> None:
    assert added_to(encode(old), encode(old + new)) == encode(new)
    tail = added_to(encode(old), encode(new))
    assert tail is None or joined(encode(old), tail) == encode(new)


@pytest.mark.parametrize("old", [b"[12]", b'["a"]', b"[[]]"])
def test_a_list_whose_last_item_changed_did_not_only_grow(old: bytes) -> None:
    for new in (b"[123]", b'["ab"]', b"[[1]]", b"[]", b"{}", b"1"):
        assert added_to(old, new) is None


def test_very_many_new_items_are_one_operation_when_that_takes_less_room() -> None:
    many = [0] * (GROWTH_MAX_OPS + 1)
    assert ops(grow_key("k", b"[1]", encode(many))) == [("replace", "/k", [1, *many])]
    long = encode(["x" * 100_000])
    assert len(grow_key("k", long, encode(many))) == GROWTH_MAX_OPS + 1
