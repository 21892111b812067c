"""How many steps a second a tool makes that is declared pure, beside one commit a step.

Such a tool may run ahead of the journal by 32 steps; the commits a step tell whether it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import stenograph as st
from benchmarks import figures
from benchmarks.figures import Asked, Figure, at_least, compared, counted, plural
from benchmarks.files import in_folder, in_turns
from benchmarks.steps import run_all, steps_per_s
from benchmarks.tools import count
from stenograph.engine import Tool

GOALS: Final = {1: at_least(5.0), 16: None, 256: None}


def measure(asked: Asked) -> Iterator[Figure]:
    """Yield the commits a step of one run takes, and steps a second with 1, 16 and 256 runs."""
    pure: Tool = st.tool(name="count_pure", effects="pure")(count.function)
    _, commits = in_folder(lambda path, _, __: run_all(path, 1, 200, pure), 1, asked)
    yield counted("commits a step of a pure tool", "", [commits])
    for runs, goal in GOALS.items():
        pairs = in_turns(asked, runs, partial(pure_steps_per_s, pure), steps_per_s)
        name = f"steps of a pure tool, {plural(runs, 'run')} in flight"
        yield compared(name, "steps/s", pairs, against="one commit a step", goal=goal)


def pure_steps_per_s(pure: Tool, path: Path, runs: int, seconds: float) -> float:
    """Return steps a second with so many runs in flight, for about so long."""
    return run_all(path, runs, max(10, round(seconds * min(20_000, 10_000 * runs) / runs)), pure)[0]


if __name__ == "__main__":
    figures.main(__doc__, measure)
