"""How much of the processor a step takes: on the loop's thread, and on all threads together.

What Python does shares one interpreter lock. So the loop's part alone bounds how many steps a second
there can be, whatever the disk does and however many cores there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import process_time, thread_time
from typing import Any, Final

import stenograph as st
from benchmarks import figures
from benchmarks.figures import Asked, Figure, counted, plural
from benchmarks.files import in_folder
from benchmarks.tools import THREE, count, first, loop, second, third

RUNS: Final = (1, 16, 256)
AGAIN: Final = 20
"""How many times short runs are made, one after the other."""


def measure(asked: Asked) -> Iterator[Figure]:
    """Yield what a step takes with so many runs in flight, and what a run of three nodes does."""
    for runs in RUNS:
        steps = max(10, asked.size(6000, 200) // runs)
        used = partial(used_us, loop("count", steps), 1)
        name = f"CPU a step, {plural(runs, 'run')} in flight"
        yield from of_both(name, [in_folder(used, runs, asked) for _ in range(asked.rounds)], steps)
    used = partial(used_us, THREE, AGAIN)
    rounds = [in_folder(used, 16, asked) for _ in range(asked.rounds)]
    yield from of_both("CPU a run of 3 nodes, 16 in flight", rounds, 1)


def of_both(name: str, runs_us: list[tuple[float, float]], parts: int) -> Iterator[Figure]:
    """Yield the figures of the loop and of all threads, for each of so many parts of a run."""
    yield counted(f"{name}, on the loop", "µs", [loop_us / parts for loop_us, _ in runs_us])
    yield counted(f"{name}, on all threads", "µs", [all_us / parts for _, all_us in runs_us])


def used_us(
    graph: dict[str, Any], times: int, path: Path, runs: int, _: float
) -> tuple[float, float]:
    """Return the time a run takes of the loop's thread, and of all threads, with so many at once."""

    async def run() -> tuple[float, float]:
        async with st.open(path, tools=[count, first, second, third]) as engine:
            made = (await engine.create_graph(graph)).graph_id
            loop_s, all_s = thread_time(), process_time()
            for _ in range(times):
                given = (engine.run(made, {"n": 0}, wait_s=600) for _ in range(runs))
                ended = await asyncio.gather(*given)
                assert all(run.status == "completed" for run in ended)
            loop_s, all_s = thread_time() - loop_s, process_time() - all_s
        return loop_s / times / runs * 1e6, all_s / times / runs * 1e6

    return asyncio.run(run())


if __name__ == "__main__":
    figures.main(__doc__, measure)
