"""Every number in docs/code-review.md is what the code does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import stenograph as st
from stenograph.workflows import code_review, review_loop
from stenograph.workflows.review import (
    measuring,
    outline,
    passes,
    processes,
    reporting,
    ruff,
    scoring,
    states,
)
from tests.workflows.reviewing import reviewed

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs/code-review.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}[^\n]*\n(.*?)```", PAGE, re.DOTALL)


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table after a piece of text."""
    table = PAGE.partition(heading)[2].partition("| --- ")[2].partition("\n\n")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]
    ]


DOOR: Final = blocks("python")[0]


def test_the_graph_is_the_graph() -> None:
    assert json.loads(blocks("json")[0]) == code_review.GRAPH


def test_the_graph_to_approval_is_the_graph() -> None:
    assert json.loads(blocks("json")[2]) == review_loop.GRAPH


async def test_three_nodes_in_a_row_are_a_review() -> None:
    async with st.open(":memory:", tools=[code_review]) as engine:
        run = await engine.run(json.loads(blocks("json")[1]), {"code": DOOR})
    assert run.state == await reviewed(DOOR)


def test_the_groups_are_the_groups() -> None:
    assert rows("Every issue costs points") == [
        [f"`{one.name}`", f"{one.points:g}", " ".join(f"`{rule}`" for rule in one.rules), one.about]
        for one in scoring.GROUPS
    ]


def test_the_reasons_to_stop_are_the_reasons() -> None:
    assert {row[0].strip("`") for row in rows("`stopped_by` says why")} == set(reporting.STOPS)


def test_the_defaults_and_limits_are_those_of_the_code() -> None:
    defaults = {row[0].strip("`"): row[2] for row in rows("What the review reads")}
    assert defaults["threshold"] == str(states.THRESHOLD)
    assert defaults["max_passes"] == str(states.PASSES)
    for sentence in (
        f"at most {states.CODE_MAX:,} bytes of UTF-8",
        f"how many passes at most, 1 to {states.PASSES_MAX}",
        f"`imports` ({outline.LISTED_MAX} of each at most)",
        f"`issues` ({measuring.ISSUES_MAX} at most)",
        f"`suggestions` ({measuring.SUGGESTIONS_MAX} at most)",
        f"{passes.DIFFS_MAX:,} characters at most over a run",
        f"a source of fewer than {scoring.LINES_MIN} counts as {scoring.LINES_MIN}",
        f"score = 100 / (1 + points_per_100_lines / {scoring.HALVING:g})",
        f"Lines may have {ruff.LINE_LENGTH} characters",
        f"Ruff may take {processes.TIMEOUT_S:g} seconds and tell\n{processes.OUTPUT_MAX:,} bytes",
        f"read for Python 3.{ruff.TARGET.removeprefix('py3')}",
        f"one of {states.OPEN_POINTS:g} points or more (`open_points`",
        f"the edge to it is taken {states.PASSES_MAX}\ntimes at most",
        f"After {review_loop.TIMEOUT_S // 86_400}\ndays without one",
    ):
        assert sentence in PAGE


async def test_the_example_s_issues_and_points_are_what_ruff_finds() -> None:
    found = await ruff.lint(DOOR)
    rules = Counter(issue.rule for issue in found.issues)
    lines = outline.count_lines(DOOR)["code"]
    result = scoring.score(rules, [one.complexity for one in found.functions], lines)
    told = {
        row[0].strip("`"): (Counter(re.findall(r"`(\w+)`", row[1])), float(row[2]))
        for row in rows("### An example")
    }
    assert sum((names for names, _ in told.values()), Counter()) == rules
    assert {name: points for name, (_, points) in told.items()} == {
        name: group.points for name, group in result.groups.items() if group.issues
    }
    assert f"That is {result.points:g} points. The {lines} lines of code count as 50" in PAGE
    assert f"{result.points_per_100_lines:g} points per 100 lines" in PAGE
    assert f"= **{result.value:.2f}**" in PAGE


async def test_the_example_s_passes_score_as_told() -> None:
    state = await reviewed(DOOR)
    first = ", ".join(f"{score:.2f}" for score in state["scores"][:-1])
    assert f"The passes then score {first} and {state['scores'][-1]:.2f}:" in PAGE
    assert [fix["group"] for fix in state["fixes"]] == ["unused", "simplify", "modernise"]
    assert state["report"]["summary"] == blocks("text")[1].strip()


def test_the_program_prints_what_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "door.py").write_text(DOOR)
    program = [sys.executable, "-c", blocks("python")[1]]
    done = subprocess.run(
        program, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout == blocks("text")[1]


async def test_every_key_that_a_review_writes_is_on_the_page() -> None:
    table = {row[0].strip("`"): row[2] for row in rows("is a *pass*")}
    assert set(table) == {tool.name for tool in code_review.TOOLS}
    told = {key for cell in table.values() for key in re.findall(r"`(\w+)`", cell)}
    assert told == set(await reviewed(DOOR))


async def test_every_key_that_a_review_to_approval_writes_is_on_the_page() -> None:
    async with st.open(":memory:", tools=[review_loop]) as engine:
        run = await engine.run(review_loop.GRAPH, {"code": DOOR})
        await engine.signal(run.id, "approval", {"approved": True, "by": "ann"})
        state = (await engine.wait(run.id)).state
    table = {row[0].strip("`"): row[2] for row in rows("## Review to approval")}
    assert set(table) == {tool.name for tool in review_loop.TOOLS}
    measures = {row[0].strip("`"): row[2] for row in rows("is a *pass*")}
    cells = [*table.values(), measures["extract"], measures["analyze"]]
    told = {key for cell in cells for key in re.findall(r"`(\w+)`", cell)}
    assert told - {"extract", "analyze"} == state.keys() - {"approval"}
    for key in ("review", "verdict"):
        assert f"`{{{', '.join(state[key])}}}`" in PAGE


def test_each_tool_that_starts_programs_works_on_as_many_sources_as_there_are_processors() -> None:
    bounded = {tool.name for tool in (*code_review.TOOLS, *review_loop.TOOLS) if tool.limit}
    assert bounded == {"extract", "analyze", "suggest", "review", "fix"}
    assert code_review.analyze.limit == max(2, os.cpu_count() or 1)
    assert "as\nmany sources at a time as there are processors, two at least" in PAGE
