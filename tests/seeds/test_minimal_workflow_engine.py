"""Minimal Workflow Engine: tools that set ``__next_node__``, a log of every step, one socket for all."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.seeds.tables import TABLE
from tests.seeds.talking import URL, get, post, socket_at, visited

pytestmark = pytest.mark.usefixtures("folder")

CHAIN = {
    "nodes": {
        "profile": {"tool": "profile_data"},
        "identify": {"tool": "identify_anomalies"},
        "generate": {"tool": "generate_rules"},
        "apply": {"tool": "apply_rules"},
    },
    "edges": {"profile": "identify", "identify": "generate", "generate": "apply"},
    "start_node": "profile",
}


ROUTES = {
    "nodes": [
        {"name": "route", "func": "route"},
        {"name": "left", "func": "turn_back"},
        {"name": "middle", "func": "tools.noop"},
        {"name": "right", "func": "tools.noop"},
    ],
    "edges": {"route": "middle", "left": None, "middle": None, "right": None},
    "start_node": "route",
}


def run(graph: Any, state: Any) -> Any:
    graph_id = post("/graph/create", graph)["graph_id"]
    return post("/graph/run", {"graph_id": graph_id, "initial_state": state})


def test_graph_of_nodes_and_edges_is_accepted() -> None:
    shown = get(f"/graphs/{post('/graph/create', CHAIN)['graph_id']}")["graph"]
    assert [node["tool"] for node in shown["nodes"].values()] == [
        "apply_rules",
        "generate_rules",
        "identify_anomalies",
        "profile_data",
    ], "in canonical form"


def test_graph_goes_where_a_tool_says_by_next_node() -> None:
    answer = run(ROUTES, {})
    assert visited(answer["logs"]) == ["route", "left", "route", "right"], "not over middle"
    assert answer["state"] == {"rounds": 2}, "where to go is no part of the state"


def test_request_for_the_state_tells_each_step() -> None:
    run_id = run(ROUTES, {})["run_id"]
    told = get(f"/graph/state/{run_id}")
    step = told["logs"][0]
    assert (step["node"], step["tool"], step["state"]) == ("route", "route", {"rounds": 1})
    assert step["started_at"] <= step["finished_at"]
    assert step["message"]


def test_workflow_repeats_until_few_enough_anomalies_are_left() -> None:
    answer = run(CHAIN, {"rows": TABLE, "threshold": 0})
    state, nodes = answer["state"], visited(answer["logs"])
    assert answer["status"] == "completed", answer["error"]
    assert nodes[:4] == ["profile", "identify", "generate", "apply"]
    assert nodes[4:5] in ([], ["profile"]), "it repeats from the start"
    assert state["anomalies_before"] > state["anomaly_count"]
    assert state["anomaly_count"] <= 0 or state["stopped_by"] != "threshold"
    assert state["rules"]


def test_stream_tells_every_step_of_every_run_to_all_who_listen() -> None:
    with socket_at("/ws/logs") as one, socket_at("/ws/logs") as other:
        run_id = run(ROUTES, {})["run_id"]
        first, second = until_ended(one, run_id), until_ended(other, run_id)
    assert first == second
    assert first[0]["log"]["type"] == "run.created"
    assert [m["log"]["data"]["node"] for m in first if m["log"]["type"] == "node.entered"] == [
        "route",
        "left",
        "route",
        "right",
    ]


def until_ended(socket: Any, run_id: str) -> list[Any]:
    """What a socket says of a run, up to its end."""
    told = []
    for message in map(json.loads, socket):
        if message["log"]["run_id"] == run_id:
            told.append(message)
            if message["log"]["type"] == "run.completed":
                break
    return told


def test_command_of_its_readme_opens_the_interactive_documents() -> None:
    answer = httpx.get("http://127.0.0.1:8000/docs", follow_redirects=True)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "/graph/run" in httpx.get(f"{URL}/openapi.json").json()["paths"]
