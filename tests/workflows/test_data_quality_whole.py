"""The whole of the data quality workflow over 120,000 rows, by path, in a real engine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import stenograph as st
from stenograph.workflows import data_quality
from stenograph.workflows.table import anomalies, column_checks, table_rules, tables
from stenograph.workflows.table.tables import ROW
from tests.figures import Figure
from tests.workflows import orders
from tests.workflows.orders import Planted

PAGE = " ".join((Path(__file__).parents[2] / "docs/data-quality.md").read_text().split())
ROWS = 120_000


@pytest.fixture(scope="module")
def planted_orders() -> tuple[pl.DataFrame, Planted]:
    return orders.table(ROWS)


async def run_graph(graph: dict[str, Any], state: dict[str, Any], folder: Path) -> dict[str, Any]:
    async with st.open(":memory:", tools=[data_quality], data=folder) as engine:
        run = await engine.run(graph, state)
        assert run.status == "completed", run.error
        values: dict[str, Any] = (await engine.state(run.id)).values
        return values


def found_in(table: pl.DataFrame) -> Planted:
    text = tables.texts(table)
    found = anomalies.find(text, anomalies.study(text), ["order_id"])
    return {(row, one.column, one.kind) for one in found for row in one.cells[ROW]}


def rates(planted: Planted, found: Planted, kinds: Iterable[str]) -> list[tuple[Any, ...]]:
    """Return (kind, planted, found, recall, precision) a kind, and in all."""
    lines = []
    for name, some in [*((kind, {kind}) for kind in kinds), ("in all", set(kinds))]:
        right = {one for one in planted if one[2] in some}
        told = {one for one in found if one[2] in some}
        hit = len(right & told)
        lines.append((name, len(right), len(told), hit / len(right), hit / len(told)))
    return lines


def test_what_was_planted_is_found_and_little_else(
    planted_orders: tuple[pl.DataFrame, Planted], figure: Figure
) -> None:
    table, planted = planted_orders
    lines = rates(planted, found_in(table), anomalies.KINDS)
    told = [f"{'kind':<14}{'planted':>8}{'found':>8}{'recall':>8}{'precision':>10}"]
    told += [
        f"{kind:<14}{right:>8,}{hits:>8,}{r:>8.3f}{p:>10.3f}" for kind, right, hits, r, p in lines
    ]
    figure("\n".join(told))
    assert f"The tests plant {len(planted):,} anomalies" in PAGE
    assert f"in a table of {ROWS:,} orders" in PAGE
    assert "| each | 0.95 | 0.98 | | in all | 0.99 | 0.99 |" in PAGE
    assert all(recall >= 0.95 and precision >= 0.98 for *_, recall, precision in lines)
    *_, recall, precision = lines[-1]
    assert recall >= 0.99
    assert precision >= 0.99


def test_another_table_of_another_seed_and_size_is_judged_as_well() -> None:
    table, planted = orders.table(20_000, seed=11)
    *_, recall, precision = rates(planted, found_in(table), anomalies.KINDS)[-1]
    assert recall >= 0.96
    assert precision >= 0.97


async def test_a_csv_gets_clean_round_by_round(
    planted_orders: tuple[pl.DataFrame, Planted], tmp_path: Path, figure: Figure
) -> None:
    table, planted = planted_orders
    (tmp_path / "tables").mkdir()
    table.write_csv(tmp_path / "tables/orders.csv")
    given = {"path": "tables/orders.csv", "key": "order_id"}
    state = await run_graph(data_quality.GRAPH, given, tmp_path)
    figure(f"{state['report']['summary']} {state['counts']}")
    assert state["anomalies_first"] > 0.95 * len(planted)
    assert state["counts"] == sorted(state["counts"], reverse=True)
    left = Counter[str](state["by_kind"])
    for_a_person = left["format"] + left["date"] + left["outlier"]
    assert "leaves less than 13 % of what it finds in the orders to a person" in PAGE
    assert for_a_person < 0.13 * state["anomalies_first"]
    assert left.total() - for_a_person < 0.01 * state["anomalies_first"]
    assert state["stopped_by"] == "no-rule"
    assert all(one["kind"] in left for one in state["report"]["left"])
    assert state["report"]["passed"] or state["stopped_by"] != "threshold"
    assert state["row_count"] == ROWS
    assert len(json.dumps(state)) < 400_000
    assert len(state["report_markdown"].encode()) <= 65_536

    # The rules of the run, applied to the source by oneself, come to the same table.
    source = data_quality.read(tmp_path / "tables/orders.csv")
    clean = data_quality.apply(state["rules"], source)
    assert clean.height == state["rows_left"]
    text = tables.texts(clean)
    again = anomalies.find(
        text,
        anomalies.study(text),
        ["order_id"],
        column_checks.settled(table_rules.parse(state["rules"])),
    )
    assert sum(one.count for one in again) == state["anomaly_count"]


async def test_a_parquet_file_comes_to_the_same_as_the_csv(tmp_path: Path) -> None:
    table, _ = orders.table(20_000, seed=5)
    table.write_csv(tmp_path / "orders.csv")
    table.write_parquet(tmp_path / "orders.parquet")
    ends = [
        await run_graph(data_quality.GRAPH, {"path": name, "key": ["order_id"]}, tmp_path)
        for name in ("orders.csv", "orders.parquet")
    ]
    assert ends[0]["rules"] == ends[1]["rules"]
    assert ends[0]["counts"] == ends[1]["counts"]


async def test_what_was_right_stays_as_it_was_and_spellings_become_right(tmp_path: Path) -> None:
    table, planted = orders.table(20_000, seed=7)
    right = orders.unspoilt(20_000, seed=7)
    table.write_parquet(tmp_path / "orders.parquet")
    given = {"path": "orders.parquet", "key": "order_id", "unreadable": "null", "outliers": "null"}
    state = await run_graph(data_quality.GRAPH, given, tmp_path)
    assert state["anomaly_count"] < 0.01 * state["anomalies_first"]
    clean = table_rules.fold(tables.texts(table), table_rules.parse(state["rules"]))
    kinds = {(row, column): kind for row, column, kind in planted}
    numbers = clean[ROW].to_list()
    mended: Counter[str] = Counter()
    for column in orders.COLUMNS:
        same = clean[column].eq_missing(right[column][clean[ROW] - 1]).to_list()
        spoilt = [kinds.get((number, column)) for number in numbers]
        assert all(is_same for is_same, kind in zip(same, spoilt, strict=True) if kind is None)
        mended.update(kind for is_same, kind in zip(same, spoilt, strict=True) if is_same and kind)
    wrong = Counter(kinds[number, column] for number, column in kinds if number in {*numbers})
    assert mended["whitespace"] == wrong["whitespace"]
    assert mended["spelling"] >= 0.98 * wrong["spelling"]
    assert mended["format"] >= 0.5 * wrong["format"]
