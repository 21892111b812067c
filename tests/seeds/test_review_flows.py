"""Workflow Engine for branching review flows: typed edges, bounded loops, cancellation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.tools import WAIT
from tests.seeds.talking import events, get, heard, post, shell, visited

pytestmark = pytest.mark.usefixtures("folder")

CODE_REVIEW = """{
  "id": "code-review-a",
  "name": "Code Review Loop",
  "start_node": "submit",
  "nodes": [
    {"id": "submit", "callable": "tools.noop"},
    {"id": "review", "callable": "tools.noop"},
    {"id": "fix", "callable": "tools.noop"},
    {"id": "approve", "callable": "tools.approve"}
  ],
  "edges": [
    {"from": "submit", "to": "review", "type": "sequential"},
    {
      "from": "review",
      "to": "approve",
      "type": "branch",
      "condition": {"expression": "context.get('issues_open', 0) == 0"}
    },
    {
      "from": "review",
      "to": "fix",
      "type": "branch",
      "condition": {"expression": "context.get('issues_open', 0) > 0"}
    },
    {
      "from": "fix",
      "to": "review",
      "type": "loop",
      "loop": {
        "max_iterations": 3,
        "until_expression": "context.get('issues_open', 0) == 0"
      }
    }
  ]
}
"""
CREATE = r"""curl -X POST http://localhost:8000/graph/create \
  -H "Content-Type: application/json" \
  -d @code_review.json
"""
RUN = r"""curl -X POST http://localhost:8000/graph/run \
  -H "Content-Type: application/json" \
  -d '{"graph_id":"code-review-a","initial_state":{"issues_open":1},"background":false}'
"""
STATE = "curl http://localhost:8000/graph/state/<run_id>"
CANCEL = "curl -X POST http://localhost:8000/graph/cancel/<run_id>"


@pytest.fixture(autouse=True)
def graph_file(folder: Path) -> None:
    (folder / "code_review.json").write_text(CODE_REVIEW)


def printed(command: str, folder: Path, run_id: str = "") -> Any:
    """What a command of the README prints, with the run's id in its place."""
    return json.loads(shell(command.replace("<run_id>", run_id), folder))


def ran(issues_open: int) -> Any:
    post("/graph/create", CODE_REVIEW)
    body = {"graph_id": "code-review-a", "initial_state": {"issues_open": issues_open}}
    return post("/graph/run", body)


def test_graph_keeps_its_id_and_says_what_was_assumed() -> None:
    answer = post("/graph/create", CODE_REVIEW)
    assert (answer["graph_id"], answer["name"]) == ("code-review-a", "Code Review Loop")
    assert any("approve" in warning["detail"] for warning in answer["warnings"])
    shown = get("/graphs/code-review-a")["graph"]
    loop = shown["nodes"]["fix"]["next"][0]
    assert (loop["to"], loop["max"]) == ("review", 3)
    assert loop["until"] == "context.get('issues_open', 0) == 0"


def test_command_lines_of_its_readme_run_as_printed(folder: Path) -> None:
    assert printed(CREATE, folder)["graph_id"] == "code-review-a"
    run = printed(RUN, folder)
    told = printed(STATE, folder, run["run_id"])
    assert (told["state"], told["logs"]) == (run["state"], run["logs"])
    refused = printed(CANCEL, folder, run["run_id"])
    assert (refused["status"], refused["type"]) == (409, "/problems/run-finished")


def test_workflow_without_an_open_issue_is_approved() -> None:
    answer = ran(issues_open=0)
    assert visited(answer["logs"]) == ["submit", "review", "approve"]
    assert (answer["status"], answer["state"]["approved"]) == ("completed", True)


def test_workflow_with_an_issue_that_nobody_fixes_fails_at_the_cap_of_its_loop() -> None:
    answer = ran(issues_open=1)
    assert visited(answer["logs"]) == ["submit", *["review", "fix"] * 4], "three times round"
    assert answer["status"] == "failed"


def test_workflow_of_its_kind_with_real_tools_fixes_and_approves() -> None:
    graph = json.loads(Path("docs/examples/code_review.json").read_text())
    graph_id = post("/graph/create", graph)["graph_id"]
    body = {"graph_id": graph_id, "initial_state": {"code": "import os, sys\n\nprint(sys.path)\n"}}
    answer = post("/graph/run", body)
    assert answer["status"] == "completed", answer["error"]
    assert visited(answer["logs"])[-1] == "approve"
    assert "fix" in visited(answer["logs"])
    assert answer["state"]["issues_open"] == 0


def test_request_to_cancel_stops_a_run_under_way() -> None:
    graph_id = post("/graph/create", WAIT)["graph_id"]
    body = {"graph_id": graph_id, "initial_state": {"gate": "/no/such/file"}, "background": True}
    run_id = post("/graph/run", body, 202)["run_id"]
    answer = post(f"/graph/cancel/{run_id}", {})
    assert (answer["run_id"], answer["graph_id"]) == (run_id, graph_id)
    assert answer["status"] == "cancelled"
    assert heard(f"/ws/logs/{run_id}")[-1]["status"] == "cancelled"


def test_request_to_cancel_what_is_not_there_is_refused() -> None:
    assert post("/graph/cancel/nobody", {}, 404)["type"] == "/problems/run-not-found"


@pytest.mark.parametrize(("issues_open", "status"), [(0, "completed"), (1, "failed")])
def test_stream_tells_logs_and_then_the_status(issues_open: int, status: str) -> None:
    run_id = ran(issues_open)["run_id"]
    *logs, last = heard(f"/ws/logs/{run_id}")
    assert {message["type"] for message in logs} == {"log"}
    assert events(logs)[-1]["type"] == f"run.{status}"
    assert (last["type"], last["status"]) == ("status", status)
