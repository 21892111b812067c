"""Load over HTTP, from a process of its own: so many connections that each post, wait and post again.

The client is ours, on asyncio's transports: it reads of an answer its status and its length, which
takes about a tenth of what any of the servers takes that it is pointed at.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from time import perf_counter
from typing import Any

from msgspec import Struct

from benchmarks.processes import HOST, Process, process, say, told


class Load(Struct, frozen=True):
    """The process that makes the load."""

    process: Process

    def per_s(
        self, port: int, path: str, body: object, *, seconds: float, connections: int = 16
    ) -> float:
        """Return the answers a second; raises RuntimeError when one was no 200.

        Who is still being answered when the time is over is waited for and counts, or slow servers
        would lose the most.
        """
        answer = self.process.ask(port, path, json.dumps(body), seconds, connections)
        if answer["failed"]:
            raise RuntimeError(f"POST {path}: {answer['failed']} answers were no 200: {answer}")
        return float(answer["per_s"])


@contextmanager
def load() -> Iterator[Load]:
    """Start the process."""
    with process("-m", "benchmarks.load") as started:
        yield Load(started)


class Tally:
    """What all connections have seen."""

    def __init__(self, until: float) -> None:
        self.until = self.last = until
        self.times: list[float] = []
        self.failed = 0


class Poster(asyncio.Protocol):
    """One connection: posts, waits for the answer, and posts again until the time is over."""

    def __init__(self, request: bytes, tally: Tally) -> None:
        self.request, self.tally = request, tally
        self.done = asyncio.get_running_loop().create_future()
        self.buffer, self.due, self.answering = b"", 0, True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Post for the first time."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.post()

    def post(self) -> None:
        """Post, and wait."""
        self.buffer, self.due, self.begun = b"", 0, perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Take in a part of an answer."""
        self.buffer += data
        if not self.due and (head := self.buffer.find(b"\r\n\r\n")) > 0:
            self.due = self.due_after(head)
        if self.due and len(self.buffer) >= self.due:
            self.answered()

    def due_after(self, head: int) -> int:
        """Return how long the answer is; 0 while one in chunks has not come to its end."""
        _, known, length = self.buffer[:head].lower().partition(b"content-length:")
        if known:
            return head + 4 + int(length.split(b"\r\n")[0])
        return len(self.buffer) if self.buffer.endswith(b"\r\n0\r\n\r\n") else 0

    def answered(self) -> None:
        """Count an answer, and post again while there is time."""
        now = self.tally.last = perf_counter()
        self.tally.failed += self.buffer[9:12] != b"200"
        self.tally.times.append(now - self.begun)
        if now < self.tally.until:
            self.post()
        else:
            self.answering = False
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Be done; a connection that is lost while it is being answered has failed."""
        self.tally.failed += self.answering
        self.done.set_result(None)


async def make(port: int, path: str, body: str, seconds: float, connections: int) -> dict[str, Any]:
    """Post for so many seconds over so many connections; returns what came of it."""
    data = body.encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data
    loop = asyncio.get_running_loop()
    tally = Tally(perf_counter() + seconds)
    begin = perf_counter()
    posters = [
        (await loop.create_connection(lambda: Poster(request, tally), HOST, port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(poster.done for poster in posters))
    return {
        "per_s": len(tally.times) / (tally.last - begin),
        "failed": tally.failed,
        "p50_ms": median(tally.times or [0.0]) * 1000,
    }


if __name__ == "__main__":
    for port, path, body, seconds, connections in told():
        say(asyncio.run(make(port, path, body, seconds, connections)))
