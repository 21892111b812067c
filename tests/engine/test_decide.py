"""What follows from what: the decisions of the pure core."""

from __future__ import annotations

from typing import Any

import pytest

from stenograph.engine.core.commands import (
    Due,
    Fail,
    Place,
    Recover,
    Start,
    Stopped,
    TimeUp,
    ToolReturned,
    Turn,
)
from stenograph.engine.core.events import ErrorInfo
from stenograph.engine.core.retries import backoff_s
from stenograph.engine.core.standing import due_at, places
from stenograph.engine.graphs.graph import Limits, Retry
from stenograph.engine.state.state import Update
from tests.scenario import AT, Scenario, at_s

STEP = ("node.exited", "transition.taken", "node.entered")


def graph(*edges: dict[str, Any], **node: Any) -> dict[str, Any]:
    work = {"tool": "t", **node, **({"next": list(edges)} if edges else {})}
    return {"start": "a", "nodes": {"a": work, "b": {"tool": "t"}, "c": {"tool": "t"}}}


TO_B = {"to": "b"}


def test_a_run_begins_at_its_start_node() -> None:
    begun = Scenario(graph()).then("run.created", "node.entered")
    entered = begun.last()
    assert (entered.node, entered.visit, entered.attempt) == ("a", 1, 1)
    assert (entered.tool, entered.tool_version) == ("t", "t-1")


def test_a_step_is_an_exit_a_patch_a_transition_and_the_next_entry() -> None:
    step = Scenario(graph(TO_B)).when_returned({"n": 1})
    step.then("node.exited", "state.patched", "transition.taken", "node.entered")


def test_a_visit_that_changes_nothing_has_no_patch() -> None:
    Scenario(graph(TO_B)).when_returned().then(*STEP)


def test_a_node_without_edges_ends_the_run() -> None:
    end = Scenario(graph()).when_returned().then("node.exited", "run.completed")
    assert end.last().reason == "end"
    assert end.status == "completed"


def test_the_first_eligible_edge_is_taken_and_says_why() -> None:
    edges = {"to": "b", "when": "n > 5"}, {"to": "c", "when": "n > 1"}, {"to": "a"}
    taken = Scenario(graph(*edges)).when_returned({"n": 3}).find("transition.taken")
    assert (taken.to, taken.edge, taken.reason) == ("c", 1, "branch")
    assert [(each.verdict, each.read) for each in taken.considered] == [
        (False, {"n": 3}),
        (True, {"n": 3}),
    ]


def test_conditions_see_the_state_as_the_tool_left_it() -> None:
    scene = Scenario(graph({"to": "b", "when": "n == 2"}, {"to": "c"}), {"n": 1})
    assert scene.when_returned({"n": 2}).find("transition.taken").to == "b"


def test_until_is_not_when() -> None:
    scene = Scenario(graph({"to": "a", "until": "n > 1"}, TO_B))
    assert scene.when_returned({"n": 1}).find("transition.taken").to == "a"
    assert scene.when_returned({"n": 2}).find("transition.taken").to == "b"


def test_an_edge_is_taken_at_most_max_times() -> None:
    scene = Scenario(graph({"to": "a", "max": 2}, TO_B))
    ways = [scene.when_returned().find("transition.taken").to for _ in range(3)]
    assert ways == ["a", "a", "b"]


def test_a_loop_that_is_done_ends_the_run_and_says_so() -> None:
    scene = Scenario(graph({"to": "a", "until": "n > 1", "max": 5})).when_returned({"n": 2})
    assert scene.then(
        "node.exited", "state.patched", "transition.taken", "run.completed"
    ).last().reason == ("loop-done")


def test_a_loop_at_its_cap_ends_the_run_and_says_so() -> None:
    scene = Scenario(graph({"to": "a", "until": "n > 1", "max": 1}), {"n": 0})
    assert scene.when_returned().when_returned().last().reason == "loop-cap"
    assert scene.find("transition.taken").considered[0].taken == 1


def test_to_fail_at_a_cap_an_edge_to_fail_follows_it() -> None:
    scene = Scenario(graph({"to": "a", "max": 1}, {"to": "$fail"}))
    error = scene.when_returned().when_returned().then(*STEP[:2], "run.failed").last().error
    assert "edge 1 leads there" in error.message


def test_without_an_eligible_edge_the_run_fails() -> None:
    scene = Scenario(graph({"to": "b", "when": "n > 5"}), {"n": 1}).when_returned()
    assert scene.last().error.type == "no-edge-matched"
    assert scene.find("transition.taken").to == "$fail"


def test_without_an_eligible_edge_the_run_may_be_told_to_end() -> None:
    spec = {**graph({"to": "b", "when": "n > 5"}), "on_no_match": "end"}
    assert Scenario(spec, {"n": 1}).when_returned().last().reason == "no-edge-matched"


def test_edges_for_errors_alone_leave_nowhere_to_go_after_ok() -> None:
    scene = Scenario(graph({"to": "b", "on": "error"})).when_returned()
    scene.then("node.exited", "run.completed")


def test_a_condition_that_cannot_be_evaluated_fails_the_run_after_the_patch() -> None:
    scene = Scenario(graph({"to": "b", "when": "issues_opne == 0"}, TO_B))
    scene.when_returned({"issues_open": 1}).then("node.exited", "state.patched", "run.failed")
    assert scene.last().error.type == "expression-error"
    assert "did you mean `issues_open`" in scene.last().error.message


def test_an_edge_may_lead_to_the_end() -> None:
    scene = Scenario(graph({"to": "$end"})).when_returned()
    assert scene.then("node.exited", "transition.taken", "run.completed").last().reason == "end"


@pytest.mark.parametrize(("goto", "status"), [("c", "running"), ("$end", "completed")])
def test_a_goto_overrides_the_edges_and_is_recorded(goto: str, status: str) -> None:
    scene = Scenario(graph(TO_B)).when_returned(goto=goto)
    taken = scene.find("transition.taken")
    assert (taken.to, taken.reason, taken.edge) == (goto, "goto", None)
    assert scene.status == status


def test_a_goto_to_fail_says_that_the_tool_said_so() -> None:
    assert (
        "the tool said so" in Scenario(graph(TO_B)).when_returned(goto="$fail").last().error.message
    )


def test_a_goto_to_no_node_is_an_error_of_the_node() -> None:
    scene = Scenario(graph({"to": "c", "on": "error"})).when_returned(goto="d")
    assert scene.find("node.exited").error.type == "UnknownNode"
    assert scene.find("transition.taken").to == "c"


def test_an_error_that_no_edge_catches_fails_the_run() -> None:
    scene = Scenario(graph(TO_B)).when_failed().then("node.exited", "run.failed")
    assert scene.last().error.type == "OSError"


def test_an_edge_catches_an_error_by_its_type() -> None:
    edges = (
        {"to": "b", "on": "error", "when": "error.type == 'KeyError'"},
        {"to": "c", "on": "error"},
    )
    assert Scenario(graph(*edges)).when_failed("KeyError").find("transition.taken").to == "b"
    taken = Scenario(graph(*edges)).when_failed().find("transition.taken")
    assert (taken.to, taken.reason) == ("c", "error")


def test_a_timeout_has_edges_of_its_own() -> None:
    edges = {"to": "b", "on": "error"}, {"to": "c", "on": "timeout"}
    scene = Scenario(graph(*edges)).when_failed("TimeoutError", outcome="timeout")
    assert scene.find("transition.taken").reason == "timeout"
    assert scene.find("node.exited").outcome == "timeout"


def test_a_failed_attempt_is_tried_again_when_its_backoff_is_over() -> None:
    scene = Scenario(graph(TO_B, retry={"attempts": 3, "delay_s": 2, "jitter": False}))
    scene.when_failed().then("node.attempt_failed")
    assert due_at(scene.run, "/") == at_s(2)
    assert not places(scene.run)
    entered = scene.when_due().then("node.entered").last()
    assert (entered.visit, entered.attempt) == (1, 2)


def test_the_last_failed_attempt_leaves_the_node() -> None:
    scene = Scenario(graph(TO_B, retry={"attempts": 2, "delay_s": 0}))
    scene.when_failed().when_due().when_failed().then("node.exited", "run.failed")


def test_only_named_errors_are_tried_again_by_type_or_base() -> None:
    retry = {"attempts": 2, "on": ["TimeoutError", "Exception"]}
    Scenario(graph(retry=retry)).when_failed("ValueError").then("node.attempt_failed")
    retry = {"attempts": 2, "on": ["TimeoutError"]}
    Scenario(graph(retry=retry)).when_failed("ValueError").then("node.exited", "run.failed")


def test_a_retry_that_is_not_due_changes_nothing() -> None:
    Scenario(graph()).when(Due("/", AT)).then_nothing_happened()


@pytest.mark.parametrize(
    ("failures", "jitter", "delay"), [(1, 0.9, 1.0), (2, 0.9, 2.0), (5, 0.9, 10.0), (9999, 0, 10)]
)
def test_backoff_grows_up_to_its_bound(failures: int, jitter: float, delay: float) -> None:
    assert backoff_s(Retry(delay_s=1, max_delay_s=10, jitter=False), failures, jitter) == delay


def test_jitter_takes_a_part_of_the_backoff() -> None:
    assert backoff_s(Retry(delay_s=8), 1, 0.25) == 2.0
    scene = Scenario(graph(retry={"delay_s": 8}))
    scene.draw = 0.25
    assert scene.when_failed().last().retry_at == at_s(2)


def test_the_step_limit_parks_the_run_with_its_state() -> None:
    scene = Scenario({**graph({"to": "a"}), "limits": {"steps": 2}}).when_returned({"n": 1})
    scene.when_returned({"n": 2}).then(
        "node.exited", "state.patched", "transition.taken", "limit.reached", "run.parked"
    )
    assert scene.status == "parked"
    assert scene.run.state.to_values() == {"n": 2}


def test_the_time_limit_interrupts_what_runs_and_parks() -> None:
    scene = Scenario({**graph(), "limits": {"time_s": 5}}).when(TimeUp(running_ms={"/": 5000}))
    scene.then("limit.reached", "node.attempt_failed", "run.parked")
    assert scene.find("node.attempt_failed").error.type == "Interrupted"
    assert scene.run.busy_ms == 5000


def test_time_without_a_limit_is_never_up() -> None:
    Scenario(graph()).when(TimeUp(running_ms={})).then_nothing_happened()


def test_cancelling_waits_for_what_runs() -> None:
    scene = Scenario(graph()).when_cancelled().then("run.cancelling")
    assert scene.last().actor == "me"
    scene.when(Stopped()).then("run.cancelled")
    assert scene.status == "cancelled"


def test_cancelling_twice_changes_nothing() -> None:
    Scenario(graph()).when_cancelled().when_cancelled().then_nothing_happened()


def test_what_does_not_run_is_cancelled_at_once() -> None:
    scene = Scenario(graph(retry={"attempts": 2})).when_failed().when_cancelled()
    scene.then("run.cancelling", "run.cancelled")


def test_a_parked_run_can_be_cancelled() -> None:
    scene = Scenario({**graph({"to": "a"}), "limits": {"steps": 1}}).when_returned()
    scene.when_cancelled().then("run.cancelling", "run.cancelled")


def test_a_result_that_comes_after_the_cancel_is_dropped() -> None:
    scene = Scenario(graph(TO_B))
    place = places(scene.run)[0]
    late = ToolReturned(place=place, update=Update(), goto=None, duration_ms=1)
    scene.when_cancelled().when(late).then_nothing_happened()


def test_a_result_of_another_attempt_is_dropped() -> None:
    scene = Scenario(graph(TO_B))
    other = ToolReturned(place=Place("/", "a", 1, 2), update=Update(), goto=None, duration_ms=1)
    scene.when(other).then_nothing_happened()
    nowhere = ToolReturned(
        place=Place("/no/", "a", 1, 1), update=Update(), goto=None, duration_ms=1
    )
    scene.when(nowhere).then_nothing_happened()


def test_nothing_follows_the_end() -> None:
    scene = Scenario(graph()).when_returned()
    for command in (Recover(), Stopped(), Due("/", AT), Turn(), TimeUp(running_ms={})):
        scene.when(command).then_nothing_happened()
    scene.when_cancelled().then_nothing_happened()


def test_nothing_stops_that_is_not_being_cancelled() -> None:
    Scenario(graph()).when(Stopped()).then_nothing_happened()


def test_an_interrupted_attempt_is_lost_and_the_node_runs_again() -> None:
    scene = Scenario(graph()).when(Recover())
    scene.then("run.recovered", "node.attempt_failed", "node.entered")
    assert scene.find("node.attempt_failed").error.type == "Lost"
    assert (scene.last().visit, scene.last().attempt) == (1, 2)


def test_lost_attempts_do_not_count_as_tries() -> None:
    scene = Scenario(graph(retry={"attempts": 2})).when(Recover())
    scene.when_failed().then("node.attempt_failed")


def test_the_third_lost_attempt_of_a_visit_parks_the_run() -> None:
    scene = Scenario(graph()).when(Recover()).when(Recover()).when(Recover())
    scene.then("run.recovered", "node.attempt_failed", "run.parked")
    assert scene.last().reason == "crash-loop"
    assert scene.status == "parked"


def test_lost_attempts_are_counted_by_visit() -> None:
    scene = Scenario(graph({"to": "a"})).when(Recover()).when(Recover()).when_returned()
    scene.when(Recover()).then("run.recovered", "node.attempt_failed", "node.entered")


def test_a_tool_that_must_not_run_twice_parks_the_run() -> None:
    scene = Scenario({"start": "a", "nodes": {"a": {"tool": "once"}}}).when(Recover())
    assert scene.then("run.recovered", "node.attempt_failed", "run.parked").last().reason == (
        "effects-once"
    )


def test_a_node_says_its_effects_over_its_tool() -> None:
    spec = {"start": "a", "nodes": {"a": {"tool": "once", "effects": "repeatable"}}}
    assert Scenario(spec).when(Recover()).last().TYPE == "node.entered"
    router = {"start": "a", "nodes": {"a": {"next": "b"}, "b": {}}}
    assert Scenario(router).when(Recover()).last().TYPE == "node.entered"


def test_a_run_that_only_waits_for_a_retry_needs_no_recovery() -> None:
    Scenario(graph(retry={"attempts": 2})).when_failed().when(Recover()).then_nothing_happened()


def test_a_cancel_that_was_interrupted_is_finished() -> None:
    scene = Scenario(graph()).when_cancelled().when(Recover())
    scene.then("run.recovered", "run.cancelled")


def test_the_engine_may_fail_a_run_it_cannot_go_on_with() -> None:
    scene = Scenario(graph()).when(Fail(ErrorInfo("internal-error", "no"))).then("run.failed")
    assert scene.status == "failed"


def test_a_run_begins_once() -> None:
    scene = Scenario(graph())
    again = Start(
        graph_id="g",
        version="v",
        graph=scene.run.graph,
        state=b"{}",
        limits=Limits(),
        tags={},
        actor="",
    )
    scene.when(again).then_nothing_happened()
