"""What every peer is asked to do, and how its script answers; Python's own library alone.

A step adds one to ``n``, and a condition on ``n`` decides whether there is another.

``w1``: one run of 1,000 durable steps. ``w2``: 200 runs of 20 steps at once, and the memory after.
Before the clock of both begins, one more run of that length warms everything up.
``w1-sync`` is ``w1`` by an engine's API without asyncio.
``w3``: one run of 300 steps with a constant of 100 KB and a growing list in its state.
``serve``: a synchronous run of three nodes over HTTP.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

CONSTANT = "x" * 100_000


class Work(NamedTuple):
    """What a script is asked: ``NAME FOLDER NUMBER …``; the numbers are runs and steps, or a port."""

    name: str
    folder: Path
    numbers: tuple[int, ...]

    @property
    def runs(self) -> int:
        """How many runs at once."""
        return self.numbers[0]

    @property
    def steps(self) -> int:
        """How many steps a run."""
        return self.numbers[1]

    @property
    def warms_up(self) -> bool:
        """Whether one more run goes before the clock begins; not where bytes are counted."""
        return self.name != "w3"

    @property
    def port(self) -> int:
        """Where to serve."""
        return self.numbers[0]


def asked() -> Work:
    """Return what this process is asked to do."""
    _, name, folder, *numbers = sys.argv
    return Work(name, Path(folder), tuple(map(int, numbers)))


def say(**what: Any) -> None:
    """Answer."""
    print("RESULT " + json.dumps(what), flush=True)


async def run_all(
    work: Work, run: Callable[[int], Awaitable[int]], pids: Sequence[int | str] = ("self",)
) -> None:
    """Make all runs at once, each by its number, and answer; each returns the ``n`` it came to.

    The memory is that of the processes named, together.
    """
    if work.warms_up:
        await run(work.runs)
    begin = time.perf_counter()
    steps = await asyncio.gather(*(run(number) for number in range(work.runs)))
    took = time.perf_counter() - begin
    assert steps == [work.steps] * work.runs, steps
    say(steps_per_s=sum(steps) / took, rss_mb=sum(map(resident_mb, pids)))


def run_one(work: Work, run: Callable[[int], int]) -> None:
    """Make one run, by an API without asyncio, and answer."""
    run(1)
    begin = time.perf_counter()
    steps = run(0)
    took = time.perf_counter() - begin
    assert steps == work.steps, steps
    say(steps_per_s=steps / took)


def resident_mb(pid: int | str) -> float:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not tell how much memory a process has")
