"""FlowForge: nodes in a map with their way on, loops by a function's name; summaries."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import ROOT
from tests.seeds.talking import ended, events, get, heard, post, results, shell, visited

pytestmark = pytest.mark.usefixtures("folder")

GRAPH = """{
"start": "split",
"nodes": {
"split": { "fn": "split_text", "next": "summarize" },
"summarize": { "fn": "summarize_chunks", "next": "merge" },
"merge": { "fn": "merge_summaries", "next": "refine" },
"refine": { "fn": "refine_summary", "loop_condition": "length_ok" }
}
}
"""
INITIAL_STATE = """{
"text": "Very long document goes here...",
"chunk_size": 500,
"target_length": 300
}
"""
TEXT = " ".join(
    f"Sentence number {n} tells of rivers, of bridge {n % 7} and of the towns beyond it."
    for n in range(80)
)


def asked(**changes: Any) -> Any:
    graph_id = post("/graph/create", GRAPH)["graph_id"]
    state = json.loads(INITIAL_STATE) | {"text": TEXT}
    return {"graph_id": graph_id, "state": state, "background": False} | changes


def test_graph_gets_an_id() -> None:
    answer = post("/graph/create", GRAPH)
    shown = get(f"/graphs/{answer['graph_id']}")["graph"]
    refine = shown["nodes"]["refine"]
    assert refine["tool"] == "refine_summary"
    assert (refine["next"][0]["to"], refine["next"][0]["until"]) == ("refine", {"fn": "length_ok"})


def test_graph_may_say_retries_timeout_and_branches() -> None:
    nodes = json.loads(GRAPH)["nodes"]
    nodes["split"] |= {"retries": 4, "timeout": 30}
    nodes["merge"] = {
        "fn": "merge_summaries",
        "branches": [{"condition": "length_ok", "next": "done"}, {"next": "refine"}],
    }
    nodes["done"] = {"fn": "tools.noop"}
    graph_id = post("/graph/create", {"start": "split", "nodes": nodes})["graph_id"]
    split = get(f"/graphs/{graph_id}")["graph"]["nodes"]["split"]
    assert (split["retry"]["attempts"], split["timeout_s"]) == (5, 30.0)
    assert visited(post("/graph/run", asked(graph_id=graph_id))["logs"])[2] == "merge"


def test_request_in_the_foreground_answers_with_state_and_log() -> None:
    answer = post("/graph/run", asked())
    assert (answer["status"], answer["done"]) == ("completed", True)
    assert visited(answer["logs"])[:4] == ["split", "summarize", "merge", "refine"]


def test_request_as_its_readme_prints_it_works() -> None:
    state = json.loads(INITIAL_STATE)
    assert post("/graph/run", asked(state=state))["state"]["summary"] == state["text"]


def test_request_in_the_background_answers_with_the_run_id() -> None:
    answer = post("/graph/run", asked(background=True), 202)
    told = ended(f"/graph/state/{answer['run_id']}")
    assert (told["done"], told["error"]) == (True, None)
    assert told["created_at"] <= told["updated_at"] <= told["finished_at"]


def test_workflow_refines_until_the_summary_is_short_enough() -> None:
    answer = post("/graph/run", asked())
    assert 0 < len(answer["state"]["summary"]) <= 300
    assert set(visited(answer["logs"])[3:]) == {"refine"}


def test_command_of_its_readme_prints_final_state_and_log(folder: Path) -> None:
    (folder / "tests").mkdir(exist_ok=True)
    shutil.copy(ROOT / "docs/examples/quick_run.sh", folder / "tests")
    shutil.copy(ROOT / "docs/examples/summarize.json", folder / "tests")
    printed = shell("./tests/quick_run.sh", folder)
    assert '"summary"' in printed
    assert '"type":"node.exited"' in printed
    assert printed.endswith("The run is completed.\n")


def test_stream_tells_each_nodes_result_and_then_that_it_is_done() -> None:
    run_id = post("/graph/run", asked(background=True), 202)["run_id"]
    *messages, last = heard(f"/ws/logs/{run_id}")
    assert events(messages)
    assert list(results(messages))[:4] == ["split", "summarize", "merge", "refine"]
    assert results(messages)["summarize"][0].keys() >= {"summaries"}
    assert last["done"] is True
