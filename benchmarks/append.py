"""How fast events become durable, beside what SQLite alone does with the same rows.

Each appender waits for its append of 4 events, then makes the next: durability full, hash chain
on. The ceiling is plain sqlite3 (raw.py), committing as many rows at once as the appenders offer
together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final, TypeVar

from benchmarks import figures
from benchmarks.figures import Asked, Figure, at_least, compared, interleaved
from benchmarks.raw import AT, DATA, EVENTS, TYPE, inserted_per_s
from stenograph.journal import Journal, NewRecord, open_journal

T = TypeVar("T")

GOALS: Final = {1: at_least(0.75), 16: at_least(0.80), 256: at_least(0.85)}
NEW: Final = [NewRecord(TYPE, DATA, AT)] * EVENTS


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


def in_folder(measured: Callable[[Path, int, float], T], many: int, asked: Asked) -> T:
    """Measure in a new file, which goes afterwards."""
    with TemporaryDirectory(dir=asked.folder) as folder:
        return measured(Path(folder) / "test.db", many, asked.seconds)


if __name__ == "__main__":
    figures.main(__doc__, measure)
