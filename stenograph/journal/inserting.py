"""Inserting: many rows by few statements, each of which was prepared before."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from msgspec import Struct

ROWS_MAX: Final = 1024 if sqlite3.sqlite_version_info >= (3, 32) else 128
"""Most rows of one INSERT: each statement gives the interpreter lock away, and must get it back.

SQLite before 3.32 takes 999 parameters in a statement, and a record has 7.
"""


class Table(Struct, frozen=True):
    """A table that rows are inserted into, with those of its columns that are given.

    ``otherwise`` is what becomes of a row that is there already, as SQL has it.
    """

    name: str
    columns: tuple[str, ...]
    otherwise: str = ""


def insert(db: sqlite3.Connection, table: Table, values: Sequence[object]) -> None:
    """Insert rows, given as one row's values after the other's, in as few statements as may be."""
    width = len(table.columns)
    for start in range(0, len(values), ROWS_MAX * width):
        several = values[start : start + ROWS_MAX * width]
        room = rounded_up(len(several) // width)
        nothing = (None,) * (room * width - len(several))
        db.execute(insert_statement(table, room), (*several, *nothing))


def rounded_up(count: int) -> int:
    """Return the next number of three binary digits and zeros, which is at most a quarter more.

    So there are few statements, and they stay prepared: to prepare one takes half as long again.
    """
    step = 1 << max(count.bit_length() - 3, 0)
    return -(-count // step) * step


@lru_cache(maxsize=128)
def insert_statement(table: Table, room: int) -> str:
    """Return the INSERT for up to so many rows: those whose first column is NULL are left out."""
    row = f"({', '.join('?' * len(table.columns))})"
    values = ", ".join([row] * room)
    into = f"{table.name} ({', '.join(table.columns)})"
    rows = f"SELECT * FROM (VALUES {values}) WHERE column1 IS NOT NULL"
    return f"INSERT INTO {into} {rows} {table.otherwise}"
