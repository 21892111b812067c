"""Which way a run goes after a node, and why: the first eligible edge, and what there is without."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from stenograph.engine.conditions.expressions import View
from stenograph.engine.core.edges import (
    CompiledNode,
    Uncaught,
    Way,
    compile_graph,
    decide_way,
    edge_key,
)
from stenograph.engine.core.events import Considered, ErrorInfo
from stenograph.engine.graphs.graph import Outcome
from stenograph.engine.graphs.parse import parse_graph

BROKEN = ErrorInfo("OSError", "it broke")


def to(name: str, **fields: Any) -> dict[str, Any]:
    return {"to": name, **fields}


def node(*edges: Any) -> CompiledNode:
    graph = {"start": "a", "nodes": {"a": {"next": list(edges)}, "b": {}, "c": {}}}
    parsed = parse_graph(graph, tools=(), predicates=["p", "q"])
    return compile_graph(parsed.data).nodes["a"]


def way(
    *edges: Any,
    outcome: Outcome = "ok",
    state: dict[str, Any] | None = None,
    bindings: dict[str, Any] | None = None,
    taken: dict[int, int] | None = None,
    answers: dict[str, bool | ErrorInfo] | None = None,
    on_no_match: Literal["fail", "end"] = "fail",
) -> Any:
    return decide_way(
        node(*edges),
        outcome,
        View(state or {}, bindings or {}),
        error=None if outcome == "ok" else BROKEN,
        taken={edge_key("a", index): count for index, count in (taken or {}).items()},
        answers=answers or {},
        on_no_match=on_no_match,
    )


def test_the_first_eligible_edge_is_taken() -> None:
    found = way(
        to("b", when="n > 5"), to("c", when="n > 2"), to("$end", when="n > 0"), state={"n": 3}
    )
    assert found == Way(
        "c",
        "branch",
        1,
        None,
        (
            Considered(edge=0, verdict=False, when="n > 5", read={"n": 3}),
            Considered(edge=1, verdict=True, when="n > 2", read={"n": 3}),
        ),
    )


def test_an_edge_without_a_condition_is_always_taken() -> None:
    assert way("b", to("c", when="boom")) == Way(
        "b", "next", 0, None, (Considered(edge=0, verdict=True),)
    )


def test_a_way_carries_the_label_of_its_edge() -> None:
    assert way(to("b", label="all is well")).label == "all is well"


@pytest.mark.parametrize("outcome", ["ok", "error", "timeout"])
def test_an_edge_is_for_one_outcome(outcome: Outcome) -> None:
    found = way("$end", to("b", on="error"), to("c", on="timeout"), outcome=outcome)
    expected = {
        "ok": ("$end", "next", 0),
        "error": ("b", "error", 1),
        "timeout": ("c", "timeout", 2),
    }
    assert (found.to, found.reason, found.edge) == expected[outcome]
    assert [each.edge for each in found.considered] == [found.edge]


def test_an_error_edge_may_ask_for_the_error() -> None:
    edges = [
        to("b", on="error", when="error.type == 'ValueError'"),
        to("c", on="error", when="error.type == 'OSError'"),
    ]
    found = way(*edges, outcome="error", bindings={"error": {"type": "OSError"}})
    assert (found.to, found.considered[0].read) == ("c", {"error.type": "OSError"})


@pytest.mark.parametrize("outcome", ["error", "timeout"])
def test_an_error_that_no_edge_catches_is_uncaught(outcome: Outcome) -> None:
    for edges in ([], ["$end"], [to("b", on=outcome, when="False")], [to("b", on=outcome, max=1)]):
        assert way(*edges, outcome=outcome, taken={0: 1}, on_no_match="end") == Uncaught(BROKEN)


def test_until_is_not_when() -> None:
    for done in (True, False):
        when = way(to("b", when="done"), "c", state={"done": done})
        until = way(to("b", until="done"), "c", state={"done": done})
        assert (when.to == "b") is done is (until.to == "c")
        assert when.considered[0].verdict is not until.considered[0].verdict
        assert until.considered[0].read == {"done": done}
        assert (when.considered[0].when, until.considered[0].until) == ("done", "done")


def test_an_edge_is_taken_as_often_as_its_max() -> None:
    edges = [to("b", max=2), "c"]
    assert [way(*edges, taken={0: count}).to for count in (0, 1, 2, 3)] == ["b", "b", "c", "c"]
    assert way(*edges, taken={0: 1}).considered == (
        Considered(edge=0, verdict=True, max=2, taken=1),
    )
    assert way(*edges, taken={0: 2}).considered == (
        Considered(edge=0, verdict=False, max=2, taken=2),
        Considered(edge=1, verdict=True),
    )


def test_an_edge_that_is_used_up_is_not_asked() -> None:
    assert way(to("b", max=1, when="boom"), "c", taken={0: 1}).to == "c"


def test_each_edge_is_counted_by_its_place() -> None:
    edges = [to("b", max=1), to("b", max=1), "c"]
    assert way(*edges, taken={0: 1}).edge == 1
    assert way(*edges, taken={0: 1, 1: 1}).edge == 2


@pytest.mark.parametrize(
    ("edge", "reason"),
    [
        (to("b"), "next"),
        (to("b", when="True"), "branch"),
        (to("b", until="False"), "loop"),
        (to("b", max=1), "loop"),
        (to("b", max=1, when="True"), "loop"),
    ],
    ids=str,
)
def test_a_way_has_a_reason(edge: dict[str, Any], reason: str) -> None:
    assert way(edge).reason == reason


def test_without_edges_there_is_nowhere_to_go() -> None:
    assert way() is None
    assert way(to("b", on="error")) is None


def test_a_loop_whose_condition_came_true_is_done() -> None:
    found = way(to("b", until="n == 3", max=5), state={"n": 3}, taken={0: 2})
    assert (found.to, found.reason, found.edge) == ("$end", "loop-done", None)
    assert found.considered == (
        Considered(edge=0, verdict=False, until="n == 3", max=5, taken=2, read={"n": 3}),
    )


def test_a_loop_that_went_round_as_often_as_it_may_ends_at_its_cap() -> None:
    found = way(to("b", until="n == 3", max=2), state={"n": 0}, taken={0: 2})
    assert (found.to, found.reason) == ("$end", "loop-cap")
    assert way(to("b", max=2), taken={0: 2}).reason == "loop-cap"


def test_a_cap_on_the_way_out_is_the_last_edges() -> None:
    bounded = [to("b", max=2), to("c", until="True")]
    assert way(*bounded, taken={0: 2}).reason == "loop-done"
    assert way(*reversed(bounded), taken={1: 2}).reason == "loop-cap"
    assert way(to("b", max=2, when="False"), taken={0: 1}).reason == "loop-done"
    assert way(to("b", max=2), to("c", on="error"), taken={0: 2}).reason == "loop-cap"


@pytest.mark.parametrize(("on_no_match", "end"), [("fail", "$fail"), ("end", "$end")])
def test_without_an_eligible_edge_the_graph_decides(
    on_no_match: Literal["fail", "end"], end: str
) -> None:
    found = way(to("b", max=1), to("c", when="n"), state={"n": 0}, on_no_match=on_no_match)
    assert found.to == "b"
    found = way(
        to("b", max=1), to("c", when="n"), state={"n": 0}, taken={0: 1}, on_no_match=on_no_match
    )
    assert (found.to, found.reason, found.edge) == (end, "no-edge-matched", None)
    assert [each.verdict for each in found.considered] == [False, False]


def test_a_field_and_a_predicate_are_asked_like_an_expression() -> None:
    field = {"field": "n", "operator": ">", "value": 1}
    found = way(to("b", when=field), to("c", when={"fn": "p"}), state={"n": 1}, answers={"p": True})
    assert found.considered == (
        Considered(edge=0, verdict=False, when=field, read={"n": 1}),
        Considered(edge=1, verdict=True, when={"fn": "p"}),
    )
    assert way(to("b", until={"fn": "p"}), "c", answers={"p": True}).to == "c"


def test_a_condition_that_cannot_be_answered_is_an_error_that_names_its_edge() -> None:
    found = way(to("b", when="False"), to("c", until="missing > 1"), "$end", state={"mising": 1})
    assert found == Uncaught(
        ErrorInfo(
            "expression-error",
            "edge 1 of node 'a': 'missing > 1': at column 0: the state has no key `missing`; "
            "did you mean `mising`?",
            node="a",
        )
    )


def test_a_predicate_that_could_not_answer_is_such_an_error() -> None:
    broken = ErrorInfo("ValueError", "no idea")
    found = way(to("b", when={"fn": "p"}), "c", answers={"p": broken})
    assert found == Uncaught(
        ErrorInfo(
            "expression-error",
            "edge 0 of node 'a': {'fn': 'p'}: at column 0: predicate 'p' raised ValueError: no idea",
            node="a",
        )
    )


def test_a_condition_that_fails_after_an_error_takes_its_place() -> None:
    found = way(to("b", on="error", when="missing"), outcome="error")
    assert (type(found), found.error.type) == (Uncaught, "expression-error")


def asks(*edges: Any, outcome: Outcome = "ok") -> tuple[str, ...]:
    return node(*edges).after[outcome].predicates


def test_predicates_are_asked_only_when_they_may_be_needed() -> None:
    p, q = {"fn": "p"}, {"fn": "q"}
    assert asks("b", to("c", on="error")) == ()
    assert asks(to("b", when=p), to("c", until=q), to("$end", when=p)) == ("p", "q")
    assert asks(to("b", when="n"), to("b", max=2), to("c", when=p)) == ("p",)
    assert asks(to("b", when=p), to("c", on="error", when=q), outcome="error") == ("q",)
    assert asks(to("b", when=p), to("c"), to("$end", when=q)) == ("p",)
    assert asks(to("c", on="error"), to("b", when=p), to("c", when=q)) == ("p", "q")


def test_a_graph_is_compiled_once() -> None:
    data = parse_graph({"start": "a", "nodes": {"a": {"next": "a"}}}, tools=()).data
    assert compile_graph(data) is compile_graph(bytes(bytearray(data)))


def test_a_compiled_node_knows_its_tool() -> None:
    data = parse_graph({"start": "a", "nodes": {"a": {"tool": "t"}, "b": {}}}, tools=["t"]).data
    nodes = compile_graph(data).nodes
    assert {name: (each.name, each.tool) for name, each in nodes.items()} == {
        "a": ("a", "t"),
        "b": ("b", None),
    }


def test_what_was_read_is_recorded_for_each_edge_by_itself() -> None:
    result = way(to("b", when="n > m"), to("c", when="m"), state={"n": 1, "m": 2})
    assert [each.read for each in result.considered] == [{"n": 1, "m": 2}, {"m": 2}]
