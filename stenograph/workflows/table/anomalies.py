"""Anomalies: what is unusual in a table; docs/data-quality.md tells the method of each kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl
from msgspec import Struct

from stenograph.workflows.table import column_checks, columns, tables
from stenograph.workflows.table.column_checks import KEY_NAME, Settled, settled
from stenograph.workflows.table.columns import Column
from stenograph.workflows.table.tables import ROW

KINDS: Final = {
    "whitespace": "white space too many",
    "missing": "missing values",
    "type": "not of the column's type",
    "format": "not in the column's format",
    "date": "days that do not exist or are out of range",
    "outlier": "numbers out of range",
    "spelling": "spelled unlike the rest",
    "duplicate_row": "rows that are there twice",
    "duplicate_key": "keys that are there twice",
}
"""Every kind of anomaly, in the order in which they are mended, and in words."""

KEY_SHARE: Final = 0.98
ROWS_TWICE: Final = 0.2
"""More duplicate rows than this share say that rows may be the same here."""


class Finding(Struct, frozen=True):
    """All anomalies of one kind in one column: where, why, and what a rule needs to know.

    ``cells`` has the columns ROW and ``value``; ``column`` is empty for whole rows.
    """

    kind: str
    column: str
    why: str
    cells: pl.DataFrame
    facts: Mapping[str, Any] = {}

    @property
    def count(self) -> int:
        """How many anomalies these are."""
        return self.cells.height


def find(
    text: pl.DataFrame,
    studied: Mapping[str, Column],
    key: Sequence[str] = (),
    known: Settled | None = None,
) -> list[Finding]:
    """Return what is unusual in a text table, in the order of KINDS and then of the columns.

    ``studied`` is ``study(text)``, ``key`` the columns that name a row; raises ValueError when one
    is not there.
    """
    for name in key:
        if name not in studied:
            raise ValueError(
                f'"key" names the column {name!r:.200}, which is not there; '
                f"there are {', '.join(studied)[:500]}"
            )
    known = known or settled(())
    found: list[Finding] = []
    for column in studied.values():
        for kind, mask, why, facts in column_checks.check(column, known):
            if mask.any():
                cells = pl.DataFrame({ROW: text[ROW], "value": column.raw}).filter(mask)
                found.append(Finding(kind, column.name, why, cells, facts))
    found += _duplicates(text, studied, key, sorted(known.emptied))
    return sorted(found, key=lambda one: list(KINDS).index(one.kind))


def study(text: pl.DataFrame) -> dict[str, Column]:
    """Return what each column of a text table is."""
    return {name: columns.study(text[name]) for name in tables.columns_of(text)}


def _duplicates(
    text: pl.DataFrame, studied: Mapping[str, Column], key: Sequence[str], present: Sequence[str]
) -> Iterator[Finding]:
    names = tables.columns_of(text)
    again = tables.again(text, names, present)
    if 0 < again.sum() <= max(ROWS_TWICE * text.height, 1.0) or key:
        cells = pl.DataFrame({ROW: text[ROW], "value": [None] * text.height}).filter(again)
        if cells.height:
            yield Finding("duplicate_row", "", "the same as a row before it", cells)
    for named in [list(key)] if key else [[one] for one in inferred_keys(studied)]:
        twice = tables.again(text, named, named) & ~again
        if twice.any():
            shown = pl.concat_str([pl.col(name) for name in named], separator=", ")
            cells = text.select(ROW, shown.alias("value")).filter(twice)
            facts = {"columns": named, "given": bool(key)}
            why = f"{', '.join(named)} is that of a row before it, but the row is another"
            yield Finding("duplicate_key", named[0], why, cells, facts)


def inferred_keys(studied: Mapping[str, Column]) -> list[str]:
    """Return the columns that are called a key and whose values are all but unique."""
    return [
        name
        for name, column in studied.items()
        if KEY_NAME.search(name)
        and column.type in ("integer", "text")
        and column.filled >= columns.SMALL / 10
        and column.distinct >= KEY_SHARE * column.filled
    ]
