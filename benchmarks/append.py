"""How fast events become durable, beside what SQLite alone does with the same rows.

Each appender waits for its append of 4 events, then makes the next: durability full, hash chain
on. The ceiling is plain sqlite3 in this process, committing as many rows at once as the appenders
offer together, into the same tables, with hashes that it need not compute. The two take turns;
every figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from stenograph.journal import Journal, NewRecord, open_journal
from stenograph.journal.checkpoints import WAL_PAGES
from stenograph.journal.writer import RECORD, STREAM, insert

APPENDERS = (1, 16, 256)
EVENTS = 4
AT = "2026-11-20T22:55:01.123456Z"
DATA = b'{"node":"review","text":"%b"}' % (b"x" * 172)  # 200 bytes
NEW = [NewRecord("node.entered", DATA, AT)] * EVENTS


async def appended_per_s(path: Path, appenders: int, seconds: float) -> float:
    """Events a second through the journal."""

    async def append(journal: Journal, run_id: str, until: float) -> int:
        seq = 0
        while perf_counter() < until:
            seq = (await journal.append(run_id, NEW, expected_seq=seq))[-1].seq
        return seq

    async with open_journal(path) as journal:
        begin = perf_counter()
        runs = (append(journal, f"run-{n}", begin + seconds) for n in range(appenders))
        events = sum(await asyncio.gather(*runs))
        return events / (perf_counter() - begin)


def raw_rows(appenders: int, seqs: Iterator[int]) -> Iterator[list[tuple[object, ...]]]:
    """One batch of rows after the other: the next 4 of each stream."""
    digest, offsets = b"\x00" * 32, count(1)
    while True:
        first = next(seqs) * EVENTS
        yield [
            (next(offsets), stream, first + n + 1, AT, "node.entered", digest, DATA)
            for stream in range(1, appenders + 1)
            for n in range(EVENTS)
        ]


def inserted_per_s(path: Path, appenders: int, seconds: float) -> float:
    """Rows a second through sqlite3 alone."""
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


async def make(path: Path) -> Path:
    """Make a journal, for the tables in it."""
    async with open_journal(path):
        return path


async def measure(appenders: int, seconds: float, rounds: int, parent: Path | None) -> str:
    figures, ceilings = [], []
    for _ in range(rounds):
        with TemporaryDirectory(dir=parent) as folder:
            raw = await make(Path(folder) / "raw.db")
            figures.append(await appended_per_s(Path(folder) / "test.db", appenders, seconds))
            ceilings.append(inserted_per_s(raw, appenders, seconds))
    ratios = [figure / ceiling for figure, ceiling in zip(figures, ceilings, strict=True)]
    return (
        f"append, {appenders:3} appenders: {median(figures):9,.0f} events/s, "
        f"raw SQLite {median(ceilings):9,.0f}, ratio {median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=0.5, help="of each window")
    parser.add_argument("--rounds", type=int, default=5, help="of each figure")
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    asked = parser.parse_args()
    for appenders in APPENDERS:
        print(
            asyncio.run(measure(appenders, asked.seconds, asked.rounds, asked.folder)), flush=True
        )


if __name__ == "__main__":
    main()
