"""Whether step number 100,000 of a run costs what step number 100 costs, in time and in bytes.

One long run is driven to just before that step with durability normal, and parks there at its limit.
Then, with durability full, it goes on a little and a new run begins, in turns, many times: a turn
is short, and the disk is not equally fast in any two of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import stenograph as st
from benchmarks import figures
from benchmarks.figures import Asked, Figure, at_most, compared
from benchmarks.tools import TIMES, loop, timed
from stenograph.engine import Engine

WINDOW: Final = 100
"""Steps that are measured at once, after as many that are not."""
STATE: Final = {"n": 0} | {f"key-{n}": "x" * 50 for n in range(20)}


def measure(asked: Asked) -> Iterator[Figure]:
    """Yield the time and the bytes of a late step, beside those of an early one."""
    late = asked.size(100_000, 1_000)
    with TemporaryDirectory(dir=asked.folder) as folder:
        path = Path(folder) / "late.db"
        asyncio.run(drive(path, late - WINDOW))
        rounds = asyncio.run(take_turns(path, late - WINDOW, asked.rounds))
    name = f"step number {late:,}"
    for what, unit, measured in (("time", "µs", 0), ("journal", "bytes", 1)):
        pairs = [(long[measured], new[measured]) for long, new in rounds]
        yield compared(f"{name}, {what}", unit, pairs, against="step number 100", goal=at_most(1.1))


def graph(limit: int) -> dict[str, Any]:
    """Return a loop without an end of its own, which parks after so many steps."""
    return loop("timed", 10_000_000) | {"limits": {"steps": limit}}


async def drive(path: Path, steps: int) -> None:
    """Make a run of so many steps, that parks there."""
    async with st.open(path, tools=[timed], durability="normal") as engine:
        run = await engine.run(graph(steps), STATE, run_id="late", wait_s=3600)
        assert (run.status, run.steps) == ("parked", steps), run


async def take_turns(
    path: Path, steps: int, rounds: int
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Return for each round the (time, bytes) of a step of the long run, and of a new one."""
    told = []
    async with st.open(path, tools=[timed]) as engine:
        for number in range(rounds):
            steps += 2 * WINDOW
            before = await engine.journal.head("late")
            TIMES.clear()
            await engine.resume("late", limits=st.Limits(steps=steps))
            await engine.wait("late", 600)
            long = await step_of(engine, "late", before)
            TIMES.clear()
            await engine.run(graph(2 * WINDOW), STATE, run_id=f"new-{number}", wait_s=600)
            told.append((long, await step_of(engine, f"new-{number}", 0)))
    return told


async def step_of(engine: Engine, run_id: str, after: int) -> tuple[float, float]:
    """Return the median µs and the mean bytes of the steps in the second half of what was made."""
    times = TIMES[WINDOW:]
    records = await engine.journal.read(run_id, after=after, limit=4096)
    entered = [n for n, record in enumerate(records) if record.type == "node.entered"]
    begin, end = entered[WINDOW], entered[-1]
    size = sum(len(record.data) for record in records[begin:end]) / (len(entered) - 1 - WINDOW)
    return median(b - a for a, b in pairwise(times)) * 1e6, size


if __name__ == "__main__":
    figures.main(__doc__, measure, rounds=21)
