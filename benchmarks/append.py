"""How fast events become durable, beside what SQLite alone does with the same rows.

Each appender waits for its append of 4 events, then makes the next: durability full, hash chain
on. The ceiling is plain sqlite3 (raw.py), committing as many rows at once as the appenders offer
together, also where the journal makes two commits of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Final

from benchmarks import checked, figures
from benchmarks.figures import Asked, Figure, at_least, compared, plural
from benchmarks.files import in_turns
from benchmarks.raw import AT, DATA, EVENTS, TYPE, inserted_per_s
from stenograph.journal import Journal, NewRecord, open_journal

GOALS: Final = {1: at_least(0.75), 16: at_least(0.80), 256: at_least(0.85)}
NEW: Final = [NewRecord(TYPE, DATA, AT)] * EVENTS


def measure(asked: Asked) -> Iterator[Figure]:
    """Yield a figure for each number of appenders."""
    for appenders, goal in GOALS.items():
        pairs = in_turns(asked, appenders, appended_per_s, inserted_per_s)
        name = f"append, {plural(appenders, 'appender')}"
        yield compared(name, "events/s", pairs, against="raw SQLite", goal=goal)


async def append_until(journal: Journal, run_id: str, until: float) -> int:
    """Append to one stream until then; returns how many events."""
    seq = 0
    while perf_counter() < until:
        seq = (await journal.append(run_id, NEW, expected_seq=seq))[-1].seq
    return seq


def appended_per_s(path: Path, appenders: int, seconds: float) -> float:
    """Return events a second through the journal, all of which are then found in it."""

    async def append() -> tuple[int, float]:
        async with open_journal(path) as journal:
            begin = perf_counter()
            runs = (append_until(journal, f"run-{n}", begin + seconds) for n in range(appenders))
            events = sum(await asyncio.gather(*runs))
            return events, perf_counter() - begin

    events, took = asyncio.run(append())
    assert sum(checked.ends(path).values()) == events
    return events / took


if __name__ == "__main__":
    figures.main(__doc__, measure)
