"""Limits: how large a table may be, what text it may hold; more is refused in a sentence."""

from __future__ import annotations

import codecs
from typing import Final

BYTES_MAX: Final = 256 * 1024 * 1024
"""Most bytes of a file, and of the text in a table."""

LINE_MAX: Final = 1024 * 1024
"""Most bytes of a line, and of a record of a CSV."""

ROWS_MAX: Final = 2_000_000
COLUMNS_MAX: Final = 256
CELLS_MAX: Final = 20_000_000
"""Most rows times columns."""

NAME_MAX: Final = 200
"""Most characters of a column's name."""

BATCH: Final = 65_536
"""Rows that are read at a time, where a table is read in parts."""

CHUNK: Final = 1024 * 1024
SIZES: Final = {
    "csv": BYTES_MAX,
    "parquet": BYTES_MAX,
    "ndjson": 64 * 1024 * 1024,
    "json": 16 * 1024 * 1024,
}
"""Most bytes of a file of each kind: JSON is read whole, and is many times larger then."""


def check_lines(data: bytes, name: str) -> None:
    """Raise ValueError for a line that is too long."""
    start = 0
    while len(data) - start > LINE_MAX:
        end = data.rfind(b"\n", start, start + LINE_MAX + 1)
        if end < 0:
            raise ValueError(
                f"{name}: line {line_of(data, start):,} has more than {LINE_MAX:,} bytes; "
                "a table has a line for each row"
            )
        start = end + 1


def check_text(data: bytes, name: str) -> None:
    """Raise ValueError for what is not UTF-8, or holds a null byte."""
    if b"\0" in data:
        at = data.index(b"\0")
        raise ValueError(
            f"{name}: line {line_of(data, at):,} holds a null byte, which no text has; "
            "save the file as UTF-8"
        )
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, max(len(data), 1), CHUNK):
        part = data[start : start + CHUNK]
        held = len(decoder.getstate()[0])
        try:
            decoder.decode(part, final=start + CHUNK >= len(data))
        except UnicodeDecodeError as error:
            at = min(start - held + error.start, len(data) - 1)
            raise ValueError(
                f"{name}: line {line_of(data, at):,} is not UTF-8 (byte 0x{data[at]:02X}); "
                "it may be Latin-1, or mixed: save the whole file as UTF-8"
            ) from None


def line_of(data: bytes, at: int) -> int:
    """Return the line, from 1, in which a byte stands."""
    return data.count(b"\n", 0, at) + 1


def checked_names(names: list[str], name: str) -> list[str]:
    """Return the names of columns; raises ValueError for what cannot be one."""
    if not names:
        raise ValueError(f"{name} has no columns")
    if len(names) > COLUMNS_MAX:
        raise ValueError(f"{name} has more than {COLUMNS_MAX} columns: leave some out")
    seen: set[str] = set()
    for column in names:
        if not column.isprintable() or len(column) > NAME_MAX:
            raise ValueError(
                f"{name}: {column!r:.80} cannot name a column; "
                f"take at most {NAME_MAX} characters, on one line"
            )
        if column in seen:
            raise ValueError(f"{name}: two columns are called {column!r}; rename one")
        seen.add(column)
    return names


def check_size(rows: int, columns: int, name: str) -> None:
    """Raise ValueError for a table that is too large."""
    if rows > ROWS_MAX:
        raise ValueError(f"{name} has {rows:,} rows, and {ROWS_MAX:,} are the most: split it")
    if rows * columns > CELLS_MAX:
        raise ValueError(
            f"{name} has {rows:,} rows of {columns} columns, and {CELLS_MAX:,} cells are the most: "
            "split it"
        )
