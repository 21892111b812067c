"""What every peer is asked to do, and how its script answers; Python's own library alone.

``w1``: one run of 1,000 durable steps. ``w2``: 200 runs of 20 steps at once, and the memory after.
``w3``: one run of 300 steps with a constant of 100 KB and a growing list in its state.
``serve``: a synchronous run of three nodes over HTTP.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
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


async def run_all(work: Work, run: Callable[[int], Awaitable[int]]) -> None:
    """Make all runs at once, each by its number, and answer; each returns how many steps it made."""
    begin = time.perf_counter()
    steps = await asyncio.gather(*(run(number) for number in range(work.runs)))
    took = time.perf_counter() - begin
    assert steps == [work.steps] * work.runs, steps
    say(steps_per_s=sum(steps) / took, rss_mb=resident_mb())


def resident_mb(pid: int | str = "self") -> float:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not tell how much memory a process has")
