"""Suggestions: issues gathered by rule, and said so that a person knows what to do where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from stenograph.workflows.review.ruff import Complexity, Issue
from stenograph.workflows.review.scoring import COMPLEXITY, COMPLEXITY_LIMIT, group_of

PLACES_MAX: Final = 5
"""Most lines that a suggestion names."""


class RuleFindings(Struct):
    """What one rule found: how often, how many of that ruff can fix, and what that costs.

    ``message`` and ``url`` are those of the first place, ``lines`` the first few.
    """

    group: str
    message: str
    url: str | None
    count: int = 0
    safe: int = 0
    unsafe: int = 0
    points: float = 0.0
    lines: list[int] = msgspec.field(default_factory=list)


class Suggestion(Struct, frozen=True):
    """One thing to do: by which rule, where first, how much it costs the score, in words."""

    rule: str
    group: str
    line: int | None
    count: int
    points: float
    text: str
    url: str | None = None


def by_rule(issues: Iterable[Issue]) -> dict[str, RuleFindings]:
    """Gather issues by rule, the costliest rule first."""
    rules: dict[str, RuleFindings] = {}
    for issue in issues:
        group = group_of(issue.rule)
        found = rules.get(issue.rule)
        if found is None:
            found = rules[issue.rule] = RuleFindings(group.name, issue.message, issue.url)
        found.count += 1
        found.safe += issue.fixable == "safe"
        found.unsafe += issue.fixable == "unsafe"
        found.points += group.points
        if len(found.lines) < PLACES_MAX:
            found.lines.append(issue.line)
    return dict(sorted(rules.items(), key=lambda item: (-item[1].points, item[0])))


def write(rules: Mapping[str, RuleFindings], functions: Sequence[Complexity]) -> list[Suggestion]:
    """Return a suggestion a rule and one a function that is too complex, the costliest first."""
    told = [_about_rule(rule, found) for rule, found in rules.items()]
    told += [_about_function(one) for one in functions if one.complexity > COMPLEXITY_LIMIT]
    return sorted(told, key=lambda one: -one.points)


def about_syntax(error: Mapping[str, Any]) -> Suggestion:
    """Return what to do about a source that is no Python."""
    where = f"line {error['line']}: " if error["line"] else ""
    return Suggestion(
        rule="invalid-syntax",
        group="error",
        line=error["line"],
        count=1,
        points=group_of("invalid-syntax").points,
        text=f"{where}{error['message']}. Nothing else can be said before this is mended.",
    )


def _about_rule(rule: str, found: RuleFindings) -> Suggestion:
    where = f"line {found.lines[0]}"
    if found.count > 1:
        others = ", ".join(map(str, found.lines[1:]))
        dots = " …" if found.count > len(found.lines) else ""
        where = f"{found.count} places, lines {found.lines[0]}, {others}{dots}"
    return Suggestion(
        rule=rule,
        group=found.group,
        line=found.lines[0],
        count=found.count,
        points=found.points,
        text=f"{where}: {found.message.rstrip('.')}. {_remedy(rule, found)}",
        url=found.url,
    )


def _remedy(rule: str, found: RuleFindings) -> str:
    if found.safe == found.count:
        return "Ruff has a safe fix."
    if found.safe:
        return f"Ruff has a safe fix for {found.safe} of them."
    if found.unsafe:
        return f"Read first what `ruff check --select {rule} --unsafe-fixes --diff` would do."
    return "Change it by hand."


def _about_function(one: Complexity) -> Suggestion:
    return Suggestion(
        rule="C901",
        group=COMPLEXITY.name,
        line=one.line,
        count=1,
        points=COMPLEXITY.points * (one.complexity - COMPLEXITY_LIMIT),
        text=(
            f"line {one.line}: `{one.name}` has a complexity of {one.complexity}, and "
            f"{COMPLEXITY_LIMIT} is the limit. Split it."
        ),
        url="https://docs.astral.sh/ruff/rules/complex-structure",
    )
