"""A server whose one run gets events at a given rate: Stenograph's own, or (``raw``) plain transports.

Both append the same events to a journal of their own, ten every 2 ms. Stenograph's server then does
what it does; the plain one writes what is new to each transport every 20 ms, as one frame that it
builds once.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import resource
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import stenograph as st
from benchmarks.processes import HOST, say, told
from benchmarks.tools import WAITING
from stenograph.engine import Engine
from stenograph.http import Settings, create_app, serve
from stenograph.journal import Journal, NewRecord, Record, envelope, open_journal

RUN_ID: Final = "live"
CONNECTIONS_MAX: Final = 1_200
EVERY_S: Final = 0.002
TICK_S: Final = 0.02
GRACE_S: Final = 0.1
"""How long after the last event was offered one may arrive and count."""
PENDING_MAX: Final = 2_000
"""Most appends under way; what is offered beyond is lost, and so is not delivered either."""
FILL: Final = 1_000
AT: Final = "2026-11-20T22:55:01.123456Z"
DATA: Final = (
    b'{"scope":"/","node":"hold","visit":1,"attempt":1,"level":"info","message":"all is well"}'
)
EVENT: Final = NewRecord("log", DATA, AT)


class Source:
    """Appends events to the one run, which has no actor: it waits for a signal."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.seq = journal, 0
        self.fresh: list[Record] | None = None

    async def append(self, many: int) -> None:
        """Append so many events."""
        before, self.seq = self.seq, self.seq + many
        records = await self.journal.append(RUN_ID, [EVENT] * many, expected_seq=before)
        if self.fresh is not None:
            self.fresh += records

    async def fill(self, many: int) -> dict[str, float]:
        """Append so many events at once."""
        for begin in range(0, many, FILL):
            await self.append(min(FILL, many - begin))
        return {"seq": self.seq}

    async def offer(self, per_s: int, seconds: float) -> dict[str, float]:
        """Append at a rate, for a time; returns the CPU time and the commits it took until then."""
        many = round(per_s * EVERY_S)
        cpu, commits, begin = time.process_time(), self.commits, time.monotonic()
        say({"begin": begin, "until": begin + seconds + GRACE_S})
        pending: set[asyncio.Task[None]] = set()
        late = begin + seconds + GRACE_S / 2
        for tick in range(round(seconds / EVERY_S)):
            await asyncio.sleep(max(0.0, begin + tick * EVERY_S - time.monotonic()))
            if len(pending) < PENDING_MAX and time.monotonic() < late:
                pending.add(task := asyncio.create_task(self.append(many)))
                task.add_done_callback(pending.discard)
        await asyncio.sleep(max(0.0, begin + seconds + GRACE_S - time.monotonic()))
        spent = {
            "cpu_s": time.process_time() - cpu,
            "commits_per_s": (self.commits - commits) / (time.monotonic() - begin),
        }
        if pending:
            await asyncio.wait(pending)
        return {**spent, "seq": self.seq}

    @property
    def commits(self) -> int:
        """How many commits there have been."""
        commits: int = self.journal.commits  # type: ignore[attr-defined]
        return commits


async def obey(source: Source) -> None:
    """Do what is told on stdin, one after the other, until that ends."""
    lines = told()
    while words := await asyncio.to_thread(next, lines, None):
        name, *numbers = words
        say(await (source.offer if name == "offer" else source.fill)(*numbers))


async def ours(path: Path, port: int) -> None:
    """Serve Stenograph."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Engine]:
        async with st.open(path) as engine:
            run = await engine.start(WAITING, run_id=RUN_ID)
            while run.status != "waiting":
                await asyncio.sleep(0.01)
                run = await engine.get(RUN_ID)
            source.append(Source(engine.journal))
            source[0].seq = await engine.journal.head(RUN_ID)
            yield engine

    source: list[Source] = []
    stop = asyncio.Event()

    def started(url: str, engine: Engine) -> None:
        say({"seq": source[0].seq})
        task = asyncio.create_task(obey(source[0]))
        task.add_done_callback(lambda _: stop.set())

    app = create_app(opened, Settings(connections=CONNECTIONS_MAX))
    await serve(app, HOST, port, started=started, stop=stop)


class RawSocket(asyncio.Protocol):
    """The server's end of a WebSocket that only ever sends."""

    open: Final[set[asyncio.Transport]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the request."""
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.request = transport, b""

    def data_received(self, data: bytes) -> None:
        """Shake hands; whatever comes later is not read."""
        self.request += data
        if self.transport in self.open or b"\r\n\r\n" not in self.request:
            return
        key = self.request.lower().index(b"sec-websocket-key:")
        asked = self.request[key:].split(b":", 1)[1].split(b"\r\n")[0].strip()
        digest = hashlib.sha1(asked + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
        )
        self.open.add(self.transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Send nothing more."""
        self.open.discard(self.transport)


async def raw(path: Path, port: int) -> None:
    """Serve plain transports."""
    async with open_journal(path) as journal:
        source = Source(journal)
        source.fresh = []
        ticking = asyncio.create_task(tick(source))
        await asyncio.get_running_loop().create_server(RawSocket, HOST, port, backlog=1024)
        say({"seq": 0})
        await obey(source)
        ticking.cancel()


async def tick(source: Source) -> None:
    """Write what is new to all transports, 50 times a second."""
    while True:
        await asyncio.sleep(TICK_S)
        fresh, source.fresh = source.fresh, []
        if fresh:
            logs = b",".join(map(envelope, fresh))
            data = frame(b'{"type":"logs","logs":[%b],"seq":%d}' % (logs, fresh[-1].seq))
            for transport in RawSocket.open:
                transport.write(data)


def frame(payload: bytes) -> bytes:
    """Return a WebSocket's text frame."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x81, size) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", 0x81, 126, size) + payload
    return struct.pack("!BBQ", 0x81, 127, size) + payload


def main(words: list[str]) -> None:
    """Serve, and do what is told."""
    serving: dict[str, Any] = {"ours": ours, "raw": raw}
    if len(words) != 3 or words[0] not in serving:
        sys.exit("say what to serve: python -m benchmarks.live_server ours|raw FILE PORT")
    kind, path, port = words
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(serving[kind](Path(path), int(port)))


if __name__ == "__main__":
    main(sys.argv[1:])
