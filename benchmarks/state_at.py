"""How long it takes to read the state of a long run as it was, by how far back that lies.

One run in a file, whose state is small beside its history. Cold: a journal and an engine that were
opened just now, so that nothing is at hand but what the operating system keeps of the file. Warm:
the same engine asked again. It is flat when all three tenths of the run take about the same.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

from benchmarks import figures
from benchmarks.figures import Asked, Figure, counted
from benchmarks.replay import make
from stenograph.engine import Engine
from stenograph.journal import open_journal

TENTHS: Final = {"first": 0, "middle": 5, "last": 9}


def measure(asked: Asked) -> Iterator[Figure]:
    """Yield the median cold and warm for each tenth of the run."""
    with TemporaryDirectory(dir=asked.folder) as folder:
        path = Path(folder) / "long.db"
        head = asyncio.run(make(path, asked.size(25_000, 300)))
        for name, tenth in TENTHS.items():
            cold, warm = asyncio.run(ask(path, head, tenth, asked.size(20, 3)))
            yield figure(f"state of the {name} tenth of {head:,} events, cold", cold)
            yield figure(f"state of the {name} tenth of {head:,} events, warm", warm)


def figure(name: str, times: list[float]) -> Figure:
    """Return the figure with its median, and the 99th percentile beside it."""
    return counted(name, "ms", times, beside=f"p99 {quantiles(times, n=100)[98]:.1f} ms")


async def ask(path: Path, head: int, tenth: int, questions: int) -> tuple[list[float], list[float]]:
    """Return the times of so many questions, each asked cold and then warm."""
    points = range(head * tenth // 10 + 1, head * (tenth + 1) // 10)
    cold, warm = [], []
    for at in random.Random(tenth).sample(points, questions):
        async with open_journal(path) as journal, Engine(journal, recover=False) as engine:
            cold.append(await asked_ms(engine, at))
            warm.append(await asked_ms(engine, at))
    return cold, warm


async def asked_ms(engine: Engine, at: int) -> float:
    """Return how long one question takes."""
    begin = perf_counter()
    then = await engine.state("long", at)
    took = (perf_counter() - begin) * 1000
    assert then.seq == at
    return took


if __name__ == "__main__":
    figures.main(__doc__, measure)
