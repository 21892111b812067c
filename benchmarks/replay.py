"""How fast a long run is folded from its events, beside plain rows, decoded and applied.

Ours is ``engine.get`` on a journal that was opened just now and holds no snapshot. The ceiling
takes the same rows from sqlite3, decodes each event and lets the same ``evolve`` take it in, without
asyncio, pages or checks. Beside it stands what only decodes the JSON and sets what was patched.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Final, TypeAlias

import msgspec

import stenograph as st
from benchmarks import figures
from benchmarks.figures import Asked, Figure, at_least, compared, interleaved
from benchmarks.tools import count, loop
from stenograph.engine.core.events import decode
from stenograph.engine.core.folding import evolve
from stenograph.engine.core.run import Run
from stenograph.journal import Record

End: TypeAlias = tuple[int, int]
"""The last seq, and what the tool has counted to."""

ROWS: Final = (
    "SELECT offset, 'long', seq, at, type, data, hash FROM record WHERE stream = ? ORDER BY seq"
)
STATE: Final = {"n": 0} | {f"key-{n}": "x" * 50 for n in range(20)}


def measure(asked: Asked) -> Iterator[Figure]:
    """Yield the figure beside the same fold over plain rows, and beside hardly any fold."""
    with TemporaryDirectory(dir=asked.folder) as folder:
        path = Path(folder) / "long.db"
        steps = asked.size(25_000, 300)
        events = asyncio.run(make(path, steps))
        forget_snapshots(path)
        rounds = interleaved(
            asked.rounds,
            partial(per_s, (events, steps), lambda: asyncio.run(replay(path))),
            partial(per_s, (events, steps), lambda: evolved(path)),
            partial(per_s, (events, steps), lambda: patched(path)),
        )
    name = f"replay of {events:,} events"
    yield compared(
        name,
        "events/s",
        [(ours, fold) for ours, fold, _ in rounds],
        against="rows, decoded and evolved",
        goal=at_least(0.9),
    )
    yield compared(
        f"{name}, beside no fold",
        "events/s",
        [(ours, least) for ours, _, least in rounds],
        against="rows, JSON decoded, keys set",
    )


async def make(path: Path, steps: int) -> int:
    """Make a run of so many steps; returns how many events it has."""
    async with st.open(path, tools=[count], durability="normal") as engine:
        run = await engine.run(loop("count", steps), STATE, run_id="long", wait_s=3600)
        return run.seq


def forget_snapshots(path: Path) -> None:
    """Empty the cache of folded runs, which may be done at any time."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM snapshot")
        db.commit()


def per_s(end: End, folded: Callable[[], End]) -> float:
    """Return events a second; what was folded must have come to that end."""
    begin = perf_counter()
    assert folded() == end
    return end[0] / (perf_counter() - begin)


async def replay(path: Path) -> End:
    """Fold the run as the engine does for whoever asks."""
    async with st.open(path, recover=False) as engine:
        run = await engine.get("long")
        return run.seq, run.state["n"]


def rows(path: Path) -> Iterator[Any]:
    """Yield the rows of the run."""
    with closing(sqlite3.connect(path)) as db:
        (stream,) = db.execute("SELECT number FROM stream WHERE run_id = 'long'").fetchone()
        yield from db.execute(ROWS, (stream,))


def evolved(path: Path) -> End:
    """Fold the run with nothing between the rows and the fold, for which no hash is needed."""
    run = Run()
    for offset, run_id, seq, at, type_, data, _ in rows(path):
        evolve(run, decode(Record(offset, run_id, seq, at, type_, data, "")))
    return run.seq, run.state["n"]


def patched(path: Path) -> End:
    """Decode each event and set the keys that it patches."""
    state: dict[str, Any] = {}
    last = 0
    for _, _, last, _, type_, data, _ in rows(path):  # noqa: B007
        event = msgspec.json.decode(data)
        if type_ == "state.patched":
            for operation in event["patch"]:
                state[operation["path"]] = operation.get("value")
    return last, state["/n"]


if __name__ == "__main__":
    figures.main(__doc__, measure)
