from __future__ import annotations

from typing import Any

import polars as pl

from stenograph.workflows.table import columns, profiles, table_report
from stenograph.workflows.table.table_report import sentence

STATE: dict[str, Any] = {
    "source": "a|b.csv",
    "row_count": 1_200,
    "rows_left": 1_199,
    "profile": [
        {
            "name": "n",
            "type": "integer",
            "missing": 1,
            "distinct": 2,
            "min": 1,
            "median": 2,
            "max": 3,
        },
        {"name": "c", "type": "category", "missing": 0, "distinct": 1, "top": [["<b>`x`", 2_000]]},
        {"name": "t", "type": "text", "missing": 0, "distinct": 9},
    ],
    "rules": [
        {"kind": "missing", "column": "n", "do": "fill", "value": "2", "because": "odd", "rows": 4},
        {"kind": "duplicate_row", "do": "drop", "because": "again", "rows": 1},
    ],
    "rounds": 2,
    "counts": [3, 1],
    "anomalies_first": 5,
    "anomaly_count": 1,
    "threshold": 0,
    "stopped_by": "no-rule",
    "by_kind_first": {"missing": 4, "duplicate_row": 1},
    "by_kind": {"format": 1},
    "changes": {"rows_dropped": 1, "cells": {"n": {"changed": 4, "emptied": 0, "filled": 4}}},
}
LEFT = [{"row": 7, "column": None, "kind": "format", "value": None, "why": "x\ny"}]


def test_a_report_sums_a_run_up() -> None:
    whole = table_report.report(STATE, LEFT)
    assert whole["summary"] == (
        "1 of 5 anomalies left after 2 rounds and 2 rules: missed (at most 0)"
    )
    assert (whole["passed"], whole["changes"], whole["left"]) == (False, STATE["changes"], LEFT)
    assert whole["by_kind"] == {
        "missing": {"before": 4, "after": 0},
        "duplicate_row": {"before": 1, "after": 0},
        "format": {"before": 0, "after": 1},
    }


def test_a_report_is_told_as_markdown() -> None:
    text = table_report.markdown(table_report.report(STATE, LEFT))
    assert text.startswith("# Data quality of a\\|b.csv\n\n**1 of 5 anomalies left")
    for line in (
        "1,200 rows, 1,199 after the rules; 3 columns. There is no other round: what is left",
        "| missing | 4 | 0 |",
        '1. n: fill what is missing with "2", as: odd',
        "1 row was dropped.\n\n| column | cells changed | of them emptied | of them filled",
        "| n | 4 | 0 | 4 |",
        "| 7 |  | format |  | x y |",
        "| n | integer | 1 | 2 | 1 … 3 |",
        "| c | category | 0 | 1 | &lt;b>'x' (2,000) |",
        "| t | text | 0 | 9 |  |",
    ):
        assert line in text


def test_a_report_on_a_clean_table_is_short() -> None:
    clean = {
        "rules": [],
        "anomaly_count": 0,
        "anomalies_first": 0,
        "by_kind": {},
        "by_kind_first": {},
    }
    state = {**STATE, **clean, "stopped_by": None, "changes": {"rows_dropped": 0, "cells": {}}}
    whole = table_report.report(state, [])
    text = table_report.markdown(whole)
    assert whole["summary"].endswith("passed (at most 0)")
    for line in (
        "None was needed.",
        "0 rows were dropped; no cell was changed.",
        "\n\nNothing.\n\n",
        "3 columns.\n",
    ):
        assert line in text


def test_markdown_is_cut_at_a_line_and_says_so() -> None:
    column = {"name": "é" * 200, "type": "text", "missing": 0, "distinct": 9}
    rules = [{"kind": "duplicate_row", "do": "drop", "because": "x" * 100}] * 300
    whole = table_report.report({**STATE, "profile": [column] * 200, "rules": rules}, LEFT)
    text = table_report.markdown(whole)
    assert len(text.encode()) <= table_report.MARKDOWN_MAX
    assert "(100 more)" in text
    assert text.endswith("the rest is in `report`.)\n")


def test_a_rule_is_a_sentence() -> None:
    assert sentence({"kind": "range", "column": "p", "do": "clip", "min": 0.5, "max": 1200.0}) == (
        "p: clip below 0.5 or above 1,200, as: it was given"
    )
    assert sentence({"kind": "range", "column": "p", "do": "drop", "max": 3, "because": "far"}) == (
        "p: drop the row above 3, as: far"
    )
    many = dict.fromkeys("bcde", "a")
    assert sentence({"kind": "spelling", "column": "c", "do": "replace", "replace": many}) == (
        "c: replace 4 spellings: 'b' by 'a', 'c' by 'a', 'd' by 'a' …, as: it was given"
    )
    one = {"kind": "spelling", "column": "c", "do": "replace", "replace": {"b": "a"}}
    assert sentence(one) == "c: replace 1 spelling: 'b' by 'a', as: it was given"
    key = {"kind": "duplicate_key", "columns": ["a", "b"], "do": "drop"}
    assert sentence(key) == "a, b: drop the row, as: it was given"
    assert (
        sentence({"kind": "missing", "column": "c", "do": "leave"})
        == "c: leave empty, as: it was given"
    )


def test_a_column_of_dates_is_told_by_its_ends() -> None:
    column = columns.study(pl.Series("d", ["2024-01-02", "2023-05-06", None, "2024-02-30"]))
    assert profiles.profile(column) == {
        **{"name": "d", "type": "date", "missing": 1, "distinct": 3, "format": "%Y-%m-%d"},
        **{"min": "2023-05-06", "max": "2024-01-02"},
    }


def test_a_long_value_is_cut() -> None:
    assert profiles.shown("x" * 100) == "x" * 59 + "…"
    assert (profiles.shown("x"), profiles.shown(None)) == ("x", None)
