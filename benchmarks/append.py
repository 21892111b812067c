"""How fast events become durable, beside what SQLite alone does with the same rows.

Each appender waits for its append of 4 events, then makes the next: durability full, hash chain
on. The ceiling is plain sqlite3 in this process, committing as many rows at once as the appenders
offer together, into the same tables, with hashes that it need not compute.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final, TypeVar

from benchmarks import figures
from benchmarks.figures import Asked, Figure, at_least, compared, interleaved
from stenograph.journal import Journal, NewRecord, open_journal
from stenograph.journal.checkpoints import WAL_PAGES
from stenograph.journal.writer import RECORD, STREAM, insert

T = TypeVar("T")

GOALS: Final = {1: at_least(0.75), 16: at_least(0.80), 256: at_least(0.85)}
EVENTS: Final = 4
AT: Final = "2026-11-20T22:55:01.123456Z"
DATA: Final = b'{"node":"review","text":"%b"}' % (b"x" * 172)  # 200 bytes
NEW: Final = [NewRecord("node.entered", DATA, AT)] * EVENTS


def measure(asked: Asked) -> Iterator[Figure]:
    """Yield a figure for each number of appenders."""
    for appenders, goal in GOALS.items():
        pairs = interleaved(
            asked.rounds,
            partial(in_folder, appended_per_s, appenders, asked),
            partial(in_folder, inserted_per_s, appenders, asked),
        )
        name = f"append, {appenders} appender{'s' * (appenders > 1)}"
        yield compared(name, "events/s", pairs, against="raw SQLite", goal=goal)


async def append_until(journal: Journal, run_id: str, until: float) -> int:
    """Append to one stream until then; returns how many events."""
    seq = 0
    while perf_counter() < until:
        seq = (await journal.append(run_id, NEW, expected_seq=seq))[-1].seq
    return seq


def appended_per_s(path: Path, appenders: int, seconds: float) -> float:
    """Return events a second through the journal."""

    async def append() -> float:
        async with open_journal(path) as journal:
            begin = perf_counter()
            runs = (append_until(journal, f"run-{n}", begin + seconds) for n in range(appenders))
            events = sum(await asyncio.gather(*runs))
            return events / (perf_counter() - begin)

    return asyncio.run(append())


def inserted_per_s(path: Path, appenders: int, seconds: float) -> float:
    """Return rows a second through sqlite3 alone, into the tables of a journal."""
    asyncio.run(make(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for pragma in ("synchronous=full", f"wal_autocheckpoint={WAL_PAGES}", "cache_size=-16000"):
            db.execute(f"PRAGMA {pragma}")
        insert(db, STREAM, [(n, f"run-{n}", AT) for n in range(1, appenders + 1)])
        begin, commits = perf_counter(), 0
        for rows in raw_rows(appenders, count()):
            db.execute("BEGIN IMMEDIATE")
            insert(db, RECORD, rows)
            db.execute("COMMIT")
            commits += 1
            if perf_counter() - begin >= seconds:
                break
        return commits * appenders * EVENTS / (perf_counter() - begin)


def raw_rows(appenders: int, seqs: Iterator[int]) -> Iterator[list[tuple[object, ...]]]:
    """Yield one batch of rows after the other: the next 4 of each stream."""
    digest, offsets = b"\x00" * 32, count(1)
    while True:
        first = next(seqs) * EVENTS
        yield [
            (next(offsets), stream, first + n + 1, AT, "node.entered", digest, DATA)
            for stream in range(1, appenders + 1)
            for n in range(EVENTS)
        ]


async def make(path: Path) -> None:
    """Make a journal, for the tables in it."""
    async with open_journal(path):
        pass


def in_folder(measured: Callable[[Path, int, float], T], many: int, asked: Asked) -> T:
    """Measure in a new file, which goes afterwards."""
    with TemporaryDirectory(dir=asked.folder) as folder:
        return measured(Path(folder) / "test.db", many, asked.seconds)


if __name__ == "__main__":
    figures.main(__doc__, measure)
