"""How many bytes a step takes on disk, with a constant of 100 KB in the state.

300 steps, each of which appends a small item to a list. Counted is all that lies in the folder once
the journal is closed: the constant itself, once, and the snapshots too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import stenograph as st
from benchmarks import figures
from benchmarks.figures import Asked, Figure, counted
from benchmarks.tools import loop

STEPS: Final = 300
CONSTANT: Final = 100_000


@st.tool
async def grow(state: dict[str, Any]) -> dict[str, Any]:
    """Append an item, through the list's reducer."""
    return {"n": state["n"] + 1, "items": {"i": state["n"], "ok": True}}


def measure(asked: Asked) -> Iterator[Figure]:
    """Yield the figure."""
    steps = asked.size(STEPS, 30)
    with TemporaryDirectory(dir=asked.folder) as folder:
        asyncio.run(run(Path(folder), steps))
        size = bytes_in(Path(folder))
    name = "on disk a step, with a constant of 100 KB in the state"
    yield counted(name, "bytes", [size / steps], beside=f"{size:,} bytes in all")


async def run(folder: Path, steps: int) -> None:
    """Make a run of so many steps."""
    graph = loop("grow", steps, state={"items": {"reducer": "append"}})
    async with st.open(folder / "disk.db", tools=[grow]) as engine:
        state = {"n": 0, "blob": "x" * CONSTANT, "items": []}
        ended = await engine.run(graph, state, wait_s=600)
        assert (ended.status, ended.steps) == ("completed", steps), ended


def bytes_in(folder: Path) -> int:
    """Return how many bytes the files of a folder have."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    figures.main(__doc__, measure)
