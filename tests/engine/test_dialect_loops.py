"""Conditions and loops of other engines: what they become, and that a run then goes the same way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import stenograph as st
from stenograph.engine import Engine
from tests.engine.dialect_graphs import (
    THREE,
    faults,
    from_a,
    inline,
    listed,
    nodes,
    parse,
    warnings,
    ways,
)

FIELD = {"field": "n", "operator": "<", "value": 5}


def when(condition: Any) -> Any:
    (edge,) = ways(listed(from_a(condition=condition)))
    return edge["when"]


def looped(**loop: Any) -> dict[str, Any]:
    """A node that loops, with no way back of its own."""
    return listed(from_a(), loops=[{"node": "a", **loop}])


# Conditions


@pytest.mark.parametrize(
    ("condition", "canonical"),
    [
        ("x > 1", "x > 1"),
        ("ready", {"fn": "ready"}),
        ({"expression": "x > 1"}, "x > 1"),
        ({"expression": "x > 1", "language": "python", "callable": None}, "x > 1"),
        ({"expression": "ready"}, {"fn": "ready"}),
        ({"callable": "ready"}, {"fn": "ready"}),
        ({"function": "ready"}, {"fn": "ready"}),
        ({"predicate": "ready", "description": "d"}, {"fn": "ready"}),
        ({"fn": "ready"}, {"fn": "ready"}),
        ({"fn": "x > 1"}, "x > 1"),
        (FIELD, FIELD),
        ({"key": "n", "op": "<", "value": 5}, FIELD),
        ({"field": "n", "op": "lt", "value": 5}, FIELD),
        ({"field": "n", "op": "not in", "value": []}, {**FIELD, "operator": "not_in", "value": []}),
        ({"field": "n", "op": "==", "value": None}, {**FIELD, "operator": "==", "value": None}),
    ],
)
def test_each_spelling_of_a_condition_has_a_canonical_one(condition: Any, canonical: Any) -> None:
    assert when(condition) == canonical


@pytest.mark.parametrize(
    "branch", [FIELD, {"key": "n", "op": "<", "value": 5}, {"condition": FIELD}, {"when": FIELD}]
)
def test_a_branch_may_hold_its_condition_itself(branch: dict[str, Any]) -> None:
    assert ways(inline(branches=[{**branch, "next": "b"}])) == [{"to": "b", "when": FIELD}]


def test_a_function_that_nobody_has_is_refused() -> None:
    for key in ("callable", "fn", "function", "predicate"):
        assert faults(listed(from_a(condition={key: "redy"}))) == {
            f"/edges/0/condition/{key}": "there is no predicate 'redy'; did you mean 'ready'?"
        }
    assert list(faults(listed(from_a(condition={"callable": "tools.ready"})))) == [
        "/edges/0/condition/callable"
    ]


def test_conditions_in_another_language_are_refused() -> None:
    data = listed(from_a(condition={"expression": "x > 1", "language": "jsonata"}))
    assert list(faults(data)) == ["/edges/0/condition/language"]


def test_one_edge_has_one_condition() -> None:
    for edge in ({"when": "x", "condition": "y"}, {"when": "x", "fn": "ready"}):
        assert faults(listed(from_a(**edge))) == {"/edges/0": "has 2 conditions; say it in one"}
    both = {"expression": "x", "callable": "ready"}
    assert list(faults(listed(from_a(condition=both)))) == ["/edges/0/condition"]


def test_a_field_without_an_operator_or_a_value_is_refused() -> None:
    for condition in ({"field": "n"}, {"field": "n", "op": ["<"]}, {"value": 5}, {}):
        assert "/edges/0/condition" in next(iter(faults(listed(from_a(condition=condition)))))


# Which tests leave a loop, and which go on


def test_until_leaves_a_loop_and_while_goes_on() -> None:
    again = {"to": "a"}
    assert ways(inline(loop_condition="ready")) == [{**again, "until": {"fn": "ready"}}]
    assert ways(inline(loop_condition="x > 1")) == [{**again, "until": "x > 1"}]
    assert ways(inline(loop_condition=FIELD)) == [{**again, "until": FIELD}]
    assert ways(inline(loop_while="x > 1")) == [{**again, "when": "x > 1"}]
    both = inline(loop_condition="x", loop_while="y")
    assert ways(both) == [{**again, "when": "(y) and not (x)"}]


def test_a_loop_of_a_node_comes_before_its_other_edges() -> None:
    data = inline(loop_condition="ready", branches={"x": "c"}, next="b")
    assert ways(data) == [
        {"to": "a", "until": {"fn": "ready"}},
        {"to": "c", "when": "x"},
        {"to": "b"},
    ]


@pytest.mark.parametrize(
    "edge",
    [
        {"type": "loop", "loop": {"until_expression": "x", "max_iterations": 2}},
        {"loop": {"until": "x", "max_iterations": 2}},
        {"loop": {"condition": {"expression": "x"}, "max": 2}},
        {"loop": True, "until": "x", "max": 2},
        {"until_expression": "x", "max_iterations": 2},
    ],
)
def test_a_loop_edge_fails_where_it_was_taken_as_often_as_it_may(edge: dict[str, Any]) -> None:
    assert ways(listed(from_a(to="c"), from_a(**edge))) == [
        {"to": "b", "until": "x", "max": 2},
        {"to": "$fail", "until": "x", "label": "loop-limit"},
        {"to": "c"},
    ]


def test_a_loop_edge_that_does_not_say_goes_round_five_times() -> None:
    data = listed(from_a(type="loop"))
    assert ways(data) == [{"to": "b", "max": 5}, {"to": "$fail", "label": "loop-limit"}]
    assert warnings(data)["/edges/0"] == (
        "has no max_iterations; it goes round 5 times, then the run fails"
    )


def test_a_loop_edge_with_a_condition_asks_both() -> None:
    data = listed(from_a(type="loop", condition="x", loop={"until": "y", "max_iterations": 1}))
    assert [each["when"] for each in ways(data)] == ["(x) and not (y)"] * 2


@pytest.mark.parametrize(
    ("condition", "until", "pointer"),
    [
        ("x ==", "y", "condition"),
        ("x", "y ==", "loop/until"),
        ("x", {"fn": "ready"}, "loop/until/fn"),
        ({"field": "a.b", "operator": "<", "value": 5}, "x", "loop/until"),
        ({"field": "a", "operator": "==", "value": [[]]}, "x", "loop/until"),
        ({"field": "a", "operator": "==", "value": 1e400}, "x", "loop/until"),
        ({"field": "a", "operator": "==", "value": [10**5000]}, "x", "loop/until"),
        ("x", "y # why", "loop/until"),
    ],
)
def test_conditions_that_cannot_be_one_are_refused(
    condition: Any, until: Any, pointer: str
) -> None:
    loop = {"until": until, "max_iterations": 1}
    data = listed(from_a(type="loop", condition=condition, loop=loop))
    assert list(faults(data)) == [f"/edges/0/{pointer}"]


# The loop of a node that its edges do not know of


def test_a_loop_without_a_way_back_is_one_to_itself() -> None:
    data = looped(condition=FIELD, max_iterations=3)
    assert ways(data) == [{"to": "a", "until": FIELD, "max": 2}, {"to": "b"}]
    assert warnings(data)["/loops/0/max_iterations"] == (
        "counts how often 'a' runs: 3 times, so it goes round 2 times"
    )


def test_the_edge_that_leads_back_is_the_way_round() -> None:
    back = [{"from": "b", "to": "c"}, {"from": "c", "to": "a"}]
    for own in (from_a(), from_a(to="a")):
        data = listed(from_a(to="$end"), own, *back, loops=[{"node": "a", "condition": "x"}])
        assert ways(data) == [{"to": own["to"], "until": "x", "max": 9}, {"to": "$end"}]
        assert next(iter(warnings(data))) == "/loops/0"


def test_a_way_back_without_a_condition_is_chosen_first() -> None:
    own = [from_a(condition="y"), from_a(to="a"), from_a(to="c", condition="z")]
    data = listed(*own, {"from": "b", "to": "a"}, loops=[{"node": "a", "until": "x"}])
    assert ways(data) == [
        {"to": "a", "until": "x", "max": 9},
        {"to": "b", "when": "y"},
        {"to": "c", "when": "z"},
    ]


def test_a_way_back_with_a_condition_of_its_own_asks_both() -> None:
    own = from_a(to="a", condition={**FIELD, "operator": "not_in", "value": [1, "x"]})
    data = listed(own, loops=[{"node": "a", "condition": FIELD, "max_iterations": 2}])
    assert ways(data) == [
        {
            "to": "a",
            "when": "('n' in state and state['n'] not in [1, 'x']) and not ('n' in state and state['n'] < 5)",
            "max": 1,
        }
    ]


def test_a_node_that_runs_once_does_not_loop() -> None:
    assert ways(looped(condition="x", max_iterations=1)) == [{"to": "b"}]
    back = {**looped(max_iterations=1), "edges": [from_a(), {"from": "b", "to": "a"}]}
    assert ways(back) == []
    assert ways(inline(loop_condition="x", max_iterations=1, next="b")) == [{"to": "b"}]
    assert ways(inline(loop_condition="x", max_iterations=4))[0]["max"] == 3


@pytest.mark.parametrize(
    ("loops", "expected"),
    [
        (5, {"/loops": "is a list of loops, each with its node, condition and max_iterations"}),
        ([{}] * 1001, {"/loops": "has 1,001 loops; a graph may have 1,000"}),
        ([5], {"/loops/0": "is an object with a node, not a number"}),
        ([{}], {"/loops/0": "has no node; name the one that loops"}),
        ([{"node": "d"}], {"/loops/0/node": "there is no node 'd'; there is a, b, c"}),
        ([{"node": []}], {"/loops/0/node": "is the name of a node, as text, not a list"}),
        ([{"node": "a"}] * 2, {"/loops/1": "is a second loop of 'a'; say it once"}),
        ([{"node": "b"}], {"/loops/0": "is a second loop of 'b'; say it once"}),
    ],
)
def test_loops_that_cannot_be_are_refused(loops: Any, expected: dict[str, str]) -> None:
    data = listed({"from": "b", "to": "a", "loop": {"max_iterations": 1}}, loops=loops)
    told = faults(data)
    assert told.keys() == expected.keys()
    assert all(told[path].startswith(detail) for path, detail in expected.items()), told


@pytest.mark.parametrize("count", [0, -1, True, "3", 1.5, [], 1_000_000_002])
def test_a_node_runs_a_whole_number_of_times(count: Any) -> None:
    assert list(faults(looped(max_iterations=count))) == ["/loops/0/max_iterations"]
    node = inline(loop_condition="x", max_iterations=count)
    assert list(faults(node)) == ["/nodes/a/max_iterations"]


def test_a_condition_of_a_loop_is_judged_where_it_stood() -> None:
    data = looped(condition={"field": "n", "operator": "~", "value": 5})
    assert list(faults(data)) == ["/loops/0/condition/operator"]
    assert list(faults(inline(loop_condition="x =="))) == ["/nodes/a/loop_condition"]


# And the runs go the same way

REVIEW: dict[str, Any] = {
    "id": "review",
    "start_node": "submit",
    "nodes": [{"id": name, "callable": name} for name in ("submit", "review", "fix", "approve")],
    "edges": [
        {"from": "submit", "to": "review", "type": "sequential"},
        {"from": "review", "to": "approve", "type": "branch",
         "condition": {"expression": "context.get('open', 0) == 0"}},
        {"from": "review", "to": "fix", "type": "branch",
         "condition": {"expression": "context.get('open', 0) > 0"}},
        {"from": "fix", "to": "review", "type": "loop",
         "loop": {"max_iterations": 3, "until_expression": "context.get('open', 0) == 0"}},
    ],
}  # fmt: skip


def tools(**behaving: Any) -> list[st.Tool]:
    """Tools by name: each returns what is given for it, or what that makes of the state."""

    def made(name: str) -> st.Tool:
        async def act(state: dict[str, Any]) -> Any:
            does = behaving.get(name, {})
            return does(state) if callable(does) else does

        return st.tool(name=name)(act)

    return [made(name) for name in ("submit", "review", "fix", "approve", "t", "u", "v")]


@st.predicate
def ready(state: Mapping[str, Any]) -> bool:
    return bool(state["n"] >= 3)


async def path_of(engine: Engine, graph: Any, state: dict[str, Any]) -> tuple[list[str], str]:
    """The nodes of a run in their order, and its status."""
    run = await engine.run(graph, state)
    return [visit.node for visit in await engine.visits(run.id)], run.status


def count(state: dict[str, Any]) -> dict[str, Any]:
    return {"n": state.get("n", 0) + 1}


async def test_a_capped_loop_that_was_never_done_fails() -> None:
    async with st.open(":memory:", tools=tools()) as engine:
        path, status = await path_of(engine, REVIEW, {"open": 1})
        assert path == ["submit", "review", *["fix", "review"] * 3, "fix"]
        assert status == "failed"
        path, status = await path_of(engine, REVIEW, {"open": 0})
        assert (path, status) == (["submit", "review", "approve"], "completed")


async def test_a_capped_loop_that_is_done_ends_there_even_at_its_cap() -> None:
    for visits in (1, 2, 4):
        fixing = {
            "fix": lambda state, n=visits: {**count(state), "open": int(state.get("n", 0) + 1 < n)}
        }
        async with st.open(":memory:", tools=tools(**fixing)) as engine:
            path, status = await path_of(engine, REVIEW, {"open": 1})
        assert (path.count("fix"), path[-1], status) == (visits, "fix", "completed")


async def test_a_capped_loop_that_is_done_goes_on_by_its_sequential_edge() -> None:
    graph = {**REVIEW, "edges": [*REVIEW["edges"], {"from": "fix", "to": "approve"}]}
    async with st.open(":memory:", tools=tools(fix={"open": 0})) as engine:
        path, status = await path_of(engine, graph, {"open": 1})
    assert (path, status) == (["submit", "review", "fix", "approve"], "completed")


def test_what_cannot_be_reached_through_a_loop_is_told() -> None:
    data = listed(
        from_a(condition="x"),
        from_a(to="c", condition="not x"),
        {"from": "c", "to": "a", "loop": {"max_iterations": 3, "until": " x "}},
    )
    assert warnings(data)["/edges/2/loop/until"] == (
        "when it is true the run ends at 'c', so 'b' cannot be reached through this loop, unless "
        "'a' makes it true; give 'c' a sequential edge to go on"
    )
    called = {**data, "edges": [*data["edges"], {"from": "c", "to": "b"}]}
    assert "/edges/2/loop/until" not in warnings(called)


@pytest.mark.parametrize("condition", [{"callable": "ready"}, FIELD])
def test_only_what_asks_the_very_same_is_told(condition: Any) -> None:
    back = {"from": "b", "to": "a", "loop": {"max_iterations": 3, "until": condition}}
    data = listed(from_a(to="c", condition=condition), from_a(), back)
    assert ("/edges/2/loop/until/callable" in warnings(data)) is ("callable" in condition)


@pytest.mark.parametrize("most", [1, 2, 5])
async def test_a_node_that_loops_runs_as_often_as_it_says_then_goes_on(most: int) -> None:
    loop = {"node": "b", "condition": {"field": "n", "operator": "<", "value": 5}}
    edges = [{"from_node": one, "to_node": other} for one, other in ("ab", "ba", "bc")]
    graph = {
        "nodes": [{"name": each["id"], "tool": each["func"]} for each in THREE],
        "edges": edges,
        "loops": [{**loop, "max_iterations": most}],
        "entry_point": "a",
    }
    async with st.open(":memory:", tools=tools()) as engine:
        path, status = await path_of(engine, graph, {"n": 12})
        assert (path, status) == ([*["a", "b"] * most, "c"], "completed")
    async with st.open(":memory:", tools=tools(u=lambda state: {"n": state["n"] - 4})) as engine:
        path, status = await path_of(engine, graph, {"n": 12})
        assert (path, status) == ([*["a", "b"] * min(most, 2), "c"], "completed")


async def test_a_loop_condition_repeats_its_node_until_it_is_true() -> None:
    async with st.open(":memory:", tools=[*tools(t=count), ready]) as engine:
        path, status = await path_of(engine, inline(loop_condition="ready", next="b"), {})
        assert (path, status) == (["a", "a", "a", "b"], "completed")
        path, status = await path_of(engine, inline(loop_while="n < 2", next="b"), {})
        assert (path, status) == (["a", "a", "b"], "completed")


async def test_a_node_may_say_in_the_state_which_is_next() -> None:
    goto = {
        "v": lambda state: {**count(state), **({"__next_node__": "b"} if "n" not in state else {})}
    }
    graph = {"nodes": THREE, "edges": {"a": "b", "b": "c", "c": None}, "start_node": "a"}
    async with st.open(":memory:", tools=tools(**goto)) as engine:
        run = await engine.run(graph, {})
        path = [visit.node for visit in await engine.visits(run.id)]
    assert (path, run.status, run.state) == (["a", "b", "c", "b", "c"], "completed", {"n": 2})


async def test_a_run_ends_where_no_edge_matches() -> None:
    graph = listed(from_a(condition="n > 1"), from_a(to="c", condition="n < 0"))
    async with st.open(":memory:", tools=tools()) as engine:
        assert await path_of(engine, graph, {"n": 1}) == (["a"], "completed")
        failing = {**graph, "on_no_match": "fail"}
        assert await path_of(engine, failing, {"n": 1}) == (["a"], "failed")


async def test_the_warnings_come_with_a_graph_that_is_unchanged_too() -> None:
    async with st.open(":memory:", tools=tools()) as engine:
        first = await engine.create_graph(REVIEW)
        again = await engine.create_graph(REVIEW)
    assert first.created
    assert not again.created
    assert first.warnings == again.warnings != ()


def test_of_several_ways_back_the_one_to_an_earlier_node_is_the_way_round() -> None:
    inner, outer = {"from": "b", "to": "a"}, {"from": "b", "to": "c"}
    for edges in ([outer, inner], [inner, outer], [outer, {**inner, "condition": "y < 3"}]):
        data = listed(from_a(), *edges, {"from": "c", "to": "a"}, loops=[{"node": "b"}])
        first, last = nodes(data)["b"]["next"]
        assert (first["to"], first["max"], last) == ("a", 9, {"to": "c"})
    looped_twice = listed(from_a(), inner, outer, {"from": "c", "to": "a"}, loops=[{"node": "b"}])
    told = [each.detail for each in parse(looped_twice).warnings if each.pointer == "/loops/0"]
    assert told == [
        "goes round by 'a'; other edges lead back as well",
        "does not say how often 'b' runs: 10 times, so it goes round 9 times",
    ]


def test_a_loop_edge_that_only_its_cap_ends_fails_the_run_and_says_so() -> None:
    data = listed(from_a(loop={"max_iterations": 2}))
    assert warnings(data)["/edges/0"] == (
        "says no until_expression, so the run fails once it was taken so often"
    )
