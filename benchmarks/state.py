"""What a step costs more because its state is large: one small key changed, one item appended.

Two runs take turns, one with a state of 1 MB, one with next to none, on a journal in memory: a
commit would cost more than all that is to be seen. The ceiling is one encoding of the whole state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from statistics import median
from time import perf_counter
from typing import Any, Final

import msgspec

import stenograph as st
from benchmarks import figures
from benchmarks.figures import Asked, Figure, at_most, compared
from benchmarks.tools import TIMES, grown, loop, timed

WARM: Final = 20
"""Steps of each run that do not count: a snapshot of a large beginning falls among them."""


def measure(asked: Asked) -> Iterator[Figure]:
    """Yield the two figures, and beside each the whole step."""
    size = asked.size(100, 10)
    many_keys = {f"key-{n}": rows(80) for n in range(size)}
    yield from figures_of(
        "one small key changed in a state of 1 MB", asked, loop("timed", steps_of(asked)), many_keys
    )
    reducing = loop("grown", steps_of(asked), state={"items": {"reducer": "append"}})
    long_list = rows(asked.size(6_700, 200))
    yield from figures_of(
        "one item appended to a list of 900 KB", asked, reducing, {"items": long_list}
    )


def rows(count: int) -> list[dict[str, Any]]:
    """Return rows of about 125 bytes each, of the kinds that JSON has."""
    return [
        {"id": n, "score": n / 7, "ok": n % 2 == 0, "name": f"row {n}", "text": "lorem ipsum " * 5}
        for n in range(count)
    ]


def steps_of(asked: Asked) -> int:
    """Return how many steps a run makes."""
    return WARM + asked.size(200, 10)


def figures_of(
    name: str, asked: Asked, graph: dict[str, Any], state: dict[str, Any]
) -> Iterator[Figure]:
    """Yield what a step costs more in this state than in an empty one, and what it costs at all."""
    small: dict[str, Any] = {key: [] for key in state if key == "items"}
    more, whole = [], []
    for _ in range(asked.rounds):
        step = asyncio.run(step_us(graph, {"n": 0} | state))
        extra = max(0.0, step - asyncio.run(step_us(graph, {"n": 0} | small)))
        ceiling = encoding_us(state)
        more.append((extra, ceiling))
        whole.append((step, ceiling))
    against = "encoding the state"
    yield compared(name, "µs a step more", more, against=against, goal=at_most(0.10))
    yield compared(f"{name}, the whole step", "µs", whole, against=against)


async def step_us(graph: dict[str, Any], state: dict[str, Any]) -> float:
    """Return the median time from one step to the next."""
    TIMES.clear()
    async with st.open(":memory:", tools=[timed, grown]) as engine:
        run = await engine.run(graph, state, wait_s=600)
        assert run.status == "completed", run.error
    times = TIMES[WARM:]
    return median(after - before for before, after in pairwise(times)) * 1e6


def encoding_us(state: dict[str, Any]) -> float:
    """Return the median time of encoding a whole state as JSON."""
    times = []
    for _ in range(20):
        begin = perf_counter()
        msgspec.json.encode(state)
        times.append(perf_counter() - begin)
    return median(times) * 1e6


if __name__ == "__main__":
    figures.main(__doc__, measure)
