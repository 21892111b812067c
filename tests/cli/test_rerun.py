"""``steno rerun``: a run made again, or checked, and what that came to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Server, graph_file, running, serving, steno
from tests.cli.test_fork import begun
from tests.cli.tools import COUNT, GATED


def rerun(server: Server, *words: str) -> Any:
    return steno("--url", server.url, "rerun", *words)


def test_a_rerun_with_nothing_changed_gives_0(server: Server, tmp_path: Path) -> None:
    begun(server, tmp_path, COUNT, "rerun-1", "-s", "to=2")
    done = rerun(server, "rerun-1", "--id", "rerun-1a", "--tag", "a=b")
    assert done.code == 0, done.err
    [report] = done.documents
    assert (report["run_id"], report["rerun_of"], report["same"]) == ("rerun-1a", "rerun-1", True)
    assert (report["reused"], report["executed"], report["first"]) == (2, 0, None)
    assert "-- run rerun-1a, a rerun of rerun-1: " in done.err
    [shown] = steno("--url", server.url, "show", "rerun-1a").documents
    assert shown["tags"] == {"a": "b", "rerun_of": "rerun-1"}
    again = rerun(server, "rerun-1", "--id", "rerun-1a", "--tag", "a=b")
    assert (again.code, "was there already" in again.err) == (0, True)


def test_a_rerun_with_another_state_gives_1_and_says_where_they_part(
    server: Server, tmp_path: Path
) -> None:
    begun(server, tmp_path, COUNT, "rerun-2", "-s", "to=2")
    done = steno("--url", server.url, "-o", "table", "rerun", "rerun-2", "--set", "to=30")
    assert done.code == 1, done.err
    assert "  rerun of rerun-2@" in done.out
    assert "\n0 attempts answered from the recording, 30 run anew\n" in done.out
    assert "  2  count#1  count: another state\n" in done.out
    assert "\n  … 10 more\n" in done.out
    assert "first difference at their start (to)" in done.out


def test_a_tool_a_graph_and_limits_are_changed(server: Server, tmp_path: Path) -> None:
    begun(server, tmp_path, COUNT, "rerun-3", "-s", "to=2")
    file = str(graph_file(tmp_path, COUNT))
    words = ["rerun-3", "--tool", "count", "--graph", file, "--steps", "50", "--key", "k-3"]
    done = rerun(server, *words)
    assert done.code == 0, done.err
    [report] = done.documents
    assert report["why"] == {"named": 2}
    [created] = steno(
        "--url", server.url, "tail", report["run_id"], "--type", "run.created"
    ).documents
    assert created["data"]["limits"]["steps"] == 50


def test_a_rerun_that_waits_for_a_person_gives_75_and_says_what_it_needs(
    server: Server, tmp_path: Path
) -> None:
    begun(server, tmp_path, GATED, "rerun-4")
    done = steno("--url", server.url, "-o", "table", "rerun", "rerun-4", "--id", "rerun-4a")
    assert done.code == 75, done.err
    assert "so far the same in path, outcome and state" in done.out
    assert "signal rerun-4a approval" in done.err


def test_a_rerun_that_has_to_queue_is_waited_for(server: Server, tmp_path: Path) -> None:
    alone = {**GATED, "id": "alone", "concurrency": {"limit": 1}}
    begun(server, tmp_path, alone, "rerun-6")
    words = ["--url", server.url, "rerun", "rerun-6", "--id", "rerun-6a"]
    with running(*words) as command:
        assert "a rerun of rerun-6" in command.said()
        given = steno("--url", server.url, "signal", "rerun-6", "approval", '{"ok": false}')
        assert given.code == 0, given.err
        done = command.done()
    assert done.code == 75, done.err
    [report] = done.documents
    assert (report["reused"], report["same"], report["done"]) == (1, True, False)


V1 = """
import stenograph as st

@st.tool
async def price(state: dict) -> dict:
    return {"price": state["count"] * 2}

@st.tool
async def ship(state: dict) -> dict:
    return {"shipped": [state["count"]] * 30}
"""
V2 = """
import stenograph as st

@st.tool
async def price(state: dict) -> dict:
    if state["count"] > 5:
        raise ValueError("too many")
    return {"price": state["count"] * 3}

@st.tool
async def ship(state: dict) -> st.Goto:
    return st.Goto("$end", {f"shipped-{number}": number for number in range(30)})
"""
SHOP: dict[str, Any] = {
    "id": "shop",
    "start": "price",
    "nodes": {"price": {"tool": "price", "next": "ship"}, "ship": {"tool": "ship"}},
}


def test_a_check_tells_what_todays_tools_do_otherwise(tmp_path: Path) -> None:
    def shop(tools: str) -> Any:
        (tmp_path / "shop_tools.py").write_text(tools, "utf-8")
        return serving("--tools", "shop_tools", "--db", "shop.db", "--port", "0", cwd=tmp_path)

    with shop(V1) as server:
        for name, number in (("small", "2"), ("large", "7")):
            begun(server, tmp_path, SHOP, name, "-s", f"count={number}")
        same = steno("--url", server.url, "-o", "table", "rerun", "small", "--check")
        assert (same.code, "2 attempts checked, all as recorded" in same.out) == (0, True)
    with shop(V2) as server:
        done = rerun(server, "small", "--check", "--tool", "price")
        [report] = done.documents
        assert (done.code, report["checked"], report["skipped"]) == (1, 1, {"not-named": 1})
        [other] = report["differences"]
        assert other["changes"] == [{"op": "replace", "path": "/price", "old": 4, "new": 6}]
        text = steno("--url", server.url, "-o", "table", "rerun", "large", "--check").out
        assert "price#1  price, another version\n  was ok, is ValueError: too many\n" in text
        assert "  /price: 14 → ∅\n" in text
        assert "  was ok, is ok, goto $end\n" in text
        assert "  … 11 more\n" in text
        text = steno(
            "--url", server.url, "-o", "table", "rerun", "large", "--check", "--tool", "price"
        ).out
        assert "1 attempt checked, 1 otherwise\n  1 left out of tools that were not named\n" in text
        late = steno(
            "--url", server.url, "-o", "table", "rerun", "large", "--check", "--time-s", "1e-9"
        )
        assert "0 attempts checked\n  2 left out because the time was up" in late.out
        assert rerun(server, "large", "--check", "--time-s", "3601").code == 2
        done = rerun(server, "small")
        [report] = done.documents
        assert (done.code, report["why"]) == (1, {"version": 2})


def test_many_differences_are_counted(tmp_path: Path) -> None:
    graph = tmp_path / "loop_tools.py"
    code = (
        "import stenograph as st\n\n@st.tool\nasync def step(state: dict) -> dict:\n"
        "    return {'n': state.get('n', 0) + 1, 'by': BY}\n\nBY = 'one'\n"
    )
    loop = {
        "id": "l",
        "start": "a",
        "nodes": {"a": {"tool": "step", "next": {"to": "a", "max": 24}}},
    }
    words = ("--tools", "loop_tools", "--db", "loop.db", "--port", "0")
    graph.write_text(code, "utf-8")
    with serving(*words, cwd=tmp_path) as server:
        begun(server, tmp_path, loop, "loop")
    graph.write_text(code.replace("'one'", "'another'"), "utf-8")
    with serving(*words, cwd=tmp_path) as server:
        text = steno("--url", server.url, "-o", "table", "rerun", "loop", "--check").out
        assert "25 attempts checked, 25 otherwise" in text
        assert 'step, the same version\n  /by: "one" → "another"\n' in text
        assert text.endswith("  … 5 more\n")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["rerun-5", "--tool", "nope"], 2, "there is no tool 'nope'"),
        (["rerun-5", "--check", "--tool", "nope"], 2, "there is no tool 'nope'"),
        (["rerun-5", "--check", "--set", "a=1"], 2, "--check makes no run, and takes no --set"),
        (["rerun-5", "--check", "--steps", "5"], 2, "--check makes no run, and takes no --steps"),
        (["rerun-5", "--graph", "nothing"], 4, "no graph 'nothing'"),
        (["rerun-5", "--id", "a", "--key", "k"], 2, "the run's id out"),
        (["rerun-5", "--key", " "], 2, "is no idempotency key"),
        (["rerun-5", "--id", "rerun-5"], 6, "rerun-5"),
        (["nothing"], 4, "there is no run nothing"),
        (["nothing", "--check"], 4, "there is no run nothing"),
    ],
)
def test_what_cannot_be_rerun_is_told_with_its_exit_code(
    server: Server, tmp_path: Path, words: list[str], code: int, told: str
) -> None:
    if steno("--url", server.url, "show", "rerun-5").code != 0:
        begun(server, tmp_path, COUNT, "rerun-5", "-s", "to=1")
    done = rerun(server, *words)
    assert (done.code, told in done.err) == (code, True), done.err
