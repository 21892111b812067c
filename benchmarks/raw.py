"""What SQLite alone does with rows of events: the ceiling of all that is durable.

Plain sqlite3 in this process, on the tables of a journal with its index and triggers. A transaction
is one INSERT, which commits by itself: with a BEGIN before it SQLite also takes down how to undo the
statement alone, for which 64 rows take a quarter longer. The hashes need not be computed.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import chain, count
from pathlib import Path
from time import perf_counter
from typing import Final

from stenograph.journal import open_journal

AT: Final = "2026-11-20T22:55:01.123456Z"
DATA: Final = b'{"node":"review","text":"%b"}' % (b"x" * 172)
"""200 bytes."""
TYPE: Final = "node.entered"
EVENTS: Final = 4
"""Events of an append, and of a step."""
PRAGMAS: Final = ("synchronous=full", "wal_autocheckpoint=4000", "cache_size=-16000")
STREAM: Final = "INSERT INTO stream (number, run_id, created_at) VALUES (?, ?, ?)"
RECORD: Final = "INSERT INTO record (offset, stream, seq, at, type, hash, data) VALUES "


def inserted_per_s(path: Path, appenders: int, seconds: float, data: bytes = DATA) -> float:
    """Return rows a second, of transactions as large as so many appenders make them."""
    asyncio.run(make(path))
    size = appenders * EVENTS
    sql = RECORD + ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * size)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for pragma in PRAGMAS:
            db.execute(f"PRAGMA {pragma}")
        db.executemany(STREAM, [(n, f"run-{n}", AT) for n in range(1, appenders + 1)])
        begin, commits = perf_counter(), 0
        for batch in batches(appenders, data):
            db.execute(sql, tuple(chain.from_iterable(batch)))
            commits += 1
            if perf_counter() - begin >= seconds:
                break
        return commits * size / (perf_counter() - begin)


async def make(path: Path) -> None:
    """Make a journal, for the tables in it."""
    async with open_journal(path):
        pass


def batches(appenders: int, data: bytes) -> Iterator[list[tuple[object, ...]]]:
    """Yield the rows of one transaction after the other: the next 4 of each stream."""
    digest, offsets = b"\x00" * 32, count(1)
    for first in count(0, EVENTS):
        yield [
            (next(offsets), stream, first + n + 1, AT, TYPE, digest, data)
            for stream in range(1, appenders + 1)
            for n in range(EVENTS)
        ]
