"""How many steps a second the engine makes, beside what SQLite alone does with as many rows.

A step is a visit of a node: four events in one commit, durability full, hash chain on. The ceiling
is plain sqlite3 in this process (see append.py), its rows divided by four. The two take turns;
every figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import stenograph as st
from benchmarks.append import EVENTS, inserted_per_s, make

RUNS = (1, 16, 256)


@st.tool
async def count(state: dict[str, Any]) -> dict[str, Any]:
    return {"n": state.get("n", 0) + 1}


def loop(steps: int) -> dict[str, Any]:
    node = {"tool": "count", "next": [{"to": "count", "max": steps - 1}]}
    return {"start": "count", "nodes": {"count": node}, "limits": {"steps": steps}}


async def steps_per_s(path: Path, runs: int, steps: int) -> tuple[float, float]:
    """Steps a second with so many runs in flight, each of so many steps; and commits a step."""
    async with st.open(path, tools=[count]) as engine:
        graph = (await engine.create_graph(loop(steps))).graph_id
        before = engine.journal.commits  # type: ignore[attr-defined]
        begin = perf_counter()
        ended = await asyncio.gather(*(engine.run(graph, wait_s=600) for _ in range(runs)))
        took = perf_counter() - begin
        commits = engine.journal.commits - before  # type: ignore[attr-defined]
    assert all((run.status, run.steps) == ("completed", steps) for run in ended)
    return runs * steps / took, commits / (runs * steps)


async def measure(runs: int, seconds: float, rounds: int, parent: Path | None) -> str:
    steps = max(10, round(seconds * min(8000, 1500 * runs) / runs))
    figures, ceilings, commits = [], [], 0.0
    for _ in range(rounds):
        with TemporaryDirectory(dir=parent) as folder:
            raw = await make(Path(folder) / "raw.db")
            figure, commits = await steps_per_s(Path(folder) / "test.db", runs, steps)
            figures.append(figure)
            ceilings.append(inserted_per_s(raw, runs, seconds) / EVENTS)
    ratios = [figure / ceiling for figure, ceiling in zip(figures, ceilings, strict=True)]
    return (
        f"steps,  {runs:3} runs:      {median(figures):9,.0f} steps/s,  "
        f"raw SQLite {median(ceilings):9,.0f}, ratio {median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}), {commits:.3f} commits a step"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=0.5, help="of each window, about")
    parser.add_argument("--rounds", type=int, default=5, help="of each figure")
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    asked = parser.parse_args()
    for runs in RUNS:
        print(asyncio.run(measure(runs, asked.seconds, asked.rounds, asked.folder)), flush=True)


if __name__ == "__main__":
    main()
