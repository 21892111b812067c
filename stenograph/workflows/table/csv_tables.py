"""CSV: read by polars, or else by Python's own reader, which also knows the line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import Final

import polars as pl

from stenograph.workflows.table import table_limits

SEPARATORS: Final = ",;\t|"
_SAID: Final = re.compile(rf"sep=([{SEPARATORS}])\r?\n")  # as spreadsheets read and write it
_QUOTED: Final = re.compile(r'"[^"]*"')


def read(data: bytes, name: str) -> pl.DataFrame:
    """Return a table of text; raises ValueError for what is no CSV, with the line."""
    header, start, separator = _header(data, name)
    body = data[start:]
    lines = body.count(b"\n") + 1
    table_limits.check_size(lines, len(header), name)
    try:
        table = pl.read_csv(
            io.BytesIO(body),
            has_header=False,
            schema=dict.fromkeys(header, pl.String),
            separator=separator,
            raise_if_empty=False,
        )
    except pl.exceptions.PolarsError:
        # Python's own reader is slower, takes a quote within a field, and knows the line.
        table = _slow_csv(body, header, separator, data[:start].count(b"\n"), name)
    if table.is_empty():
        raise ValueError(f"{name} has a header and no rows")
    if len(header) > 1:  # a blank line is no row; in a single column it is an empty cell
        table = table.filter(~pl.all_horizontal(pl.all().is_null()))
    return table


def _header(data: bytes, name: str) -> tuple[list[str], int, str]:
    """Return the names in the first line that is not blank, where the rows begin, the separator."""
    start = len(data) - len(data.lstrip(b"\r\n"))
    text = data[start : start + table_limits.CHUNK].decode(errors="ignore")
    if not text.strip():
        raise ValueError(f"{name} is empty; a table begins with the names of its columns")
    if "\n" not in text and "\r" in text:
        raise ValueError(f"{name} ends its lines with CR alone; save it with LF or CR LF")
    if said := _SAID.match(text):
        start, text = start + len(said[0]), text[len(said[0]) :]
    first = _QUOTED.sub("", text.partition("\n")[0])
    separator = said[1] if said else max(SEPARATORS, key=first.count)
    lines = _Counting(io.StringIO(text, newline=""))
    try:
        header = next(csv.reader(lines, delimiter=separator, strict=True))
    except (csv.Error, StopIteration) as error:
        raise ValueError(f"{name}: line 1, the names of the columns, is no CSV: {error}") from None
    names = [column.strip() or f"column_{place}" for place, column in enumerate(header, 1)]
    return (
        table_limits.checked_names(names, name),
        start + len("".join(lines.seen).encode()),
        separator,
    )


class _Counting:
    """Lines, and what has been taken of them."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.seen: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.seen.append(next(self._lines))
        return self.seen[-1]


def _slow_csv(
    body: bytes, header: list[str], separator: str, before: int, name: str
) -> pl.DataFrame:
    lines = _Records(io.TextIOWrapper(io.BytesIO(body), "utf-8", newline=""))
    reader = csv.reader(lines, delimiter=separator, strict=True)
    schema = dict.fromkeys(header, pl.String)
    parts, rows = [pl.DataFrame(schema=schema)], list[list[str | None]]()
    line = 0
    try:
        for cells in reader:
            if len(cells) > len(header):
                raise csv.Error(f"{len(cells):,} cells, but {len(header)} columns have a name")
            rows.append([cell or None for cell in cells] + [None] * (len(header) - len(cells)))
            line, lines.record = reader.line_num, 0
            if len(rows) == table_limits.BATCH:  # text is smaller in a table than in a list
                parts.append(pl.DataFrame(rows, schema, orient="row"))
                rows = []
    except csv.Error as error:
        is_long = "field limit" in str(error)  # Python's own words, with a number of its own
        why = "a cell is very long; a quote may be missing" if is_long else str(error)
        raise ValueError(
            f"{name}: line {before + line + 1:,} is no CSV: {why}; mend that line"
        ) from None
    return pl.concat([*parts, pl.DataFrame(rows, schema, orient="row")])


class _Records:
    """Lines of a CSV; raises csv.Error where a record has too many of them."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.record = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.record += len(line)
        if self.record > table_limits.LINE_MAX:
            raise csv.Error(
                f"more than {table_limits.LINE_MAX:,} characters; a quote may be missing"
            )
        return line
