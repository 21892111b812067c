"""How many steps a second the engine makes, beside what SQLite alone does with as many rows.

A step is a visit of a node: four events in one commit, durability full, hash chain on. The ceiling
is plain sqlite3 (raw.py), its rows divided by four; they are as large as those of a step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Final

import stenograph as st
from benchmarks import checked, figures
from benchmarks.figures import Asked, Figure, at_least, at_most, compared, counted, plural
from benchmarks.files import in_folder, in_turns
from benchmarks.raw import EVENTS, inserted_per_s
from benchmarks.tools import count, loop
from stenograph.engine import Tool

GOALS: Final = {1: at_least(0.85), 16: at_least(0.90), 256: at_least(0.80)}
DATA: Final = b'{"node":"work","text":"%b"}' % (b"x" * 80)
"""106 bytes, as a step's events have in the mean."""


def measure(asked: Asked) -> Iterator[Figure]:
    """Yield the commits a sequential step takes, and steps a second with 1, 16 and 256 runs."""
    steps = asked.size(1000, 200)
    commits = in_folder(lambda path, _, __: run_all(path, 1, steps)[1], 1, asked)
    yield counted("commits a sequential step", "", [commits], goal=at_most(1.02))
    for runs, goal in GOALS.items():
        pairs = in_turns(asked, runs, steps_per_s, step_rows_per_s)
        name = f"steps, {plural(runs, 'run')} in flight"
        yield compared(name, "steps/s", pairs, against="raw SQLite", goal=goal)


def steps_per_s(path: Path, runs: int, seconds: float) -> float:
    """Return steps a second with so many runs in flight, for about so long."""
    return run_all(path, runs, max(40, round(seconds * min(8000, 1500 * runs) / runs)))[0]


def step_rows_per_s(path: Path, runs: int, seconds: float) -> float:
    """Return how many times the rows of a step sqlite3 alone inserts a second."""
    return inserted_per_s(path, runs, seconds, DATA) / EVENTS


def run_all(path: Path, runs: int, steps: int, tool: Tool = count) -> tuple[float, float]:
    """Run so many runs of so many steps at once; returns steps a second, and commits a step.

    Raises RuntimeError if not all that they acknowledged is then found in the file.
    """

    async def run() -> tuple[list[st.Run], float, int]:
        async with st.open(path, tools=[tool]) as engine:
            graph = (await engine.create_graph(loop(tool.name, steps))).graph_id
            before = engine.journal.commits  # type: ignore[attr-defined]
            begin = perf_counter()
            ended = await asyncio.gather(*(engine.run(graph, wait_s=600) for _ in range(runs)))
            took = perf_counter() - begin
            commits = engine.journal.commits - before  # type: ignore[attr-defined]
        return ended, took, commits

    ended, took, commits = asyncio.run(run())
    found = checked.ends(path)
    for each in ended:
        assert (each.status, each.steps, each.seq) == ("completed", steps, found[each.id]), each
    return runs * steps / took, commits / (runs * steps)


if __name__ == "__main__":
    figures.main(__doc__, measure)
