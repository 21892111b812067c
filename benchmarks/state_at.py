"""How long it takes to read the state of a long run as it was, by how far back that lies.

One run in a file, whose state is small beside its history. Cold: a journal and an engine that were
opened just now, so that nothing is at hand but what the operating system keeps of the file. Warm:
the same engine asked again. It is flat when all three tenths of the run take about the same.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import stenograph as st
from stenograph.engine import Engine
from stenograph.journal import open_journal

EVENTS_A_STEP = 4
TENTHS = {"first": 0, "middle": 5, "last": 9}


@st.tool
async def count(state: dict[str, Any]) -> dict[str, Any]:
    """Count, among other keys that stay as they are."""
    return {"n": state["n"] + 1}


async def make(path: Path, events: int) -> int:
    """Make a run of so many events; returns how many they are."""
    steps = events // EVENTS_A_STEP
    graph = {
        "start": "work",
        "nodes": {"work": {"tool": "count", "next": [{"to": "work", "max": steps - 1}]}},
        "limits": {"steps": steps},
    }
    state = {"n": 0} | {f"key-{number}": "x" * 50 for number in range(20)}
    async with st.open(path, tools=[count], durability="normal") as engine:
        run = await engine.run(graph, state, run_id="long", wait_s=3600)
        return run.seq


async def asked_ms(engine: Engine, at: int) -> float:
    """Return how long one question takes."""
    begin = perf_counter()
    then = await engine.state("long", at)
    took = (perf_counter() - begin) * 1000
    assert then.seq == at
    return took


async def measure(path: Path, head: int, tenth: int, questions: int) -> tuple[list[float], ...]:
    """Return the times of so many questions, each asked cold and then warm."""
    points = random.Random(tenth).sample(
        range(head * tenth // 10 + 1, head * (tenth + 1) // 10), questions
    )
    cold, warm = [], []
    for at in points:
        async with open_journal(path) as journal, Engine(journal, recover=False) as engine:
            cold.append(await asked_ms(engine, at))
            warm.append(await asked_ms(engine, at))
    return cold, warm


def told(times: list[float]) -> str:
    """Return the median and the 99th percentile."""
    cuts = quantiles(times, n=100)
    return f"p50 {cuts[49]:6.1f} ms, p99 {cuts[98]:6.1f} ms"


async def report(asked: argparse.Namespace) -> None:
    """Make the run, and print a line for each tenth."""
    with TemporaryDirectory(dir=asked.folder) as folder:
        path = Path(folder) / "long.db"
        head = await make(path, asked.events)
        for name, tenth in TENTHS.items():
            cold, warm = await measure(path, head, tenth, asked.questions)
            print(
                f"state?at= in the {name:>6} tenth of {head:,} events: "
                f"cold {told(cold)}; warm {told(warm)}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--events", type=int, default=100_000, help="of the run")
    parser.add_argument("--questions", type=int, default=100, help="in each tenth")
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    asyncio.run(report(parser.parse_args()))


if __name__ == "__main__":
    main()
