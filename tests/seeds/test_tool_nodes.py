"""Workflow Engine of async tool nodes: conditional edges, loops by definition, all under ``/api``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from stenograph.workflows import data_quality
from tests.cli.running import ROOT
from tests.seeds.tables import TABLE
from tests.seeds.talking import ended, events, get, heard, post, shell, visited

pytestmark = pytest.mark.usefixtures("folder")

DEFINITION = data_quality.get_data_quality_graph_definition()
GRADES = {
    "name": "grades",
    "nodes": [
        {"name": "look", "type": "conditional", "tool": "tools.noop", "config": {}},
        {"name": "good", "type": "standard", "tool": "tools.approve", "config": {}},
        {"name": "bad", "type": "standard", "tool": "tools.noop", "config": {}},
    ],
    "edges": [
        {
            "from_node": "look",
            "to_node": "good",
            "condition": {"field": "score", "operator": ">=", "value": 80},
        },
        {"from_node": "look", "to_node": "bad"},
    ],
    "entry_point": "look",
}


def created(graph: Any = DEFINITION) -> str:
    graph_id: str = post("/api/graph/create", {"graph": graph})["graph_id"]
    return graph_id


def asked(**state: Any) -> Any:
    return {"graph_id": created(), "initial_state": {"rows": TABLE, **state}}


def test_graph_is_accepted_bare_and_wrapped() -> None:
    wrapped = post("/api/graph/create", {"graph": DEFINITION})
    bare = post("/api/graph/create", DEFINITION)
    assert wrapped["version"] == bare["version"]
    assert wrapped["message"]
    assert wrapped["warnings"], "what max_iterations counts is said"


@pytest.mark.parametrize(
    ("state", "last"), [({"score": 80}, "good"), ({"score": 9}, "bad"), ({}, "bad")]
)
def test_graph_takes_conditional_edges_by_a_field(state: Any, last: str) -> None:
    body = {"graph_id": created(GRADES), "initial_state": state}
    assert visited(post("/api/graph/run", body)["execution_log"]) == ["look", last]


def test_graph_that_is_ready_to_post_is_the_workflows_own() -> None:
    assert json.loads((ROOT / "docs/examples/data_quality.json").read_text()) == DEFINITION


def test_request_to_run_answers_with_final_state_and_log() -> None:
    answer = post("/api/graph/run", asked())
    assert answer["status"] == "completed"
    assert answer["final_state"] == answer["current_state"]
    assert answer["execution_log"]
    assert answer["message"]


def test_request_to_run_async_goes_on_in_the_background() -> None:
    answer = post("/api/graph/run-async", asked(), 202)
    told = ended(f"/api/graph/state/{answer['run_id']}")
    assert (told["graph_id"], told["status"]) == (answer["graph_id"], "completed")
    assert told["execution_log"]


def test_request_for_lists_finds_graphs_runs_and_tools() -> None:
    answer = post("/api/graph/run", asked())
    graphs, runs = get("/api/graphs")["items"], get("/api/runs")["items"]
    tools = {tool["name"]: tool for tool in get("/api/tools")["items"]}
    assert answer["graph_id"] in [graph["id"] for graph in graphs]
    assert answer["run_id"] in [run["id"] for run in runs]
    assert get(f"/api/graphs/{answer['graph_id']}")["graph"]["start"] == DEFINITION["entry_point"]
    for name in ("profile_data", "identify_anomalies", "generate_rules", "apply_rules"):
        assert tools[name]["doc"]


def test_workflow_repeats_until_few_enough_anomalies_are_left() -> None:
    answer = post("/api/graph/run", asked())
    state = answer["final_state"]
    assert state["anomalies_before"] > state["anomaly_count"]
    assert state["rules"]
    assert visited(answer["execution_log"])[:4] == [node["name"] for node in DEFINITION["nodes"]]


def test_command_of_its_readme_shows_the_full_flow(folder: Path) -> None:
    for name in ("test_pipeline.py", "data_quality.json"):
        shutil.copy(ROOT / "docs/examples" / name, folder)
    printed = shell("python test_pipeline.py", folder)
    assert "completed" in printed
    assert "anomalies" in printed


def test_stream_of_execute_runs_a_graph_and_tells_all_of_it() -> None:
    first, *messages, last = heard(f"/ws/execute/{created()}", {"initial_state": {"rows": TABLE}})
    assert (first["type"], first["done"]) == ("status", False)
    assert events(messages)[0]["run_id"] == first["run_id"]
    assert (last["status"], last["done"]) == ("completed", True)


def test_stream_of_monitor_tells_an_existing_run() -> None:
    run_id = post("/api/graph/run-async", asked(), 202)["run_id"]
    messages = heard(f"/ws/monitor/{run_id}")
    assert events(messages)[-1]["type"] == "run.completed"
    assert heard(f"/api/ws/monitor/{run_id}") == messages, "the past is told again, the same"
