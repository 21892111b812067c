"""Control: pausing, parking, resuming and retrying, each an event with the name of who asked."""

from __future__ import annotations

from typing import Any

import pytest

from stenograph.engine import NotHeld, NotJson, RunFinished
from stenograph.engine.core.commands import Recover, Retry, TimeUp
from stenograph.engine.core.events import RunLimits
from stenograph.engine.core.standing import due_at, places
from stenograph.engine.core.views import ParkedView, view
from stenograph.engine.tools.tools import NEXT_NODE
from tests.scenario import Scenario

TWO: dict[str, Any] = {
    "start": "a",
    "nodes": {"a": {"tool": "t", "next": "b"}, "b": {"tool": "t"}},
}
SPLIT: dict[str, Any] = {
    "start": "split",
    "nodes": {
        "split": {"next": {"to": ["a", "b"], "join": "after"}},
        "a": {"tool": "t"},
        "b": {"tool": "t"},
        "after": {"tool": "t"},
    },
}
A, B = "/split#1[0]/", "/split#1[1]/"


def test_a_pause_lets_what_runs_finish_and_begins_nothing() -> None:
    scene = Scenario(TWO).when_paused().then("run.pausing")
    assert (scene.last().actor, scene.last().reason, scene.status) == ("me", "lunch", "running")
    scene.when_returned().then("node.exited", "transition.taken", "run.paused")
    assert scene.status == "paused"
    scene.when_resumed().then("run.resumed", "node.entered")
    assert (scene.last().node, scene.status) == ("b", "running")


def test_what_does_not_run_is_paused_at_once() -> None:
    graph = {"start": "w", "nodes": {"w": {"wait": {"signal": "go"}}}}
    Scenario(graph).when_paused().then("run.pausing", "run.paused")


def test_pausing_twice_changes_nothing() -> None:
    scene = Scenario(TWO).when_paused()
    scene.when_paused().then_nothing_happened()
    scene.when_returned().when_paused().then_nothing_happened()


def test_a_run_that_ends_while_it_is_being_paused_has_ended() -> None:
    scene = Scenario(TWO).when_returned().when_paused().when_returned()
    assert scene.last().TYPE == "run.completed"


def test_what_has_ended_cannot_be_paused() -> None:
    with pytest.raises(RunFinished):
        Scenario(TWO).when_returned().when_returned().when_paused()
    with pytest.raises(RunFinished):
        Scenario(TWO).when_cancelled().when_paused()


def test_signals_are_kept_while_a_run_is_paused() -> None:
    graph = {"start": "w", "nodes": {"w": {"wait": {"signal": "go"}}}}
    scene = Scenario(graph).when_paused().when_signalled("go", 1).then("signal.received")
    scene.when_resumed()
    assert scene.last().TYPE == "run.completed"


def test_timers_rest_while_a_run_is_paused() -> None:
    scene = Scenario({"start": "w", "nodes": {"w": {"wait": {"for_s": 5}}}}).when_paused()
    assert due_at(scene.run, "/") is None
    assert due_at(scene.when_resumed().run, "/") is not None


def test_a_paused_fork_enters_its_other_branches_when_it_is_resumed() -> None:
    graph = {
        "start": "split",
        "nodes": {
            "split": {"next": {"each": "n", "to": "a", "join": "after", "width": 1}},
            "a": {"tool": "t"},
            "after": {"tool": "t"},
        },
    }
    scene = Scenario(graph, {"n": [1, 2]}).when_returned().when_paused().when_returned()
    assert scene.last().TYPE == "run.paused"
    assert scene.when_resumed().last().scope == B


@pytest.mark.parametrize("status", ["running", "completed", "failed", "cancelled"])
def test_only_what_is_held_can_be_resumed(status: str) -> None:
    scene = Scenario(TWO)
    match status:
        case "completed":
            scene.when_returned().when_returned()
        case "failed":
            scene.when_failed()
        case "cancelled":
            scene.when_cancelled()
        case _:
            assert scene.status == "running"
    with pytest.raises(NotHeld, match="resume needs one that is paused or parked"):
        scene.when_resumed()


def test_limits_may_be_raised_when_a_run_is_resumed() -> None:
    scene = Scenario({**TWO, "limits": {"steps": 1}}).when_returned()
    assert scene.last().reason == "limit"
    scene.when_resumed(limits=RunLimits(2)).then("run.resumed", "node.entered")
    assert scene.run.limits.steps == 2


def test_without_a_higher_limit_a_run_parks_again() -> None:
    scene = Scenario({**TWO, "limits": {"steps": 1}}).when_returned().when_resumed()
    scene.then("run.resumed", "limit.reached", "run.parked")


def test_a_run_whose_time_was_up_goes_on_where_it_was_cut_off() -> None:
    scene = Scenario({**TWO, "limits": {"time_s": 5}}).when(TimeUp(running_ms={"/": 5000}))
    scene.when_resumed(limits=RunLimits(100, 60)).then("run.resumed", "node.entered")
    assert (scene.last().visit, scene.last().attempt) == (1, 2)


def test_all_that_runs_is_cut_off_when_the_time_is_up() -> None:
    scene = Scenario({**SPLIT, "limits": {"time_s": 5}}).when_returned()
    scene.when(TimeUp(running_ms={A: 3000, B: 2000}))
    scene.then("limit.reached", "node.attempt_failed", "node.attempt_failed", "run.parked")
    assert scene.run.busy_ms == 5001


ONCE: dict[str, Any] = {"start": "a", "nodes": {"a": {"tool": "once", "next": "b"}, "b": {}}}


def test_a_node_that_may_have_had_its_effect_waits_for_a_person_who_lets_it_run_again() -> None:
    scene = Scenario(ONCE).when(Recover())
    assert (scene.last().reason, scene.last().node) == ("effects-once", "a")
    scene.when_resumed().then("run.resumed", "node.entered")
    assert (scene.last().node, scene.last().attempt) == ("a", 2)


def test_or_who_says_what_came_of_it() -> None:
    scene = Scenario(ONCE).when(Recover()).when_resumed(result={"paid": True})
    scene.then("run.resumed", "node.exited", "state.patched", "transition.taken", "node.entered")
    assert scene.run.state.to_values() == {"paid": True}


def test_a_result_is_for_nothing_else() -> None:
    with pytest.raises(NotHeld, match="over a node's effects"):
        Scenario(TWO).when_paused().when_returned().when_resumed(result={})


def test_where_a_result_leads_is_the_name_of_a_node() -> None:
    scene = Scenario(ONCE).when(Recover())
    with pytest.raises(NotJson, match="the name of a node, as text"):
        scene.when_resumed(result={NEXT_NODE: 5})
    assert scene.status == "parked"


def test_a_crash_loop_counts_anew_after_a_person_has_looked() -> None:
    scene = Scenario(TWO).when(Recover()).when(Recover()).when(Recover())
    scene.when_resumed().then("run.resumed", "node.entered")
    scene.when(Recover()).then("run.recovered", "node.attempt_failed", "node.entered")


def test_a_retry_enters_the_failed_node_again_with_a_fresh_budget() -> None:
    graph = {**TWO, "nodes": {**TWO["nodes"], "b": {"tool": "t", "retry": {"attempts": 2}}}}
    scene = Scenario(graph).when_returned({"n": 1}).when_failed().when_due().when_failed()
    assert scene.status == "failed"
    scene.when_retried().then("run.retried", "node.entered")
    assert (scene.last().node, scene.last().visit, scene.last().attempt) == ("b", 1, 3)
    assert scene.when_failed().last().TYPE == "node.attempt_failed"


def test_a_retried_run_may_complete() -> None:
    scene = Scenario(TWO).when_failed().when_retried().when_returned().when_returned()
    assert scene.status == "completed"
    assert scene.run.error is None


def test_a_retry_makes_only_what_failed_or_was_stopped_run_again() -> None:
    graph = {**SPLIT, "nodes": {**SPLIT["nodes"], "split": {
        "next": {"to": ["a", "b", "c"], "join": "after"}}, "c": {"tool": "t"}}}  # fmt: skip
    scene = Scenario(graph).when_returned().when_returned({"x": 1}, scope=A).when_failed(scope=B)
    assert scene.status == "failed"
    scene.when_retried()
    assert {place.scope for place in places(scene.run)} == {B, "/split#1[2]/"}
    scene.when_returned({"y": 2}, scope=B).when_returned({"z": 3}, scope="/split#1[2]/")
    assert scene.last().node == "after"
    assert scene.run.state.to_values() == {"x": 1, "y": 2, "z": 3}


def test_a_conflict_is_retried_from_the_node_that_forked() -> None:
    scene = Scenario(SPLIT).when_returned().when_returned({"x": 1}, scope=A)
    scene.when_returned({"x": 2}, scope=B)
    assert scene.status == "failed"
    scene.when_retried().then("run.retried", "node.entered")
    assert (scene.last().node, scene.last().attempt) == ("split", 2)
    scene.when_returned()
    assert {place.scope for place in places(scene.run)} == {A, B}


def test_a_run_that_went_to_fail_is_retried_from_the_node_that_went_there() -> None:
    graph = {"start": "a", "nodes": {"a": {"tool": "t", "next": "$fail"}}}
    scene = Scenario(graph).when_returned().when_retried().then("run.retried", "node.entered")
    assert scene.last().attempt == 2


def test_only_what_failed_can_be_retried() -> None:
    for scene in (Scenario(TWO), Scenario(TWO).when_cancelled()):
        with pytest.raises(NotHeld, match="retry needs one that is failed"):
            scene.when(Retry(actor="me"))


def test_limits_may_be_raised_when_a_run_is_retried() -> None:
    scene = Scenario(TWO).when_failed().when(Retry(actor="me", limits=RunLimits(7)))
    assert scene.run.limits.steps == 7


def test_what_must_not_happen_twice_is_not_tried_again_after_a_timeout() -> None:
    node = {"tool": "once", "retry": {"attempts": 3}}
    scene = Scenario({"start": "a", "nodes": {"a": node}})
    scene.when_failed("TimeoutError", outcome="timeout").then("node.exited", "run.failed")
    told = Scenario({"start": "a", "nodes": {"a": node}}).when_failed()
    assert told.last().TYPE == "node.attempt_failed"


def test_what_had_finished_and_joined_does_not_run_again_when_a_run_is_retried() -> None:
    graph = {
        "start": "split",
        "nodes": {
            "split": {"next": {"to": ["a", "b"], "join": "after"}},
            "a": {"next": {"to": ["x", "y"], "join": "$end"}},
            "b": {"tool": "t"},
            "x": {"tool": "t"},
            "y": {"tool": "t"},
            "after": {"tool": "t"},
        },
    }
    scene = Scenario(graph).when_returned().when_returned(scope=A).when_paused()
    scene.when_returned(scope=f"{A}a#1[0]/").when_returned(scope=f"{A}a#1[1]/")
    scene.when_failed(scope=B)
    assert scene.status == "failed"
    scene.when_retried()
    assert {place.scope for place in places(scene.run)} == {B}
    assert scene.when_returned(scope=B).last().node == "after"


def test_a_tool_that_had_its_effect_waits_for_a_person_when_its_edges_failed() -> None:
    node = {"tool": "once", "next": [{"to": "b", "when": "n > 5"}]}
    scene = Scenario({"start": "a", "nodes": {"a": node, "b": {}}}, {"n": 1})
    scene.when_returned().when_retried().then("run.retried", "run.parked")
    scene.when_resumed(result={"n": 6})
    assert scene.last().node == "b"


def test_a_person_may_say_for_which_branch_they_answer() -> None:
    graph = {
        "start": "split",
        "nodes": {
            "split": {"next": {"each": "n", "to": "pay", "join": "$end"}},
            "pay": {"tool": "once"},
        },
    }
    scene = Scenario(graph, {"n": [1, 2]}).when_returned().when(Recover())
    assert view(scene.run).parked == ParkedView(scope=A, node="pay")
    assert f"node 'pay' of {A}" in scene.last().message
    with pytest.raises(NotHeld, match="a resume for"):
        scene.when_resumed(result={}, scope=B)
    scene.when_resumed(result={}, scope=A)
    assert view(scene.run).parked == ParkedView(scope=B, node="pay")
    scene.when_resumed(result={}, scope=B)
    assert scene.status == "completed"


def test_a_race_that_was_won_while_it_was_paused_stops_the_rest_when_it_is_resumed() -> None:
    nodes = {
        "split": {"next": {"to": ["a", "b"], "join": "after", "need": 1}},
        "a": {"tool": "t", "next": "after"},
        "b": {"tool": "t", "next": "ask"},
        "ask": {"wait": {"signal": "go"}},
        "after": {"tool": "t"},
    }
    scene = Scenario({"start": "split", "nodes": nodes}).when_returned().when_paused()
    scene.when_returned({"x": 1}, scope=A).when_returned({"y": 1}, scope=B).when_resumed()
    joined = scene.find("fork.joined")
    assert (joined.arrived, joined.cancelled, scene.last().node) == (1, 1, "after")
    assert scene.run.state.to_values() == {"x": 1}
