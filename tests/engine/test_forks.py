"""Forks: branches in scopes of their own, races, quorums, maps, and what their join makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from stenograph.engine.core import forks
from stenograph.engine.core.commands import Advance, Recover
from stenograph.engine.core.steps import BUDGET
from tests.scenario import Scenario

A, B, C = "/split#1[0]/", "/split#1[1]/", "/split#1[2]/"


def fork(*targets: str, state: dict[str, Any] | None = None, **edge: Any) -> dict[str, Any]:
    nodes: dict[str, Any] = {name: {"tool": "t", "next": "after"} for name in targets}
    nodes["split"] = {"tool": "t", "next": {"to": list(targets), "join": "after", **edge}}
    return {"start": "split", "nodes": {**nodes, "after": {"tool": "t"}}, "state": state or {}}


def mapped(state: dict[str, Any] | None = None, **edge: Any) -> dict[str, Any]:
    split = {"next": {"each": "items", "as": "it", "to": "work", "join": "after", **edge}}
    nodes = {"split": split, "work": {"tool": "t"}, "after": {"tool": "t"}}
    return {"start": "split", "nodes": nodes, "state": state or {}}


def forked(*targets: str, **edge: Any) -> Scenario:
    return Scenario(fork(*targets, **edge)).when_returned()


def over(items: Any, **edge: Any) -> Scenario:
    return Scenario(mapped(**edge), {"items": items}).when_returned()


def entered(scene: Scenario) -> list[str]:
    return [each.scope for each in scene.happened if each.TYPE == "node.entered"]


def test_a_fork_opens_and_its_branches_are_entered_in_one_commit() -> None:
    scene = forked("a", "b")
    scene.then("node.exited", "transition.taken", "fork.opened", "node.entered", "node.entered")
    taken, opened = scene.find("transition.taken"), scene.find("fork.opened")
    assert (taken.to, taken.fork) == ("after", ("a", "b"))
    assert (opened.count, opened.need, opened.targets) == (2, 2, ("a", "b"))
    assert entered(scene) == [A, B]


def test_a_branch_sees_what_the_fork_saw_and_not_its_siblings() -> None:
    scene = Scenario(fork("a", "b"), {"n": 1}).when_returned({"m": 2})
    scene.when_returned({"n": 5}, scope=A)
    assert scene.run.scopes[B].state.to_values() == {"n": 1, "m": 2}
    assert scene.run.state.to_values() == {"n": 1, "m": 2}


def test_the_last_branch_to_arrive_joins_and_the_scope_goes_on() -> None:
    scene = forked("a", "b").when_returned({"x": 1}, scope=B)
    scene.then("node.exited", "state.patched", "transition.taken", "branch.ended")
    scene.when_returned({"y": 2}, scope=A)
    assert [each.TYPE for each in scene.happened[-4:]] == [
        "branch.ended", "fork.joined", "state.patched", "node.entered",
    ]  # fmt: skip
    assert scene.last().node == "after"
    assert scene.run.state.to_values() == {"x": 1, "y": 2}


def test_the_merged_change_belongs_to_the_node_that_forked() -> None:
    scene = forked("a", "b").when_returned({"x": 1}, scope=B).when_returned(scope=A)
    patched = scene.find("state.patched")
    assert (patched.scope, patched.node, patched.visit) == ("/", "split", 1)


@pytest.mark.parametrize("way", [{"next": "$end"}, {}, {"next": [{"to": "b", "on": "error"}]}])
def test_a_branch_that_ends_anywhere_has_arrived(way: dict[str, Any]) -> None:
    graph = fork("a", "b")
    graph["nodes"]["a"] = {"tool": "t", **way}
    scene = Scenario(graph).when_returned().when_returned(scope=B).when_returned(scope=A)
    assert scene.last().node == "after"


def test_two_values_for_one_key_are_a_conflict_that_names_key_branches_and_fix() -> None:
    scene = forked("a", "b").when_returned({"x": 1}, scope=A).when_returned({"x": 2}, scope=B)
    assert [each.TYPE for each in scene.happened[-2:]] == ["fork.joined", "run.failed"]
    error = scene.last().error
    assert (error.type, error.node) == ("merge-conflict", "split")
    for word in ("x", A, B, "reducer"):
        assert word in error.message


def test_one_value_from_two_branches_is_no_conflict() -> None:
    scene = forked("a", "b").when_returned({"x": 1}, scope=A).when_returned({"x": 1}, scope=B)
    assert scene.run.state.to_values() == {"x": 1}


def test_a_race_stops_the_rest_when_one_has_arrived() -> None:
    scene = forked("a", "b", "c", need=1).when_returned({"x": 1}, scope=B)
    ended = [(each.scope, each.outcome) for each in scene.happened if each.TYPE == "branch.ended"]
    assert ended == [(B, "ok"), (A, "cancelled"), (C, "cancelled")]
    assert (scene.find("fork.joined").arrived, scene.find("fork.joined").cancelled) == (1, 2)
    assert scene.run.state.to_values() == {"x": 1}
    assert scene.last().node == "after"


def test_a_failure_is_borne_while_enough_others_can_arrive() -> None:
    scene = forked("a", "b", "c", need=2).when_failed(scope=A)
    assert scene.last().TYPE == "branch.ended"
    scene.when_returned(scope=B).when_returned(scope=C)
    assert (scene.find("fork.joined").arrived, scene.find("fork.joined").failed) == (2, 1)


def test_a_fork_fails_when_not_enough_can_arrive_any_more_after_stopping_the_rest() -> None:
    scene = forked("a", "b", "c", need=2).when_failed(scope=A).when_failed("KeyError", scope=B)
    scene.then("node.exited", "branch.ended", "branch.ended", "run.failed")
    assert scene.happened[2].outcome == "cancelled"
    assert (scene.last().error.type, scene.last().scope) == ("OSError", A)


def test_a_branch_that_fails_stops_its_siblings_and_then_the_fork() -> None:
    scene = forked("a", "b").when_failed(scope=B)
    scene.then("node.exited", "branch.ended", "branch.ended", "run.failed")
    failed, stopped = scene.happened[1], scene.happened[2]
    assert (failed.scope, failed.outcome, failed.error.type) == (B, "error", "OSError")
    assert (stopped.scope, stopped.outcome) == (A, "cancelled")


def test_a_fork_that_collects_goes_on_with_the_errors() -> None:
    scene = forked("a", "b", on_error="collect").when_failed(scope=B)
    scene.when_returned({"x": 1}, scope=A)
    state = scene.run.state.to_values()
    assert state["x"] == 1
    assert state["errors"] == [{"branch": 1, "node": "b", "type": "OSError", "message": "it broke"}]


def test_the_errors_that_a_fork_collects_win_over_what_branches_wrote_there() -> None:
    scene = forked("a", "b", on_error="collect").when_returned({"errors": "none"}, scope=A)
    scene.when_returned({"x": 1}, scope=B)
    assert scene.run.state.to_values() == {"errors": [], "x": 1}


def test_a_fork_that_collects_nothing_says_so() -> None:
    scene = forked("a", on_error="collect").when_returned(scope=A)
    assert scene.run.state.to_values() == {"errors": []}


def test_a_map_has_a_branch_for_each_item_with_the_item_and_its_index() -> None:
    scene = over(["p", "q"])
    assert entered(scene) == [A, B]
    assert scene.run.scopes[B].state.to_values() == {"items": ["p", "q"], "it": "q", "index": 1}


def test_a_join_does_not_look_at_what_a_branch_was_given() -> None:
    scene = over(["p", "q"]).when_returned({"it": 1, "index": 9}, scope=A).when_returned(scope=B)
    assert scene.run.state.to_values() == {"items": ["p", "q"]}


def test_conditions_in_a_branch_see_item_and_index() -> None:
    graph = mapped()
    graph["nodes"]["work"]["next"] = [
        {"to": "work", "when": "item == 'q' and index == 1", "max": 1}
    ]
    scene = Scenario(graph, {"items": ["p", "q"]}).when_returned()
    assert scene.when_returned(scope=B).find("transition.taken").to == "work"
    assert scene.when_returned(scope=A).find("branch.ended").reason == "loop-done"


def test_a_map_over_nothing_joins_at_once() -> None:
    scene = over([])
    assert [each.TYPE for each in scene.happened[-2:]] == ["fork.joined", "node.entered"]
    assert scene.last().node == "after"


def test_a_map_may_join_at_the_end() -> None:
    scene = over([1], join="$end").when_returned({"x": 1}, scope=A)
    assert scene.last().TYPE == "run.completed"
    assert scene.run.state.to_values() == {"items": [1], "x": 1}


@pytest.mark.parametrize("items", ["text", {"a": 1}, 7, None, True])
def test_a_map_over_no_list_fails_the_scope_and_says_what_it_found(items: Any) -> None:
    scene = over(items).then("node.exited", "run.failed")
    assert scene.last().error.type == "each-not-a-list"
    assert "no list but" in scene.last().error.message


def test_a_map_over_what_is_not_there_fails_the_scope() -> None:
    scene = Scenario(mapped(), {}).when_returned()
    assert "not in the state" in scene.last().error.message


def test_a_map_over_too_many_items_fails_the_scope() -> None:
    scene = over([0] * 100_001)
    assert scene.last().error.type == "too-many-branches"
    assert "100,000" in scene.last().error.message


def test_a_list_within_the_state_is_found_by_its_path() -> None:
    graph = mapped()
    graph["nodes"]["split"]["next"]["each"] = "doc.pages"
    assert len(entered(Scenario(graph, {"doc": {"pages": [1, 2, 3]}}).when_returned())) == 3


def test_at_most_width_branches_go_on_at_a_time() -> None:
    scene = over([1, 2, 3], width=2)
    assert entered(scene) == [A, B]
    assert entered(scene.when_returned(scope=B)) == [C]
    assert entered(scene.when_returned(scope=A)) == []


def test_a_wide_fork_is_entered_in_as_many_commits_as_it_needs() -> None:
    scene = over([0] * 1000)
    assert scene.happened[2].TYPE == "fork.opened"
    commits = 1
    while len(scene.run.scopes) < 1001:
        assert len(scene.happened) <= BUDGET + 5
        scene.when(Advance())
        commits += 1
    assert commits == 3
    scene.when(Advance()).then_nothing_happened()


def test_a_wide_fork_that_was_interrupted_while_it_was_entered_is_entered_to_its_end() -> None:
    scene = over([0] * 600).when(Recover()).when(Recover())
    while scene.happened:
        scene.when(Advance())
    assert len(scene.run.scopes) == 601


def test_many_that_nobody_waits_for_are_stopped_in_as_many_commits_as_it_takes() -> None:
    scene = over([0] * 900, need=1)
    while scene.happened:
        scene.when(Advance())
    scene.when_returned({"x": 1}, scope=B)
    while len(scene.happened) >= BUDGET:
        scene.when(Advance())
    assert scene.last().node == "after"
    assert scene.run.state.to_values()["x"] == 1
    assert list(scene.run.scopes) == ["/"]


def test_forks_nest_and_join_from_the_inner_to_the_outer() -> None:
    graph = {
        "start": "split",
        "nodes": {
            "split": {"next": {"each": "rows", "as": "row", "to": "inner", "join": "after"}},
            "inner": {"next": {"each": "row", "to": "cell", "join": "after"}},
            "cell": {"tool": "t"},
            "after": {"tool": "t"},
        },
        "state": {"sum": {"reducer": "add"}},
    }
    graph["nodes"]["inner"]["next"]["join"] = "mid"  # type: ignore[index]
    graph["nodes"]["mid"] = {"tool": "t", "next": "after"}  # type: ignore[index]
    scene = Scenario(graph, {"rows": [[1, 2], [3]]}).when_returned()
    for scope in (A, B):
        scene.when_returned(scope=scope)
    for scope in (f"{A}inner#1[1]/", f"{A}inner#1[0]/", f"{B}inner#1[0]/"):
        scene.when_returned({"sum": scene.run.scopes[scope].state["item"]}, scope=scope)
    scene.when_returned(scope=B).when_returned(scope=A)
    assert scene.last().node == "after"
    assert scene.run.state["sum"] == 6


def test_a_fork_opened_anew_has_scopes_of_its_own_visit() -> None:
    graph = fork("a", "b")
    graph["nodes"]["after"]["next"] = {"to": "split", "max": 1}
    scene = Scenario(graph).when_returned().when_returned(scope=A).when_returned(scope=B)
    scene.when_returned().when_returned()
    assert entered(scene) == ["/split#2[0]/", "/split#2[1]/"]


def test_scopes_within_scopes_are_bounded() -> None:
    graph = {
        "start": "split",
        "nodes": {
            "split": {"next": {"to": ["call"], "join": "after"}},
            "call": {"graph": "g"},
            "after": {},
        },
    }
    scene = Scenario(graph, graphs={"g": graph})
    for _ in range(40):
        if scene.run.ended:
            break
        scene.when_returned()
    assert scene.last().error.type == "too-deep"


def test_the_step_limit_counts_the_branches_and_holds_back_those_beyond_it() -> None:
    scene = Scenario({**mapped(), "limits": {"steps": 3}}, {"items": [1, 2, 3, 4]})
    scene.when_returned()
    assert scene.happened[-1].TYPE == "limit.reached"
    assert entered(scene) == [A, B]
    scene.when_returned(scope=A).when_returned(scope=B)
    assert scene.last().TYPE == "run.parked"


def test_a_tool_cannot_go_past_its_own_join_to_an_outer_one() -> None:
    graph = {
        "start": "split",
        "nodes": {
            "split": {"next": {"to": ["p"], "join": "after"}},
            "p": {"next": {"to": ["i"], "join": "mid"}},
            "i": {"tool": "t", "next": "mid"},
            "mid": {"tool": "t", "next": "after"},
            "after": {"tool": "t"},
        },
    }
    scene = Scenario(graph).when_returned().when_returned(scope=A)
    scene.when_returned(goto="after", scope=f"{A}p#1[0]/")
    assert "where an outer fork joins" in scene.last().error.message
    scene = Scenario(graph).when_returned().when_returned(scope=A)
    scene.when_returned(goto="mid", scope=f"{A}p#1[0]/")
    assert (scene.last().scope, scene.last().node) == (A, "mid")


def test_of_many_errors_the_first_are_collected_and_the_rest_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forks, "ERRORS_MAX", 5)
    scene = over(list(range(8)), on_error="collect")
    for index in range(8):
        scene.when_failed(scope=f"/split#1[{index}]/")
    errors = scene.run.state["errors"]
    assert [each.get("branch") for each in errors] == [*range(5), None]
    assert errors[5] == {"more": 3}


def test_going_on_in_a_branch_that_has_ended_meanwhile_changes_nothing() -> None:
    scene = forked("a", "b").when_returned(scope=A).when_returned(scope=B)
    scene.when(Advance((A,))).then_nothing_happened()
