"""Data quality: profile a table, find anomalies, make rules, apply them, until it is good enough.

``profile → identify → generate → apply``, again while that helps. The table is a file in the data
folder, ``path``, or ``rows`` in the state. docs/data-quality.md tells each method and threshold.

A table never enters the state: it is its source with the state's ``rules`` applied, in each step.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from msgspec import UNSET

import stenograph as st
from stenograph.workflows.table import table_report
from stenograph.workflows.table.states import (
    ROUNDS,
    ROUNDS_MAX,
    Applied,
    Config,
    Generated,
    Identified,
    Profiled,
    ToApply,
    ToGenerate,
    ToIdentify,
    ToProfile,
    given,
)

if TYPE_CHECKING:
    import polars as pl

    from stenograph.workflows.table.table_work import Work

State: TypeAlias = dict[str, Any]

VERSION: Final = "1"
"""Of the tools; to be raised whenever the same table would be judged otherwise."""

AT_ONCE: Final = 2
"""How many tables each tool works on at a time: the largest takes 1.5 GB."""

PATIENCE: Final = 2
"""Rounds in a row that may go by without fewer anomalies than after all before."""

THRESHOLDS: Final = ("threshold", "anomaly_threshold", "max_anomalies")
"""How the state or the config may spell how many anomalies may be left."""

GRAPH: Final[dict[str, Any]] = {
    "id": "data-quality",
    "start": "profile",
    "nodes": {
        "profile": {"tool": "profile_data", "next": "identify"},
        "identify": {"tool": "identify_anomalies", "next": "generate"},
        "generate": {"tool": "generate_rules", "next": "apply"},
        "apply": {
            "tool": "apply_rules",
            "next": [
                {"to": "profile", "when": "not stopped_by", "max": ROUNDS_MAX},
                {"to": "$end"},
            ],
        },
    },
}
"""The graph, in canonical form."""


def get_data_quality_graph_definition() -> dict[str, Any]:
    """Return the graph as lists of nodes, edges and loops: another common shape of a graph."""
    tools = ("profile_data", "identify_anomalies", "generate_rules", "apply_rules")
    names = ("profile", "identify", "generate", "apply")
    return {
        "name": "data-quality",
        "nodes": [
            {"name": name, "tool": tool, "config": {}}
            for name, tool in zip(names, tools, strict=True)
        ],
        "edges": [
            {"from_node": one, "to_node": other}
            for one, other in zip(names, (*names[1:], names[0]), strict=True)
        ],
        "loops": [
            {
                "node": "apply",
                "condition": {"field": "anomaly_count", "operator": "<=", "value": 0},
                "max_iterations": ROUNDS,
            }
        ],
        "entry_point": "profile",
    }


@st.tool(effects="pure", version=VERSION, limit=AT_ONCE)
def profile_data(state: ToProfile, config: Config, ctx: st.Context) -> Profiled:
    """Read the table and say what each column is: ``profile``, ``row_count``, ``source``.

    Also ``rounds``, how many have begun, ``rules``, those that have been applied, and ``key``.
    """
    work = _load(state, config, ctx)
    update: Profiled = _work().profile(work)
    rounds = state.get("rounds", 0) + 1
    update["rounds"] = rounds
    rows = table_report.count(work.text.height, "row")
    ctx.log(f"round {rounds}: {rows} of {table_report.count(len(update['profile']), 'column')}")
    return update


@st.tool(effects="pure", version=VERSION, limit=AT_ONCE)
def identify_anomalies(state: ToIdentify, config: Config, ctx: st.Context) -> Identified:
    """Find what is unusual: ``anomaly_count``, ``by_kind``, ``by_column``, some ``anomalies``.

    ``findings`` is what rules are made from. The first time also ``anomalies_first`` and
    ``by_kind_first``.
    """
    work = _load(state, config, ctx)
    found, studied = _work().detect(work)
    update: Identified = _work().counted(found)
    update |= {
        "anomalies": _work().told(found),
        "findings": _work().facts(found),
        "key": work.key,
        "key_columns": _work().key_columns(work, studied),
    }
    if "anomalies_first" not in state:
        update["anomalies_first"] = update["anomaly_count"]
        update["by_kind_first"] = update["by_kind"]
    by_kind: State = {**update["by_kind"]}
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in by_kind.items())
    number = table_report.count(update["anomaly_count"], "anomaly", "anomalies")
    ctx.log(f"{number}: {kinds}" if kinds else number, **by_kind)
    return update


@st.tool(effects="pure", version=VERSION, limit=AT_ONCE)
def generate_rules(state: ToGenerate, config: Config, ctx: st.Context) -> Generated:
    """Add to ``rules`` those that mend the findings; ``new_rules`` says how many are new.

    ``fill``, ``outliers`` and ``unreadable``, of the config or else the state, choose what they do.
    """
    if "findings" not in state:
        raise ValueError(
            "there are no findings: let the tool identify_anomalies run before generate_rules"
        )
    chosen = _making().choices({**state, **given(config)})
    new: list[State] = _work().new_rules(state["findings"], state, chosen)
    for rule in new:
        ctx.log(table_report.sentence(rule))
    return {"rules": [*state.get("rules", []), *new], "new_rules": len(new)}


@st.tool(effects="pure", version=VERSION, limit=AT_ONCE)
def apply_rules(state: ToApply, config: Config, ctx: st.Context) -> Applied | st.Goto:
    """Apply the rules, count again, and report: ``anomaly_count``, ``report``, ``report_markdown``.

    ``improved`` says that there are fewer anomalies than the ``anomalies_before``; ``stopped_by``
    says why another round would not help, or is null. Then, where no edge leads on, the run goes
    back to its start by itself. Rows in the state come back as ``clean_rows``.
    """
    if "new_rules" not in state:
        raise ValueError("there are no rules: let the tool generate_rules run before apply_rules")
    threshold, most = _threshold(state, config), _max_rounds(state, config)
    work = _load(state, config, ctx)
    found, studied = _work().detect(work)
    update: Applied = _work().counted(found)
    before, after = state["anomaly_count"], update["anomaly_count"]
    left = _work().told(found)
    update |= {
        "anomalies": left,
        "anomalies_before": before,
        "improved": after < before,
        "counts": [*state.get("counts", []), after],
        "rows_left": work.text.height,
        "threshold": threshold,
        "max_rounds": most,
        "stopped_by": _stopped_by(state, after, threshold, most),
    }
    if (rows := _work().given_rows(state)) is not None:
        update["clean_rows"] = _work().clean_rows(work, rows, studied)
    known: State = {**state, **update, "rules": _work().plain_rules(work)}
    known["changes"] = _work().changes(work)
    update["report"] = whole = table_report.report(known, left)
    update["report_markdown"] = table_report.markdown(whole)
    ctx.log(whole["summary"], before=before, after=after, threshold=threshold)
    if ctx.is_last and update["stopped_by"] is None:
        return st.Goto(ctx.start, update)
    return update


TOOLS: Final = (profile_data, identify_anomalies, generate_rules, apply_rules)


def read(path: str | PathLike[str]) -> pl.DataFrame:
    """Return the table in a file, as the tools read it; raises ValueError when it is none."""
    _work()
    from stenograph.workflows.table import tables

    return tables.read(Path(path), str(path))


def apply(rules: list[State], table: pl.DataFrame) -> pl.DataFrame:
    """Return a table with the rules of a run applied, as ``rules`` of its state has them.

    Columns keep their types, and cells that no rule changes their values. Raises ValueError for
    what is no rule, and for a rule on a column that is not there.
    """
    _work()
    from stenograph.workflows.table import table_rules, tables

    text = tables.texts(table)
    return tables.restored(table_rules.fold(text, table_rules.parse(rules)), text, table)


def _work() -> Any:
    return _needing_polars("table_work")


def _making() -> Any:
    return _needing_polars("rule_making")


def _needing_polars(name: str) -> ModuleType:
    # Not at the top: a server starts without polars, and faster.
    try:
        return import_module(f"stenograph.workflows.table.{name}")
    except ModuleNotFoundError as error:
        if error.name != "polars":
            raise
        raise RuntimeError(
            'data quality needs polars: pip install "stenograph[workflows]"'
        ) from None


def _load(state: Mapping[str, Any], config: Config, ctx: st.Context) -> Work:
    work: Work = _work().load(state, given(config), ctx.data)
    return work


def _threshold(state: Mapping[str, Any], config: Config) -> int:
    for one in (given(config), state):
        for name in THRESHOLDS:
            if name in one:
                found: int = one[name]
                return found
    return 0


def _max_rounds(state: ToApply, config: Config) -> int:
    return state.get("max_rounds", ROUNDS) if config.max_rounds is UNSET else config.max_rounds


def _stopped_by(state: ToApply, after: int, threshold: int, most: int) -> str | None:
    if after <= threshold:
        return "threshold"
    if not state["new_rules"]:
        return "no-rule"
    # One round may bring no fewer: rows that are dropped may let others look odd.
    history = [state["anomalies_first"], *state.get("counts", []), after]
    if len(history) > PATIENCE and min(history[-PATIENCE:]) >= min(history[:-PATIENCE]):
        return "no-improvement"
    if state["rounds"] >= most:
        return "max-rounds"
    return None
