"""Mini Workflow Engine: nodes in a list, edges as a map, tools that decide themselves to loop."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.tools import WAIT
from tests.seeds.talking import SLOPPY, ended, events, get, heard, post, visited

pytestmark = pytest.mark.usefixtures("folder")

CREATE = """
    {
    "nodes": [
        {"name": "extract", "func": "extract"},
        {"name": "analyze", "func": "analyze"},
        {"name": "suggest", "func": "suggest", "config": {"threshold": 90}}
    ],
    "edges": {
        "extract": "analyze",
        "analyze": "suggest",
        "suggest": null
    },
    "start_node": "extract"
    }
"""
RUN = """
    {
    "graph_id": "...",
    "initial_state": {"code": "def foo(): print('hi')"},
    "wait": true
    }
"""


def created() -> str:
    graph_id: str = post("/graph/create", CREATE)["graph_id"]
    return graph_id


def run(**changes: Any) -> Any:
    status = 200 if changes.get("wait", True) else 202
    return post("/graph/run", json.loads(RUN) | {"graph_id": created()} | changes, status)


def test_graph_is_accepted_and_shown_in_canonical_form() -> None:
    answer = post("/graph/create", CREATE)
    shown = get(f"/graphs/{answer['graph_id']}")["graph"]
    assert shown["start"] == "extract"
    assert shown["nodes"]["extract"] == {"tool": "extract", "next": [{"to": "analyze"}]}
    assert shown["nodes"]["suggest"] == {"tool": "suggest", "config": {"threshold": 90}}
    assert post("/graph/create", CREATE)["version"] == answer["version"], "the same graph again"


def test_request_to_run_and_wait_answers_with_state_and_log() -> None:
    answer = run()
    assert (answer["status"], answer["done"], answer["errors"]) == ("completed", True, [])
    assert [each["name"] for each in answer["state"]["functions"]] == ["foo"]
    assert visited(answer["logs"])[:3] == ["extract", "analyze", "suggest"]


def test_request_to_run_without_waiting_answers_at_once() -> None:
    answer = run(wait=False)
    assert ended(f"/graph/state/{answer['run_id']}")["status"] == "completed"


def test_request_for_the_state_tells_state_log_done_and_errors() -> None:
    told = get(f"/graph/state/{run()['run_id']}")
    assert (told["done"], told["errors"]) == (True, [])
    assert told["state"]["quality_score"] == told["state"]["scores"][-1]
    assert {"node", "tool", "started_at", "finished_at", "message"} <= told["logs"][0].keys()


def test_request_that_contradicts_itself_is_refused_with_where() -> None:
    body = json.loads(RUN) | {"graph_id": created(), "wait": True, "background": True}
    assert post("/graph/run", body, 422)["errors"][0]["pointer"] == "/background"


def test_workflow_repeats_until_the_quality_is_good_enough_or_can_get_no_better() -> None:
    answer = run(initial_state={"code": SLOPPY})
    state, nodes = answer["state"], visited(answer["logs"])
    assert nodes == ["extract", "analyze", "suggest"] * state["passes"]
    assert state["passes"] > 1
    assert state["scores"][0] < state["scores"][-1]
    assert state["suggestions"]
    assert state["quality_score"] >= 90 or state["stopped_by"] == "no-safe-fix"


def test_workflow_that_is_good_enough_at_once_does_not_loop() -> None:
    answer = run(initial_state={"code": '"""Nothing."""\n'})
    assert visited(answer["logs"]) == ["extract", "analyze", "suggest"]
    assert answer["state"]["quality_score"] >= 90


def test_stream_tells_entry_exit_transitions_and_completion() -> None:
    answer = run(initial_state={"code": SLOPPY}, wait=False)
    messages = heard(f"/ws/{answer['run_id']}")
    types = [event["type"] for event in events(messages)]
    assert {"node.entered", "node.exited", "transition.taken"} <= set(types)
    assert types[0] == "run.created"
    assert types[-1] == "run.completed"
    assert (messages[-1]["status"], messages[-1]["done"]) == ("completed", True)


def test_stream_tells_errors() -> None:
    answer = run(initial_state={"code": 7}, wait=False)
    last = heard(f"/ws/{answer['run_id']}")[-1]
    assert (last["status"], last["error"]["node"]) == ("failed", "extract")
    assert get(f"/graph/state/{answer['run_id']}")["errors"] == [last["error"]]


def test_stream_of_a_run_under_way_begins_with_its_first_event() -> None:
    graph_id = post("/graph/create", WAIT)["graph_id"]
    body = {"graph_id": graph_id, "initial_state": {"gate": "/"}, "wait": False}
    messages = heard(f"/ws/{post('/graph/run', body, 202)['run_id']}")
    assert events(messages)[0]["type"] == "run.created"
