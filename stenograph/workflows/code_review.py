"""Code review: outline a source, lint it, score it and fix it, until it is good enough.

``extract → analyze → suggest``, again while that helps, then ``report``. The source is the state's
``code``; ``path``, ``threshold`` and ``max_passes`` are optional. docs/code-review.md tells what a
pass does and how the score comes about.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

import stenograph as st
from stenograph.workflows import fixes, outline, processes, ruff, suggestions, summary
from stenograph.workflows.ruff import Complexity
from stenograph.workflows.scoring import COMPLEXITY_LIMIT, Score, group_of, score
from stenograph.workflows.suggestions import RuleFindings

State: TypeAlias = dict[str, Any]

VERSION: Final = "1"
"""Of the tools; to be raised whenever the same source would be judged otherwise."""

THRESHOLD: Final = 90
PASSES: Final = 10
PASSES_MAX: Final = 20
PATIENCE: Final = 2
"""Passes in a row that may go by without a better score than all before."""

CODE_MAX: Final = 2 * 1024 * 1024
"""Most bytes of a source, in UTF-8."""

PATH_MAX: Final = 200
ISSUES_MAX: Final = 200
"""Most issues told one by one; all are counted."""

WORST_MAX: Final = 10
SUGGESTIONS_MAX: Final = 20
DIFFS_MAX: Final = 65_536
"""Most characters of diff that a run keeps, over all its passes."""

GRAPH: Final[dict[str, Any]] = {
    "id": "code-review",
    "start": "extract",
    "nodes": {
        "extract": {
            "tool": "extract",
            "next": [{"to": "report", "when": "syntax_error"}, {"to": "analyze"}],
        },
        "analyze": {"tool": "analyze", "next": "suggest"},
        "suggest": {
            "tool": "suggest",
            "next": [{"to": "extract", "when": "improved", "max": PASSES_MAX}, {"to": "report"}],
        },
        "report": {"tool": "report"},
    },
}
"""The graph, in canonical form."""

OUTLINE: Final = [sys.executable, "-I", "-W", "ignore", str(Path(outline.__file__))]


@st.tool(effects="pure", version=VERSION)
async def extract(state: State, ctx: st.Context) -> State:
    """Outline ``code``: ``functions``, ``classes``, ``imports``, their ``counts``, its ``lines``.

    A source that is no Python has a ``syntax_error {message, line, column}``; else that is null.
    """
    found = await _outline(_code(state))
    if error := found["syntax_error"]:
        ctx.log(f"not Python: {error['message']} (line {error['line'] or 'unknown'})")
        return found
    counts = found["counts"]
    functions = summary.count(counts["functions"], "function")
    classes = summary.count(counts["classes"], "class", "classes")
    lines = summary.count(found["lines"]["code"], "line")
    ctx.log(f"parsed {functions} and {classes} in {lines} of code", **counts)
    return found


@st.tool(effects="pure", version=VERSION)
async def analyze(state: State, ctx: st.Context) -> State:
    """Lint ``code`` with ruff and score it: ``quality_score``, ``scoring``, ``scores``, ``passes``.

    Also ``issue_count`` and ``fixable_count``, ``rules`` with what each found, ``issues``, the
    weightiest first, and ``complexity``. What is no Python scores 0.
    """
    scores = state.get("scores", [])
    if state.get("syntax_error"):
        return {"quality_score": 0.0, "scores": [*scores, 0.0], "passes": len(scores) + 1}
    code = _code(state)
    found = await ruff.lint(code, _path(state))
    rules = suggestions.by_rule(found.issues)
    result = _scored(found, rules, state, code)
    issues = sum(group.issues for group in result.groups.values())
    fixable = sum(rule.safe for rule in rules.values())
    before = f", {scores[-1]:.2f} before" if scores else ""
    more = "more than " if found.cut else ""
    ctx.log(f"ruff: {more}{summary.count(issues, 'issue')}, {fixable:,} fixable")
    ctx.log(f"score {result.value:.2f}{before}", score=result.value)
    update: State = _plain(
        {
            "quality_score": result.value,
            "scores": [*scores, result.value],
            "passes": len(scores) + 1,
            "scoring": result,
            "issue_count": issues,
            "fixable_count": fixable,
            "rules": rules,
            "issues": sorted(found.issues, key=_weightiest_first)[:ISSUES_MAX],
            "complexity": _complexity(found.functions, state.get("functions", [])),
            "linter": state.get("linter") or await ruff.version(),
            "target_version": found.target,
            "issues_cut": found.cut,
        }
    )
    return update


@st.tool(effects="pure", version=VERSION)
async def suggest(state: State, config: Mapping[str, Any], ctx: st.Context) -> State:
    """Write ``suggestions``, and below the threshold apply the safe fixes of one group of rules.

    ``threshold`` and ``max_passes`` are taken from the config, else from the state. ``improved``
    says that ``code`` changed, so that another pass may help; if not, ``stopped_by`` says why.
    """
    if "quality_score" not in state:
        raise ValueError("there is no quality_score: let the tool analyze run before suggest")
    threshold, passes = _threshold(state, config), _max_passes(state, config)
    place = f"pass {state['passes']}: score {state['quality_score']:.2f} of {threshold:g}"
    update = {"suggestions": _suggestions(state), "threshold": threshold}
    stopped_by = _stopped_by(state, threshold, passes)
    if stopped_by is None and (fixed := await _fixed(state, ctx)):
        ctx.log(f"{place}; {summary.applied(fixed['fixes'][-1])}")
        return {**update, **fixed, "improved": True, "stopped_by": None}
    stopped_by = stopped_by or "no-safe-fix"
    ctx.log(f"{place}; {summary.STOPS[stopped_by]}")
    return {**update, "improved": False, "stopped_by": stopped_by}


@st.tool(effects="pure", version=VERSION)
def report(state: State, config: Mapping[str, Any], ctx: st.Context) -> State:
    """Sum the review up in ``report``; a source that is no Python has the score 0."""
    if state.get("syntax_error"):
        state = {"stopped_by": "syntax-error", **state, "quality_score": 0.0}
        state["suggestions"] = _suggestions(state)
    whole = summary.report(state, _threshold(state, config))
    ctx.log(whole["summary"])
    return {"quality_score": whole["score"], "report": whole}


TOOLS: Final = (extract, analyze, suggest, report)


async def _outline(code: str) -> State:
    try:
        source = code.encode()
    except UnicodeEncodeError as error:
        half = f"U+{ord(code[error.start]):04X} is half a character"
        return outline.broken(code, half, *outline.place(code, error.start))
    output = await processes.run(OUTLINE, source)
    if output.code < 0:
        return outline.broken(code, "Python's own parser does not survive it", None, None)
    if output.code > 0:
        raise RuntimeError(f"the source could not be outlined: {output.stderr.strip()[-1000:]}")
    found: State = msgspec.json.decode(output.stdout)
    return found


def _code(state: State) -> str:
    code = state.get("code")
    if not isinstance(code, str):
        raise ValueError(
            f'the state needs "code", the text of a Python source; it has {type(code).__name__}'
        )
    size = len(code.encode(errors="replace"))
    if size > CODE_MAX:
        raise ValueError(f'"code" is {size:,} bytes; a review reads at most {CODE_MAX:,}')
    return code


def _path(state: State) -> str:
    path = state.get("path", "")
    if not isinstance(path, str):
        raise ValueError(f'"path" is the name of the source, as text; it is {path!r:.100}')
    return "".join(letter for letter in path if letter.isprintable())[:PATH_MAX]


def _threshold(state: State, config: Mapping[str, Any]) -> float:
    value = config.get("threshold", state.get("threshold", THRESHOLD))
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise ValueError(f'"threshold" is a number from 0 to 100; it is {value!r:.100}')
    return value


def _max_passes(state: State, config: Mapping[str, Any]) -> int:
    value = config.get("max_passes", state.get("max_passes", PASSES))
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= PASSES_MAX:
        raise ValueError(f'"max_passes" is an integer from 1 to {PASSES_MAX}; it is {value!r:.100}')
    return value


def _scored(found: ruff.Lint, rules: Mapping[str, RuleFindings], state: State, code: str) -> Score:
    # The first pass's lines: a fix that removes some must not make the other issues weigh more.
    old = state.get("scoring")
    lines = old["lines"] if old else outline.count_lines(code)["code"]
    complexities = [one.complexity for one in found.functions]
    result = score({rule: one.count for rule, one in rules.items()}, complexities, lines)
    # With more issues than ruff was let tell, nobody knows the score; it is very low.
    return msgspec.structs.replace(result, value=0.0) if found.cut else result


def _weightiest_first(issue: ruff.Issue) -> tuple[float, int, int]:
    return (-group_of(issue.rule).points, issue.line, issue.column)


def _complexity(functions: Sequence[Complexity], outlined: Sequence[State]) -> State:
    """Sum up what the functions' complexities are; the worst get the name that the outline has."""
    names = {one["line"]: one["qualified_name"] for one in outlined}
    numbers = [one.complexity for one in functions]
    worst = sorted(functions, key=lambda one: -one.complexity)[:WORST_MAX]
    return {
        "functions": len(numbers),
        "mean": round(sum(numbers) / len(numbers), 2) if numbers else 0.0,
        "max": max(numbers, default=0),
        "limit": COMPLEXITY_LIMIT,
        "above_limit": sum(number > COMPLEXITY_LIMIT for number in numbers),
        "worst": [
            Complexity(names.get(one.line, one.name), one.line, one.complexity) for one in worst
        ],
    }


def _suggestions(state: State) -> list[State]:
    if error := state.get("syntax_error"):
        found = [suggestions.about_syntax(error)]
    else:
        rules = msgspec.convert(state["rules"], dict[str, RuleFindings])
        worst = msgspec.convert(state["complexity"]["worst"], list[Complexity])
        found = suggestions.write(rules, worst)[:SUGGESTIONS_MAX]
    plain: list[State] = _plain(found)
    return plain


def _stopped_by(state: State, threshold: float, passes: int) -> str | None:
    scores = state["scores"]
    if state.get("syntax_error"):
        return "syntax-error"
    if state["quality_score"] >= threshold:
        return "threshold"
    if len(scores) >= passes:
        return "max-passes"
    # One pass may fall: a newer spelling leaves an import unused, which the next pass removes.
    if len(scores) > PATIENCE and max(scores[-PATIENCE:]) <= max(scores[:-PATIENCE]):
        return "no-rise"
    return None


async def _fixed(state: State, ctx: st.Context) -> State | None:
    """Apply one group's safe fixes; return the update, or None when that changes nothing."""
    rules = msgspec.convert(state["rules"], dict[str, RuleFindings])
    code, path, earlier = _code(state), _path(state), state.get("fixes", [])
    target = state["target_version"]
    warn = partial(ctx.log, level="warning")
    done = await fixes.apply_one_group(code, rules, path=path, target=target, warn=warn)
    if done is None:
        return None
    group, names, fixed = done
    room = DIFFS_MAX - sum(len(fix["diff"]) for fix in earlier)
    fix = fixes.describe(fixed, group, names, number=state["passes"], path=path, room=room)
    return {
        "code": fixed.code,
        "fixed": state.get("fixed", 0) + fix.fixed,
        "fixes": [*earlier, _plain(fix)],
    }


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)
