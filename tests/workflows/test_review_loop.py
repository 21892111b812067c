"""Review to approval: who approves what, on its own graph and on those of docs/examples."""

from __future__ import annotations

import asyncio
import json
import signal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import stenograph as st
from stenograph.engine.core.events import LogWritten
from stenograph.engine.errors import Misfit
from stenograph.workflows import code_review, placeholders, review_loop
from stenograph.workflows.review import states
from tests.workflows.reviewing import UNTIDY, Listener, State

EXAMPLES = Path(__file__).parents[2] / "docs/examples"
WRONG = f"{UNTIDY}\n\nx = undefined\n"
TOOLS = [code_review, review_loop, placeholders]


async def ran(
    graph: dict[str, Any], state: State, answer: State | None = None
) -> tuple[st.RunView, list[str]]:
    """Run a graph to its end, a person answering so; return the run, and its nodes in order."""
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.run(graph, state)
        if answer is not None:
            assert run.status == "waiting"
            await engine.signal(run.id, "approval", answer)
            run = await engine.wait(run.id)
        return run, [visit.node for visit in await engine.visits(run.id)]


async def reviewed(state: State) -> State:
    return {**state, **await review_loop.review.call(state, config={}, ctx=Listener().ctx)}


# review


async def test_a_review_writes_all_that_extract_and_analyze_do_and_what_is_open() -> None:
    found = await reviewed({"code": WRONG})
    alone = await code_review.extract.call({"code": WRONG}, ctx=Listener().ctx)
    alone |= await code_review.analyze.call({"code": WRONG, **alone}, ctx=Listener().ctx)
    assert found | alone == found
    assert found.keys() - alone.keys() == {"code", "suggestions", "issues_open", "review"}
    assert found["issues_open"] == found["fixable_count"] + 1
    assert (found["review"]["safe"], found["review"]["person"]) == (found["fixable_count"], 1)


async def test_a_review_says_what_is_open_and_what_to_do() -> None:
    listener = Listener()
    found = await review_loop.review.call(
        {"code": "import os\nx = undefined\n"}, config={}, ctx=listener.ctx
    )
    assert found["review"]["summary"] == listener.said[-1]
    assert listener.said[-1].startswith("3 of 4 issues open: 2 with a safe fix, 1 for a person; ")
    assert [comment.split(". ")[0] for comment in found["review"]["comments"]] == [
        "line 2: Undefined name `undefined`",
        "line 1: `os` imported but unused",
        "line 1: Import block is un-sorted or un-formatted",
    ]


@pytest.mark.parametrize(("points", "is_open"), [(0.5, 2), (1, 2), (3, 1), (5, 1), (5.5, 0)])
async def test_what_is_open_is_a_matter_of_weight(points: float, is_open: int) -> None:
    code = '"""A module."""\n\n\ndef shown():\n    return undefined\n'  # F821: 5, D103: 1
    state = {"code": code, "open_points": 0}
    found = await review_loop.review.call(state, config={"open_points": points}, ctx=Listener().ctx)
    assert (found["issue_count"], found["issues_open"]) == (2, is_open)
    found = await review_loop.review.call(state, config={}, ctx=Listener().ctx)
    assert found["issues_open"] == 2


async def test_what_is_no_python_is_open_for_a_person() -> None:
    found = await reviewed({"code": "def f(:\n"})
    assert (found["issues_open"], found["quality_score"]) == (1, 0)
    assert (found["review"]["safe"], found["review"]["person"]) == (0, 1)
    update = await review_loop.fix.call(found, config={}, ctx=Listener().ctx)
    assert update == {"improved": False, "stopped_by": "syntax-error"}


@pytest.mark.parametrize("points", ["many", True, -1, 101, None])
async def test_a_weight_outside_0_to_100_is_refused(points: object) -> None:
    with pytest.raises(Misfit, match=r"^/open_points (is|does not fit: expected)"):
        await reviewed({"code": UNTIDY, "open_points": points})


# fix


async def test_fix_applies_one_group_and_says_so() -> None:
    state, listener = await reviewed({"code": UNTIDY}), Listener()
    update = await review_loop.fix.call(state, config={}, ctx=listener.ctx)
    (done,) = update["fixes"]
    assert (update["improved"], update["stopped_by"], update["fixed"]) == (
        True,
        None,
        done["fixed"],
    )
    assert update["code"] != UNTIDY
    assert listener.said[0].startswith("pass 1: applied ")


async def test_fix_says_why_it_changes_nothing() -> None:
    listener = Listener()
    update = await review_loop.fix.call(
        await reviewed({"code": "x = undefined\n"}), config={}, ctx=listener.ctx
    )
    assert update == {"improved": False, "stopped_by": "no-safe-fix"}
    assert listener.said == ["pass 1: no safe fix is left"]
    state = await reviewed({"code": UNTIDY, "scores": [100.0]})
    update = await review_loop.fix.call(state, config={"max_passes": 2}, ctx=listener.ctx)
    assert update == {"improved": False, "stopped_by": "max-passes"}


async def test_fix_before_review_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match="let the tool review run before fix"):
        await review_loop.fix.call({"code": UNTIDY}, config={}, ctx=Listener().ctx)


# approve


async def test_what_has_no_open_issue_is_approved_by_itself() -> None:
    run, nodes = await ran(review_loop.GRAPH, {"code": UNTIDY, "path": "door.py"})
    rounds = run.state["passes"] - 1
    assert nodes == ["submit", *["review", "fix"] * rounds, "review", "approve"]
    assert rounds > 1
    assert (run.state["approved"], run.state["issues_open"]) == (True, 0)
    assert run.state["verdict"] == {
        "approved": True,
        "by": None,
        "reason": "no issue is open",
        "path": "door.py",
        "sha256": sha256(run.state["code"].encode()).hexdigest(),
        "score": run.state["quality_score"],
        "issues_open": 0,
        "issues": run.state["issue_count"],
        "fixed": run.state["fixed"],
    }


@pytest.mark.parametrize("approved", [True, False])
async def test_where_no_fix_helps_a_person_decides(approved: bool) -> None:
    answer = {"approved": approved, "by": "ann", "reason": "it is set elsewhere"}
    run, nodes = await ran(review_loop.GRAPH, {"code": WRONG}, answer)
    assert nodes[-2:] == ["ask", "approve" if approved else "reject"]
    assert run.state["review"]["person"] == run.state["issues_open"] == 1
    verdict = run.state["verdict"]
    assert run.state["approved"] is verdict["approved"] is approved
    assert (verdict["by"], verdict["reason"]) == ("ann", "it is set elsewhere")


async def test_a_fix_that_changes_nothing_leads_to_a_person() -> None:
    run, nodes = await ran(
        review_loop.GRAPH, {"code": UNTIDY, "max_passes": 1}, {"approved": True, "by": "ann"}
    )
    assert nodes == ["submit", "review", "fix", "ask", "approve"]
    assert (run.state["stopped_by"], run.state["code"]) == ("max-passes", UNTIDY)
    assert run.state["verdict"]["reason"] is None


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"approved": False, "by": "ann"}, 'lacks the key "reason"'),
        ({"approved": True}, 'lacks the key "by"'),
        ({"approved": "yes", "by": "ann"}, "/approved"),
        ({"approved": True, "by": ""}, "/by"),
        ({"approved": True, "by": "ann", "note": "?"}, "note"),
    ],
)
async def test_an_answer_says_who_and_a_refusal_why(answer: State, why: str) -> None:
    with pytest.raises(st.SignalRefused, match=why):
        await ran(review_loop.GRAPH, {"code": "x = undefined\n"}, answer)


async def test_without_an_answer_in_time_it_is_rejected() -> None:
    ask = review_loop.GRAPH["nodes"]["ask"]
    soon = {**ask, "wait": {**ask["wait"], "timeout_s": 0.01}}
    graph = {**review_loop.GRAPH, "nodes": {**review_loop.GRAPH["nodes"], "ask": soon}}
    stale = {"approved": True, "by": "whoever started it"}
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.start(graph, {"code": "x = undefined\n", "approval": stale})
        async for event in engine.tail(run.id):
            assert event.type != "run.failed"
        run = await engine.get(run.id)
    assert (run.status, run.state["approved"]) == ("completed", False)
    assert (run.state["verdict"]["by"], run.state["verdict"]["reason"]) == (
        None,
        "nobody approved it",
    )


async def test_approve_works_on_what_nobody_reviewed_and_says_so() -> None:
    listener = Listener()
    verdict = (await review_loop.approve({"code": "x = '\ud800'\n"}, listener.ctx))["verdict"]
    assert (verdict["score"], verdict["issues_open"], verdict["reason"]) == (None, None, None)
    assert listener.said == ["approved"]


# cancel


async def test_cancelling_a_review_stops_ruff_and_leaves_what_it_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: asyncio.Queue[asyncio.subprocess.Process] = asyncio.Queue()
    start = asyncio.create_subprocess_exec

    async def stopping_at_ruff(*command: str, **options: Any) -> asyncio.subprocess.Process:
        """Start a program; ruff then stands still, so that it cannot be done too soon."""
        process = await start(*command, **options)
        if "--select" in command:
            process.send_signal(signal.SIGSTOP)
            started.put_nowait(process)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", stopping_at_ruff)
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.start(review_loop.GRAPH, {"code": UNTIDY})
        ruff = await started.get()
        async for event in engine.tail(run.id):
            if event.type == "log":
                break
        await engine.cancel(run.id, reason="enough")
        run = await engine.wait(run.id)
        events = [event async for event in engine.tail(run.id)]
        assert ruff.returncode == -signal.SIGKILL
    assert (run.status, run.state) == ("cancelled", {"code": UNTIDY})
    assert events[-1].type == "run.cancelled"
    (said,) = [event.data for event in events if isinstance(event.data, LogWritten)]
    assert said.message == "parsed 1 function and 1 class in 11 lines of code"


# the graphs in docs/examples


def example(name: str) -> dict[str, Any]:
    """A graph of docs/examples, its lists of nodes and edges as this engine writes them."""
    given = json.loads((EXAMPLES / name).read_text("utf-8"))
    nodes = {node["id"]: {"tool": node["callable"], "next": []} for node in given["nodes"]}
    for edge in given["edges"]:
        way = {"to": edge["to"]}
        if condition := edge.get("condition"):
            way["when"] = condition["expression"]
        if loop := edge.get("loop"):
            way |= {"max": loop["max_iterations"], "until": loop["until_expression"]}
        nodes[edge["from"]]["next"].append(way)
    return {"id": given["id"], "start": given["start_node"], "nodes": nodes}


async def test_the_example_approves_what_can_be_mended() -> None:
    run, nodes = await ran(example("code_review.json"), {"code": UNTIDY})
    assert (run.status, nodes[0], nodes[-1]) == ("completed", "submit", "approve")
    assert run.state["verdict"]["issues_open"] == 0


async def test_the_example_reports_what_cannot() -> None:
    run, nodes = await ran(example("code_review.json"), {"code": WRONG})
    assert (run.status, nodes[-3:]) == ("completed", ["review", "fix", "report"])
    assert "approved" not in run.state
    assert run.state["report"]["stopped_by"] == "no-safe-fix"


def test_the_example_goes_round_as_often_as_a_review_may() -> None:
    edges = example("code_review.json")["nodes"]["fix"]["next"]
    assert edges[0]["max"] == states.PASSES_MAX


async def test_the_example_without_tools_of_its_own_runs() -> None:
    graph = example("noop_review.json")
    run, nodes = await ran(graph, {"issues_open": 0})
    assert (nodes, run.state["approved"]) == (["submit", "review", "approve"], True)
    run, nodes = await ran(graph, {"issues_open": 1})
    assert (run.status, nodes) == ("completed", ["submit", *["review", "fix"] * 4])
