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


def test_a_few_negative_numbers_are_left_to_a_person_unless_one_has_chosen() -> None:
    negative = {**OUTLIER, "min": 0.0, "max": None, "sign": True}
    assert made("outlier", negative) is None
    assert made("outlier", negative, outliers="null")["min"] == 0.0
    both = made("outlier", {**negative, "max": 10.0})
    assert (both["do"], both["max"], "min" in both) == ("clip", 10.0, False)


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
    assert made("date", DAYS, keys=["c"], unreadable="null") is None
    chosen = made("format", FORMAT, keys=["c"], unreadable="null")
    assert chosen["do"] == "convert-or-leave"


FORMAT = {"pattern": "^a$", "letters": "lower", "readable": 2}
DAYS = {"format": "%Y-%m-%d", "min": None, "max": "2030-01-01", "keep": ["9999-12-31"], "wrong": 2}


def test_what_does_not_fit_a_format_is_left_to_a_person_unless_one_has_chosen() -> None:
    rule = made("format", FORMAT)
    assert rule["do"] == "convert-or-leave"
    assert rule["because"] == "odd (3 values); 2 of them can be read"
    assert made("format", {**FORMAT, "readable": 3})["because"] == "odd (3 values)"
    assert made("format", {**FORMAT, "readable": 0}) is None
    emptying = made("format", {**FORMAT, "readable": 0}, unreadable="null")
    assert emptying["do"] == "convert-or-null"


def test_days_that_stand_for_none_are_left_to_a_person_unless_one_has_chosen() -> None:
    rule = made("date", DAYS)
    assert (rule["keep"], rule["max"]) == (["9999-12-31"], "2030-01-01")
    assert rule["because"].endswith("; 9999-12-31 may stand for none, and stay")
    assert made("date", {**DAYS, "keep": []})["because"] == "odd (3 values)"
    assert made("date", {**DAYS, "wrong": 0}) is None
    assert "keep" not in made("date", {**DAYS, "wrong": 0}, unreadable="null")


def test_text_among_numbers_that_only_name_is_left_to_a_person_unless_one_has_chosen() -> None:
    facts = {"type": "integer", "decimal": ".", "readable": 0, "names": True}
    assert made("type", facts) is None
    assert made("type", {**facts, "readable": 1})["do"] == "convert-or-leave"
    assert made("type", facts, unreadable="null")["do"] == "convert-or-null"


def test_a_key_that_is_there_twice_is_dropped_only_when_it_was_given() -> None:
    assert made("duplicate_key", {"columns": ["c"], "given": True})["columns"] == ["c"]
    assert made("duplicate_key", {"columns": ["c"], "given": False}) is None


def test_the_other_kinds_have_a_rule_each() -> None:
    assert made("whitespace", {"within": True})["within"]
    assert made("type", {"type": "number", "decimal": ",", "readable": 2})["decimal"] == ","
    assert made("spelling", {"replace": {"x": "y"}})["replace"] == {"x": "y"}
    assert made("duplicate_row", {})["because"] == "odd (3 rows)"


def test_a_choice_that_is_not_made_is_automatic() -> None:
    assert rule_making.choices({"fill": "leave", "path": "x"}) == Choices("leave", "auto")
