"""How much sooner tools that compute are done in processes of their own than in the engine's one.

So many runs at once, each of one such tool, with workers that have been started before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

import stenograph as st
from benchmarks import figures
from benchmarks.figures import Asked, Figure, at_least, compared
from benchmarks.tools import compute, compute_apart, once
from stenograph.engine import Engine

RUNS: Final = 8


def measure(asked: Asked) -> Iterator[Figure]:
    """Yield the figure."""
    with TemporaryDirectory(dir=asked.folder) as folder:
        pairs = asyncio.run(take_turns(Path(folder) / "cores.db", asked))
    yield compared(
        "tools that compute, in processes",
        "runs/s",
        pairs,
        against="in one process",
        goal=at_least(1.8),
    )


async def take_turns(path: Path, asked: Asked) -> list[tuple[float, float]]:
    """Return runs a second in processes and in threads, for each round."""
    size = asked.size(1_000_000, 1_000)
    async with st.open(path, tools=[compute, compute_apart]) as engine:
        await runs_per_s(engine, "compute_apart", 1_000)
        return [
            (
                await runs_per_s(engine, "compute_apart", size),
                await runs_per_s(engine, "compute", size),
            )
            for _ in range(asked.rounds)
        ]


async def runs_per_s(engine: Engine, tool: str, size: int) -> float:
    """Return how many runs a second are done."""
    begin = perf_counter()
    ended = await asyncio.gather(
        *(engine.run(once(tool), {"size": size}, wait_s=600) for _ in range(RUNS))
    )
    took = perf_counter() - begin
    assert {run.status for run in ended} == {"completed"}, ended
    return RUNS / took


if __name__ == "__main__":
    figures.main(__doc__, measure)
