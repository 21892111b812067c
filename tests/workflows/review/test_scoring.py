from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stenograph.workflows.review.scoring import (
    COMPLEXITY_LIMIT,
    GROUPS,
    group_named,
    group_of,
    score,
)

RULES = ["F821", "B006", "F401", "SIM102", "D100", "UP032", "E501", "invalid-syntax"]
issues_of_some_rules = some.dictionaries(some.sampled_from(RULES), some.integers(0, 10_000))
complexities = some.lists(some.integers(1, 200), max_size=50)
lines_of_code = some.integers(0, 100_000)


def test_a_source_with_nothing_wrong_scores_100() -> None:
    assert score({}, [1, COMPLEXITY_LIMIT], 1000).value == 100


def test_ten_points_in_a_hundred_lines_halve_it() -> None:
    assert score({"F401": 10}, [], 100).value == 50
    assert score({"F401": 30}, [], 100).value == 25


def test_complexity_costs_only_what_is_above_its_limit() -> None:
    found = score({}, [3, 10, 11, 30], 100)
    assert found.groups["complexity"].issues == 2
    assert found.groups["complexity"].points == 0.5 * (1 + 20)


def test_a_short_source_counts_as_fifty_lines() -> None:
    assert score({"F401": 1}, [], 0) == score({"F401": 1}, [], 0)
    assert score({"F401": 1}, [], 0).value == score({"F401": 1}, [], 50).value
    assert score({"F401": 1}, [], 51).value > score({"F401": 1}, [], 50).value


@given(issues=issues_of_some_rules, functions=complexities, lines=lines_of_code)
def test_it_is_from_0_to_100_and_adds_up(
    issues: dict[str, int], functions: list[int], lines: int
) -> None:
    found = score(issues, functions, lines)
    assert 0 <= found.value <= 100
    assert found.points == sum(group.points for group in found.groups.values())
    above = sum(number > COMPLEXITY_LIMIT for number in functions)
    assert sum(group.issues for group in found.groups.values()) == sum(issues.values()) + above


@given(
    issues=issues_of_some_rules,
    more=some.sampled_from(RULES),
    functions=complexities,
    lines=lines_of_code,
)
def test_one_issue_more_never_raises_it(
    issues: dict[str, int], more: str, functions: list[int], lines: int
) -> None:
    worse = {**issues, more: issues.get(more, 0) + 1}
    assert score(worse, functions, lines).value <= score(issues, functions, lines).value


@pytest.mark.parametrize(
    ("rule", "group"),
    [
        ("F821", "error"),
        ("F401", "unused"),
        ("F541", "simplify"),
        ("E711", "bug"),
        ("E713", "simplify"),
        ("E501", "style"),
        ("UP032", "modernise"),
        ("D103", "docs"),
        ("C901", "complexity"),
        ("C408", "simplify"),
        ("invalid-syntax", "error"),
    ],
)
def test_a_rule_belongs_to_the_group_that_names_it_most_closely(rule: str, group: str) -> None:
    assert group_of(rule) is group_named(group)


def test_a_rule_that_nobody_asked_for_belongs_nowhere() -> None:
    with pytest.raises(LookupError, match="rule X999 has no group"):
        group_of("X999")


def test_no_rule_is_in_two_groups() -> None:
    rules = [rule for group in GROUPS for rule in group.rules]
    assert len(rules) == len(set(rules))
