"""Making rules: which rule mends which anomalies, chosen by a few choices that a person may make.

Nothing is guessed where a person must decide: keys that two different rows share stay as they are
unless the key was given, and so does what is wrong or missing in a key.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, Literal, TypeAlias, get_args

from msgspec import Struct

from stenograph.workflows.table import table_report, table_rules
from stenograph.workflows.table.columns import number_text
from stenograph.workflows.table.table_rules import AnyRule

Fill: TypeAlias = Literal["auto", "leave"]
Outliers: TypeAlias = Literal["auto", "clip", "null", "drop"]

CLIP_MAX: Final = 10.0
"""Times beyond a bound that a number may lie to be clipped; farther ones are made null."""


class Choices(Struct, frozen=True):
    """What a person may choose: whether gaps are filled, and what becomes of outliers."""

    fill: Fill = "auto"
    outliers: Outliers = "auto"


def choices(given: Mapping[str, object]) -> Choices:
    """Return choices; raises ValueError for what is none."""
    fill: Any = given.get("fill", "auto")
    outliers: Any = given.get("outliers", "auto")
    for name, value, all_ in (("fill", fill, Fill), ("outliers", outliers, Outliers)):
        if value not in get_args(all_):
            raise ValueError(f'"{name}" is one of {", ".join(get_args(all_))}; it is {value!r:.80}')
    return Choices(fill, outliers)


def make(finding: Mapping[str, Any], keys: Collection[str], chosen: Choices) -> AnyRule | None:
    """Return the rule for one finding, or None when that is left to a person.

    ``finding`` is ``{kind, column, count, why, facts}``; ``keys`` are the columns that name rows.
    """
    column, facts, count = finding["column"], finding["facts"], finding["count"]
    said: dict[str, Any] = {"because": "", "rows": count}
    one: dict[str, Any] = {**said, "column": column}
    thing = "row" if finding["kind"] in ("duplicate_row", "duplicate_key") else "value"
    times = table_report.count(count, thing)
    one["because"] = said["because"] = f"{finding['why']} ({times})"
    is_key = column in keys
    if is_key and finding["kind"] in ("missing", "type", "date", "outlier"):
        return None
    match finding["kind"]:
        case "whitespace":
            return table_rules.Whitespace(**one, within=facts["within"])
        case "missing":
            return _missing(one, facts, chosen)
        case "type":
            return table_rules.Type(**one, **{k: v for k, v in facts.items() if k != "readable"})
        case "format":
            one["do"] = "convert-or-leave" if is_key else "convert-or-null"
            return table_rules.Format(**one, **facts)
        case "date":
            return table_rules.Date(**one, **facts)
        case "outlier":
            return _range(one, facts, chosen)
        case "spelling":
            return table_rules.Spelling(**one, replace=facts["replace"])
        case "duplicate_row":
            return table_rules.DuplicateRow(**said)
        case _:
            known = facts["given"]
            return table_rules.DuplicateKey(**said, columns=facts["columns"]) if known else None


def _missing(one: dict[str, Any], facts: Mapping[str, Any], chosen: Choices) -> AnyRule:
    value, share = facts["fill"], facts["share"]
    if chosen.fill == "leave" or value is None:
        return table_rules.Missing(**one, spelled=facts["spelled"])
    how = "the median" if share is None else f"what {share:.0%} of the others are"
    one["because"] += f"; filled with {how}, which is a guess"
    return table_rules.Missing(**one, spelled=facts["spelled"], do="fill", value=value)


def _range(one: dict[str, Any], facts: Mapping[str, Any], chosen: Choices) -> AnyRule:
    do = chosen.outliers
    if do == "auto":
        near = facts["worst"] <= CLIP_MAX and not facts["sign"]
        do = "clip" if near else "null"
        far = number_text(facts["worst"])
        one["because"] += (
            f"; clipped, as the middle one is {far} times its bound"
            if near
            else "; too far to mend"
        )
    bounds = {"min": facts["min"], "max": facts["max"], "decimal": facts["decimal"]}
    return table_rules.Range(**one, **bounds, do=do)
