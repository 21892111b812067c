from __future__ import annotations

import ast
import json
import warnings
from typing import Any

import pytest

import stenograph as st
from stenograph.workflows import code_review
from tests.workflows.reviewing import UNTIDY, State, module_source, patched, reviewed

MODULES = [
    *("argparse", "_pydecimal", "typing", "turtle", "asyncio.base_events", "pydoc"),
    *("tarfile", "subprocess", "inspect", "dataclasses", "tomllib._types", "pickletools"),
]


@pytest.mark.parametrize("name", MODULES)
async def test_a_module_of_the_standard_library_gets_better_and_stays_python(name: str) -> None:
    code = module_source(name)
    state = await reviewed(code, path=f"{name}.py")
    whole = state["report"]
    assert whole["passes"] > 1
    assert whole["score"] == max(whole["scores"]) > whole["scores"][0] > 0
    assert whole["stopped_by"] in ("threshold", "no-safe-fix")
    assert patched(code, whole["diff"]) == state["code"]
    with warnings.catch_warnings(action="ignore"):
        ast.parse(state["code"])
    everything_else = {key: value for key, value in state.items() if key != "code"}
    assert len(json.dumps(everything_else)) < 400_000


async def run_graph(graph: dict[str, Any], state: State) -> State:
    async with st.open(":memory:", tools=[code_review]) as engine:
        run = await engine.run(graph, state)
        assert run.status == "completed"
        values: State = (await engine.state(run.id)).values
        return values


async def test_the_graph_runs_to_its_report() -> None:
    state = await run_graph(code_review.GRAPH, {"code": UNTIDY, "threshold": 95})
    assert state == await reviewed(UNTIDY, threshold=95)


async def test_the_graph_reports_broken_python() -> None:
    state = await run_graph(code_review.GRAPH, {"code": "def f(:\n"})
    assert state["report"]["syntax_error"]["line"] == 1
    assert state["report"]["score"] == 0


async def test_three_nodes_and_a_loop_are_a_review_too() -> None:
    again = {"to": "extract", "until": "quality_score >= threshold or not improved", "max": 9}
    nodes = {
        "extract": {"tool": "extract", "next": "analyze"},
        "analyze": {"tool": "analyze", "next": "suggest"},
        "suggest": {"tool": "suggest", "config": {"threshold": 80}, "next": [again]},
    }
    state = await run_graph({"start": "extract", "nodes": nodes}, {"code": UNTIDY})
    assert state["quality_score"] >= 80
    assert (state["threshold"], state["improved"]) == (80, False)
