"""Sub-graphs: a node that runs a graph of its own, in a scope of its own, in the same journal."""

from __future__ import annotations

from typing import Any

import pytest

import stenograph as st
from stenograph.engine.core.standing import due_at
from tests.graphs import COUNTING, TOOLS, calling, one
from tests.scenario import Scenario, at_s

CHILD: dict[str, Any] = {
    "start": "x",
    "nodes": {"x": {"tool": "t", "next": "y"}, "y": {"tool": "t"}},
}
IN = "/call#1/"


def called(
    state: dict[str, Any] | None = None, child: dict[str, Any] | None = None, **node: Any
) -> Scenario:
    nodes = {"call": {"graph": "child", "next": "after", **node}, "after": {"tool": "t"}}
    spec = {"start": "call", "nodes": nodes, "state": {"sum": {"reducer": "add"}}}
    return Scenario(spec, state or {}, {"child": child or CHILD})


def test_the_sub_graph_is_pinned_by_its_content() -> None:
    scene = called()
    pinned = scene.find("run.created").graphs["child"]
    entered = scene.happened[1]
    assert (entered.graph, entered.graph_version) == ("child", pinned.version)
    assert scene.last().scope == IN


def test_without_in_it_begins_with_a_copy_of_the_state() -> None:
    scene = called({"n": 1})
    assert scene.run.scopes[IN].state.to_values() == {"n": 1}
    scene.when_returned({"n": 2}, scope=IN)
    assert scene.run.state.to_values() == {"n": 1}


def test_with_in_it_begins_with_what_it_is_given() -> None:
    scene = called({"doc": {"text": "hi"}, "n": 1}, **{"in": {"code": "doc.text"}})
    assert scene.run.scopes[IN].state.to_values() == {"code": "hi"}


def test_what_it_is_to_be_given_must_be_there() -> None:
    scene = called(**{"in": {"code": "doc.text"}})
    assert scene.last().error.type == "missing-input"
    assert "doc.text" in scene.last().error.message


def test_without_out_all_that_it_changed_comes_back() -> None:
    scene = called({"n": 1, "m": 1})
    scene.when_returned({"n": 2, "new": 3}, scope=IN).when_returned(scope=IN)
    scene.then("node.exited", "node.exited", "state.patched", "transition.taken", "node.entered")
    assert scene.run.state.to_values() == {"n": 2, "m": 1, "new": 3}


def test_with_out_only_those_keys_come_back() -> None:
    scene = called({"n": 1}, out=["new", "never"])
    scene.when_returned({"n": 2, "new": 3}, scope=IN).when_returned(scope=IN)
    assert scene.run.state.to_values() == {"n": 1, "new": 3}


def test_a_key_that_it_was_given_has_its_new_value_and_others_meet_their_reducer() -> None:
    given = called({"sum": 5}).when_returned({"sum": 7}, scope=IN).when_returned(scope=IN)
    assert given.run.state["sum"] == 7
    fresh = called({"sum": 5}, **{"in": {}}).when_returned({"sum": 7}, scope=IN)
    assert fresh.when_returned(scope=IN).run.state["sum"] == 12


def test_its_scope_is_gone_when_it_has_ended() -> None:
    scene = called().when_returned(scope=IN).when_returned(scope=IN)
    assert list(scene.run.scopes) == ["/"]


def test_an_error_in_it_can_be_caught_as_one() -> None:
    scene = called(next=[{"to": "after", "on": "error", "when": "error.type == 'OSError'"}])
    scene.when_failed(scope=IN)
    scene.then("node.exited", "node.exited", "transition.taken", "node.entered")
    assert (scene.happened[1].node, scene.happened[1].outcome) == ("call", "error")
    assert list(scene.run.scopes) == ["/"]


def test_an_error_in_it_that_nothing_catches_fails_the_run_and_says_where() -> None:
    scene = called().when_failed(scope=IN)
    assert (scene.last().TYPE, scene.last().scope, scene.last().node) == ("run.failed", IN, "x")


def test_a_failed_run_is_retried_within_it() -> None:
    scene = called().when_returned(scope=IN).when_failed(scope=IN).when_retried()
    assert (scene.last().scope, scene.last().node, scene.last().attempt) == (IN, "y", 2)


def test_a_node_that_runs_a_graph_may_try_it_again_from_its_start() -> None:
    scene = called({"n": 1}, retry={"attempts": 2, "delay_s": 1}).when_returned({"n": 9}, scope=IN)
    scene.when_failed(scope=IN)
    assert (scene.last().TYPE, scene.last().node) == ("node.attempt_failed", "call")
    scene.when_due()
    assert (scene.last().scope, scene.last().node) == (IN, "x")
    assert scene.run.scopes[IN].state.to_values() == {"n": 1}


def test_a_graph_that_takes_too_long_times_out_and_is_stopped() -> None:
    scene = called(timeout_s=60, next=[{"to": "after", "on": "timeout"}])
    assert due_at(scene.run, "/") == at_s(60)
    scene.when_due().then("timer.fired", "node.exited", "transition.taken", "node.entered")
    assert list(scene.run.scopes) == ["/"]


def test_a_fork_within_it_ends_with_it() -> None:
    child = {
        "start": "s",
        "nodes": {"s": {"next": {"to": ["p", "q"], "join": "$end"}}, "p": {"tool": "t"}, "q": {}},
    }
    scene = called(child=child, next=[{"to": "after", "on": "error"}]).when_returned(scope=IN)
    scene.when_returned(scope=f"{IN}s#1[1]/").when_failed(scope=f"{IN}s#1[0]/")
    assert scene.last().node == "after"
    assert list(scene.run.scopes) == ["/"]


async def test_a_run_keeps_the_graph_that_it_began_with() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        first = await engine.create_graph(COUNTING)
        await engine.create_graph({**calling("child"), "id": "outer"})
        await engine.create_graph({**COUNTING, "name": "other"})
        run = await engine.run("outer", {"n": 0})
        newest = await anext(e async for e in engine.tail(run.id) if e.type == "run.created")
        old = await engine.run({**calling(f"child@{first.version[:12]}")}, {"n": 0})
        pinned = await anext(e async for e in engine.tail(old.id) if e.type == "run.created")
    assert newest.data.graphs["child"].version != first.version  # type: ignore[union-attr]
    assert [each.version for each in pinned.data.graphs.values()] == [first.version]  # type: ignore[union-attr]


async def test_a_graph_that_nobody_knows_is_refused() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        with pytest.raises(st.GraphInvalid, match="there is no graph 'chidl'"):
            await engine.start(calling("chidl"))


async def test_a_graph_in_python_may_hold_another() -> None:
    inner = st.Graph(id="inner", start="a", nodes={"a": st.Node(tool=TOOLS[0])})
    outer = st.Graph(start="call", nodes={"call": st.Node(graph=inner)})
    async with st.open(":memory:") as engine:
        assert (await engine.run(outer)).state == {"n": 1}
        assert (await engine.graph("inner")).graph.start == "a"


async def test_mutual_recursion_is_bounded() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        await engine.create_graph({"id": "b", **one("count")})
        await engine.create_graph({"id": "a", "start": "x", "nodes": {"x": {"graph": "b"}}})
        await engine.create_graph({"id": "b", "start": "x", "nodes": {"x": {"graph": "a"}}})
        run = await engine.run("a")
    assert run.error is not None
    assert run.error.type == "too-deep"


def test_a_graph_with_what_must_not_happen_twice_is_not_tried_again_by_itself() -> None:
    once = {"start": "x", "nodes": {"x": {"tool": "once", "next": "y"}, "y": {"tool": "t"}}}
    scene = called(child=once, retry={"attempts": 3}).when_returned(scope=IN).when_failed(scope=IN)
    assert scene.last().TYPE == "run.failed"


def test_nor_is_a_graph_that_calls_such_a_one() -> None:
    once = {"start": "x", "nodes": {"x": {"tool": "once"}}}
    twice = {"x": {"graph": "deep", "next": "y"}, "y": {"tool": "t", "next": "z"}}
    child = {"start": "x", "nodes": {**twice, "z": {"graph": "deep"}}}
    call = {"graph": "child", "retry": {"attempts": 3}}
    scene = Scenario({"start": "call", "nodes": {"call": call}}, {}, {"child": child, "deep": once})
    scene.when_returned(scope=f"{IN}x#1/").when_failed(scope=IN)
    assert scene.last().TYPE == "run.failed"


async def test_a_key_that_it_takes_away_is_gone_outside() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        await engine.create_graph({"id": "child", **one("forget", config={"keys": ["n"]})})
        ended = await engine.run(
            {"start": "c", "nodes": {"c": {"graph": "child"}}}, {"n": 1, "m": 2}
        )
        assert (ended.status, ended.state) == ("completed", {"m": 2})


async def test_what_graphs_within_graphs_bring_back_may_take_several_commits() -> None:
    @st.tool
    async def much(state: dict[str, Any]) -> dict[str, Any]:
        return {"text": "x" * 1_500_000}

    async with st.open(":memory:", tools=[much]) as engine:
        await engine.create_graph({"id": "g1", "start": "a", "nodes": {"a": {"tool": "much"}}})
        for inner, outer in (("g1", "g2"), ("g2", "g3")):
            nodes = {"a": {"graph": inner}}
            await engine.create_graph({"id": outer, "start": "a", "nodes": nodes})
        run = await engine.run("g3")
    assert (run.status, len(run.state["text"])) == ("completed", 1_500_000)


def test_a_tool_in_a_sub_graph_goes_where_that_graph_has_a_node() -> None:
    graph = {
        "start": "split",
        "nodes": {
            "split": {"next": {"to": ["call"], "join": "y"}},
            "call": {"graph": "child"},
            "y": {},
        },
    }
    inner = f"/split#1[0]{IN}"
    scene = Scenario(graph, {}, {"child": CHILD}).when_returned()
    scene.when_returned(goto="y", scope=inner)
    assert (scene.last().scope, scene.last().node) == (inner, "y")
