"""Tables: CSV, Parquet, JSON rows or rows in the state, read within limits into columns of text.

What cannot be read is refused with a ValueError of one sentence: where, what, and what to do.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from stenograph.workflows.table import csv_tables, table_limits

ROW: Final = "\0row"
"""The column of a text table that says which row of the source a row was, from 1."""

KINDS: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}
"""What a file is, by the end of its name."""


def read(path: Path, name: str) -> pl.DataFrame:
    """Return the table in a file; of a CSV or JSON rows every column is text, as it was spelled.

    ``name`` is what messages call the file.
    """
    kind = KINDS.get(Path(name).suffix.lower())
    if kind is None:
        raise ValueError(f"{name} is no table by its name; it must end in {', '.join(KINDS)}")
    if (size := path.stat().st_size) > table_limits.SIZES[kind]:
        raise ValueError(
            f"{name} has {size:,} bytes, and a {kind} file may have "
            f"{table_limits.SIZES[kind]:,}: split it"
        )
    if kind == "parquet":
        return _parquet(path, name)
    data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    table_limits.check_text(data, name)
    if kind != "json":
        table_limits.check_lines(data, name)
    if kind == "csv":
        return csv_tables.read(data, name)
    return from_rows(_json(data, name) if kind == "json" else _lines(data, name), name)


def from_rows(rows: object, name: str = "rows") -> pl.DataFrame:
    """Return a table of text from a list of JSON objects; what one of them lacks is missing."""
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{name}: a table is a list of objects, one a row, with at least one row")
    columns: dict[str, None] = {}
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise ValueError(f"{name}: row {number} is {row!r:.80}, which is no object")
        columns.update(dict.fromkeys(row))
        if len(columns) > table_limits.COLUMNS_MAX:
            break
    names = table_limits.checked_names(list(columns), name)
    table_limits.check_size(len(rows), len(names), name)
    data = {column: [_spelled(row.get(column)) for row in rows] for column in names}
    return pl.DataFrame(data, schema=dict.fromkeys(names, pl.String))


def texts(table: pl.DataFrame) -> pl.DataFrame:
    """Return the columns of a table as text, behind the number of each row.

    Lists, structs and bytes have no text and are left out.
    """
    shown = [
        name
        for name, kind in table.schema.items()
        if not (kind.is_nested() or kind in (pl.Binary, pl.Object, pl.Duration))
    ]
    numbers = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias(ROW)
    return table.select(numbers, *(pl.col(name).cast(pl.String) for name in shown))


def columns_of(text: pl.DataFrame) -> list[str]:
    """Return the names of a text table's columns, but for the number of the row."""
    return [name for name in text.columns if name != ROW]


def again(text: pl.DataFrame, names: Sequence[str], present: Sequence[str]) -> pl.Series:
    """Tell which rows have the values of a row before them, and a value in all columns ``present``."""
    twice = ~text.select(pl.struct(names).is_first_distinct()).to_series()
    if not present:
        return twice
    return twice & text.select(pl.all_horizontal(pl.col(present).is_not_null())).to_series()


def _parquet(path: Path, name: str) -> pl.DataFrame:
    broken = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
    try:
        scan = pl.scan_parquet(path, glob=False)  # else [ or * in its name would be other files
        schema = scan.collect_schema()
        rows = scan.select(pl.len()).collect().item()
    except broken as error:
        raise ValueError(f"{name} cannot be read as Parquet: {_first_line(error)}") from None
    table_limits.checked_names(list(schema), name)
    table_limits.check_size(rows, len(schema), name)
    if not rows:
        raise ValueError(f"{name} has no rows")
    parts, size = [], 0
    for start in range(0, rows, table_limits.BATCH):  # a small file may hold much: look as it grows
        try:
            part = scan.slice(start, table_limits.BATCH).collect()
        except broken as error:
            raise ValueError(f"{name} cannot be read as Parquet: {_first_line(error)}") from None
        size += _text_bytes(part)
        if size > table_limits.BYTES_MAX:
            raise ValueError(
                f"{name} holds more than {table_limits.BYTES_MAX:,} bytes of text: split it"
            )
        parts.append(part)
    return pl.concat(parts)


def _text_bytes(table: pl.DataFrame) -> int:
    text = table.select(pl.col(pl.String).str.len_bytes().sum())
    return sum(value or 0 for value in text.row(0)) if text.width else 0


def _json(data: bytes, name: str) -> object:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"{name} is no JSON: {error}") from None


def _lines(data: bytes, name: str) -> list[object]:
    table_limits.check_size(data.count(b"\n"), 1, name)
    rows: list[object] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            rows.append(msgspec.json.decode(line))
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(f"{name}: line {number:,} is no JSON: {error}") from None
    return rows


def _spelled(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


def restored(text: pl.DataFrame, before: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """Return the rows and cells of a changed text table with the types of the table it came from.

    ``before`` is what ``texts(table)`` was. A cell that is as it was keeps its value exactly.
    """
    places = text[ROW] - 1
    kept, old = table[places], before[places]
    columns: list[pl.Series] = []
    for column in table.columns:
        series = kept[column]
        if column in text.columns and not text[column].equals(old[column], null_equal=True):
            same = text[column].eq_missing(old[column])
            series = series.zip_with(same, _typed(text[column], series.dtype))
        columns.append(series)
    return pl.DataFrame(columns)


def _typed(series: pl.Series, kind: Any) -> pl.Series:
    if kind == pl.Boolean:
        return series.replace_strict({"true": True, "false": False}, default=None)
    if kind.is_integer():
        return series.cast(pl.Float64, strict=False).cast(kind, strict=False)
    if kind == pl.Date:
        return series.str.to_date("%Y-%m-%d", strict=False)
    if kind == pl.Datetime:
        day = series.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
        return day.cast(kind)
    return series.cast(kind, strict=False)
