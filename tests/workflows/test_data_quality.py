from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import stenograph as st
from stenograph.engine.errors import Misfit
from stenograph.workflows import data_quality
from stenograph.workflows.data_quality import (
    apply_rules,
    generate_rules,
    identify_anomalies,
    profile_data,
)
from stenograph.workflows.table import table_work
from tests.workflows.reviewing import Listener, State, merged

ROWS: list[dict[str, Any]] = [
    *({"id": n, "city": "Berlin", "price": 10 + n % 7, "ok": True} for n in range(1, 31)),
    {"id": 31, "city": " berlin", "price": 9_000, "ok": "0"},
    {"id": 32, "city": "Berlin", "price": None, "ok": False},
    {"id": 32, "city": "Berlin ", "price": None, "ok": False},
    {"id": 33, "city": "Bonn", "price": "$12.5"},
]

CHAIN = {
    "start": "a",
    "nodes": {
        "a": {"tool": "profile_data", "next": "b"},
        "b": {"tool": "identify_anomalies", "next": "c"},
        "c": {"tool": "generate_rules", "next": "d"},
        "d": {"tool": "apply_rules"},
    },
}


def looped(*edges: dict[str, Any]) -> dict[str, Any]:
    nodes: dict[str, Any] = {**CHAIN["nodes"]}  # type: ignore[dict-item]
    return {"start": "a", "nodes": {**nodes, "d": {"tool": "apply_rules", "next": list(edges)}}}


async def run_graph(graph: dict[str, Any], state: State, folder: Path | None = None) -> State:
    async with st.open(":memory:", tools=[data_quality], data=folder) as engine:
        run = await engine.run(graph, state)
        assert run.status == "completed", run.error
        values: State = (await engine.state(run.id)).values
        return values


def one_round(state: State, config: State | None = None, **where: Any) -> State:
    """Return the state after one round, every update having been JSON on the way."""
    ctx = Listener(is_last=False, **where).ctx
    for step in (profile_data, identify_anomalies, generate_rules, apply_rules):
        state = merged(state, step.call(state, config=config or {}, ctx=ctx))
    return state


# rounds


def test_a_round_drops_no_row_for_what_it_has_emptied() -> None:
    mails = [f"u{n}@example.org" for n in range(200)]
    rows = [{"mail": mail} for mail in (*mails, "u1 or u2", "u3 or u4", mails[0])]
    state = one_round({"rows": rows, "unreadable": "null"})
    assert [row["mail"] for row in state["clean_rows"]] == [*mails, None, None]
    assert state["anomaly_count"] == 0


GOOD_TEXT: dict[str, tuple[list[str], str]] = {
    "a version": ([f"{n % 9}.{n % 7}.{n}" for n in range(200)], "2.0.0rc1"),
    "a code": ([f"AB-{1000 + n}" for n in range(200)], "AB-1234-X"),
    "two addresses": ([f"u{n}@example.org" for n in range(200)], "a@x.org; b@x.org"),
    "a time of day": ([f"{n % 24:02}:{n % 60:02}" for n in range(200)], "24:00"),
    "for ever": ([f"2024-{1 + n % 12:02}-{1 + n % 28:02}" for n in range(200)], "9999-12-31"),
    "the end of a day": (
        [f"2024-01-{1 + n % 28:02}T10:00" for n in range(200)],
        "2024-03-05 24:00",
    ),
    "a number with a letter": ([str(10_000 + n) for n in range(200)], "A10234"),
}


@pytest.mark.parametrize(("usual", "odd"), GOOD_TEXT.values(), ids=GOOD_TEXT.keys())
async def test_good_text_is_left_to_a_person(usual: list[str], odd: str) -> None:
    rows: list[State] = [{"c": value, "n": n} for n, value in enumerate([*usual, odd])]
    state = await run_graph(CHAIN, {"rows": rows})
    assert state["clean_rows"] == rows
    assert (state["stopped_by"], state["anomaly_count"]) == ("no-rule", 1)
    assert [one["value"] for one in state["report"]["left"]] == [odd]
    emptied = await run_graph(CHAIN, {"rows": rows, "unreadable": "null"})
    assert emptied["clean_rows"] == [*rows[:-1], {"c": None, "n": 200}]
    assert emptied["anomaly_count"] == 0


async def test_a_chain_goes_round_by_itself_until_it_is_good() -> None:
    state = await run_graph(CHAIN, {"rows": ROWS})
    assert (state["stopped_by"], state["anomaly_count"], state["improved"]) == (
        "threshold",
        0,
        True,
    )
    assert state["rounds"] > 1, "trimmed, two rows turn out to be one"
    assert state["counts"] == sorted(state["counts"], reverse=True)


async def test_all_graphs_come_to_the_same() -> None:
    chain = await run_graph(CHAIN, {"rows": ROWS})
    for graph in (
        data_quality.GRAPH,
        looped({"to": "a", "until": "anomaly_count <= threshold", "max": 5}),
        looped(
            {"to": "$end", "when": {"field": "anomaly_count", "operator": "<=", "value": 0}},
            {"to": "a", "max": 5},
        ),
    ):
        assert await run_graph(graph, {"rows": ROWS}) == chain


async def test_a_threshold_that_is_met_ends_at_once() -> None:
    state = await run_graph(CHAIN, {"rows": ROWS, "anomaly_threshold": 1_000})
    assert (state["stopped_by"], state["rounds"], state["threshold"]) == ("threshold", 1, 1_000)


async def test_rounds_are_bounded() -> None:
    state = await run_graph(CHAIN, {"rows": ROWS, "max_rounds": 1})
    assert (state["stopped_by"], state["rounds"]) == ("max-rounds", 1)


async def test_what_no_rule_mends_ends_the_rounds() -> None:
    rows = [{"order_id": f"A{n}", "n": n} for n in range(60)] + [{"order_id": "A7", "n": 61}]
    state = await run_graph(CHAIN, {"data": rows})
    assert (state["stopped_by"], state["anomaly_count"]) == ("no-rule", 1)
    assert state["anomalies"][0]["row"] == 61
    given = await run_graph(CHAIN, {"data": rows, "key": "order_id"})
    assert (given["stopped_by"], given["rows_left"]) == ("threshold", 60)


def test_a_rule_that_would_mend_nothing_is_not_made() -> None:
    rows = [{"order_id": f"A-{n:03}", "n": n} for n in range(60)] + [{"order_id": "?A1!", "n": 1}]
    state = one_round({"rows": rows, "key": ["order_id"]})
    assert (state["stopped_by"], state["improved"], state["new_rules"]) == ("no-rule", False, 0)


def test_a_rule_is_made_again_when_later_ones_bring_work_for_it() -> None:
    rows = [{"a": f"A-{n:03}", "b": "x"} for n in range(90)] + [{"a": "a008", "b": "x"}]
    respelled = {"kind": "spelling", "column": "a", "replace": {"a008": "A-008"}}
    given = {"rows": rows, "rules": [{"kind": "duplicate_row"}, respelled], "new_rules": 1}
    state = one_round(given)
    assert [rule["kind"] for rule in state["rules"]][2:] == ["duplicate_row"]
    assert state["anomaly_count"] == 0


@pytest.mark.parametrize(
    ("counts", "stopped_by"),
    [([], None), ([4], "no-improvement"), ([2], None), ([9, 2], None), ([2, 9], "no-improvement")],
)
def test_two_rounds_without_fewer_anomalies_are_the_last(
    counts: list[int], stopped_by: str | None
) -> None:
    rows = [{"order_id": f"A{n}", "n": n} for n in range(300)]
    rows += [{"order_id": f"A{n}", "n": 300 + n} for n in range(3)]
    state = one_round({"rows": rows, "threshold": 9})
    assert state["anomaly_count"] == 3
    state |= {"counts": counts, "anomalies_first": 3, "new_rules": 1, "threshold": 0}
    state["max_rounds"] = 9
    found = apply_rules.call(state, config={}, ctx=Listener(is_last=False).ctx)
    assert found["stopped_by"] == stopped_by


def test_the_config_of_a_node_wins() -> None:
    state = one_round(
        {"rows": ROWS, "threshold": 0}, {"max_anomalies": 9, "key": "id", "outliers": "drop"}
    )
    assert (state["threshold"], state["key"], state["stopped_by"]) == (9, ["id"], "threshold")
    assert [rule["do"] for rule in state["rules"] if rule["kind"] == "range"] == ["drop"]


async def test_where_an_edge_leads_on_the_tool_does_not_go_back() -> None:
    state = await run_graph(looped({"to": "$end"}), {"rows": ROWS})
    assert (state["rounds"], state["stopped_by"]) == (1, None)


# what comes of it


async def test_inline_rows_come_back_clean_with_their_types() -> None:
    state = await run_graph(CHAIN, {"rows": ROWS})
    clean = state["clean_rows"]
    assert clean[:30] == ROWS[:30]
    assert clean[30] == {"id": 31, "city": "Berlin", "price": None, "ok": False}
    assert clean[32] == {"id": 33, "city": "Bonn", "price": 12.5}
    assert [row["id"] for row in clean] == list(range(1, 34))


def test_the_report_says_what_the_rules_changed() -> None:
    rows = [
        *({"n": 10 + n % 5, "c": "x", "k": n} for n in range(40)),
        {"n": None, "c": " x", "k": 40},
    ]
    rows += [{"n": 9_000, "c": "n/a", "k": 41}, {"n": 10, "c": "x", "k": 0}]
    changes = one_round({"rows": rows})["report"]["changes"]
    assert changes == {
        "rows_dropped": 1,
        "cells": {
            "n": {"changed": 2, "emptied": 1, "filled": 1},
            "c": {"changed": 2, "emptied": 0, "filled": 1},
        },
    }


def test_rows_that_are_too_large_do_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_work, "CLEAN_BYTES_MAX", 100)
    assert one_round({"rows": ROWS})["clean_rows"] is None


def test_a_cell_is_told_as_its_column_has_it() -> None:
    rows = [{"n": "1.0", "t": f"{'abc'[n % 3]} b"} for n in range(12)] + [
        {"n": "$3.00", "t": "x  y"}
    ]
    assert one_round({"rows": rows})["clean_rows"][-1] == {"n": 3, "t": "x y"}
    words = [{"n": str(n), "t": "a"} for n in range(40)] + [{"n": " twelve", "t": "b"}]
    rules = [{"kind": "whitespace", "column": "n"}]
    state = {"rows": words, "rules": rules, "findings": [], "new_rules": 0, "anomaly_count": 0}
    state |= {"rounds": 1, "anomalies_first": 0, "by_kind_first": {}, "source": "rows"}
    found = apply_rules.call(
        {**state, "row_count": 41, "profile": []}, config={}, ctx=Listener(is_last=False).ctx
    )
    assert found["clean_rows"][-1]["n"] == "twelve"


async def test_a_file_is_opened_in_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("n,c\n" + "".join(f"{n},x\n" for n in range(10)) + "y,x\n")
    state = await run_graph(CHAIN, {"path": "t.csv"}, tmp_path)
    assert (state["source"], state["row_count"], state["anomalies_first"]) == ("t.csv", 11, 1)
    assert "clean_rows" not in state
    async with st.open(":memory:", tools=[data_quality], data=tmp_path) as engine:
        run = await engine.run(CHAIN, {"path": "../t.csv"})
        assert run.status == "failed"
        assert "data folder" in str(run.error)


async def test_the_rules_of_a_run_apply_to_a_table_of_one_s_own(tmp_path: Path) -> None:
    pl.DataFrame({"n": [*range(20), 9_000], "c": ["x"] * 21}).write_parquet(tmp_path / "t.parquet")
    state = await run_graph(CHAIN, {"path": "t.parquet"}, tmp_path)
    clean = data_quality.apply(state["rules"], data_quality.read(tmp_path / "t.parquet"))
    assert clean["n"].to_list() == [*range(20), None]
    assert clean.schema == {"n": pl.Int64, "c": pl.String}
    again = await run_graph(CHAIN, {"path": "t.parquet", "rules": state["rules"]}, tmp_path)
    assert (again["anomalies_first"], again["rules"]) == (0, state["rules"])


def test_a_table_of_which_no_row_is_left_has_no_anomalies() -> None:
    rows = [{"n": n} for n in range(5)]
    state = one_round(
        {"rows": rows, "rules": [{"kind": "range", "column": "n", "do": "drop", "max": -1}]}
    )
    assert (state["rows_left"], state["anomaly_count"], state["clean_rows"]) == (0, 0, [])


def test_anomalies_are_told_some_of_each_kind_and_counted_all() -> None:
    columns = [f"c{place}" for place in range(12)]
    rows: list[State] = [dict.fromkeys(columns, n) | {"x": n} for n in range(2_000)]
    rows += [dict.fromkeys(columns, "bad") | {"x": 5_000 + n} for n in range(90)]
    state = merged({}, identify_anomalies.call({"rows": rows}, config={}, ctx=Listener().ctx))
    assert state["by_kind"]["type"] == 12 * 90
    assert len(state["anomalies"]) == table_work.TOLD_MAX
    assert len({one["column"] for one in state["anomalies"]}) >= 10
    assert state["anomalies"][0] == {
        **{"row": 2_001, "column": "c0", "kind": "type", "value": "bad"},
        "why": "no plain number, and the column is of numbers",
    }


def test_many_spellings_are_mended_round_by_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_work, "RESPELLED_MAX", 2)
    rows = [{"a": "Berlin", "b": "Bremen", "n": n} for n in range(90)]
    wrong = ("Berln", "Berlinn", "Brelin")
    rows += [{"a": city, "b": "Bremn", "n": n} for n, city in enumerate(wrong, 90)]
    first = one_round({"rows": rows})
    assert (first["anomaly_count"], first["stopped_by"]) == (4, None)
    last = one_round(one_round(first))
    assert last["anomaly_count"] == 0
    assert sum(len(rule["replace"]) for rule in last["rules"]) == 4


def test_a_misspelling_says_what_is_right() -> None:
    rows = [{"a": "Berlin", "n": n} for n in range(90)] + [{"a": "Berln", "n": 1}]
    (told,) = merged({}, identify_anomalies.call({"rows": rows}, config={}, ctx=Listener().ctx))[
        "anomalies"
    ]
    assert told["why"] == "a rare spelling of a frequent value: 'Berlin'"


def test_each_step_says_what_it_did() -> None:
    listener = Listener(is_last=False)
    state: State = {"rows": ROWS}
    for step in (profile_data, identify_anomalies, generate_rules, apply_rules):
        state = merged(state, step.call(state, config={}, ctx=listener.ctx))
    assert listener.said[0] == "round 1: 34 rows of 4 columns"
    assert listener.said[1].startswith(f"{state['anomalies_first']} anomalies: ")
    assert listener.said[-1] == state["report"]["summary"]
    assert len(listener.said) == 3 + len(state["rules"])
    clean = Listener()
    identify_anomalies.call({"rows": ROWS[:5]}, config={}, ctx=clean.ctx)
    assert clean.said == ["0 anomalies"]


# errors

WRONG: dict[str, tuple[State, str]] = {
    "no table": ({}, 'the state needs "path"'),
    "no rows": ({"rows": []}, '"rows": a table is a list of objects'),
    "no data": ({"data": 7}, '"data": a table is a list of objects'),
    "no folder": ({"path": "a.csv"}, "there is no data folder"),
    "no such key": (
        {"rows": ROWS, "key": "nr"},
        "\"key\" names the column 'nr', which is not there",
    ),
    "no key": (
        {"rows": ROWS, "key": 7},
        "^/key is an integer, not text or a list$",
    ),
    "no rules": ({"rows": ROWS, "rules": [{}]}, r"rules\[0\] is no rule"),
    "threshold": (
        {"rows": ROWS, "threshold": -1},
        r"^/threshold is at least 0$",
    ),
    "rounds": (
        {"rows": ROWS, "max_rounds": 21},
        "^/max_rounds is at most 20$",
    ),
    "true": ({"rows": ROWS, "max_rounds": True}, "^/max_rounds is true or false, not an integer$"),
    "a choice": (
        {"rows": ROWS, "fill": "x"},
        r"^/fill is one of auto, leave$",
    ),
}


@pytest.mark.parametrize(("state", "says"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said_in_a_sentence(state: State, says: str) -> None:
    with pytest.raises((ValueError, st.DataRefused, Misfit), match=says):
        one_round(state)


def test_a_step_says_which_one_goes_before() -> None:
    with pytest.raises(ValueError, match="let the tool identify_anomalies run before"):
        generate_rules.call({"rows": ROWS}, config={}, ctx=Listener().ctx)
    with pytest.raises(ValueError, match="let the tool generate_rules run before"):
        apply_rules.call({"rows": ROWS}, config={}, ctx=Listener().ctx)


def test_without_polars_the_tools_are_there_and_say_what_is_missing() -> None:
    program = """
import sys
import tomllib
sys.modules["polars"] = None
from stenograph.engine.errors import Misfit
from stenograph.workflows import data_quality
try:
    data_quality.apply([], None)
except RuntimeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (
        *('data quality needs polars: pip install "stenograph[workflows]"\n', ""),
    )


def test_a_missing_module_of_our_own_is_no_missing_polars() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_part"):
        data_quality._needing_polars("no_such_part")


def test_polars_is_imported_when_it_is_needed() -> None:
    program = "import sys; import stenograph.workflows.data_quality; print('polars' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_the_other_shape_of_the_graph_names_the_same_tools() -> None:
    other = data_quality.get_data_quality_graph_definition()
    nodes = {node["name"]: node["tool"] for node in other["nodes"]}
    assert nodes == {name: node["tool"] for name, node in data_quality.GRAPH["nodes"].items()}
    assert other["entry_point"] == data_quality.GRAPH["start"]
    ends = {name for edge in other["edges"] for name in edge.values()}
    assert ends == nodes.keys()
    assert {loop["node"] for loop in other["loops"]} <= nodes.keys()
    assert json.loads(json.dumps(other)) == other


def test_the_package_offers_the_tools_and_its_extra_names_polars() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    offered = project["entry-points"]["stenograph.tools"]["data_quality"]
    assert offered == data_quality.__name__
    assert any(need.startswith("polars") for need in project["optional-dependencies"]["workflows"])
