"""Three nodes in a row, the last of which decides by itself whether to go round again."""

from __future__ import annotations

from typing import Any

import stenograph as st
from stenograph.workflows import code_review
from tests.workflows.reviewing import CHAIN, UNTIDY, State, reviewed


async def ran(state: State, graph: dict[str, Any] = CHAIN) -> tuple[State, list[str]]:
    """Run a graph to its end; return the last state and the nodes it went through."""
    async with st.open(":memory:", tools=[code_review]) as engine:
        run = await engine.run(graph, state)
        assert run.status == "completed", run.error
        return run.state, [visit.node for visit in await engine.visits(run.id)]


async def test_it_goes_round_until_the_score_is_reached() -> None:
    state, nodes = await ran({"code": UNTIDY})
    assert nodes == ["extract", "analyze", "suggest"] * state["passes"]
    assert state["passes"] > 1
    assert state["quality_score"] >= state["threshold"] == 90
    assert (state["improved"], state["stopped_by"]) == (False, "threshold")


async def test_it_ends_with_the_report_that_a_report_node_would_write() -> None:
    state, _ = await ran({"code": UNTIDY, "path": "door.py"})
    other = await reviewed(UNTIDY, path="door.py")
    assert state["report"] == other["report"]
    assert state == other


async def test_the_state_holds_what_a_client_looks_for_under_plain_names() -> None:
    state, _ = await ran({"code": "def foo(): print('hi')"})
    assert [one["name"] for one in state["functions"]] == ["foo"]
    assert state["complexity"]["worst"] == [{"name": "foo", "line": 1, "complexity": 1}]
    assert state["issue_count"] == len(state["issues"]) == len(state["suggestions"]) == 2
    assert 0 < state["quality_score"] < 90
    assert state["stopped_by"] == "no-safe-fix"


async def test_a_source_that_is_no_python_is_reported_with_the_same_names() -> None:
    state, nodes = await ran({"code": "x = 1\ndef f(:\n"})
    assert nodes == ["extract", "analyze", "suggest"]
    assert (state["quality_score"], state["issue_count"], state["functions"]) == (0, 1, [])
    (issue,) = state["issues"]
    assert (issue["rule"], issue["line"]) == ("invalid-syntax", 2)
    assert state["report"]["syntax_error"]["line"] == 2
    assert state["report"]["issues_by_code"] == {"invalid-syntax": 1}


async def test_passes_bound_the_loop() -> None:
    state, nodes = await ran({"code": UNTIDY, "max_passes": 2})
    assert (len(nodes), state["stopped_by"]) == (6, "max-passes")


async def test_with_an_edge_behind_it_the_edge_decides() -> None:
    nodes = {**CHAIN["nodes"], "suggest": {"tool": "suggest", "next": "$end"}}
    state, visited = await ran({"code": UNTIDY}, {**CHAIN, "nodes": nodes})
    assert visited == ["extract", "analyze", "suggest"]
    assert (state["improved"], "report" in state) == (True, False)


async def test_in_a_branch_of_a_fork_it_does_not_go_back_to_where_the_fork_opens() -> None:
    fork = {"each": "sources", "as": "source", "to": "extract", "join": "$end"}
    graph = {"start": "split", "nodes": {**CHAIN["nodes"], "split": {"next": fork}}}
    state, nodes = await ran({"code": UNTIDY, "sources": ["one"]}, graph)
    assert nodes == ["split", "extract", "analyze", "suggest"]
    assert (state["improved"], state["report"]["stopped_by"]) == (True, None)


async def test_in_a_sub_graph_it_goes_back_to_the_start_of_that() -> None:
    async with st.open(":memory:", tools=[code_review]) as engine:
        await engine.create_graph(CHAIN)
        graph = {"start": "call", "nodes": {"call": {"graph": "chain", "out": ["report"]}}}
        run = await engine.run(graph, {"code": UNTIDY})
    assert (run.status, run.state["report"]["stopped_by"]) == ("completed", "threshold")
    assert run.state["code"] == UNTIDY
