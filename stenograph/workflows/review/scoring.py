"""The quality score: what counts against a source, and how much.

Every issue costs the points of its group; a function costs half a point for each point of
complexity above 10. Points are taken per 100 lines of code, and ::

    score = 100 / (1 + points_per_100_lines / 10)

so that nothing wrong is 100, ten points in every hundred lines are 50, and each issue less raises
the score, however bad it was. A source of under 50 lines counts as 50, or one slip would be all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

HALVING: Final = 10.0
"""Points per 100 lines of code that halve the score."""

LINES_MIN: Final = 50
COMPLEXITY_LIMIT: Final = 10
"""McCabe's own limit for a function (A Complexity Measure, IEEE TSE, 1976)."""


class RuleGroup(Struct, frozen=True):
    """Rules that weigh the same: ``points`` an issue; ``rules`` are ruff's codes or prefixes."""

    name: str
    points: float
    rules: tuple[str, ...]
    about: str


COMPLEXITY: Final = RuleGroup(
    "complexity", 0.5, ("C901",), "a function's complexity, each point above 10"
)
GROUPS: Final = (
    RuleGroup("error", 5.0, ("F", "PLE", "invalid-syntax"), "fails, or cannot mean what it says"),
    RuleGroup(
        "bug",
        3.0,
        ("ASYNC", "B", "E711", "E712", "E721", "E722", "S102", "S307", "S506", "S602"),
        "runs, and is likely to be wrong or unsafe",
    ),
    RuleGroup("unused", 1.0, ("F401", "F403", "F405", "F811", "F841", "F842"), "names nobody uses"),
    RuleGroup(
        "simplify",
        1.0,
        ("C4", "E713", "E714", "E731", "F541", "PERF", "PIE", "RET", "SIM"),
        "says it in more than it needs",
    ),
    RuleGroup("docs", 1.0, ("D100", "D101", "D102", "D103"), "public, and has no docstring"),
    RuleGroup("modernise", 0.5, ("UP",), "has a newer spelling"),
    RuleGroup("style", 0.25, ("E", "I", "W"), "layout and order"),
    COMPLEXITY,
)
SELECTED: Final = tuple(
    sorted(rule for group in GROUPS for rule in group.rules if rule != "invalid-syntax")
)
"""What ruff is asked for."""

_BY_RULE: Final = {rule: group for group in GROUPS for rule in group.rules}
_BY_NAME: Final = {group.name: group for group in GROUPS}


class GroupScore(Struct, frozen=True):
    """What one group of rules found, and what that costs."""

    issues: int
    points: float


class Score(Struct, frozen=True):
    """A score in 0..100 and where it comes from."""

    value: float
    points: float
    lines: int
    points_per_100_lines: float
    groups: dict[str, GroupScore]


def group_of(rule: str) -> RuleGroup:
    """Return the group of a rule's code: the one that names its longest prefix."""
    for end in range(len(rule), 0, -1):
        if group := _BY_RULE.get(rule[:end]):
            return group
    raise LookupError(f"rule {rule} has no group; ruff was asked for {', '.join(SELECTED)} alone")


def group_named(name: str) -> RuleGroup:
    """Return the group of that name."""
    return _BY_NAME[name]


def score(issues: Mapping[str, int], complexities: Iterable[int], lines: int) -> Score:
    """Return the score of a source with so many ``issues`` a rule, and ``lines`` of code.

    ``complexities`` has one number a function.
    """
    groups = {group.name: _sum(group, issues) for group in GROUPS if group is not COMPLEXITY}
    above = [number - COMPLEXITY_LIMIT for number in complexities if number > COMPLEXITY_LIMIT]
    groups[COMPLEXITY.name] = GroupScore(len(above), COMPLEXITY.points * sum(above))
    points = sum(part.points for part in groups.values())
    density = 100 * points / max(lines, LINES_MIN)
    return Score(
        value=round(100 / (1 + density / HALVING), 2),
        points=points,
        lines=lines,
        points_per_100_lines=round(density, 2),
        groups=groups,
    )


def _sum(group: RuleGroup, issues: Mapping[str, int]) -> GroupScore:
    count = sum(number for rule, number in issues.items() if group_of(rule) is group)
    return GroupScore(count, group.points * count)
