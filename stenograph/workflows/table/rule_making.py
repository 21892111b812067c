"""Making rules: which rule mends which anomalies, chosen by a few choices that a person may make.

Nothing is guessed where a person must decide: keys that two different rows share stay as they are
unless the key was given, and so do a few negative numbers, what is wrong or missing in a key, and
what does not fit a format that was read off the other values and cannot be brought into it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from stenograph.workflows.table import table_report, table_rules
from stenograph.workflows.table.columns import number_text
from stenograph.workflows.table.table_rules import AnyRule

Fill: TypeAlias = Literal["auto", "leave"]
Outliers: TypeAlias = Literal["auto", "clip", "null", "drop"]
Unreadable: TypeAlias = Literal["leave", "null"]

CLIP_MAX: Final = 10.0
"""Times beyond a bound that a number may lie to be clipped; farther ones are made null."""


class Choices(Struct, frozen=True):
    """What a person may choose: whether gaps are filled, and what becomes of outliers.

    ``unreadable`` says it of what does not fit a format, and of days that stand for none.
    """

    fill: Fill = "auto"
    outliers: Outliers = "auto"
    unreadable: Unreadable = "leave"


def choices(given: Mapping[str, Any]) -> Choices:
    """Return choices: of the state, with those of a config over them."""
    names = Choices.__struct_fields__
    return Choices(**{name: given[name] for name in names if name in given})


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
            leave = facts.get("names", False) and chosen.unreadable == "leave"
            return _converting(table_rules.Type, one, facts, leave=leave)
        case "format":
            leave = is_key or chosen.unreadable == "leave"
            return _converting(table_rules.Format, one, facts, leave=leave)
        case "date":
            return _date(one, facts, chosen)
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


def _converting(
    rule: type[table_rules.Type | table_rules.Format],
    one: dict[str, Any],
    facts: Mapping[str, Any],
    *,
    leave: bool,
) -> AnyRule | None:
    """Return a rule that converts what it can read, or None where it would leave everything."""
    known = {name: value for name, value in facts.items() if name not in ("readable", "names")}
    if not leave:
        return rule(**one, **known)
    readable = facts["readable"]
    if not readable:
        return None
    if readable < one["rows"]:
        one["because"] += f"; {readable:,} of them can be read"
    return rule(**one, **known, do="convert-or-leave")


def _date(one: dict[str, Any], facts: Mapping[str, Any], chosen: Choices) -> AnyRule | None:
    known = {name: facts[name] for name in ("format", "min", "max")}
    if chosen.unreadable == "null":
        return table_rules.Date(**one, **known)
    if not facts["wrong"]:
        return None
    if facts["keep"]:
        one["because"] += f"; {', '.join(facts['keep'])} may stand for none, and stay"
    return table_rules.Date(**one, **known, keep=facts["keep"])


def _range(one: dict[str, Any], facts: Mapping[str, Any], chosen: Choices) -> AnyRule | None:
    do, least = chosen.outliers, facts["min"]
    if do == "auto":
        if facts["sign"]:  # a refund, a day of frost, or a slip: a person knows
            least = None
            if facts["max"] is None:
                return None
        near = facts["worst"] <= CLIP_MAX
        do = "clip" if near else "null"
        far = number_text(facts["worst"])
        one["because"] += (
            f"; clipped, as the middle one is {far} times its bound"
            if near
            else "; too far to mend"
        )
    bounds = {"min": least, "max": facts["max"], "decimal": facts["decimal"]}
    return table_rules.Range(**one, **bounds, do=do)
