"""Scopes: layers over what must not change, and copies that change apart."""

from __future__ import annotations

from stenograph.engine import fold
from stenograph.engine.core.scopes import Branch, Layer
from tests.scenario import Scenario

FORK = {
    "start": "split",
    "nodes": {
        "split": {"next": {"to": ["a", "b"], "join": "after"}},
        **{name: {"tool": "t", "next": "after"} for name in ("a", "b")},
        "after": {"tool": "t"},
    },
}


def layered() -> tuple[dict[str, int], Layer]:
    """Return a dict, and a layer over it in which one key is gone, one new and one changed."""
    below = {"a": 1, "b": 2, "c": 3}
    layer = Layer(below)
    layer.pop("a")
    layer["d"] = 4
    layer["b"] = 5
    return below, layer


def test_a_layer_reads_like_the_dict_below_with_its_own_changes() -> None:
    _, layer = layered()
    assert (list(layer), len(layer)) == (["b", "c", "d"], 3)
    assert layer.values() == [5, 3, 4]
    assert layer.items() == [("b", 5), ("c", 3), ("d", 4)]


def test_a_layer_changes_nothing_below() -> None:
    below, _ = layered()
    assert below == {"a": 1, "b": 2, "c": 3}


def test_what_was_taken_out_of_a_layer_is_gone_there_until_it_is_set_again() -> None:
    _, layer = layered()
    assert (layer.peek("a"), layer.get("a"), "a" in layer) == (None, None, False)
    layer["a"] = 6
    assert (layer.peek("a"), layer["a"]) == (6, 6)


def test_a_layer_can_take_the_place_of_the_dict_below() -> None:
    below, layer = layered()
    layer.pop("c")
    layer["c"] = 7
    expected = layer.items()
    assert layer.settle() is below
    assert list(below.items()) == expected == [("b", 5), ("d", 4), ("c", 7)]


def test_what_is_only_peeked_at_does_not_come_up() -> None:
    layer = Layer({"a": 1})
    assert (layer.peek("a"), layer.touched) == (1, [])
    assert (layer["a"], layer.touched) == (1, ["a"])


def test_what_was_taken_out_was_touched_after_all_that_came_up() -> None:
    _, layer = layered()
    assert layer.touched == ["d", "b", "a"]
    layer["a"] = 6
    assert layer.touched == ["d", "b", "a"]


def test_going_on_from_a_run_leaves_its_open_fork_as_it_was() -> None:
    scene = Scenario(FORK).when_returned()
    begun = len(scene.history)
    before = fold(scene.history)
    scene.when_returned({"x": 1}, scope="/split#1[0]/")
    after = fold(scene.history[begun:], before)
    assert (before.scopes["/"].open_fork.arrived, after.scopes["/"].open_fork.arrived) == (0, 1)
    assert before.scopes["/"].open_fork.branches[0] == Branch("open")
