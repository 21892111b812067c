"""Every number in docs/data-quality.md is what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

from stenograph.workflows import data_quality
from stenograph.workflows.table import (
    anomalies,
    column_checks,
    columns,
    formats,
    rule_making,
    spellings,
    states,
    table_limits,
    table_report,
    table_rules,
    table_work,
    tables,
    tails,
)
from tests.workflows.test_data_quality import ROWS, one_round

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = " ".join((ROOT / "docs/data-quality.md").read_text().split())
LINES: Final = (ROOT / "docs/data-quality.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table after a piece of text."""
    table = LINES.partition(heading)[2].partition("| --- ")[2].partition("\n\n")[0]
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[1:]
    ]


def names(heading: str) -> list[str]:
    return [row[0].strip("` ") for row in rows(heading)]


def test_the_graph_is_the_graph() -> None:
    blocks = re.findall(r"```json\n(.*?)```", LINES, re.DOTALL)
    assert json.loads(blocks[0]) == data_quality.GRAPH


def test_every_key_that_a_run_writes_is_on_the_page() -> None:
    table = {row[0].strip("` "): row[2] for row in rows("## The graph")}
    assert set(table) == {tool.name for tool in data_quality.TOOLS}
    told = {key for cell in table.values() for key in re.findall(r"`(\w+)`", cell)}
    assert told | {"rows"} == set(one_round({"rows": ROWS}))


def test_the_reasons_to_stop_are_the_reasons() -> None:
    assert names("`stopped_by` says why") == list(table_report.STOPS)


def test_the_kinds_are_the_kinds_in_their_order() -> None:
    assert names("Rules are made in this order") == list(anomalies.KINDS)


def test_the_defaults_are_those_of_the_code() -> None:
    defaults = {row[0].strip("` "): row[2].strip() for row in rows("which wins:") if len(row) > 2}
    assert defaults["max_rounds"] == str(states.ROUNDS)
    assert defaults["threshold"] == "0"
    assert all(f"`{spelled}`" in PAGE for spelled in data_quality.THRESHOLDS)
    assert all(f"`{end}`" in PAGE for end in tables.KINDS)


def test_the_limits_are_those_of_the_code() -> None:
    told = {row[0].strip(): row[1].strip() for row in rows("## Limits")}
    assert list(told.values()) == [
        f"{table_limits.BYTES_MAX:,} bytes",
        f"{table_limits.SIZES['ndjson']:,} bytes",
        f"{table_limits.SIZES['json']:,} bytes",
        f"{table_limits.LINE_MAX:,} bytes",
        f"{table_limits.ROWS_MAX:,}",
        f"{table_limits.COLUMNS_MAX:,}",
        f"{table_limits.CELLS_MAX:,}",
        f"{table_rules.RULES_MAX:,}",
        f"{table_report.MARKDOWN_MAX:,} bytes",
        f"{table_work.CLEAN_BYTES_MAX:,} bytes, else null",
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        f"`anomalies` ({table_work.TOLD_MAX} at most)",
        f"how many rounds at most, 1 to {states.ROUNDS_MAX}",
        f"are {columns.FEW:.0%} of them".replace("%", " %"),
        f"{columns.few(10_000):.0f} of 10,000",
        f"at most {columns.CATEGORY_SHARE * 100:g} % are distinct and no more than {columns.CATEGORY_MAX:,}",
        f"({columns.CATEGORY_SMALL * columns.SMALL:g} always may; of fewer than {columns.SMALL} values",
        f"at most {formats.STRANGERS_MAX * 100:g} % do not follow the one pattern",
        f"{column_checks.REPLACED_MAX} spellings a rule and {table_work.RESPELLED_MAX} a round",
        f"in no more than {anomalies.ROWS_TWICE * 100:g} % of the rows",
        f"within {rule_making.CLIP_MAX:g} times its bound",
        f"at least {anomalies.KEY_SHARE * 100:g} % differ",
        f"which {400 * tails.TAIL:g} % and {100 * tails.TAIL:g} % of the values lie",
        f"one value in {tails.TABLES:,} such tables",
        f"at least {tails.Z_MIN:g} robust standard deviations ({tails.MAD_TO_SD} times",
        f"held between {tails.STEEP_MIN} and {tails.STEEP_MAX:g}. Where it is above {tails.HEAVY}",
        f"more than {tails.OUTLIERS_MAX * 100:g} % of the values lie",
        f"fewer than {tails.TAIL_VALUES / tails.TAIL:g} numbers",
        f"with fewer than {tails.VALUES_MIN} nothing is said",
        f"where at most {tails.NEGATIVE_MAX * 100:g} % are",
        f"Whole numbers of which {column_checks.ID_SHARE * 100:g} % differ",
        f"in words of {spellings.TWO_SLIPS} letters",
        f"there fewer than {spellings.OWN} times itself, has {spellings.ONE_SLIP} letters or more",
        f"if it has fewer than {spellings.FREE_START}",
    ],
)
def test_the_numbers_in_the_text_are_those_of_the_code(sentence: str) -> None:
    assert sentence in PAGE


def test_every_spelling_of_missing_is_on_the_page() -> None:
    text = re.sub(r"```.*?```", "", LINES, flags=re.DOTALL)
    told = {spelled.lower() for spelled in re.findall(r"`([^`\n]+)`", text)}
    assert {*columns.SURE_TOKENS, *columns.VAGUE_TOKENS} - {""} <= told


def test_every_format_that_has_a_name_is_on_the_page() -> None:
    assert all(name in PAGE for name in formats.KNOWN)


def test_each_tool_works_on_so_many_tables_at_a_time() -> None:
    assert {tool.limit for tool in data_quality.TOOLS} == {2}
    assert "Each tool works on two tables at a time" in PAGE


def test_the_days_that_stand_for_none_are_on_the_page() -> None:
    first, second, third = column_checks.SENTINELS
    assert f"`{first}`, `{second}` and `{third}` by `unreadable`" in PAGE
