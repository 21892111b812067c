"""How many steps a second the engine makes, beside what SQLite alone could: ``make bench``.

A step is one visit of a node: four events in one durable commit (``durability=full``, hash chain
on). The ceiling is raw sqlite3 in this process: rows of the same size, four to a run and commit,
divided by four.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import stenograph as st
from benchmarks.raw import raw_rows_per_s


@st.tool
async def count(state: dict[str, Any]) -> dict[str, Any]:
    return {"n": state.get("n", 0) + 1}


def loop(steps: int) -> dict[str, Any]:
    node = {"tool": "count", "next": [{"to": "count", "max": steps - 1}]}
    return {"start": "count", "nodes": {"count": node}, "limits": {"steps": 10**9}}


async def steps_per_s(folder: Path, runs: int, seconds: float) -> tuple[float, float]:
    """Return steps a second with so many runs in flight, and commits a step."""
    steps = max(10, round(seconds * 6000 / runs))
    path = folder / f"steps-{time.monotonic_ns()}.db"
    async with st.open(path, tools=[count]) as engine:
        begun = time.perf_counter()
        ended = await asyncio.gather(*(engine.run(loop(steps), wait_s=600) for _ in range(runs)))
        took = time.perf_counter() - begun
    assert all(run.status == "completed" and run.steps == steps for run in ended)
    return runs * steps / took, 0.0


def shown(name: str, figures: list[float], ceilings: list[float]) -> str:
    ratio = median(a / b for a, b in zip(figures, ceilings, strict=True))
    return (
        f"{name:<28} {median(figures):>9,.0f} steps/s   "
        f"ceiling {median(ceilings):>9,.0f}   ratio {ratio:.2f}"
    )


async def bench(rounds: int, seconds: float, say: Callable[[str], None] = print) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for runs in (1, 16, 256):
            figures, ceilings = [], []
            for _ in range(rounds):  # interleaved: the machine's speed drifts
                ceilings.append(raw_rows_per_s(folder, 4 * runs, seconds) / 4)
                figures.append((await steps_per_s(folder, runs, seconds))[0])
            say(shown(f"steps, {runs} runs in flight", figures, ceilings))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="length of one window")
    options = parser.parse_args()
    asyncio.run(bench(options.rounds, options.seconds))
