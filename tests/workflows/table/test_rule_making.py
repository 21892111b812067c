from __future__ import annotations

from typing import Any

import pytest

from stenograph.workflows.table import rule_making, table_rules
from stenograph.workflows.table.rule_making import Choices


def made(kind: str, facts: dict[str, Any], *, keys: Any = (), **chosen: Any) -> Any:
    finding = {"kind": kind, "column": "c", "count": 3, "why": "odd", "facts": facts}
    rule = rule_making.make(finding, keys, Choices(**chosen))
    return rule and table_rules.plain(rule)


OUTLIER = {"min": None, "max": 10.0, "decimal": ".", "worst": 3.0, "sign": False}


def test_outliers_that_are_near_are_clipped_and_far_ones_made_null() -> None:
    assert made("outlier", OUTLIER)["do"] == "clip"
    assert made("outlier", {**OUTLIER, "worst": 30.0})["do"] == "null"
    assert made("outlier", {**OUTLIER, "sign": True})["do"] == "null"


@pytest.mark.parametrize("do", ["clip", "null", "drop"])
def test_what_becomes_of_outliers_may_be_chosen(do: str) -> None:
    assert made("outlier", OUTLIER, outliers=do)["do"] == do


def test_a_gap_is_filled_with_a_guess_that_is_called_one() -> None:
    facts = {"spelled": ["-"], "fill": "7", "share": None}
    rule = made("missing", facts)
    assert (rule["do"], rule["value"]) == ("fill", "7")
    assert rule["because"].endswith("filled with the median, which is a guess")
    assert "60% of the others" in made("missing", {**facts, "share": 0.6})["because"]


def test_a_gap_stays_when_nothing_can_fill_it_or_one_wants_it_so() -> None:
    facts: dict[str, Any] = {"spelled": [], "fill": "7", "share": None}
    assert made("missing", facts, fill="leave")["do"] == "leave"
    assert made("missing", {**facts, "fill": None})["do"] == "leave"


def test_what_is_wrong_in_a_key_is_left_to_a_person() -> None:
    assert made("missing", {"spelled": [], "fill": None, "share": None}, keys=["c"]) is None
    assert made("outlier", OUTLIER, keys=["c"]) is None
    format_ = {"pattern": "^a$", "letters": "lower"}
    assert made("format", format_, keys=["c"])["do"] == "convert-or-leave"
    assert made("format", format_)["do"] == "convert-or-null"


def test_a_key_that_is_there_twice_is_dropped_only_when_it_was_given() -> None:
    assert made("duplicate_key", {"columns": ["c"], "given": True})["columns"] == ["c"]
    assert made("duplicate_key", {"columns": ["c"], "given": False}) is None


def test_the_other_kinds_have_a_rule_each() -> None:
    assert made("whitespace", {"within": True})["within"]
    assert made("type", {"type": "number", "decimal": ",", "readable": 2})["decimal"] == ","
    assert (
        made("date", {"format": "%Y-%m-%d", "min": None, "max": "2030-01-01"})["max"]
        == "2030-01-01"
    )
    assert made("spelling", {"replace": {"x": "y"}})["replace"] == {"x": "y"}
    assert made("duplicate_row", {})["because"] == "odd (3 rows)"


def test_choices_are_checked() -> None:
    assert rule_making.choices({"fill": "leave", "path": "x"}) == Choices("leave", "auto")
    with pytest.raises(
        ValueError, match="\"outliers\" is one of auto, clip, null, drop; it is 'eat'"
    ):
        rule_making.choices({"outliers": "eat"})
