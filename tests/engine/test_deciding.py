"""Where decisions are made: what takes long is begun in the loop, given up, and made beside it."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st_

import stenograph as st
from stenograph.engine.bounds import BOUNDS
from stenograph.engine.conditions.expressions import WORK_MAX, TooLong
from stenograph.engine.core.commands import (
    Advance,
    Cancel,
    Migrate,
    Outside,
    Pause,
    Resume,
    Signal,
)
from stenograph.engine.core.decide import Decision, decide
from stenograph.engine.core.run import Run
from stenograph.engine.executor import deciding
from stenograph.engine.executor.deciding import HASTE, is_much
from tests.scenario import Scenario, outside, returned

ROWS: Final = [[number] for number in range(20_000)]
SLOW: Final = "rows == again"
"""A condition that takes some ten milliseconds."""


def hasty(haste: int) -> Outside:
    known = outside()
    return Outside(known.version, known.effects, 0, 0.5, {}, 0, BOUNDS, haste)


def asking(*conditions: str) -> Scenario:
    edges = [{"to": "other", "when": each} for each in conditions]
    graph = {
        "start": "a",
        "nodes": {"a": {"tool": "t", "next": [*edges, "b"]}, "b": {}, "other": {}},
    }
    return Scenario(graph, {"rows": ROWS, "again": [*ROWS[:-1], [0]]})


def told(decision: Decision) -> tuple[Any, ...]:
    return [str(each) for each in decision.events], decision.is_partial, decision.rest


SCENE: Final = asking(SLOW)
NEEDED: Final = 250 + 20_000 * (100 + 250 + 100)
"""A list of 20,000 lists of one number."""


@given(st_.integers(0, 20_000_000))
@example(NEEDED - 1)
@example(NEEDED)
def test_in_haste_a_decision_is_the_same_or_none(haste: int) -> None:
    scene = SCENE
    command = returned(scene.run, {}, None, None)
    try:
        quick = decide(scene.run, command, hasty(haste))
    except TooLong:
        assert haste < NEEDED
    else:
        assert haste >= NEEDED
        assert told(quick) == told(decide(scene.run, command, outside()))


def waiting(count: int, conditions: int) -> Scenario:
    """A run that will go through nodes at once, each with slow conditions: their signals are there."""
    nodes = {
        f"w{number}": {
            "wait": {"signal": "go"},
            "next": [{"to": "$fail", "when": SLOW}] * conditions + [{"to": f"w{number + 1}"}],
        }
        for number in range(count)
    }
    graph = {"start": "a", "nodes": {"a": {"tool": "t", "next": "w0"}, **nodes, f"w{count}": {}}}
    scene = Scenario(graph, {"rows": ROWS, "again": [*ROWS[:-1], [0]]})
    for number in range(count):
        scene.when_signalled("go", number)
    return scene


def test_what_many_nodes_do_in_haste_is_counted_together() -> None:
    scene = waiting(count=4, conditions=1)
    command = returned(scene.run, {}, None, None)
    with pytest.raises(TooLong):
        decide(scene.run, command, hasty(4 * NEEDED - 1))
    assert told(decide(scene.run, command, hasty(4 * NEEDED)))[1:] == (False, ())


def test_the_conditions_of_a_node_share_what_they_may_do() -> None:
    assert asking(*[SLOW] * 4).when_returned().last().node == "b"
    failed = asking(*[SLOW] * 5).when_returned().run
    assert failed.error is not None
    assert "edge 4 of node 'a'" in failed.error.message
    assert "the node's conditions go over more data than they may together" in failed.error.message


def test_a_decision_that_has_done_much_leaves_the_rest_to_another() -> None:
    scene = waiting(count=4, conditions=3)
    first = decide(scene.run, returned(scene.run, {}, None, None), outside())
    assert 3 * NEEDED < WORK_MAX < 6 * NEEDED
    assert (first.is_partial, first.rest) == (True, ("/",))
    assert [each.TYPE for each in first.events].count("wait.resolved") == 2


@pytest.mark.parametrize("count", range(190, 206))
def test_whatever_a_decision_leaves_to_another_makes_events(count: int) -> None:
    fork = {"to": "ask", "each": "items", "join": "$end"}
    nodes = {"a": {"tool": "t", "next": [fork]}, "ask": {"wait": {"signal": "go"}}}
    run = Scenario({"start": "a", "nodes": nodes}, {"items": list(range(count))}).run
    decision = decide(run, returned(run, {}, None, None), outside())
    while decision.is_partial:
        run.adopt(decision.run)
        decision = decide(run, Advance(decision.rest), outside())
        assert decision.events
    assert decision.run.status == "waiting"


async def test_a_run_that_comes_to_rest_as_a_decision_is_full_is_listed_as_waiting() -> None:
    fork = {"to": "ask", "each": "items", "join": "$end"}
    nodes = {"a": {"next": [fork]}, "ask": {"wait": {"signal": "go"}}}
    async with st.open(":memory:") as engine:
        for count in range(190, 206):
            run_id = (await engine.run({"start": "a", "nodes": nodes}, {"items": [0] * count})).id
            assert (await engine.get(run_id)).status == "waiting"
            [stream] = await engine.journal.streams({"kind": "run"}, limit=1)
            assert (stream.run_id, stream.labels["status"]) == (run_id, "waiting")


def test_a_command_is_much_by_what_it_brings_and_by_what_it_meets() -> None:
    run, large = Run(), json.dumps("a" * 40_000).encode()
    assert not is_much(Signal(name="go", payload=b"1", actor="me"), run)
    assert is_much(Signal(name="go", payload=large, actor="me"), run)
    assert is_much(Signal(name="rows", payload=b"1", actor="me"), SCENE.run)
    assert is_much(Migrate(graph_id="g", graph=large, graphs={}, version="1", actor="me"), run)
    assert not is_much(Migrate(graph_id="g", graph=b"{}", graphs={}, version="1", actor="me"), run)
    assert is_much(Resume(actor="me", result={}), run)
    assert not is_much(Resume(actor="me"), run)
    assert not is_much(Advance(), run)


async def test_the_loop_makes_quick_decisions_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[tuple[str, str]] = []

    def noting(run: Run, command: Any, known: Outside) -> Decision:
        decision = decide(run, command, known)
        made.append((type(command).__name__, threading.current_thread().name))
        return decision

    monkeypatch.setattr(deciding, "decide", noting)

    @st.tool
    async def nothing(state: dict[str, Any]) -> None:
        await asyncio.sleep(0)

    nodes = {
        "ask": st.Node(wait=st.Wait(signal="rows"), next="look"),
        "look": st.Node(tool="nothing", next=[st.Edge(to="$fail", when=SLOW), st.Edge(to="end")]),
        "end": st.Node(tool="nothing"),
    }
    async with st.open(":memory:", tools=[nothing]) as engine:
        run = await engine.run(st.Graph(start="ask", nodes=nodes), {"again": [*ROWS[:-1], [0]]})
        await engine.signal(run.id, "rows", ROWS)
        assert (await engine.wait(run.id)).status == "completed"
    threads = [(kind, name.startswith("stenograph-brief")) for kind, name in made]
    assert threads == [
        ("Start", True),
        ("Signal", True),
        ("ToolReturned", True),
        ("ToolReturned", False),
    ]


def keeping(count: int) -> Scenario:
    """A run that keeps so many large signals for a node that it has not come to."""
    nodes = {
        "a": {"tool": "t", "next": "w"},
        "w": {"wait": {"signal": "rows"}, "next": {"to": "w", "max": count}},
    }
    graph = {"start": "a", "nodes": nodes, "state": {"rows": {"reducer": "union"}}}
    scene = Scenario({**graph, "on_no_match": "end"})
    for number in range(count):
        scene.when_signalled("rows", [[number, each] for each in range(10_000)])
    return scene


def test_a_large_signal_that_was_kept_is_work_when_it_is_taken() -> None:
    scene = keeping(1)
    with pytest.raises(TooLong):
        decide(scene.run, returned(scene.run, {}, None, None), hasty(HASTE))


def test_many_large_signals_that_were_kept_are_taken_by_several_decisions() -> None:
    scene = keeping(8)
    first = decide(scene.run, returned(scene.run, {}, None, None), outside())
    taken = [each.TYPE for each in first.events].count("wait.resolved")
    assert (first.is_partial, 0 < taken < 8) == (True, True)


def test_a_join_of_large_changes_is_work() -> None:
    scene = Scenario(
        {
            "start": "a",
            "nodes": {
                "a": {"next": {"to": ["b", "c"], "join": "$end"}},
                "b": {"tool": "t"},
                "c": {"tool": "t"},
            },
            "state": {"rows": {"reducer": "union"}},
        }
    )
    scene.when_returned()
    scene.when_returned({"rows": ROWS}, scope="/a#1[0]/")
    command = returned(scene.run, {"rows": [1]}, None, "/a#1[1]/")
    with pytest.raises(TooLong):
        decide(scene.run, command, hasty(HASTE))


def test_a_command_to_all_of_many_scopes_is_much() -> None:
    graph = {
        "start": "a",
        "nodes": {"a": {"next": {"each": "xs", "to": "b", "join": "$end"}}, "b": {"tool": "t"}},
    }
    few, many = Scenario(graph, {"xs": [1]}), Scenario(graph, {"xs": [1] * 600})
    few.when_returned()
    many.when_returned().when(Advance())
    pause, cancel = Pause(actor="me", reason=""), Cancel(actor="me", reason="")
    for command in (pause, cancel, Resume(actor="me"), Advance()):
        assert (is_much(command, few.run), is_much(command, many.run)) == (False, True)
    rest = Advance(tuple(many.run.scopes))
    assert (is_much(Advance(("/",)), many.run), is_much(rest, many.run)) == (False, True)
