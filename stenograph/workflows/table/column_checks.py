"""Checks of one column: each yields what is odd there, by kind, with why and what a rule needs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import msgspec
import polars as pl
from msgspec import Struct

from stenograph.workflows.table import columns, formats, spellings, table_rules, tails
from stenograph.workflows.table.columns import Column, few
from stenograph.workflows.table.table_rules import AnyRule, Date, Range

KEY_NAME: Final = re.compile(r"(?i:(?:^|[\W_])(?:id|key|uuid|guid)$)|[a-z](?:Id|ID|Key)$")
"""How a column is called that names rows."""

ID_SHARE: Final = 0.99
ID_VALUES: Final = 50
"""So many whole numbers, of which this share differ, only name things."""

REPLACED_MAX: Final = 200
"""Most spellings that one rule replaces."""

REPLACED_LENGTH: Final = 100
"""Most characters of a value whose spelling is judged."""

MODE_SHARE: Final = 0.5
"""Share of its values that a category's most frequent one must have to fill a gap."""

SENTINELS: Final = ("0001-01-01", "1900-01-01", "9999-12-31")
"""Days that people write for none, for ever, or unknown."""

Found: TypeAlias = tuple[str, pl.Series, str, dict[str, Any]]
"""A kind of anomaly, which cells, why, and the facts for a rule."""


class Settled(Struct, frozen=True):
    """What rules before have settled: which columns may miss values, and the ranges.

    In those that are ``emptied``, values were made null, whatever they were.
    """

    missing: frozenset[str]
    emptied: frozenset[str]
    ranges: Mapping[str, Range]
    dates: Mapping[str, Date]


def settled(rules: Iterable[AnyRule]) -> Settled:
    """Return what rules settle: what they made null is known to be missing."""
    rules = list(rules)
    emptied = frozenset(table_rules.emptied(rules))
    gaps = {rule.column for rule in rules if isinstance(rule, table_rules.Missing)}
    return Settled(
        emptied | gaps,
        emptied,
        {rule.column: rule for rule in rules if isinstance(rule, Range)},
        {rule.column: rule for rule in rules if isinstance(rule, Date)},
    )


def check(column: Column, known: Settled) -> Iterator[Found]:
    """Yield what is odd in a column; what is not may be among it, with no cells."""
    yield from _whitespace(column)
    if column.name not in known.missing:
        yield from _missing(column)
    if column.type == "boolean":
        yield from _no_truth(column)
    elif column.is_number:
        yield from _no_number(column)
        yield from _outliers(column, known.ranges.get(column.name))
    elif column.is_date:
        yield from _dates(column, known.dates.get(column.name))
    elif column.type == "text":
        yield from _strangers(column)
    if column.type in ("boolean", "category"):
        yield from _spellings(column)


def _whitespace(column: Column) -> Iterator[Found]:
    stripped = columns.strip(column.raw)
    there = ~column.missing
    around = (column.raw != stripped).fill_null(False) & there
    within = columns.untidy(stripped) & there
    most = few(column.filled)
    names: list[str] = []
    mask = pl.repeat(False, len(there), eager=True)
    for part, name in ((around, "around the value"), (within, "within it")):
        if 0 < part.sum() <= most:
            mask, names = mask | part, [*names, name]
    why = f"white space {' or '.join(names)}"
    yield "whitespace", mask, why, {"within": "within it" in names}


def _missing(column: Column) -> Iterator[Found]:
    lower = columns.trim(column.raw).str.to_lowercase().fill_null("")
    gone = lower.set(~column.missing, None)
    count, all_ = int(column.missing.sum()), len(lower)
    if not count or not column.filled:
        return
    if count <= few(all_):
        why = f"missing, and {_percent(all_ - count, all_)} of the values are there"
        yield "missing", column.missing, why, {"spelled": _tokens(gone), **_filling(column)}
        return
    # Where much is missing, only a way of saying so that is unlike the others is an anomaly.
    counts = dict(columns.ranked(gone))
    usual = next(iter(counts))
    rare = [token for token in counts if token != usual and counts[token] <= few(count)]
    why = f"missing, and spelled unlike the {counts[usual]:,} others"
    facts = {"spelled": sorted(rare), "fill": None, "share": None}
    yield "missing", gone.is_in(rare).fill_null(False), why, facts


def _tokens(gone: pl.Series) -> list[str]:
    return sorted(gone.drop_nulls().unique().to_list())


def _filling(column: Column) -> dict[str, Any]:
    """Return what a gap may be filled with: a median, or a value that most others have."""
    if column.is_number and not is_identifier(column):
        values = columns.numbers(column.values, column.decimal).drop_nulls().sort()
        median = float(values[(len(values) - 1) // 2])
        return {"fill": table_rules.spelled(median, column.decimal), "share": None}
    if column.type == "category":
        value, count = columns.ranked(column.values)[0]
        if count >= MODE_SHARE * column.filled:
            return {"fill": value, "share": round(count / column.filled, 4)}
    return {"fill": None, "share": None}


def _no_truth(column: Column) -> Iterator[Found]:
    lower = column.values.str.to_lowercase()
    bad = ~lower.is_in([*columns.YES, *columns.NO]).fill_null(True)
    words = []
    for group in (columns.YES, columns.NO):
        there = columns.ranked(column.values.filter(lower.is_in(group).fill_null(False)))
        words.append(there[0][0] if there else group[0])
    yield "type", bad, "neither yes nor no, as the others are", {"type": "boolean", "words": words}


def _no_number(column: Column) -> Iterator[Found]:
    bad = columns.numbers(column.values, column.decimal).is_null() & column.values.is_not_null()
    plain = columns.plain_numbers(column.values, column.decimal).is_not_null() & bad
    why = "no plain number, and the column is of numbers"
    facts = {
        "type": column.type,
        "decimal": column.decimal,
        "readable": int(plain.sum()),
        "names": is_identifier(column),
    }
    yield "type", bad, why, facts


def _outliers(column: Column, known: Range | None) -> Iterator[Found]:
    if known is None and is_identifier(column):
        return
    values = columns.numbers(column.values, column.decimal)
    low, high, how = (known.min, known.max, "rule") if known else _fences(values, column.type)
    if low is None and tails.is_sign_rare(values):  # what a rule before has left to a person
        low, how = 0.0, "sign"
    fenced = Range(column=column.name, do="null", min=low, max=high, decimal=column.decimal)
    below, above = fenced.beyond(column.values)
    mask = below | above
    if not mask.any():
        return
    usual = columns.number_text(float(values.median() or 0))  # type: ignore[arg-type]
    why = f"outside {_range(low, high)}, the median being {usual}"
    if how == "sign" and not above.any():
        why = f"negative, as hardly any other is, the median being {usual}"
    # Whether a few negative numbers are wrong, no rule can know; what is too large beside them, it can.
    sign = how == "sign" and bool(below.any())
    facts = {
        "min": low if below.any() else None,
        "max": high if above.any() else None,
        "decimal": column.decimal,
        "worst": _farness(values.filter(above if sign and above.any() else mask), high),
        "sign": sign,
    }
    yield "outlier", mask, f"{why}; {how}" if how.startswith("robust") else why, facts


def _fences(values: pl.Series, type_: str) -> tuple[float | None, float | None, str]:
    """Return where a column ends below and above, and how that was judged."""
    fences = tails.bounds(values)
    low = None if fences.low is None else _rounded(fences.low.bound, -1, type_)
    high = None if fences.high is None else _rounded(fences.high.bound, 1, type_)
    there = [fence for fence in (fences.high, fences.low) if fence]
    how = "sign" if any(fence.scale == "sign" for fence in there) else "tail"
    for fence in there:
        if 0 < fence.z < math.inf and how != "sign":
            return low, high, f"robust z-score > {fence.z:.1f} of the {fence.scale}"
    return low, high, how


def _farness(far: pl.Series, high: float | None) -> float:
    """Return how many times beyond its bound the middle one of the outliers is."""
    times = [value / high if high and high > 0 and value > high else math.inf for value in far]
    times.sort()
    middle = times[len(times) // 2]
    return round(middle, 2) if middle < 1e12 else 1e12


def _dates(column: Column, known: Date | None) -> Iterator[Found]:
    values, format_ = column.values, column.format
    dated = columns.is_dated(values)
    why = "no date, and the column is of dates"
    yield "type", ~dated & values.is_not_null(), why, {"type": column.type}
    found = columns.days(values, format_)
    own = columns.is_spelled(values, format_)
    readable = columns.other_days(values).is_not_null()
    is_day = columns.has_day(values, format_)
    other = dated & found.is_null() & (~own | readable | is_day)
    why = f"a date, but not spelled {format_}"
    yield "format", other, why, {"date": format_, "readable": int((other & readable).sum())}
    impossible = own & found.is_null() & ~readable & ~is_day
    low, high = (known.min, known.max) if known else _date_range(found)
    below, above = _beyond(found, low, -1), _beyond(found, high, 1)
    far = below | above
    bounds = f", or outside {low or '…'} to {high or '…'}" if far.any() else ""
    low, high = low if below.any() else None, high if above.any() else None
    known_days = found.cast(pl.String).is_in(SENTINELS).fill_null(False)
    facts = {
        "format": format_,
        "min": low,
        "max": high,
        "keep": found.filter(far & known_days).unique().sort().cast(pl.String).to_list(),
        "wrong": int((impossible | (far & ~known_days)).sum()),
    }
    yield "date", impossible | far, f"a day that does not exist{bounds}", facts


def _date_range(found: pl.Series) -> tuple[str | None, str | None]:
    fences = tails.bounds(found.to_physical().cast(pl.Float64), signed=True)
    bounds: list[str | None] = []
    for fence, away in ((fences.low, math.floor), (fences.high, math.ceil)):
        # Days from the year 1 to 9999 are those that can be written.
        inside = fence is not None and -719_162 <= fence.bound <= 2_932_896
        day = pl.Series([away(fence.bound)] if fence and inside else [None], dtype=pl.Int32)
        bounds.append(day.cast(pl.Date).cast(pl.String)[0])
    return bounds[0], bounds[1]


def _beyond(found: pl.Series, bound: str | None, sign: int) -> pl.Series:
    if bound is None:
        return found.is_null() & False
    day = pl.Series([bound]).str.to_date("%Y-%m-%d")[0]
    far: pl.Series = (found > day) if sign > 0 else (found < day)
    return far.fill_null(False)


def _strangers(column: Column) -> Iterator[Found]:
    format_ = formats.find(column.values)
    if format_ is None:
        return
    bad = ~column.values.str.contains(format_.pattern).fill_null(True)
    why = f"no {format_.name}, and the other values are"
    if format_.name not in formats.KNOWN:
        why = f"not of the {format_.name} (A, a and 9 stand for letters and digits)"
    facts = {
        "pattern": format_.pattern,
        "letters": format_.letters,
        "loose": format_.loose,
        "parts": format_.parts,
    }
    rule = msgspec.convert({**facts, "column": column.name, "kind": "format"}, table_rules.Format)
    readable = rule.change(column.values.filter(bad)).count()
    yield "format", bad, why, {**facts, "readable": readable}


def _spellings(column: Column) -> Iterator[Found]:
    counts = {
        value: number
        for value, number in columns.ranked(column.values)
        if len(value) <= REPLACED_LENGTH
    }
    wrong = spellings.respell(counts)
    some = dict(sorted(wrong.items(), key=lambda pair: (-counts[pair[0]], pair))[:REPLACED_MAX])
    why = "a rare spelling of a frequent value"
    mask = column.values.is_in(list(wrong)).fill_null(False)
    yield "spelling", mask, why, {"replace": some}


def is_identifier(column: Column) -> bool:
    """Tell whether whole numbers only name things: nearly all differ, or the name says so."""
    if column.type != "integer":
        return False
    differ = column.filled >= ID_VALUES and column.distinct >= ID_SHARE * column.filled
    return differ or KEY_NAME.search(column.name) is not None


def _rounded(bound: float, sign: int, type_: str) -> float:
    """Return a bound with three figures, rounded outwards."""
    away = math.ceil if sign > 0 else math.floor
    if bound == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(bound))) - 2)
    if type_ == "integer":
        unit = max(unit, 1.0)
    rounded = away(bound / unit) * unit
    return float(f"{rounded:.12g}")


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"… to {columns.number_text(high or 0.0)}"
    return f"{columns.number_text(low)} to {'…' if high is None else columns.number_text(high)}"


def _percent(part: int, whole: int) -> str:
    return f"{math.floor(1000 * part / whole) / 10:g} %"
