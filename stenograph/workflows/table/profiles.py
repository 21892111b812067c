"""Profiles: what a person wants to know of a column before they trust it."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from stenograph.workflows.table import columns
from stenograph.workflows.table.columns import Column

TOP: Final = 5
"""Most frequent values that a profile tells."""

SHOWN_MAX: Final = 60
"""Most characters of a value that are told."""


def profile(column: Column) -> dict[str, Any]:
    """Return ``{name, type, missing, distinct, …}`` of a column.

    Of numbers also ``min``, ``median`` and ``max``, of dates ``min`` and ``max``, else ``top``, the
    most frequent values with their counts.
    """
    found: dict[str, Any] = {
        "name": column.name,
        "type": column.type,
        "missing": int(column.missing.sum()),
        "distinct": column.distinct,
    }
    if column.is_number:
        values = columns.numbers(column.values, column.decimal)
        ends = {"min": values.min(), "median": values.median(), "max": values.max()}
        return found | {name: columns.plain_number(value) for name, value in ends.items()}
    if column.is_date:
        days = columns.days(column.values, column.format).drop_nulls().cast(pl.String)
        return found | {"min": days.min(), "max": days.max(), "format": column.format}
    if column.type in ("category", "boolean"):
        most = columns.ranked(column.values)[:TOP]
        found["top"] = [[shown(value), count] for value, count in most]
    return found


def shown(value: object) -> str | None:
    """Return a cell as a report tells it, cut when it is long."""
    if value is None:
        return None
    text = str(value)
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…"
