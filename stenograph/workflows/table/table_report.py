"""The report on a table: what it is, what was wrong, which rules mended it, and what is left."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

MARKDOWN_MAX: Final = 65_536
"""Most bytes of the report as text, in UTF-8."""

CUT: Final = "\n\n(The report is longer; the rest is in `report`.)\n"
COLUMNS_TOLD: Final = 100
RULES_TOLD: Final = 200
LEFT_TOLD: Final = 50

STOPS: Final = {
    "threshold": "no more anomalies are left than may be",
    "no-rule": "what is left is for a person to decide: no rule mends it",
    "no-improvement": "the rules of the last two rounds left no fewer anomalies",
    "max-rounds": "no round is left",
}
"""Why there is no other round, in words."""

VERBS: Final = {
    "trim": "trim",
    "leave": "leave empty",
    "fill": "fill",
    "convert-or-null": "convert, or else empty",
    "convert-or-leave": "convert, or else leave",
    "null": "empty",
    "clip": "clip",
    "drop": "drop the row",
    "replace": "replace",
}
"""What a rule does, in words."""


def report(state: Mapping[str, Any], left: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the report on the rounds so far, from what the state holds."""
    rules = [dict(rule, text=sentence(rule)) for rule in state["rules"]]
    return {
        "summary": summary(state),
        "source": state["source"],
        "rows": state["row_count"],
        "rows_left": state["rows_left"],
        "columns": state["profile"],
        "rounds": state["rounds"],
        "counts": state["counts"],
        "anomalies_first": state["anomalies_first"],
        "anomalies_left": state["anomaly_count"],
        "threshold": state["threshold"],
        "passed": state["anomaly_count"] <= state["threshold"],
        "stopped_by": state["stopped_by"],
        "by_kind": by_kind(state["by_kind_first"], state["by_kind"]),
        "rules": rules,
        "changes": state["changes"],
        "left": list(left)[:LEFT_TOLD],
    }


def by_kind(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return how many anomalies of each kind there were before the rules, and after them."""
    kinds = [*before, *(kind for kind in after if kind not in before)]
    return {kind: {"before": before.get(kind, 0), "after": after.get(kind, 0)} for kind in kinds}


def summary(state: Mapping[str, Any]) -> str:
    """Return the report in a sentence."""
    verdict = "passed" if state["anomaly_count"] <= state["threshold"] else "missed"
    return (
        f"{state['anomaly_count']:,} of {count(state['anomalies_first'], 'anomaly', 'anomalies')} "
        f"left after {count(state['rounds'], 'round')} and {count(len(state['rules']), 'rule')}: "
        f"{verdict} (at most {state['threshold']:,})"
    )


def sentence(rule: Mapping[str, Any]) -> str:
    """Return a rule in words: ``price: clip to 0.5 … 240, as …``."""
    what, do = rule.get("column", "rows"), VERBS[rule["do"]]
    match rule["kind"]:
        case "missing" if rule["do"] == "fill":
            do = f"fill what is missing with {json.dumps(rule['value'], ensure_ascii=False)}"
        case "range":
            ends = {"below": rule.get("min"), "above": rule.get("max")}
            told = [f"{side} {end:,.12g}" for side, end in ends.items() if end is not None]
            do = f"{do} {' or '.join(told)}"
        case "spelling":
            do = f"replace {count(len(rule['replace']), 'spelling')}: {_some(rule['replace'])}"
        case "duplicate_key":
            what = ", ".join(rule["columns"])
        case _:
            pass
    return f"{what}: {do}, as: {rule.get('because', 'it was given')}"


def markdown(whole: Mapping[str, Any]) -> str:
    """Return a report as Markdown, 65,536 bytes at most."""
    parts = [
        f"# Data quality of {_cell(whole['source'])}",
        _sentence(whole["summary"]),
        f"{whole['rows']:,} rows, {whole['rows_left']:,} after the rules; "
        f"{count(len(whole['columns']), 'column')}."
        + (f" There is no other round: {STOPS[stop]}." if (stop := whole["stopped_by"]) else ""),
        "## Anomalies",
        _table(
            ("kind", "before", "after"),
            ((kind, each["before"], each["after"]) for kind, each in whole["by_kind"].items()),
        ),
        "## Rules",
        _listed((each["text"] for each in whole["rules"]), RULES_TOLD) or "None was needed.",
        "## What the rules changed",
        _changes(whole["changes"]),
        "## What is left",
        _table(
            ("row", "column", "kind", "value", "why"),
            ((e["row"], e["column"], e["kind"], e["value"], e["why"]) for e in whole["left"]),
        )
        if whole["left"]
        else "Nothing.",
        "## Columns",
        _table(
            ("column", "type", "missing", "distinct", "values"),
            (_column(each) for each in whole["columns"][:COLUMNS_TOLD]),
        ),
        "## How to apply the rules",
        "Save `rules` of the run's state as `rules.json`; then\n\n```python\nimport json\n\n"
        "from stenograph.workflows import data_quality\n\n"
        'rules = json.load(open("rules.json"))\n'
        'table = data_quality.read("FILE")\n'
        'data_quality.apply(rules, table).write_parquet("clean.parquet")\n```',
    ]
    return _cut("\n\n".join(parts) + "\n")


def count(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: ``1 rule``, ``1,024 rules``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _some(replaced: Mapping[str, str]) -> str:
    first = [f"{wrong!r} by {right!r}" for wrong, right in list(replaced.items())[:3]]
    return ", ".join(first) + (" …" if len(replaced) > len(first) else "")


def _changes(changes: Mapping[str, Any]) -> str:
    dropped = count(changes["rows_dropped"], "row was dropped", "rows were dropped")
    if not changes["cells"]:
        return f"{dropped}; no cell was changed."
    lines = [(name, *each.values()) for name, each in changes["cells"].items()]
    head = ("column", "cells changed", "of them emptied", "of them filled, with a guess")
    return f"{dropped}.\n\n{_table(head, lines)}"


def _sentence(text: str) -> str:
    return f"**{text}**"


def _column(each: Mapping[str, Any]) -> tuple[object, ...]:
    if "top" in each:
        values = ", ".join(f"{value} ({number:,})" for value, number in each["top"])
    elif "min" in each:
        values = f"{each['min']} … {each['max']}"
    else:
        values = ""
    return each["name"], each["type"], each["missing"], each["distinct"], values


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _listed(texts: Iterable[str], most: int) -> str:
    lines = [f"{place}. {_cell(text)}" for place, text in enumerate(texts, 1)]
    more = [f"\n({len(lines) - most:,} more)"] if len(lines) > most else []
    return "\n".join(lines[:most] + more)


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = f"{value:,}" if isinstance(value, int) else str(value)
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return plain.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def _cut(text: str) -> str:
    encoded = text.encode()
    if len(encoded) <= MARKDOWN_MAX:
        return text
    kept = encoded[: MARKDOWN_MAX - len(CUT.encode())].decode(errors="ignore")
    return kept.rpartition("\n")[0] + CUT
