"""The laws of the fold, over any history that commands in any order can make."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph.engine import TERMINAL, decode, fold
from stenograph.engine.core.commands import Cancel, Command, Fail, Recover, Stopped, TimeUp
from stenograph.engine.core.events import ErrorInfo, Event, Payload, TransitionTaken, encode_payload
from stenograph.engine.core.run import ACTIVE, Run
from stenograph.engine.core.scopes import ROOT, Scope
from stenograph.engine.core.standing import due_at, first_due, places
from stenograph.engine.graphs.graph import Outcome
from stenograph.engine.state.patch import PatchOp
from stenograph.journal import Record
from tests.scenario import AT, Scenario, failed, returned

GRAPH: dict[str, Any] = {
    "start": "a",
    "limits": {"steps": 9, "time_s": 60},
    "nodes": {
        "a": {
            "tool": "t",
            "retry": {"attempts": 2, "delay_s": 0},
            "next": [
                {"to": "b", "when": "n > 2"},
                {"to": "c", "on": "error"},
                {"to": "a", "max": 3},
                {"to": "$end", "when": "state.get('done')"},
            ],
        },
        "b": {"tool": "once", "next": [{"to": "a", "until": "n == 1"}, "c"]},
        "c": {"next": ["a"]},
    },
}
KEYS = st.sampled_from(["n", "done", "list", "a/b", "~"])
VALUES = st.one_of(
    st.integers(-3, 5), st.booleans(), st.lists(st.integers(0, 3), max_size=3), st.none()
)
UPDATES = st.dictionaries(KEYS, VALUES, max_size=3)
GOTOS = st.sampled_from([None, None, None, "b", "$end", "?"])
OUTCOMES: st.SearchStrategy[Outcome] = st.sampled_from(["error", "timeout"])
COMMANDS: st.SearchStrategy[Command] = st.sampled_from(
    [
        Recover(),
        Stopped(),
        TimeUp(running_ms={"/": 1.5}),
        Cancel(actor="me", reason=""),
        Fail(ErrorInfo("internal-error", "no")),
    ]
)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    scene = Scenario(GRAPH, draw(UPDATES) | {"n": draw(st.integers(-1, 3))})
    for move in draw(st.lists(st.sampled_from(["return", "fail", "command"]), max_size=15)):
        if move == "command":
            scene.when(draw(COMMANDS))
        elif due_at(scene.run, "/"):
            scene.when_due()
        elif places(scene.run) and move == "return":
            scene.when(returned(scene.run, draw(UPDATES), draw(GOTOS)))
        elif places(scene.run):
            scene.when(failed(scene.run, "OSError", draw(OUTCOMES)))
    return scene.history


def as_read(history: list[Event]) -> list[Event]:
    """Return a history as it comes back from a journal, through its bytes."""
    return [
        decode(Record(0, "run", each.seq, each.at, each.type, encode_payload(each.data), ""))
        for each in history
    ]


def told(run: Run) -> bytes:
    """Return a run as bytes, all of it, the order of its keys included."""
    scopes = {
        path: (scope.state.to_json(), scope.position, scope.visits, scope.taken)
        for path, scope in run.scopes.items()
    }
    rest = {name: getattr(run, name) for name in Run.__struct_fields__ if name != "scopes"}
    return msgspec.json.encode((rest, scopes))


@given(histories(), st.data())
def test_a_run_folded_in_two_parts_is_the_run_folded_whole(
    history: list[Event], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(history)))
    part = fold(history[:cut])
    before = told(part)
    assert told(fold(history[cut:], part)) == told(fold(history))
    assert told(part) == before, "folding on changed what it went on from"


@given(histories())
def test_history_means_the_same_after_a_way_through_its_bytes(history: list[Event]) -> None:
    assert told(fold(as_read(history))) == told(fold(history))


@given(histories())
def test_a_terminal_event_is_the_last_and_the_only_one(history: list[Event]) -> None:
    ends = [event.seq for event in history if event.type in TERMINAL]
    assert ends in ([], [len(history)])
    assert fold(history).ended == bool(ends)


@given(histories())
def test_a_run_is_never_stuck(history: list[Event]) -> None:
    """What is running has an attempt under way or a retry to come; else it rests."""
    run = fold(history)
    if run.status == "running":
        assert places(run) or first_due(run)
    else:
        assert run.status in ACTIVE | {"parked", "completed", "failed", "cancelled"}
        assert not places(run)


@given(histories())
def test_no_visit_is_left_twice_and_no_attempt_entered_twice(history: list[Event]) -> None:
    for type_ in ("node.entered", "node.exited", "transition.taken"):
        seen = [
            (each.data.node, each.data.visit, getattr(each.data, "attempt", 0))  # type: ignore[union-attr]
            for each in history
            if each.type == type_
        ]
        assert len(seen) == len(set(seen))


def test_a_run_of_no_events_is_not_born() -> None:
    assert fold([]).seq == 0


def test_what_is_no_event_of_a_run_is_a_mistake_of_the_program() -> None:
    odd: Any = object()
    with pytest.raises(AssertionError, match="not an event of a run as a whole: object"):
        fold([Event(0, "run", 1, AT, "odd", odd, "")])


@pytest.mark.parametrize("kind", [*get_args(Payload), Run, Scope, PatchOp])
def test_the_collector_has_nothing_to_look_for_in_what_history_is_made_of(kind: Any) -> None:
    assert kind.__struct_config__.gc is False


def test_a_fold_goes_the_way_that_was_taken_whatever_its_condition_would_say_now() -> None:
    """The verdict is in the event: what evaluates conditions may change, and history may not."""
    edges = [{"to": "a", "when": "n == 1"}, {"to": "b"}]
    graph = {"start": "work", "nodes": {"work": {"tool": "t", "next": edges}, "a": {}, "b": {}}}
    history = Scenario(graph).when_returned({"n": 1}).history
    at = next(n for n, each in enumerate(history) if isinstance(each.data, TransitionTaken))
    taken = msgspec.structs.replace(history[at].data, to="b", edge=1)
    past = [*history[:at], msgspec.structs.replace(history[at], data=taken)]
    position = fold(past).scopes[ROOT].position
    assert position is not None
    assert position.node == "b"
