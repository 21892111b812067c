"""Columns: what is missing in one, and what the rest is: numbers, dates, categories or text.

A column is what all but a few of its values are. A few of n is 5 % of them, or half the square
root of n, whichever is more: one of 10, 5 of 100, 50 of 1,000.
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal, TypeAlias

import polars as pl
from msgspec import Struct

Sign: TypeAlias = Literal[".", ","]
"""What stands between the whole part of a number and the rest."""

FEW: Final = 0.05
FEW_OF_SMALL: Final = 0.5
CATEGORY_SHARE: Final = 0.05
CATEGORY_MAX: Final = 5_000
CATEGORY_SMALL: Final = 0.5
SMALL: Final = 200
"""A table of fewer rows is small: every second value of a category may be a new one."""

SURE_TOKENS: Final = ("", "n/a", "na", "n.a.", "#n/a", "null", "(null)", "nan", "undefined")
VAGUE_TOKENS: Final = ("none", "nil", "missing", "-", "--", "---", "?", "??", ".")
"""Spellings of "missing"; the vague ones only when they are few in their column."""

EXACT: Final = 2**53
"""Up to here a float knows each whole number; JSON has none beyond 2**63."""

WHITE: Final = r"[\s\x{a0}\x{200b}\x{feff}]+"
YES: Final = ("true", "yes", "y", "t")
NO: Final = ("false", "no", "n", "f")
NUMBER: Final[dict[Sign, str]] = {
    ".": r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$",
    ",": r"^[+-]?\d+(?:,\d+)?$",
}
CODE: Final = r"^0\d"
DATES: Final = {
    "%Y-%m-%d": r"^\d{4}-\d{2}-\d{2}$",
    "%Y-%m-%dT%H:%M:%S": r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}",
    "%Y/%m/%d": r"^\d{4}/\d{1,2}/\d{1,2}$",
    "%d.%m.%Y": r"^\d{1,2}\.\d{1,2}\.\d{4}$",
    "%d/%m/%Y": r"^\d{1,2}/\d{1,2}/\d{4}$",
    "%d %b %Y": r"^\d{1,2} [A-Za-z]{3,9} \d{4}$",
    "%b %d, %Y": r"^[A-Za-z]{3,9} \d{1,2}, \d{4}$",
}
"""The spellings of a date that are known, and how each looks."""

STAMP: Final = "%Y-%m-%dT%H:%M:%S"
STAMPED: Final = (
    r"^\d{4}-\d{2}-\d{2}(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?"
    r"(?: ?(?:Z|UTC|[+-]\d{2}:?\d{2}))?)?$"
)


_SLASHED: Final = DATES["%d/%m/%Y"]


class Column(Struct, frozen=True):
    """What a column is. ``values`` are trimmed; null where ``missing``."""

    name: str
    type: str
    raw: pl.Series
    values: pl.Series
    missing: pl.Series
    distinct: int
    decimal: Sign = "."
    format: str = ""

    @property
    def filled(self) -> int:
        """How many values are there."""
        return len(self.values) - self.values.null_count()

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self.type in ("integer", "number")

    @property
    def is_date(self) -> bool:
        """Whether its values are days, or times of a day."""
        return self.type in ("date", "datetime")


def few(count: int) -> float:
    """Return how many of so many are few."""
    return max(FEW * count, FEW_OF_SMALL * math.sqrt(count))


def study(raw: pl.Series) -> Column:
    """Return what a column of text is."""
    trimmed = trim(raw)
    missing = _missing(trimmed)
    values = _where(trimmed, ~missing)
    filled = len(values) - values.null_count()
    type_, decimal, format_ = _type(values, filled)
    distinct = values.n_unique() - bool(values.null_count())
    if type_ == "text" and 0 < distinct <= _category_max(filled):
        type_ = "category"
    return Column(raw.name, type_, raw, values, missing, distinct, decimal, format_)


def trim(raw: pl.Series) -> pl.Series:
    """Return texts without white space around them, and single spaces within."""
    return raw.str.replace_all(WHITE, " ").str.strip_chars(" ")


def ranked(values: pl.Series) -> list[tuple[str, int]]:
    """Return the values that are there, each with its count, the most frequent first."""
    counts: list[tuple[str, int]] = values.drop_nulls().value_counts().rows()
    return sorted(counts, key=lambda pair: (-pair[1], pair[0]))


def strip(raw: pl.Series) -> pl.Series:
    """Return texts without white space around them."""
    return raw.str.replace(f"^{WHITE}", "").str.replace(f"{WHITE}$", "")


def numbers(values: pl.Series, decimal: Sign) -> pl.Series:
    """Return texts that are plain numbers as such, the others as null."""
    plain = _where(values, values.str.contains(NUMBER[decimal]))
    if decimal == ",":
        plain = plain.str.replace(",", ".", literal=True)
    read = plain.cast(pl.Float64, strict=False)
    return _where(read, read.is_finite())


def untidy(stripped: pl.Series) -> pl.Series:
    """Tell which texts have white space within that is no single space, or two after a sentence."""
    odd = stripped.str.contains(r"[^.!?:;\s]\s{2,}|[\t\n\r\x{a0}\x{200b}\x{feff}]")
    return odd.fill_null(False)


def plain_number(number: Any) -> Any:
    """Return a whole number as an int, as far as a float knows each; none stays none."""
    is_whole = number is not None and abs(number) <= EXACT and number == int(number)
    return int(number) if is_whole else number


def number_text(number: float) -> str:
    """Return a number as people write it."""
    if number == round(number) and abs(number) < 1e15:
        return f"{number:,.0f}"
    return f"{number:,.2f}" if 1e4 <= abs(number) < 1e15 else f"{number:.6g}"


def plain_numbers(values: pl.Series, decimal: Sign) -> pl.Series:
    """Return numbers with a currency or thousands as plain ones, else null."""
    group = r" '_\x{2019}" + ("," if decimal == "." else ".")
    bare = values.str.replace(r"^([+-]?)\s*(?:[$€£¥]|[A-Z]{3}\s)\s*", "$1")
    bare = bare.str.replace(r"\s*(?:[$€£¥]|[A-Z]{3})$", "")
    grouped = bare.str.contains(rf"^[+-]?\d{{1,3}}(?:[{group}]\d{{3}})+(?:[{decimal}]\d+)?$")
    bare = bare.str.replace_all(f"[{group}]", "").zip_with(grouped.fill_null(False), bare)
    return _where(bare, numbers(bare, decimal).is_not_null())


def days(values: pl.Series, format_: str) -> pl.Series:
    """Return texts of one spelling as dates; what is none is null."""
    shaped = _where(values, is_spelled(values, format_))
    if format_ == STAMP:
        shaped = _where(shaped, shaped.str.contains(STAMPED)).str.slice(0, 10)
        format_ = "%Y-%m-%d"
    return shaped.str.to_date(format_, strict=False)


def has_day(values: pl.Series, format_: str) -> pl.Series:
    """Tell which texts of one spelling name a day that exists, at whatever time."""
    if format_ == STAMP:
        values, format_ = values.str.slice(0, 10), "%Y-%m-%d"
    return days(values, format_).is_not_null()


def other_days(values: pl.Series) -> pl.Series:
    """Return dates of any known spelling that can be read in one way only, the others as null."""
    found = pl.Series(values.name, [None] * len(values), dtype=pl.Date)
    for format_ in DATES:
        if format_ != "%d/%m/%Y":
            found = found.zip_with(found.is_not_null(), days(values, format_))
    by_day, by_month = days(values, "%d/%m/%Y"), days(values, "%m/%d/%Y")
    slashed = by_day.zip_with(by_day.is_not_null(), by_month)
    twofold = (by_day != by_month).fill_null(False)
    return found.zip_with(found.is_not_null(), _where(slashed, ~twofold))


def is_missing(trimmed: pl.Series) -> pl.Series:
    """Tell which texts are null or a spelling of it, whatever the others are."""
    return trimmed.str.to_lowercase().is_in([*SURE_TOKENS, *VAGUE_TOKENS]).fill_null(True)


def is_dated(values: pl.Series) -> pl.Series:
    """Tell which texts look like a date, be it one that exists or not."""
    pattern = "|".join(f"(?:{pattern})" for pattern in DATES.values())
    return values.str.contains(pattern).fill_null(False)


def is_spelled(values: pl.Series, format_: str) -> pl.Series:
    """Tell which texts look like a date of one spelling; a time of a day may be left out."""
    looks = values.str.contains(DATES.get(format_, _SLASHED))
    if format_ == STAMP:
        looks |= values.str.contains(DATES["%Y-%m-%d"])
    return looks.fill_null(False)


def truths(values: pl.Series) -> pl.Series:
    """Return yes and no, in any of their spellings, as booleans."""
    lower = values.str.to_lowercase()
    known = {**dict.fromkeys((*YES, "1"), True), **dict.fromkeys((*NO, "0"), False)}
    return lower.replace_strict(known, default=None, return_dtype=pl.Boolean)


def _missing(trimmed: pl.Series) -> pl.Series:
    lower = trimmed.str.to_lowercase()
    sure = lower.is_in(SURE_TOKENS).fill_null(True)
    vague = lower.is_in(VAGUE_TOKENS).fill_null(False)
    if vague.sum() > few(len(trimmed)):
        vague = vague & False
    # In a column of codes of one or two letters, NA is one of them: Namibia, North America.
    named = (lower == "na").fill_null(False)
    if named.any():
        others = _where(trimmed, ~(sure | vague)).drop_nulls()
        if others.str.contains(r"^[A-Za-z]{1,2}$").sum() >= max(1, len(others) - few(len(others))):
            sure = sure & ~named
    return sure | vague


def _type(values: pl.Series, filled: int) -> tuple[str, Sign, str]:
    most = filled - few(filled)
    if not filled:
        return "empty", ".", ""
    if _is_boolean(values.str.to_lowercase(), most):
        return "boolean", ".", ""
    for decimal, pattern in NUMBER.items():
        plain = values.str.contains(pattern)
        if plain.sum() >= most and not _are_codes(values, filled):
            whole = values.str.contains(r"^[+-]?\d+$").sum()
            return ("integer" if whole >= most else "number"), decimal, ""
    if is_dated(values).sum() >= most:
        format_ = _format(values)
        return ("datetime" if format_ == STAMP else "date"), ".", format_
    return "text", ".", ""


def _are_codes(values: pl.Series, filled: int) -> bool:
    """Tell whether whole numbers only name things, such as postal codes: some begin with a 0."""
    padded = int(values.str.contains(CODE).sum())
    if padded <= 1 or padded > 0.01 * filled:
        return padded > 0.01 * filled
    lengths = values.drop_nulls().str.len_chars().value_counts(sort=True)
    return int(lengths.row(0)[1]) >= filled - few(filled)


def _is_boolean(lower: pl.Series, most: float) -> bool:
    yes, no = int(lower.is_in(YES).sum()), int(lower.is_in(NO).sum())
    if yes + no < most:
        return False
    # N alone may stand for anything; with a Y beside it, it is no.
    return bool(yes and no) or lower.is_in([*YES[:2], *NO[:2]]).sum() >= most


def _format(values: pl.Series) -> str:
    counts = {name: values.str.contains(pattern).sum() for name, pattern in DATES.items()}
    best = max(counts, key=lambda name: int(counts[name]))
    if best != "%d/%m/%Y":
        return best
    by_day = days(values, "%d/%m/%Y").count()
    return "%d/%m/%Y" if by_day > days(values, "%m/%d/%Y").count() else "%m/%d/%Y"


def _category_max(filled: int) -> float:
    if filled < SMALL:
        return CATEGORY_SMALL * filled
    return min(CATEGORY_MAX, max(CATEGORY_SHARE * filled, CATEGORY_SMALL * SMALL))


def _where(series: pl.Series, mask: pl.Series) -> pl.Series:
    return series.set(~mask.fill_null(False), None)
