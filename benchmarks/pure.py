"""How many steps a second a tool makes that is declared pure, beside one commit a step.

Such a tool may run ahead of the journal by some steps; the commits a step tell whether it does.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import stenograph as st
from benchmarks import figures
from benchmarks.append import in_folder
from benchmarks.figures import (
    Asked,
    Figure,
    Skipped,
    Told,
    at_least,
    compared,
    counted,
    interleaved,
)
from benchmarks.steps import run_all, steps_per_s
from benchmarks.tools import count
from stenograph.engine import Tool

GOALS: Final = {1: at_least(5.0), 16: None, 256: None}


def declared_pure() -> Tool:
    """Return the tool that counts, declared pure in the way this version knows."""
    known = inspect.signature(st.tool).parameters
    options: Any = {"pure": True} if "pure" in known else {"effects": "pure"}
    tool: Tool = st.tool(name="count_pure", **options)(count.function)
    return tool


def measure(asked: Asked) -> Iterator[Told]:
    """Yield steps a second with 1, 16 and 256 runs, or why they are not told."""
    pure = declared_pure()
    _, commits = in_folder(lambda path, _, __: run_all(path, 1, 200, pure), 1, asked)
    if commits > 0.5:
        yield Skipped("steps of a pure tool", f"none runs ahead yet ({commits:.2f} commits a step)")
        return
    yield counted("commits a step of a pure tool", "", [commits])
    for runs, goal in GOALS.items():
        yield figure(pure, runs, goal, asked)


def figure(pure: Tool, runs: int, goal: figures.Goal | None, asked: Asked) -> Figure:
    """Return the figure for so many runs at once."""
    pairs = interleaved(
        asked.rounds,
        partial(in_folder, partial(pure_steps_per_s, pure), runs, asked),
        partial(in_folder, steps_per_s, runs, asked),
    )
    name = f"steps of a pure tool, {runs} run{'s' * (runs > 1)} in flight"
    return compared(name, "steps/s", pairs, against="one commit a step", goal=goal)


def pure_steps_per_s(pure: Tool, path: Path, runs: int, seconds: float) -> float:
    """Return steps a second with so many runs in flight, for about so long."""
    return run_all(path, runs, max(10, round(seconds * min(20_000, 10_000 * runs) / runs)), pure)[0]


if __name__ == "__main__":
    figures.main(__doc__, measure)
