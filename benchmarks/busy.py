"""How fast events become durable while a tool keeps the event loop busy, beside an idle loop.

16 appenders, as in append.py. The tool computes for a while, gives way once, and computes again: the
writer's thread then gets Python's lock only when the interpreter takes it from the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Final

import stenograph as st
from benchmarks import checked, figures
from benchmarks.append import append_until
from benchmarks.figures import Asked, Figure, at_least, compared
from benchmarks.files import in_turns
from benchmarks.tools import once, spin

APPENDERS: Final = 16
SPINS_US: Final = (500, 100)


def measure(asked: Asked) -> Iterator[Figure]:
    """Yield a figure for each time that the tool computes without giving way."""
    for spin_us in SPINS_US:
        busy, idle = partial(appended_per_s, spin_us / 1e6), partial(appended_per_s, 0.0)
        pairs = in_turns(asked, APPENDERS, busy, idle)
        name = f"appends while a tool computes {spin_us} µs at a time"
        yield compared(name, "events/s", pairs, against="idle loop", goal=at_least(0.3))


def appended_per_s(spin_s: float, path: Path, appenders: int, seconds: float) -> float:
    """Return events a second, beside a tool that keeps the loop busy (0: none does)."""
    streams = [f"stream-{n}" for n in range(appenders)]

    async def append() -> tuple[int, float]:
        async with st.open(path, tools=[spin]) as engine:
            if spin_s:
                await engine.start(
                    once("spin"), {"spin_s": spin_s, "seconds": seconds + 0.2}, run_id="busy"
                )
                await asyncio.sleep(0.1)
            begin = perf_counter()
            until = begin + seconds
            events = await asyncio.gather(
                *(append_until(engine.journal, stream, until) for stream in streams)
            )
            took = perf_counter() - begin
            if spin_s:
                assert (await engine.wait("busy")).status == "completed"
            return sum(events), took

    events, took = asyncio.run(append())
    found = checked.ends(path)
    assert sum(found.get(stream, 0) for stream in streams) == events
    return events / took


if __name__ == "__main__":
    figures.main(__doc__, measure)
