"""Waits: signals, times and timeouts; what is kept until it is used, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from stenograph.engine import RunFinished, SignalRefused, TooManySignals, UnknownSignal
from stenograph.engine.core.commands import Due, Recover, Signal, Turn
from stenograph.engine.core.standing import due_at, first_due
from stenograph.engine.core.waits import SIGNALS_MAX
from stenograph.engine.state.state import State
from tests.scenario import AT, Scenario, at_s

NUMBER = {"type": "integer"}
ENDS_A_WAIT = ("wait.resolved", "state.patched", "node.exited", "transition.taken", "node.entered")


def waiting(*edges: dict[str, Any], **wait: Any) -> dict[str, Any]:
    nodes = {
        "wait": {"wait": wait, "next": list(edges) or "after"},
        "after": {"tool": "t"},
        "late": {"tool": "t"},
    }
    return {"start": "wait", "nodes": nodes}


def for_a_signal(*edges: dict[str, Any], **wait: Any) -> Scenario:
    return Scenario(waiting(*edges, signal="go", **wait))


def test_a_wait_is_entered_and_opened() -> None:
    scene = for_a_signal(schema=NUMBER).then("run.created", "node.entered", "wait.opened")
    assert (scene.last().kind, scene.last().signal) == ("signal", "go")
    assert bytes(scene.last().schema) == b'{"type":"integer"}'
    assert scene.status == "waiting"


def test_a_signal_ends_the_wait_and_its_payload_is_in_the_state() -> None:
    scene = for_a_signal().when_signalled("go", {"ok": True})
    scene.then(
        "signal.received", "wait.resolved", "node.exited", "state.patched", "transition.taken",
        "node.entered",
    )  # fmt: skip
    assert scene.run.state.to_values() == {"go": {"ok": True}}
    assert scene.status == "running"


def test_what_a_signal_changes_is_found_out_once_and_for_the_one_that_takes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene, looked = for_a_signal(), []
    accept = State.accept_json

    def counted(state: State, key: str, *rest: Any) -> Any:
        looked.append(key)
        return accept(state, key, *rest)

    monkeypatch.setattr(State, "accept_json", counted)
    assert scene.when_signalled("go", [1]).run.state.to_values() == {"go": [1]}
    assert looked == ["go"]


def test_who_answered_having_seen_what_is_in_the_event() -> None:
    received = for_a_signal().when_signalled("go", 1).find("signal.received")
    assert (received.actor, received.saw, received.name) == ("me", 1, "go")


def test_the_wait_says_which_event_ended_it() -> None:
    scene = for_a_signal().when_signalled("go", 1)
    seq = next(each.seq for each in scene.history if each.type == "signal.received")
    assert scene.find("wait.resolved").signal_seq == seq


def test_a_signal_that_comes_early_is_kept_and_used_once() -> None:
    graph = waiting(signal="go")
    graph["start"] = "first"
    graph["nodes"]["first"] = {"tool": "t", "next": "wait"}
    graph["nodes"]["after"]["next"] = "wait"
    scene = Scenario(graph).when_signalled("go", 1).then("signal.received")
    assert scene.when_returned().find("wait.resolved").reason == "signal"
    assert scene.when_returned().last().TYPE == "wait.opened"


def test_signals_are_used_in_the_order_of_their_coming() -> None:
    graph = waiting(signal="go")
    graph["start"] = "first"
    graph["nodes"]["first"] = {"tool": "t", "next": "wait"}
    graph["nodes"]["after"]["next"] = "wait"
    scene = Scenario(graph).when_signalled("go", 1).when_signalled("go", 2).when_returned()
    assert scene.run.state["go"] == 1
    assert scene.when_returned().run.state["go"] == 2


def test_a_signal_that_does_not_fit_is_refused_and_changes_nothing() -> None:
    scene = for_a_signal(schema=NUMBER)
    with pytest.raises(SignalRefused, match="go"):
        scene.when_signalled("go", "seven")
    assert scene.status == "waiting"
    scene.when_signalled("go", 7)
    assert scene.run.state["go"] == 7


def test_an_early_signal_must_fit_some_wait_for_it() -> None:
    graph = waiting(signal="go", schema=NUMBER)
    graph["nodes"]["after"] = {"wait": {"signal": "go", "schema": {"type": "string"}}}
    graph["start"] = "first"
    graph["nodes"]["first"] = {"tool": "t", "next": "wait"}
    scene = Scenario(graph)
    with pytest.raises(SignalRefused):
        scene.when_signalled("go", None)
    scene.when_signalled("go", "text").when_signalled("go", 1).when_returned()
    assert scene.run.state["go"] == "text"
    assert scene.status == "completed"


def test_a_signal_that_nothing_waits_for_is_refused_naming_those_there_are() -> None:
    with pytest.raises(UnknownSignal, match="there is go"):
        for_a_signal().when_signalled("og")
    with pytest.raises(UnknownSignal, match="it waits for none"):
        Scenario({"start": "a", "nodes": {"a": {"tool": "t"}}}).when_signalled("go")


def test_a_signal_to_a_run_that_has_ended_is_refused() -> None:
    graph = waiting(signal="go")
    graph["start"] = "after"
    with pytest.raises(RunFinished):
        Scenario(graph).when_returned().when_signalled("go")


def test_only_so_many_signals_are_kept() -> None:
    graph = waiting(signal="go")
    graph["start"] = "after"
    scene = Scenario(graph)
    for number in range(SIGNALS_MAX):
        scene.when_signalled("go", number)
    with pytest.raises(TooManySignals):
        scene.when_signalled("go")


def test_the_signals_that_are_kept_have_only_so_many_bytes() -> None:
    graph = waiting(signal="go")
    graph["start"] = "before"
    graph["nodes"]["before"] = {"tool": "t", "next": next(iter(graph["nodes"]))}
    scene = Scenario(graph)
    large = "a" * 1_000_000
    for _ in range(8):
        scene.when_signalled("go", large)
    words = "keeps 8,002,064 of the 8,388,608 bytes that its signals may have already"
    with pytest.raises(TooManySignals, match=words):
        scene.when_signalled("go", large)
    scene.when_signalled("go", large[:300_000]).then("signal.received")
    with pytest.raises(TooManySignals):
        scene.when_signalled("go", large)
    assert scene.when_returned().run.state["go"] == large
    scene.when_signalled("go", large).then("signal.received")


def test_a_paused_run_keeps_only_so_many_bytes_though_somebody_waits_for_them() -> None:
    scene = Scenario(waiting(signal="go")).when_paused()
    large = "a" * 1_500_000
    for _ in range(5):
        scene.when_signalled("go", large).then("signal.received")
    with pytest.raises(TooManySignals):
        scene.when_signalled("go", large)
    assert scene.when_resumed().run.state["go"] == large


def test_a_wait_that_lasts_too_long_times_out() -> None:
    scene = for_a_signal({"to": "late", "on": "timeout"}, {"to": "after"}, timeout_s=60)
    assert due_at(scene.run, "/") == at_s(60)
    scene.when_due()
    scene.then("timer.fired", "wait.resolved", "node.exited", "transition.taken", "node.entered")
    assert (scene.last().node, scene.find("wait.resolved").reason) == ("late", "timeout")


def test_a_timeout_that_nothing_catches_fails_the_run() -> None:
    scene = for_a_signal(timeout_s=60).when_due()
    assert scene.last().error.message == "no signal 'go' came in time"


def test_a_signal_in_time_takes_the_timer_back() -> None:
    scene = for_a_signal(timeout_s=60).when_signalled("go")
    assert first_due(scene.run) is None
    scene.when(Due("/", at_s(60))).then_nothing_happened()


def test_a_wait_for_a_time_ends_by_itself() -> None:
    scene = Scenario(waiting(for_s=5)).then(
        "run.created", "node.entered", "wait.opened", "timer.set"
    )
    assert scene.last().due_at == at_s(5)
    scene.when_due()
    scene.then("timer.fired", "wait.resolved", "node.exited", "transition.taken", "node.entered")


@pytest.mark.parametrize(
    ("at", "state"),
    [
        ("1970-01-01T00:00:07Z", {}),
        ("due", {"due": "1970-01-01T00:00:07+00:00"}),
        ("order.due", {"order": {"due": "1970-01-01T01:00:07+01:00"}}),
    ],
)
def test_a_wait_until_a_time_takes_it_from_the_graph_or_the_state(
    at: str, state: dict[str, Any]
) -> None:
    assert due_at(Scenario(waiting(at=at), state).run, "/") == at_s(7)


@pytest.mark.parametrize("state", [{}, {"due": "soon"}, {"due": 7}, {"due": "2026-01-01T00:00:00"}])
def test_a_time_that_is_none_is_an_error_of_the_node(state: dict[str, Any]) -> None:
    scene = Scenario(waiting({"to": "late", "on": "error"}, at="due"), state)
    assert scene.find("node.exited").error.type == "bad-time"
    assert scene.last().node == "late"


def test_a_timer_that_is_not_due_changes_nothing() -> None:
    Scenario(waiting(for_s=5)).when(Due("/", AT)).then_nothing_happened()
    Scenario(waiting(for_s=5)).when(Due("/no/", AT)).then_nothing_happened()


def test_waits_survive_a_crash_as_they_are() -> None:
    scene = for_a_signal(timeout_s=60).when(Recover()).then_nothing_happened()
    assert due_at(scene.run, "/") == at_s(60)


def test_a_delayed_run_waits_before_its_first_node() -> None:
    scene = Scenario(waiting(for_s=5), delay_s=30).then("run.created", "wait.opened", "timer.set")
    assert (scene.status, due_at(scene.run, "/")) == ("waiting", at_s(30))
    scene.when_due().then(
        "timer.fired", "wait.resolved", "node.entered", "wait.opened", "timer.set"
    )


def test_a_queued_run_waits_for_its_turn() -> None:
    graph = {"start": "a", "nodes": {"a": {"tool": "t"}}}
    scene = Scenario(graph, is_queued=True, turn="g").then("run.created", "wait.opened")
    assert scene.run.is_queued
    scene.when(Turn()).then("wait.resolved", "node.entered")
    assert not scene.run.is_queued
    scene.when(Turn()).then_nothing_happened()


def voting() -> Scenario:
    graph = {
        "start": "split",
        "nodes": {
            "split": {"next": {"each": "who", "to": "ask", "join": "after"}},
            "ask": {"wait": {"signal": "vote"}},
            "after": {"tool": "t"},
        },
        "state": {"vote": {"reducer": "append"}},
    }
    return Scenario(graph, {"who": ["a", "b"]}).when_returned()


def test_of_several_waits_for_a_signal_the_oldest_takes_it() -> None:
    scene = voting().when_signalled("vote", "yes")
    assert scene.find("wait.resolved").scope == "/split#1[0]/"


def test_a_signal_may_say_which_scope_it_is_for() -> None:
    scene = voting().when_signalled("vote", "no", scope="/split#1[1]/")
    assert scene.find("wait.resolved").scope == "/split#1[1]/"


def test_a_run_waits_only_when_all_its_branches_do() -> None:
    graph = {
        "start": "split",
        "nodes": {
            "split": {"next": {"to": ["ask", "work"], "join": "after"}},
            "ask": {"wait": {"signal": "go"}},
            "work": {"tool": "t"},
            "after": {"tool": "t"},
        },
    }
    scene = Scenario(graph).when_returned()
    assert scene.status == "running"
    assert scene.when_returned(scope="/split#1[1]/").status == "waiting"


@pytest.mark.parametrize("scope", ["", "abc", "../", "/x/", "/x#1", "/x#1[a]/", "\0", "//", "x#1/"])
def test_a_scope_that_can_be_none_is_refused(scope: str) -> None:
    with pytest.raises(SignalRefused, match="no path of one"):
        for_a_signal().when_signalled("go", 1, scope)


def test_nobody_has_seen_what_has_not_happened() -> None:
    scene = for_a_signal()
    with pytest.raises(SignalRefused, match="saw is 4, but the run has 3 events"):
        scene.when(Signal(name="go", payload=b"1", actor="me", saw=4))


def test_a_time_that_comes_before_the_turn_begins_nothing() -> None:
    graph = {"start": "a", "nodes": {"a": {"tool": "t"}}}
    scene = Scenario(graph, is_queued=True, turn="g", delay_s=5)
    scene.when_due().then("timer.fired")
    assert scene.run.is_queued
    scene.when(Turn()).then("wait.resolved", "node.entered")


def test_a_signal_goes_to_the_oldest_wait_that_it_fits() -> None:
    asking = {
        name: {"wait": {"signal": "go", "schema": {"type": kind}}}
        for name, kind in (("a", "string"), ("b", "integer"))
    }
    split = {"next": {"to": ["a", "b"], "join": "after"}}
    graph = {"start": "split", "nodes": {"split": split, **asking, "after": {"tool": "t"}}}
    scene = Scenario(graph).when_returned().when_signalled("go", 1)
    assert scene.find("wait.resolved").scope == "/split#1[1]/"


def test_a_signal_for_another_scope_is_kept_for_it() -> None:
    graph = waiting(signal="go")
    graph = {**graph, "start": "first"}
    graph["nodes"]["first"] = {"tool": "t", "next": "wait"}
    scene = Scenario(graph).when_signalled("go", 1, "/first#1/").when_returned()
    assert (scene.last().TYPE, scene.status) == ("wait.opened", "waiting")
    assert [kept.scope for kept in scene.run.signals["go"]] == ["/first#1/"]
