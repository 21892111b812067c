"""How much memory a run takes that waits for a signal, and one that is parked at its limit.

The growth of the process's resident memory over so many runs, after enough others that everything
of a bounded size has it: the ring of recent events, SQLite's caches, and the heads of the last 16,384
streams. The table in which these stand is doubled, once, about when 22,000 streams have passed. It
is the median of parts of 10,000 runs, since a process takes memory in pieces of up to a megabyte, to
a hundredth of a KiB; what all parts came to stands beside it.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Any, Final

import stenograph as st
from benchmarks import figures
from benchmarks.figures import Asked, Figure, Goal, at_most, counted
from benchmarks.tools import WAITING, count, loop
from stenograph.engine import Engine

AT_ONCE: Final = 256
BEFORE: Final = 40_000
"""So many runs are made before, which fill what has a bounded size."""
PART: Final = 10_000
PARKING: Final = loop("count", 10) | {"limits": {"steps": 1}}


def measure(asked: Asked) -> Iterator[Figure]:
    """Yield the two figures."""
    many, parked = asked.size(100_000, 300), asked.size(60_000, 300)
    yield grown(WAITING, "waiting", many, at_most(2.0), asked)
    yield grown(PARKING, "parked", parked, at_most(0.0), asked)


def grown(graph: dict[str, Any], status: str, many: int, goal: Goal, asked: Asked) -> Figure:
    """Return the figure for so many runs in an engine of its own."""
    with TemporaryDirectory(dir=asked.folder) as folder:
        path = Path(folder) / "memory.db"
        parts = asyncio.run(kib_a_run(path, graph, status, many, asked.size(BEFORE, 50)))
    return counted(
        f"memory a {status} run, of {many:,}",
        "KiB",
        [max(0.0, round(median(parts), 2))],
        goal=goal,
        beside=f"{fmean(parts) * many:,.0f} KiB in all",
    )


async def kib_a_run(
    path: Path, graph: dict[str, Any], status: str, many: int, warm: int
) -> list[float]:
    """Return by how many KiB the process grows a run, in each part of them."""
    async with st.open(path, tools=[count]) as engine:
        graph_id = (await engine.create_graph(graph)).graph_id
        await begin(engine, graph_id, status, warm)
        parts, before = [], resident_kib()
        for part in [min(PART, many)] * max(1, many // PART):
            await begin(engine, graph_id, status, part)
            now = resident_kib()
            parts.append((now - before) / part)
            before = now
        return parts


async def begin(engine: Engine, graph: str, status: str, many: int) -> None:
    """Begin so many runs, some at once, and see each come to rest."""
    left = iter(range(many))

    async def some() -> None:
        for _ in left:
            run = await engine.run(graph, {"n": 0}, wait_s=600)
            assert run.status == status, run

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


def resident_kib() -> int:
    """Return the resident memory of this process."""
    gc.collect()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("this system does not tell how much memory a process has")


if __name__ == "__main__":
    figures.main(__doc__, measure)
