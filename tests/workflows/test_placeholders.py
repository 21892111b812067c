from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import stenograph as st
from stenograph.engine import Registry
from stenograph.workflows import code_review, placeholders, review_loop
from tests.http.serving import app_client

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / "stenograph/workflows"


@pytest.mark.parametrize("state", [{}, {"issues_open": 1}, {"approved": False, "code": 7}])
async def test_a_placeholder_works_on_any_state(state: dict[str, Any]) -> None:
    nodes = {"a": {"tool": "tools.noop", "next": "b"}, "b": {"tool": "tools.approve"}}
    async with st.open(":memory:", tools=[placeholders]) as engine:
        run = await engine.run({"start": "a", "nodes": nodes}, state)
        noop, approve = await engine.visits(run.id)
    assert (run.status, run.state) == ("completed", {**state, "approved": True})
    assert (noop.changed, approve.changed) == ((), ("/approved",))


def test_every_module_of_tools_is_an_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    offered = project["entry-points"]["stenograph.tools"].values()
    names = [f"stenograph.workflows.{path.stem}" for path in WORKFLOWS.glob("[a-z]*.py")]
    assert set(offered) == {name for name in names if Registry([import_module(name)]).tools}


async def test_each_is_listed_over_http_with_a_line_of_doc() -> None:
    modules = [code_review, placeholders, review_loop]
    async with app_client(lambda: st.open(":memory:", tools=modules)) as client:
        items = (await client.get("/tools")).json()["items"]
    assert {item["name"] for item in items} == {
        *("extract", "analyze", "suggest", "report", "review", "fix", "approve", "reject"),
        *("tools.noop", "tools.approve"),
    }
    assert [item["name"] for item in items if not item["doc"]] == []
