"""How fast one subscriber gets a long past: 200,000 events, over a WebSocket that it opens for them.

The time is that from connecting to the last event. The ceiling iterates the same rows in sqlite3.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks import figures
from benchmarks.figures import Asked, Figure, at_least, compared, interleaved
from benchmarks.live_server import RUN_ID
from benchmarks.processes import PATIENCE_S, Process, free_port, process

ROWS = """
    SELECT offset, run_id, seq, at, type, data, hash FROM record JOIN stream ON number = stream
    WHERE run_id = ? ORDER BY seq
"""


def measure(asked: Asked) -> Iterator[Figure]:
    """Yield the figure."""
    port = free_port()
    with TemporaryDirectory(dir=asked.folder) as folder:
        path = Path(folder) / "long.db"
        with (
            process("-m", "benchmarks.live_server", "ours", path, port) as server,
            process("-m", "benchmarks.subscribers") as client,
        ):
            server.answer()
            events = server.ask("fill", asked.size(200_000, 5_000))["seq"]
            pairs = interleaved(
                asked.rounds,
                lambda: caught_up_per_s(client, port, events),
                lambda: iterated_per_s(path, events),
            )
    name = f"catch-up of one subscriber over {events:,} events"
    yield compared(name, "events/s", pairs, against="raw rows", goal=at_least(0.5))


def caught_up_per_s(client: Process, port: int, events: int) -> float:
    """Return events a second, from connecting on."""
    begin = client.ask("connect", port, f"/ws/{RUN_ID}?after=0&batch=1", 1)["begin"]
    seen = client.ask("until", begin + PATIENCE_S, events)
    assert not seen["behind"], "it did not get all events"
    client.ask("close")
    return events / float(seen["at"] - begin)


def iterated_per_s(path: Path, events: int) -> float:
    """Return rows a second."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        begin = perf_counter()
        rows = sum(1 for _ in db.execute(ROWS, (RUN_ID,)))
        assert rows == events
        return rows / (perf_counter() - begin)


if __name__ == "__main__":
    figures.main(__doc__, measure)
