"""Rules: what to change in a table, as data; a table is its source with the rules applied in order.

A rule changes the cells it names and no others, and is the same for whoever applies it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec
import polars as pl
from msgspec import Struct

from stenograph.workflows.table import columns, tables

RULES_MAX: Final = 2_000


class Rule(Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    """One rule: ``because`` says why, ``rows`` how many anomalies it was made for."""

    because: str = ""
    rows: int = 0


class OneColumn(Rule, frozen=True, kw_only=True):
    """A rule about the values of one column."""

    column: str


class Whitespace(OneColumn, frozen=True, kw_only=True, tag="whitespace"):
    """Trim the ends; with ``within`` also make one space of what is white within."""

    do: Literal["trim"] = "trim"
    within: bool = False

    def change(self, raw: pl.Series) -> pl.Series:
        """Return the column with the rule applied."""
        stripped = columns.strip(raw)
        if not self.within:
            return stripped
        return columns.trim(raw).zip_with(columns.untidy(stripped), stripped)


class Missing(OneColumn, frozen=True, kw_only=True, tag="missing"):
    """Make spellings of "missing" null; then leave the nulls, or fill them with ``value``."""

    do: Literal["leave", "fill"] = "leave"
    spelled: list[str] = []
    value: str | None = None

    def change(self, raw: pl.Series) -> pl.Series:
        """Return the column with the rule applied."""
        lower = columns.trim(raw).str.to_lowercase()
        emptied = raw.set(lower.is_in(self.spelled).fill_null(False), None)
        return emptied.fill_null(self.value) if self.do == "fill" else emptied


class Type(OneColumn, frozen=True, kw_only=True, tag="type"):
    """Convert what can be read as ``type`` in one way only; make the rest null or leave it."""

    type: Literal["integer", "number", "boolean", "date", "datetime"]
    do: Literal["convert-or-null", "convert-or-leave"] = "convert-or-null"
    decimal: columns.Sign = "."
    words: list[str] = []
    """How true and false are spelled."""

    def change(self, raw: pl.Series) -> pl.Series:
        """Return the column with the rule applied."""
        values = columns.trim(raw)
        if self.type in ("date", "datetime"):
            bad, better = ~columns.is_dated(values), _nulls(values)
        elif self.type == "boolean":
            known = columns.truths(values)
            bad = ~_is_word(values)
            words = self.words or ["true", "false"]
            better = known.replace_strict(
                {True: words[0], False: words[-1]}, default=None, return_dtype=pl.String
            )
        else:
            bad = columns.numbers(values, self.decimal).is_null()
            better = columns.plain_numbers(values, self.decimal)
        if self.do == "convert-or-leave":
            bad &= better.is_not_null()
        return _replaced(raw, bad & ~columns.is_missing(values), better)


class Format(OneColumn, frozen=True, kw_only=True, tag="format"):
    """Bring values into the column's format where that is possible; make the rest null or leave it.

    ``pattern`` is a regular expression. ``letters`` are tried first, then ``loose``, the pattern
    with anything or nothing between its parts, which ``parts`` puts in order. ``date`` is a
    spelling of dates, in place of a pattern.
    """

    do: Literal["convert-or-null", "convert-or-leave"] = "convert-or-null"
    pattern: str = ""
    letters: Literal["upper", "lower", ""] = ""
    loose: str = ""
    parts: str = ""
    date: str = ""

    def change(self, raw: pl.Series) -> pl.Series:
        """Return the column with the rule applied."""
        values = columns.trim(raw)
        bad, better = self._dates(values) if self.date else self._patterns(values)
        if self.do == "convert-or-leave":
            bad &= better.is_not_null()
        return _replaced(raw, bad & ~columns.is_missing(values), better)

    def _dates(self, values: pl.Series) -> tuple[pl.Series, pl.Series]:
        bad = columns.is_dated(values) & columns.days(values, self.date).is_null()
        # A day is a time too; which time of the day it was, nobody knows.
        spelling = "%Y-%m-%d" if self.date == columns.STAMP else self.date
        better = columns.other_days(values).dt.strftime(spelling)
        # A day that does not exist is another rule's.
        impossible = columns.is_spelled(values, self.date) & ~columns.has_day(values, self.date)
        return bad & (better.is_not_null() | ~impossible), better

    def _patterns(self, values: pl.Series) -> tuple[pl.Series, pl.Series]:
        better = values
        if self.letters:
            upper = self.letters == "upper"
            better = better.str.to_uppercase() if upper else better.str.to_lowercase()
        if self.loose:
            better = better.str.replace(self.loose, self.parts)
        fits = better.str.contains(self.pattern).fill_null(False)
        return ~values.str.contains(self.pattern).fill_null(True), better.set(~fits, None)


class Date(OneColumn, frozen=True, kw_only=True, tag="date"):
    """Make null what is spelled ``format`` and no day, or a day before ``min`` or after ``max``.

    The days in ``keep`` stay, wherever they lie.
    """

    do: Literal["null"] = "null"
    format: str
    min: str | None = None
    max: str | None = None
    keep: list[str] = []

    def change(self, raw: pl.Series) -> pl.Series:
        """Return the column with the rule applied."""
        values = columns.trim(raw)
        found = columns.days(values, self.format)
        bad = columns.is_spelled(values, self.format) & ~columns.has_day(values, self.format)
        for bound, sign in ((self.min, 1), (self.max, -1)):
            if bound is not None:
                day = pl.Series([bound]).str.to_date("%Y-%m-%d")[0]
                bad |= ((found < day) if sign > 0 else (found > day)).fill_null(False)
        bad &= ~found.cast(pl.String).is_in(self.keep).fill_null(False)
        return _replaced(raw, bad, _nulls(values))


class Range(OneColumn, frozen=True, kw_only=True, tag="range"):
    """Clip numbers below ``min`` or above ``max``, make them null, or drop their rows."""

    do: Literal["clip", "null", "drop"]
    min: float | None = None
    max: float | None = None
    decimal: columns.Sign = "."

    def drops(self, text: pl.DataFrame) -> pl.Series:
        """Tell which rows go."""
        low, high = self.beyond(columns.trim(text[self.column]))
        return low | high

    def change(self, raw: pl.Series) -> pl.Series:
        """Return the column with the rule applied."""
        values = columns.trim(raw)
        low, high = self.beyond(values)
        if self.do == "null":
            return _replaced(raw, low | high, _nulls(values))
        lowest = pl.Series([spelled(self.min, self.decimal)], dtype=pl.String)
        highest = pl.Series([spelled(self.max, self.decimal)], dtype=pl.String)
        return (
            highest.new_from_index(0, len(raw))
            .zip_with(high, lowest.new_from_index(0, len(raw)).zip_with(low, raw))
            .alias(raw.name)
        )

    def beyond(self, values: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Tell which values lie below and which above."""
        found = columns.numbers(values, self.decimal)
        never = pl.repeat(False, len(values), eager=True)
        low = never if self.min is None else (found < self.min).fill_null(False)
        high = never if self.max is None else (found > self.max).fill_null(False)
        return low, high


class Spelling(OneColumn, frozen=True, kw_only=True, tag="spelling"):
    """Replace wrong spellings by right ones."""

    do: Literal["replace"] = "replace"
    replace: dict[str, str]

    def change(self, raw: pl.Series) -> pl.Series:
        """Return the column with the rule applied."""
        values = columns.trim(raw)
        wrong = values.is_in(list(self.replace)).fill_null(False)
        return _replaced(raw, wrong, values.replace(self.replace))


class DuplicateRow(Rule, frozen=True, kw_only=True, tag="duplicate_row"):
    """Keep the first of rows that are the same in every column.

    Rows without a value in one of the columns ``present`` are kept: other rules have emptied some
    of these, and nobody knows whether such rows were the same.
    """

    do: Literal["drop"] = "drop"
    present: list[str] = []

    def drops(self, text: pl.DataFrame) -> pl.Series:
        """Tell which rows go."""
        return tables.again(text, tables.columns_of(text), self.present)


class DuplicateKey(Rule, frozen=True, kw_only=True, tag="duplicate_key"):
    """Keep the first of rows that have the same key; rows without one are kept."""

    do: Literal["drop"] = "drop"
    columns: list[str]

    def drops(self, text: pl.DataFrame) -> pl.Series:
        """Tell which rows go."""
        return tables.again(text, self.columns, self.columns)


AnyRule: TypeAlias = (
    Whitespace | Missing | Type | Format | Date | Range | Spelling | DuplicateRow | DuplicateKey
)


def parse(rules: object) -> list[AnyRule]:
    """Return rules from JSON; raises ValueError with the place of what is no rule."""
    if not isinstance(rules, Sequence) or isinstance(rules, str) or len(rules) > RULES_MAX:
        raise ValueError(f'"rules" is a list of at most {RULES_MAX:,} rules, not {rules!r:.80}')
    found: list[AnyRule] = []
    for number, rule in enumerate(rules):
        try:
            found.append(msgspec.convert(rule, AnyRule))
        except msgspec.ValidationError as error:
            raise ValueError(f"rules[{number}] is no rule: {error}") from None
    return found


def plain(rule: Rule) -> dict[str, Any]:
    """Return a rule as JSON, without what is as usual."""
    whole: dict[str, Any] = msgspec.to_builtins(rule)
    return {name: value for name, value in whole.items() if not _is_usual(value)}


def fold(text: pl.DataFrame, rules: Iterable[AnyRule]) -> pl.DataFrame:
    """Return a text table with the rules applied, in their order.

    Raises ValueError when a rule names a column that is not there, or cannot be applied.
    """
    known = set(tables.columns_of(text))
    for number, rule in enumerate(rules):
        for column in columns_of(rule):
            if column not in known:
                raise ValueError(
                    f"rules[{number}] is about the column {column!r:.200}, which is not there; "
                    f"there are {', '.join(sorted(known))[:500]}"
                )
        try:
            text = _applied(rule, text)
        except (pl.exceptions.PolarsError, ValueError) as error:
            raise ValueError(
                f"rules[{number}] cannot be applied: {str(error).partition(chr(10))[0][:200]}"
            ) from None
    return text


def _applied(rule: AnyRule, text: pl.DataFrame) -> pl.DataFrame:
    """Return a text table with a rule applied: rows dropped, or the one column changed."""
    match rule:
        case DuplicateRow() | DuplicateKey() | Range(do="drop"):
            return text.filter(~rule.drops(text))
        case _:
            return text.with_columns(rule.change(text[rule.column]))


def columns_of(rule: AnyRule) -> list[str]:
    """Return the columns that a rule names."""
    match rule:
        case DuplicateRow(present=named):
            return named
        case DuplicateKey(columns=named):
            return named
        case _:
            return [rule.column]


def emptied(rules: Iterable[AnyRule]) -> set[str]:
    """Return the columns in which rules make values null, whatever these were."""
    return {
        rule.column
        for rule in rules
        if isinstance(rule, Type | Format | Date | Range) and rule.do in ("null", "convert-or-null")
    }


def spelled(number: float | None, decimal: str) -> str | None:
    """Return a number as a column with that decimal sign spells it."""
    return None if number is None else f"{number:.15g}".replace(".", decimal)


def _is_usual(value: object) -> bool:
    return value is None or value is False or value in ("", [])  # and not 0.0, which is a bound


def _replaced(raw: pl.Series, wrong: pl.Series, better: pl.Series) -> pl.Series:
    return better.zip_with(wrong, raw).alias(raw.name)


def _is_word(values: pl.Series) -> pl.Series:
    return values.str.to_lowercase().is_in([*columns.YES, *columns.NO]).fill_null(False)


def _nulls(values: pl.Series) -> pl.Series:
    return pl.Series(values.name, [None], dtype=pl.String).new_from_index(0, len(values))
