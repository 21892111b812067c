"""A server with many runs, to which events are written at a steady rate, each with its true time.

Told on stdin, in lines of JSON: ``["fill", N]`` writes N events to each run, ``["offer", PER_S,
BYTES]`` begins to write, ``["rest"]`` ends that; all answer with the heads of the runs and what the
server uses. It serves until stdin ends or it gets SIGTERM, and goes on where its journal ends.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import stenograph as st
from benchmarks.processes import HOST, say, told
from benchmarks.tools import WAITING
from stenograph.engine import Engine
from stenograph.http import Settings, create_app, serve
from stenograph.journal import NewRecord

EVERY_S: Final = 0.005
DATA: Final = (
    '{"scope":"/","node":"hold","visit":1,"attempt":1,"level":"info","message":"%s","fields":{}}'
)


class Writer:
    """Writes to the runs in turns; they have no actor, since they wait for a signal."""

    def __init__(self, engine: Engine, runs: list[str]) -> None:
        self.engine, self.runs = engine, runs
        self.heads: dict[str, int] = {}
        self.turn = 0
        self.writing: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Look where the runs are, or start them."""
        for run_id in self.runs:
            self.heads[run_id] = await self.engine.journal.head(run_id)
            if not self.heads[run_id]:
                run = await self.engine.run(WAITING, run_id=run_id)
                self.heads[run_id] = run.seq

    async def fill(self, many: int) -> None:
        """Write so many events to each run."""
        for run_id in self.runs:
            await self._append(run_id, [event(100)] * many)

    async def offer(self, per_s: float, size: int) -> None:
        """Begin to write."""
        self.writing = asyncio.create_task(self._offer(per_s, size))

    async def rest(self) -> None:
        """Write no more."""
        if self.writing is not None:
            self.writing.cancel()
            await asyncio.gather(self.writing, return_exceptions=True)

    async def look(self) -> None:
        """Do nothing."""

    async def _offer(self, per_s: float, size: int) -> None:
        begin, written = time.monotonic(), 0
        while True:
            await asyncio.sleep(EVERY_S)
            due = int((time.monotonic() - begin) * per_s)
            while written < due:
                self.turn = (self.turn + 1) % len(self.runs)
                await self._append(self.runs[self.turn], [event(size)])
                written += 1

    async def _append(self, run_id: str, events: list[NewRecord]) -> None:
        expected = self.heads[run_id]
        records = await self.engine.journal.append(run_id, events, expected_seq=expected)
        self.heads[run_id] = records[-1].seq


def event(size: int) -> NewRecord:
    """Return an event of about so many bytes, of now."""
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return NewRecord("log", (DATA % ("x" * size)).encode(), at)


async def main(path: Path, port: int, runs: int, settings: Settings) -> None:
    """Serve."""
    stop = asyncio.Event()
    writers: list[Writer] = []

    @asynccontextmanager
    async def opened() -> AsyncIterator[Engine]:
        async with st.open(path) as engine:
            writers.append(Writer(engine, [f"r{number}" for number in range(runs)]))
            await writers[0].begin()
            yield engine
            await writers[0].rest()

    app = create_app(opened, settings)

    def usage() -> dict[str, Any]:
        subscribers = app.state["subscribers"]
        return {
            "heads": writers[0].heads,
            "rss_kib": rss_kib(),
            "cpu_s": time.process_time(),
            "subscribers": subscribers.now,
            "slow": subscribers.slow,
        }

    async def obey() -> None:
        lines = told()
        while words := await asyncio.to_thread(next, lines, None):
            name, *numbers = words
            await getattr(writers[0], name)(*numbers)
            say(usage())
        stop.set()

    tasks: list[asyncio.Task[None]] = []

    def started(url: str, engine: Engine) -> None:
        say(usage())
        tasks.append(asyncio.create_task(obey()))

    await serve(app, HOST, port, started=started, stop=stop)


def rss_kib() -> int:
    """Return how much memory this process holds, in KiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    _, db, at_port, many_runs, send_s = sys.argv
    asyncio.run(
        main(
            Path(db),
            int(at_port),
            int(many_runs),
            Settings(connections=100_000, subscribers=100_000, send_s=float(send_s), stop_s=30.0),
        )
    )
