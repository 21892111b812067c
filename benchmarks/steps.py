"""How many steps a second the engine makes, beside what SQLite alone does with as many rows.

A step is a visit of a node: four events in one commit, durability full, hash chain on. The ceiling
is plain sqlite3 (raw.py), its rows divided by four.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Final

import stenograph as st
from benchmarks import figures
from benchmarks.append import in_folder
from benchmarks.figures import Asked, Figure, at_least, at_most, compared, counted, interleaved
from benchmarks.raw import EVENTS, inserted_per_s
from benchmarks.tools import count, loop
from stenograph.engine import Tool

GOALS: Final = {1: at_least(0.85), 16: at_least(0.90), 256: at_least(0.80)}


def measure(asked: Asked) -> Iterator[Figure]:
    """Yield the commits a sequential step takes, and steps a second with 1, 16 and 256 runs."""
    steps = asked.size(1000, 200)
    commits = in_folder(lambda path, _, __: run_all(path, 1, steps)[1], 1, asked)
    yield counted("commits a sequential step", "", [commits], goal=at_most(1.02))
    for runs, goal in GOALS.items():
        pairs = interleaved(
            asked.rounds,
            partial(in_folder, steps_per_s, runs, asked),
            partial(in_folder, step_rows_per_s, runs, asked),
        )
        name = f"steps, {runs} run{'s' * (runs > 1)} in flight"
        yield compared(name, "steps/s", pairs, against="raw SQLite", goal=goal)


def steps_per_s(path: Path, runs: int, seconds: float) -> float:
    """Return steps a second with so many runs in flight, for about so long."""
    return run_all(path, runs, max(40, round(seconds * min(8000, 1500 * runs) / runs)))[0]


def step_rows_per_s(path: Path, runs: int, seconds: float) -> float:
    """Return how many times the rows of a step sqlite3 alone inserts a second."""
    return inserted_per_s(path, runs, seconds) / EVENTS


def run_all(path: Path, runs: int, steps: int, tool: Tool = count) -> tuple[float, float]:
    """Run so many runs of so many steps at once; returns steps a second, and commits a step."""

    async def run() -> tuple[float, float]:
        async with st.open(path, tools=[tool]) as engine:
            graph = (await engine.create_graph(loop(tool.name, steps))).graph_id
            before = engine.journal.commits  # type: ignore[attr-defined]
            begin = perf_counter()
            ended = await asyncio.gather(*(engine.run(graph, wait_s=600) for _ in range(runs)))
            took = perf_counter() - begin
            commits = engine.journal.commits - before  # type: ignore[attr-defined]
        assert all((run.status, run.steps) == ("completed", steps) for run in ended)
        return runs * steps / took, commits / (runs * steps)

    return asyncio.run(run())


if __name__ == "__main__":
    figures.main(__doc__, measure)
