from __future__ import annotations

import sys
from typing import Any

import pytest

import stenograph as st
from stenograph.engine.errors import Misfit
from stenograph.workflows import code_review
from stenograph.workflows.code_review import analyze, extract, report, suggest
from stenograph.workflows.review import measuring, passes
from stenograph.workflows.review.inputs import PATH_MAX
from stenograph.workflows.review.states import CODE_MAX, Config
from tests.workflows.reviewing import (
    UNTIDY,
    Listener,
    merged,
    passed_once,
    patched,
    reviewed,
)

BROKEN = {
    "syntax": "def f(:\n",
    "python 2": "print 'hello'\n",
    "null byte": "x = '\0'\n",
    "half a character": "x = '\ud800'\n",
    "too deep": "-" * 100_000 + "1",
    "tabs and spaces": "if 1:\n\tx = 1\n        y = 2\n",
}


# extract


async def test_extract_outlines_the_source_and_says_so() -> None:
    listener = Listener()
    found = await extract({"code": UNTIDY}, listener.ctx)
    assert [one["qualified_name"] for one in found["functions"]] == ["Door.open"]
    assert found["syntax_error"] is None
    assert listener.said == ["parsed 1 function and 1 class in 11 lines of code"]


@pytest.mark.parametrize("code", BROKEN.values(), ids=BROKEN.keys())
async def test_broken_python_is_an_answer(code: str) -> None:
    listener = Listener()
    found = await extract({"code": code}, listener.ctx)
    assert set(found["syntax_error"]) == {"message", "line", "column"}
    assert found["functions"] == []
    assert listener.said[0].startswith("not Python: ")


async def test_half_a_character_says_where() -> None:
    error = (await extract({"code": "x = 1\ny = '\udfff'\n"}, Listener().ctx))["syntax_error"]
    assert error == {"message": "U+DFFF is half a character", "line": 2, "column": 6}


async def test_a_source_that_kills_python_s_parser_is_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dying = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    monkeypatch.setattr(measuring, "OUTLINE", dying)
    found = await extract({"code": "x = 1\n"}, Listener().ctx)
    assert found["syntax_error"]["message"] == "Python's own parser does not survive it"


async def test_an_outline_that_fails_otherwise_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "OUTLINE", [sys.executable, "-c", "import no_such_module"])
    with pytest.raises(RuntimeError, match=r"(?s)could not be outlined: .*no_such_module"):
        await extract({"code": "x = 1\n"}, Listener().ctx)


# analyze


async def test_analyze_scores_and_keeps_every_pass_s_score() -> None:
    listener = Listener()
    state = merged({"code": UNTIDY}, await analyze({"code": UNTIDY}, listener.ctx))
    assert state["scores"] == [state["quality_score"]] == [state["scoring"]["value"]]
    assert listener.said == ["ruff: 9 issues, 8 fixable", f"score {state['quality_score']:.2f}"]
    again = await analyze(state, listener.ctx)
    assert (again["scores"], again["passes"]) == (state["scores"] * 2, 2)
    assert listener.said[-1].endswith(f", {state['quality_score']:.2f} before")


async def test_analyze_counts_all_issues_and_tells_the_weightiest() -> None:
    code = "import os\n" * 300 + "x = undefined\n"
    found = await analyze({"code": code}, Listener().ctx)
    assert found["issue_count"] == sum(one["count"] for one in found["rules"].values()) > 300
    assert len(found["issues"]) == measuring.ISSUES_MAX
    assert found["issues"][0]["rule"] == "F821"


async def test_analyze_names_the_worst_functions_as_python_does() -> None:
    branches = "".join(f"        if a == {n}: b = {n}\n" for n in range(11))
    code = f"class A:\n    def f(self, a):\n{branches}\n    def g(self): ...\n"
    state = merged({"code": code}, await extract({"code": code}, Listener().ctx))
    found = (await analyze(state, Listener().ctx))["complexity"]
    assert found["worst"] == [
        {"name": "A.f", "line": 2, "complexity": 12},
        {"name": "A.g", "line": 15, "complexity": 1},
    ]
    assert (found["functions"], found["mean"], found["max"]) == (2, 6.5, 12)
    assert found["above_limit"] == 1


async def test_lines_that_a_fix_removes_do_not_make_the_rest_weigh_more() -> None:
    before = await analyze({"code": "import os\n" * 60 + "x = 1\n"}, Listener().ctx)
    state = merged({"code": "x = 1\n"}, before)
    after = await analyze(state, Listener().ctx)
    assert after["scoring"]["lines"] == before["scoring"]["lines"] == 61


async def test_more_issues_than_can_be_held_score_0() -> None:
    code = "def f(): pass\n" * 50_000
    listener = Listener()
    found = await analyze({"code": code}, listener.ctx)
    assert (found["quality_score"], found["issues_cut"]) == (0, True)
    assert listener.said[0].startswith("ruff: more than ")


# suggest


async def test_suggest_fixes_one_group_of_rules_and_asks_for_another_pass() -> None:
    state = await passed_once({"code": UNTIDY})
    assert state["improved"]
    assert state["code"] != UNTIDY
    (fix,) = state["fixes"]
    assert (fix["pass"], fix["fixed"]) == (1, state["fixed"])
    assert {state["rules"][rule]["group"] for rule in fix["rules"]} == {fix["group"]}
    assert patched(UNTIDY, fix["diff"]) == state["code"]


async def test_suggest_says_the_pass_the_score_and_what_it_applied() -> None:
    listener = Listener()
    state = await passed_once({"code": UNTIDY, "max_passes": 1})
    await suggest.call({**state, "max_passes": 2}, config={}, ctx=listener.ctx)
    place = f"pass 1: score {state['quality_score']:.2f} of 90; "
    assert listener.said[0].startswith(f"{place}applied ")
    await suggest.call(state, config={}, ctx=listener.ctx)
    assert listener.said[1] == f"{place}no pass is left"


async def test_a_suggestion_names_rule_place_and_remedy() -> None:
    state = await passed_once({"code": "x = undefined\n"})
    assert state["suggestions"][0]["rule"] == "F821"
    assert state["suggestions"][0]["text"] == (
        "line 1: Undefined name `undefined`. Change it by hand."
    )


async def test_the_node_s_config_wins_over_the_state() -> None:
    state = await passed_once({"code": UNTIDY, "threshold": 100}, {"threshold": 0})
    assert (state["threshold"], state["stopped_by"]) == (0, "threshold")
    state = await passed_once({"code": UNTIDY, "max_passes": 20}, {"max_passes": 1})
    assert state["stopped_by"] == "max-passes"


@pytest.mark.parametrize(
    ("scores", "stopped_by"),
    [
        ([50.0, 90.0], "threshold"),
        ([50.0], None),
        ([50.0, 50.0], None),
        ([50.0, 49.0, 60.0], None),
        ([50.0, 60.0, 59.0], None),
        ([50.0, 49.0, 50.0], "no-rise"),
        ([float(n) for n in range(10)], "max-passes"),
    ],
)
async def test_it_stops_when_nothing_gets_better(
    scores: list[float], stopped_by: str | None
) -> None:
    state = merged({"code": UNTIDY}, await analyze({"code": UNTIDY}, Listener().ctx))
    state |= {"scores": scores, "quality_score": scores[-1], "passes": len(scores)}
    update = await suggest.call(state, config={}, ctx=Listener().ctx)
    assert update["stopped_by"] == stopped_by
    assert update["improved"] is (stopped_by is None)
    assert ("code" in update) is (stopped_by is None)


async def test_it_stops_when_no_safe_fix_is_left() -> None:
    state = await passed_once({"code": "x = undefined\n"})
    assert (state["improved"], state["stopped_by"]) == (False, "no-safe-fix")


async def test_the_diffs_of_a_run_are_bounded() -> None:
    code = "".join(f"class Door{n}(object):\n    pass\n\n" for n in range(2000))
    state = await reviewed(code)
    assert len(state["report"]["diff"]) <= passes.DIFFS_MAX
    assert state["report"]["diff_cut"]
    assert state["report"]["fixes"][0]["fixed"] == 2000


# bad input


@pytest.mark.parametrize("tool", [extract, analyze])
@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({}, '"code", the text of a Python source, or "path", .*; it has neither'),
        ({"code": "x" * (CODE_MAX + 1)}, "2,097,153 bytes; .* at most 2,097,152"),
    ],
)
async def test_a_source_that_is_none_is_refused(
    tool: Any, state: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        await tool.call(state, ctx=Listener().ctx)


@pytest.mark.parametrize("path", [7, None, ["a.py"]])
async def test_a_path_that_is_no_text_is_refused(path: object) -> None:
    with pytest.raises(Misfit, match=r"^/path is (an integer|null|a list), not text$"):
        await analyze.call({"code": "x = 1\n", "path": path}, ctx=Listener().ctx)


@pytest.mark.parametrize("tool", [extract, analyze])
async def test_code_that_is_no_text_is_refused(tool: Any) -> None:
    with pytest.raises(Misfit, match=r"^/code is an integer, not text or null$"):
        await tool.call({"code": 7}, ctx=Listener().ctx)


async def test_a_path_cannot_break_the_diff_that_names_it() -> None:
    state = await passed_once({"code": UNTIDY, "path": "a.py\n+++ b/" + "x" * 1000})
    header = state["fixes"][0]["diff"].splitlines()[0]
    assert header == "--- a/" + ("a.py+++ b/" + "x" * 1000)[:PATH_MAX]


WRONG: list[tuple[str, object, str]] = [
    ("threshold", "high", "is text, not an integer or a number"),
    ("threshold", True, "is true or false, not an integer or a number"),
    ("threshold", None, "is null, not an integer or a number"),
    ("threshold", -1, "is at least 0"),
    ("threshold", 100.5, "is at most 100.0"),
    ("max_passes", "many", "is text, not an integer"),
    ("max_passes", True, "is true or false, not an integer"),
    ("max_passes", None, "is null, not an integer"),
    ("max_passes", 1.5, "is a fraction, not an integer"),
    ("max_passes", 0, "is at least 1"),
    ("max_passes", 21, "is at most 20"),
]


@pytest.mark.parametrize(("key", "value", "sentence"), WRONG)
async def test_a_threshold_and_passes_that_cannot_be_end_the_run_at_suggest(
    key: str, value: object, sentence: str
) -> None:
    async with st.open(":memory:", tools=[code_review]) as engine:
        run = await engine.run(code_review.GRAPH, {"code": "x = 1\n", key: value})
    assert run.error is not None
    assert (run.error.node, run.error.type) == ("suggest", "state-mismatch")
    assert run.error.message == f"/{key} {sentence}"


@pytest.mark.parametrize(("key", "value", "sentence"), WRONG)
async def test_a_config_that_cannot_be_is_refused_with_its_graph(
    key: str, value: object, sentence: str
) -> None:
    graph = {"start": "a", "nodes": {"a": {"tool": "suggest", "config": {key: value}}}}
    async with st.open(":memory:", tools=[code_review]) as engine:
        with pytest.raises(st.GraphInvalid) as refused:
            await engine.create_graph(graph)
    assert str(refused.value).endswith(f"/nodes/a/config/{key}: {sentence}")


async def test_a_config_that_does_not_fit_is_refused_with_its_graph() -> None:
    graph = {"start": "a", "nodes": {"a": {"tool": "suggest", "config": {"threshold": 101}}}}
    async with st.open(":memory:", tools=[code_review]) as engine:
        with pytest.raises(st.GraphInvalid, match="/config/threshold: is at most 100"):
            await engine.create_graph(graph)


async def test_suggest_before_analyze_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match="let the tool analyze run before suggest"):
        await suggest.call({"code": UNTIDY}, config={}, ctx=Listener().ctx)


# the whole review


async def test_a_review_loops_until_the_score_is_reached() -> None:
    state = await reviewed(UNTIDY, threshold=95)
    assert state["stopped_by"] == "threshold"
    assert state["scores"] == sorted(state["scores"])
    assert state["report"]["passed"]
    assert state["report"]["passes"] == len(state["scores"]) > 1
    assert state["code"] == (
        '"""A module that one can tidy."""\n\n\nclass Door:\n    """A door."""\n\n'
        '    def open(self, wide: list[int]):\n        """Open it."""\n        if wide:\n'
        '            return f"{wide}"\n        return None\n'
    )


async def test_a_review_changes_no_more_than_its_threshold_needs() -> None:
    state = await reviewed(UNTIDY, threshold=20)
    assert (state["code"], state["stopped_by"], state["passes"]) == (UNTIDY, "threshold", 1)


async def test_the_report_sums_up() -> None:
    state = await reviewed(UNTIDY, path="door.py")
    whole = state["report"]
    assert whole["score"] == state["quality_score"] == whole["scores"][-1]
    assert whole["issues"] == sum(whole["issues_by_code"].values()) == state["issue_count"]
    assert whole["fixed"] == sum(fix["fixed"] for fix in whole["fixes"])
    assert patched(UNTIDY, whole["diff"].replace("door.py", "source.py")) == state["code"]
    assert whole["summary"] == (
        f"score {whole['score']:.2f} of 90 passed after {whole['passes']} passes: "
        f"{whole['fixed']} safe fixes applied, {whole['issues']} issues left"
    )


async def test_complexity_above_the_limit_is_in_the_report() -> None:
    code = "def f(a):\n" + "".join(f"    if a == {n}: b = {n}\n" for n in range(11))
    whole = (await reviewed(code))["report"]
    assert whole["issues_by_code"]["C901"] == 1
    assert whole["worst_functions"] == [{"name": "f", "line": 1, "complexity": 12}]


@pytest.mark.parametrize("code", BROKEN.values(), ids=BROKEN.keys())
async def test_broken_python_is_reported_with_score_0(code: str) -> None:
    state = merged({}, await extract({"code": code}, Listener().ctx))
    listener = Listener()
    whole = merged(state, report(state, Config(), listener.ctx))["report"]
    assert (whole["score"], whole["passed"], whole["stopped_by"]) == (0, False, "syntax-error")
    assert whole["issues_by_code"] == {"invalid-syntax": 1}
    assert whole["suggestions"][0]["rule"] == "invalid-syntax"
    assert listener.said == ["score 0.00 of 90: not Python"]


async def test_a_graph_without_that_edge_survives_broken_python_too() -> None:
    state = await passed_once({"code": "def f(:\n"})
    assert (state["quality_score"], state["scores"], state["passes"]) == (0, [0], 1)
    assert (state["improved"], state["stopped_by"]) == (False, "syntax-error")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
async def test_line_ends_and_a_byte_order_mark_survive_a_review(end: str) -> None:
    untidy = "\ufeff" + UNTIDY.replace("\n", end)
    state = await reviewed(untidy, threshold=100)
    assert state["code"].startswith('\ufeff"""')
    assert state["code"].replace(end, "").count("\n") == 0
    assert patched(untidy, state["report"]["diff"]) == state["code"]


@pytest.mark.parametrize(
    "code", ["", "\n", "x", "\x0c\nimport os\n", "# -*- coding: ascii -*-\nx = 'é'\n", "\ufeff"]
)
async def test_an_odd_source_is_reviewed_like_any(code: str) -> None:
    state = await reviewed(code)
    assert state["syntax_error"] is None
    assert 0 < state["report"]["score"] <= 100
