from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from stenograph.workflows.table import table_rules, tables

Cell = str | None


def applied(rule: dict[str, Any], cells: Sequence[Cell]) -> list[Cell]:
    text = tables.texts(pl.DataFrame({"c": cells}, schema={"c": pl.String}))
    return table_rules.fold(text, table_rules.parse([{"column": "c", **rule}]))["c"].to_list()


CASES: dict[str, tuple[dict[str, Any], list[Cell], list[Cell]]] = {
    "trim": ({"kind": "whitespace"}, [" a ", "b  c", None], ["a", "b  c", None]),
    "trim within": (
        {"kind": "whitespace", "within": True},
        [" a", "b  c", "d.  E", None],
        ["a", "b c", "d.  E", None],
    ),
    "leave": ({"kind": "missing", "spelled": ["n/a"]}, ["N/A ", "a", None], [None, "a", None]),
    "fill": (
        {"kind": "missing", "do": "fill", "spelled": [""], "value": "7"},
        [" ", None, "1"],
        ["7", "7", "1"],
    ),
    "numbers": (
        {"kind": "type", "type": "number"},
        ["1.50", "$2", "x", "N/A", None],
        ["1.50", "2", None, "N/A", None],
    ),
    "numbers with a comma": (
        {"kind": "type", "type": "number", "decimal": ","},
        ["1,5", "1.234,5", "x"],
        ["1,5", "1234,5", None],
    ),
    "truths": (
        {"kind": "type", "type": "boolean", "words": ["Y", "N"]},
        ["Y", "1", "0", "perhaps", None],
        ["Y", "Y", "N", None, None],
    ),
    "truths without words": ({"kind": "type", "type": "boolean"}, ["1", "0"], ["true", "false"]),
    "dates": ({"kind": "type", "type": "date"}, ["2024-01-01", "soon"], ["2024-01-01", None]),
    "a pattern": (
        {"kind": "format", "pattern": "^[a-z]+$", "letters": "lower"},
        ["ab", "AB", "A1", "-", None],
        ["ab", "ab", None, "-", None],
    ),
    "a pattern to leave": (
        {"kind": "format", "pattern": "^[A-Z]+$", "letters": "upper", "do": "convert-or-leave"},
        ["ab", "a1"],
        ["AB", "a1"],
    ),
    "a pattern in parts": (
        {
            "kind": "format",
            "pattern": r"^[A-Z]{2}-\d{2}$",
            "letters": "upper",
            "loose": r"^([A-Z]{2})[\W_]*(\d{2})$",
            "parts": "${1}-${2}",
        },
        ["AB-12", "ab12", "AB_12", "AB123"],
        ["AB-12", "AB-12", "AB-12", None],
    ),
    "spelling of dates": (
        {"kind": "format", "date": "%Y-%m-%d"},
        ["2024-01-02", "3.4.2024", "03/04/2024", "2024-02-30", "soon", None],
        ["2024-01-02", "2024-04-03", None, "2024-02-30", "soon", None],
    ),
    "spelling of times": (
        {"kind": "format", "date": "%Y-%m-%dT%H:%M:%S"},
        ["2024-01-02T10:00", "3.4.2024"],
        ["2024-01-02T10:00", "2024-04-03"],
    ),
    "days": (
        {"kind": "date", "format": "%Y-%m-%d", "min": "2000-01-01", "max": "2030-01-01"},
        ["2024-01-02", "2024-02-30", "1900-01-01", "9999-01-01", "soon", None],
        ["2024-01-02", None, None, None, "soon", None],
    ),
    "days that are kept": (
        {"kind": "date", "format": "%Y-%m-%d", "max": "2030-01-01", "keep": ["9999-12-31"]},
        ["9999-12-31", "9999-01-01"],
        ["9999-12-31", None],
    ),
    "a time that is none": (
        {"kind": "date", "format": "%Y-%m-%dT%H:%M:%S"},
        ["2024-01-02 24:00", "2024-02-30 10:00"],
        ["2024-01-02 24:00", None],
    ),
    "a time that cannot be read": (
        {"kind": "format", "date": "%Y-%m-%dT%H:%M:%S"},
        ["2024-01-02 24:00", "2024-02-30 10:00"],
        [None, "2024-02-30 10:00"],
    ),
    "numbers to leave": (
        {"kind": "type", "type": "number", "do": "convert-or-leave"},
        ["1", "$2", "x"],
        ["1", "2", "x"],
    ),
    "any day": (
        {"kind": "date", "format": "%Y-%m-%d"},
        ["0001-01-01", "2024-13-01"],
        ["0001-01-01", None],
    ),
    "clip": (
        {"kind": "range", "do": "clip", "min": 0.5, "max": 240},
        ["0.1", "7.00", "900", "x", None],
        ["0.5", "7.00", "240", "x", None],
    ),
    "clip above": (
        {"kind": "range", "do": "clip", "max": 2.5, "decimal": ","},
        ["-9", "3,5"],
        ["-9", "2,5"],
    ),
    "null": ({"kind": "range", "do": "null", "min": 0}, ["-1", "0", None], [None, "0", None]),
    "drop": ({"kind": "range", "do": "drop", "max": 5}, ["6", "5", "x", None], ["5", "x", None]),
    "spelling": (
        {"kind": "spelling", "replace": {"berlin": "Berlin"}},
        ["berlin", " berlin", "Bonn", None],
        ["Berlin", "Berlin", "Bonn", None],
    ),
}


@pytest.mark.parametrize(("rule", "before", "after"), CASES.values(), ids=CASES.keys())
def test_a_rule_does_what_it_says(
    rule: dict[str, Any], before: list[Cell], after: list[Cell]
) -> None:
    assert applied(rule, before) == after
    assert applied(rule, after) == after, "a second time changes nothing"


def frame(*rows: tuple[Cell, Cell]) -> pl.DataFrame:
    return tables.texts(pl.DataFrame(rows, schema={"k": pl.String, "v": pl.String}, orient="row"))


def test_the_first_of_duplicate_rows_is_kept() -> None:
    text = frame(("a", "1"), ("b", "1"), ("a", "1"), (None, None), (None, None))
    found = table_rules.fold(text, table_rules.parse([{"kind": "duplicate_row"}]))
    assert found.rows() == [(1, "a", "1"), (2, "b", "1"), (4, None, None)]


def test_the_first_row_of_a_key_is_kept_and_so_are_rows_without_one() -> None:
    text = frame(("a", "1"), ("a", "2"), (None, "3"), (None, "4"))
    rule = {"kind": "duplicate_key", "columns": ["k"]}
    assert table_rules.fold(text, table_rules.parse([rule])).rows() == [
        *((1, "a", "1"), (3, None, "3"), (4, None, "4"))
    ]


NO_RULES: dict[str, tuple[Any, str]] = {
    "text": ("trim", '"rules" is a list of at most 2,000 rules'),
    "a number": (7, '"rules" is a list'),
    "too many": ([{"kind": "duplicate_row"}] * 2_001, '"rules" is a list'),
    "an unknown kind": ([{"kind": "magic"}], r"rules\[0\] is no rule: Invalid value 'magic'"),
    "an unknown field": ([{"kind": "duplicate_row", "x": 1}], r"rules\[0\] is no rule: .*`x`"),
    "no column": ([{"kind": "whitespace"}], r"rules\[0\] is no rule: .*`column`"),
}


@pytest.mark.parametrize(("rules", "says"), NO_RULES.values(), ids=NO_RULES.keys())
def test_what_is_no_rule_is_refused(rules: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        table_rules.parse(rules)


def test_a_rule_on_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"rules\[0\] is about the column 'x', which is not there; there are c"
    ):
        applied({"kind": "whitespace", "column": "x"}, ["a"])


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "format", "pattern": "("},
        {"kind": "date", "format": "%Y-%m-%d", "min": "soon"},
        {"kind": "format", "date": "%Q"},
        {"kind": "format", "pattern": "(a{1000}){1000}"},
        {"kind": "missing", "do": "fill"},
    ],
    ids=["pattern", "day", "spelling of days", "endless pattern", "nothing to fill"],
)
def test_a_rule_that_cannot_be_applied_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"rules\[0\] cannot be applied: "):
        applied(rule, ["a"])


def test_a_rule_is_written_without_what_is_usual() -> None:
    given = {"kind": "range", "do": "null", "column": "c", "min": 0.0, "decimal": ".", "rows": 0}
    (rule,) = table_rules.parse([given])
    assert table_rules.plain(rule) == given


def test_rows_are_not_the_same_because_a_rule_emptied_what_told_them_apart() -> None:
    table = pl.DataFrame({"a": [1, 1, 1, 1], "ref": ["A-1", "odd", "odder", "A-1"]})
    rules = [
        {"kind": "format", "column": "ref", "pattern": "^A-\\d$"},
        {"kind": "duplicate_row", "present": ["ref"]},
    ]
    kept = table_rules.fold(tables.texts(table), table_rules.parse(rules))
    assert kept[tables.ROW].to_list() == [1, 2, 3]


def test_a_rule_of_no_kind_is_refused() -> None:
    for rule in ({"because": "so"}, {"kind": "one_column", "column": "k"}):
        with pytest.raises(ValueError, match=r"rules\[0\] is no rule"):
            table_rules.parse([rule])
