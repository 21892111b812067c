"""The work of the data quality tools: the table of a state, and what each step finds out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
import polars as pl
from msgspec import Struct

from stenograph.workflows.table import (
    anomalies,
    columns,
    profiles,
    rule_making,
    table_rules,
    tables,
)
from stenograph.workflows.table.anomalies import Finding
from stenograph.workflows.table.column_checks import settled
from stenograph.workflows.table.columns import Column
from stenograph.workflows.table.tables import ROW

State: TypeAlias = dict[str, Any]

TOLD_MAX: Final = 200
"""Most anomalies told one by one; all are counted."""

TOLD_EACH: Final = 20
"""Most of one kind in one column, as long as others have something to tell."""

RESPELLED_MAX: Final = 500
"""Most spellings that the rules of one round replace."""

CLEAN_BYTES_MAX: Final = 1024 * 1024
"""Most bytes of rows, as JSON, that are put back into the state."""


class Work(Struct, frozen=True):
    """A table with the rules of its state applied."""

    name: str
    source: pl.DataFrame
    text: pl.DataFrame
    rules: list[table_rules.AnyRule]
    key: list[str]


def load(state: Mapping[str, Any], config: Mapping[str, Any], find: Callable[[str], Path]) -> Work:
    """Return the table of a state: a fold of its rules over its source."""
    name, source = _source(state, find)
    rules = table_rules.parse(state.get("rules", []))
    text = table_rules.fold(tables.texts(source), rules)
    return Work(name, source, text, rules, _key(config.get("key", state.get("key", []))))


def profile(work: Work) -> State:
    """Return what is known of a table: its ``source``, ``row_count`` and ``profile``."""
    studied = anomalies.study(work.text)
    return {
        "source": work.name,
        "row_count": work.source.height,
        "profile": [profiles.profile(column) for column in studied.values()],
        "rules": plain_rules(work),
        "key": work.key,
    }


def plain_rules(work: Work) -> list[State]:
    """Return the rules that were applied, as JSON, each with what it does."""
    return [table_rules.plain(rule) for rule in work.rules]


def detect(work: Work) -> tuple[list[Finding], dict[str, Column]]:
    """Return what is unusual in a table, and what its columns are."""
    if not work.text.height:
        return [], {}
    studied = anomalies.study(work.text)
    return anomalies.find(work.text, studied, work.key, settled(work.rules)), studied


def key_columns(work: Work, studied: Mapping[str, Column]) -> list[str]:
    """Return the columns that name rows: those given, or else those that look like it."""
    return work.key or anomalies.inferred_keys(studied)


def counted(found: Sequence[Finding]) -> State:
    """Return the numbers of anomalies: ``anomaly_count``, ``by_kind``, ``by_column``."""
    kinds: Counter[str] = Counter()
    places: Counter[str] = Counter()
    for finding in found:
        kinds[finding.kind] += finding.count
        if finding.column:
            places[finding.column] += finding.count
    return {
        "anomaly_count": kinds.total(),
        "by_kind": dict(kinds),
        "by_column": dict(places.most_common()),
    }


def told(found: Sequence[Finding]) -> list[State]:
    """Return anomalies one by one, ``{row, column, kind, value, why}``, of each kind some first."""
    rest = TOLD_MAX - sum(min(TOLD_EACH, finding.count) for finding in found)
    lines: list[State] = []
    for finding in found:
        most = min(TOLD_EACH, finding.count)
        more = min(finding.count - most, max(rest, 0))
        rest -= more
        for row, value in finding.cells.head(most + more).select(ROW, "value").rows():
            lines.append(
                {
                    "row": row,
                    "column": finding.column or None,
                    "kind": finding.kind,
                    "value": profiles.shown(value),
                    "why": _why(finding, value),
                }
            )
    return lines[:TOLD_MAX]


def facts(found: Sequence[Finding]) -> list[State]:
    """Return what rules are made from: ``{kind, column, count, why, facts}`` a finding."""
    left, lines = RESPELLED_MAX, []
    for finding in found:
        known = dict(finding.facts)
        if "replace" in known:
            known["replace"] = dict(list(known["replace"].items())[:left])
            left -= len(known["replace"])
        line = {"kind": finding.kind, "column": finding.column, "count": finding.count}
        lines.append({**line, "why": finding.why, "facts": known})
    return lines


def new_rules(findings: Sequence[State], state: State, chosen: rule_making.Choices) -> list[State]:
    """Return the rules for findings, as JSON, without those that were made a round ago.

    An older rule is made again: what came after it may have brought new work for it.
    """
    keys = {*state.get("key_columns", [])}
    before = table_rules.parse(state.get("rules", []))
    made = [rule_making.make(finding, keys, chosen) for finding in findings]
    emptied = table_rules.emptied([*before, *(rule for rule in made if rule is not None)])
    made = [
        msgspec.structs.replace(rule, present=sorted(emptied))
        if isinstance(rule, table_rules.DuplicateRow)
        else rule
        for rule in made
    ]
    had = [_bare(rule) for rule in state.get("rules", [])[-state.get("new_rules", 0) :]]
    rules = [table_rules.plain(rule) for rule in made if rule is not None]
    return [rule for rule in rules if _bare(rule) not in had and rule.get("replace") != {}]


def changes(work: Work) -> State:
    """Return what the rules did: ``rows_dropped``, and in each changed column how many cells.

    A column's cells were ``changed``; of those so many were ``emptied`` and so many ``filled``.
    """
    before = tables.texts(work.source)[work.text[ROW] - 1]
    cells: dict[str, dict[str, int]] = {}
    for name in tables.columns_of(work.text):
        old, new = before[name], work.text[name]
        if changed := int(new.ne_missing(old).sum()):
            was_missing = columns.is_missing(columns.trim(old))
            cells[name] = {
                "changed": changed,
                "emptied": int((new.is_null() & ~was_missing).sum()),
                "filled": int((was_missing & ~columns.is_missing(columns.trim(new))).sum()),
            }
    return {"rows_dropped": work.source.height - work.text.height, "cells": cells}


def clean_rows(work: Work, rows: Sequence[State], studied: Mapping[str, Column]) -> Any:
    """Return the rows of a state with its rules applied; None when they are too large.

    A cell that no rule changed is as it was, one that was changed has the type of its column.
    """
    before = tables.texts(work.source)
    names = tables.columns_of(work.text)
    places = (work.text[ROW] - 1).to_list()
    clean = [dict(rows[place]) for place in places]
    for name in names:
        same = work.text[name].eq_missing(before[name][work.text[ROW] - 1])
        for at in (~same).arg_true():
            clean[at][name] = _value(work.text[name][int(at)], studied[name])
    return clean if len(msgspec.json.encode(clean)) <= CLEAN_BYTES_MAX else None


def given_rows(state: Mapping[str, Any]) -> Any:
    """Return the rows that stand in the state, or None."""
    return None if state.get("path") is not None else state.get("rows", state.get("data"))


def _source(state: Mapping[str, Any], find: Callable[[str], Path]) -> tuple[str, pl.DataFrame]:
    path = state.get("path")
    if path is not None:
        return str(path), tables.read(find(path), str(path))
    rows = given_rows(state)
    if rows is None:
        raise ValueError(
            'the state needs "path", a table in the data folder such as "orders.csv", '
            'or "rows", a list of objects'
        )
    return "rows", tables.from_rows(rows, '"rows"' if "rows" in state else '"data"')


def _key(given: str | list[str]) -> list[str]:
    return [given] if isinstance(given, str) else given


def _why(finding: Finding, value: object) -> str:
    if finding.kind == "spelling":
        right = finding.facts["replace"].get(columns.trim(pl.Series([value]))[0])
        return f"{finding.why}: {right!r:.100}" if right else finding.why
    return finding.why


def _bare(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in rule.items() if name not in ("because", "rows")}


def _value(text: str | None, column: Column) -> object:
    values = pl.Series([text], dtype=pl.String)
    if text is None:
        return None
    if column.type == "boolean":
        return columns.truths(values)[0]
    if column.is_number:
        number = columns.numbers(values, column.decimal)[0]
        return text if number is None else columns.plain_number(number)
    return text
