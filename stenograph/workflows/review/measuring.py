"""Measuring: the outline of a source, what ruff finds in it, its score, and what to do about it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

import stenograph as st
from stenograph.workflows.counting import count
from stenograph.workflows.review import inputs, outline, processes, ruff, suggestions
from stenograph.workflows.review.ruff import Complexity
from stenograph.workflows.review.scoring import COMPLEXITY_LIMIT, Score, group_of, score
from stenograph.workflows.review.states import Measured, Outlined
from stenograph.workflows.review.suggestions import RuleFindings

State: TypeAlias = Mapping[str, Any]

VERSION: Final = "1"
"""Of the tools; to be raised whenever the same source would be judged otherwise."""

AT_ONCE: Final = max(2, os.cpu_count() or 1)
"""How many sources each tool that starts programs works on at a time."""

ISSUES_MAX: Final = 200
"""Most issues told one by one; all are counted."""

WORST_MAX: Final = 10
SUGGESTIONS_MAX: Final = 20

OUTLINE: Final = [sys.executable, "-I", "-W", "ignore", str(Path(outline.__file__))]


async def outlined(code: str, ctx: st.Context) -> Outlined:
    """Return the outline of a source, and say what it is."""
    found: Outlined = await _outline(code)
    if error := found["syntax_error"]:
        ctx.log(f"not Python: {error['message']} (line {error['line'] or 'unknown'})")
        return found
    counts = found["counts"]
    functions = count(counts["functions"], "function")
    classes = count(counts["classes"], "class", "classes")
    lines = count(found["lines"]["code"], "line")
    ctx.log(f"parsed {functions} and {classes} in {lines} of code", **counts)
    return found


async def measured(state: State, code: str, ctx: st.Context) -> Measured:
    """Return what a pass measures of a source whose outline the state holds, and say the score."""
    scores = state.get("scores", [])
    if error := state.get("syntax_error"):
        return _broken(error, scores)
    found = await ruff.lint(code, inputs.name_of(state))
    rules = suggestions.by_rule(found.issues)
    result = _scored(found, rules, state, code)
    issues = sum(group.issues for group in result.groups.values())
    fixable = sum(rule.safe for rule in rules.values())
    before = f", {scores[-1]:.2f} before" if scores else ""
    more = "more than " if found.cut else ""
    ctx.log(f"ruff: {more}{count(issues, 'issue')}, {fixable:,} fixable")
    ctx.log(f"score {result.value:.2f}{before}", score=result.value)
    update: Measured = plain(
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


def suggested(state: State) -> list[dict[str, Any]]:
    """Return what to do about a source that was measured, or is no Python; the costliest first."""
    if error := state.get("syntax_error"):
        found = [suggestions.about_syntax(error)]
    else:
        worst = msgspec.convert(state["complexity"]["worst"], list[Complexity])
        found = suggestions.write(rules_of(state), worst)[:SUGGESTIONS_MAX]
    return [plain(each) for each in found]


def rules_of(state: State) -> dict[str, RuleFindings]:
    """Return what each rule found in a source that was measured."""
    return msgspec.convert(state["rules"], dict[str, RuleFindings])


def plain(value: Any) -> Any:
    """Return structs as the JSON objects that a state holds."""
    return msgspec.to_builtins(value)


async def _outline(code: str) -> Any:
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
    return msgspec.json.decode(output.stdout)


def _broken(error: Mapping[str, Any], scores: Sequence[float]) -> Measured:
    """Return what is measured of a source that is no Python: one issue, and the score 0."""
    place = (error["line"] or 1, error["column"] or 1)
    issue = ruff.Issue("invalid-syntax", error["message"], *place, fixable="no")
    update: Measured = plain(
        {
            "quality_score": 0.0,
            "scores": [*scores, 0.0],
            "passes": len(scores) + 1,
            "issue_count": 1,
            "fixable_count": 0,
            "rules": suggestions.by_rule([issue]),
            "issues": [issue],
            "complexity": _complexity([], []),
        }
    )
    return update


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


def _complexity(functions: Sequence[Complexity], outlined: Sequence[State]) -> dict[str, Any]:
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
