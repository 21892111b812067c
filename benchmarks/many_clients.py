"""Very many subscribers in one process, as bare transports, which check every event that they get.

Told on stdin, in lines of JSON: ``["connect", PORT, MANY, STUCK, HEADS]`` connects so many, to runs in
turns and at random cursors (``STUCK``: they never read); ``["churn", HOLD_S]`` has each drop, by a
reset, after about so long, and resume; ``["calm"]`` ends that; ``["drain"]`` has the stuck ones read;
``["until", HEADS, S]`` waits until all have come to the heads, and tells what they saw.
"""

from __future__ import annotations

import asyncio
import random
import resource
import socket
import struct
import sys
import time
from array import array
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from benchmarks.processes import HOST, say, told

TEXT, CLOSE, PING = 0x1, 0x8, 0x9
PONG: Final = 0x8A
RESET: Final = struct.pack("ii", 1, 0)
AT_ONCE: Final = 100
"""Handshakes under way at a time."""
BUFFER: Final = 4096
"""Of a subscriber that never reads."""


class Log(Struct):
    """What is looked at of an event."""

    seq: int
    at: str


class Logs(Struct):
    """What is looked at of a message."""

    logs: list[Log]
    seq: int


DECODER: Final = msgspec.json.Decoder(Logs)


class Seen(Struct):
    """What all subscribers saw together."""

    events: int = 0
    lost: int = 0
    doubled: int = 0
    resumed: int = 0
    refused: int = 0
    misplaced: int = 0
    """Closes whose reason names another cursor than the subscriber's own."""
    closes: dict[int, int] = {}


class Subscriber(asyncio.Protocol):
    """One subscriber, over all its connections."""

    transport: asyncio.Transport

    def __init__(self, crowd: Crowd, run_id: str, after: int, stuck: bool) -> None:
        self.crowd, self.run_id, self.after, self.stuck = crowd, run_id, after, stuck
        self.furthest = after
        self.data = bytearray()
        self.is_open = self.came_before = False
        self.since = 0.0
        self.closed: tuple[int, str] | None = None
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to follow."""
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.is_open = transport, False
        self.data.clear()
        transport.write(
            f"GET /ws/{self.run_id}?batch=1&after={self.after} HTTP/1.1\r\nHost: {HOST}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Take in whole frames."""
        self.data += data
        if not self.is_open:
            head, end, rest = self.data.partition(b"\r\n\r\n")
            if not end:
                return
            self.is_open, self.since = True, time.time()
            if not head.startswith(b"HTTP/1.1 101"):
                self.crowd.seen.refused += 1
                self.transport.abort()
                return
            if self.stuck:
                self.transport.pause_reading()
            self.data = rest
            self.crowd.seen.resumed += self.came_before
            self.came_before = True
        while frame := self._frame():
            self._take(*frame)

    def _frame(self) -> tuple[int, bytes] | None:
        data, size, at = self.data, 0, 2
        if len(data) < at:
            return None
        size = data[1] & 0x7F
        if size >= 126:
            at = 4 if size == 126 else 10
            if len(data) < at:
                return None
            size = int.from_bytes(data[2:at], "big")
        if len(data) < at + size:
            return None
        payload = bytes(data[at : at + size])
        kind = data[0] & 0x0F
        del data[: at + size]
        return kind, payload

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == TEXT:
            self._check(DECODER.decode(payload))
        elif kind == PING:
            head = bytes([PONG, 0x80 | len(payload), 0, 0, 0, 0])  # a mask that changes nothing
            self.transport.write(head + payload)
        elif kind == CLOSE:
            self.closed = int.from_bytes(payload[:2], "big"), payload[2:].decode()
            self.crowd.closed(self, *self.closed)
            self.transport.close()

    def _check(self, message: Logs) -> None:
        seen, now = self.crowd.seen, time.time()
        for log in message.logs:
            seen.events += 1
            if log.seq <= self.after:
                seen.doubled += 1  # or out of order
            else:
                seen.lost += log.seq - self.after - 1
                self.after = log.seq
            at = datetime.fromisoformat(log.at).timestamp()
            if at > self.since:  # written while this one listened
                self.crowd.lags.append(now - at)
        self.furthest = max(self.furthest, self.after)

    def connection_lost(self, exc: Exception | None) -> None:
        """Come again, unless it is over."""
        if not self.over.done():
            self.over.set_result(None)

    def reset(self) -> None:
        """Drop the connection as a machine that is switched off does not, and a proxy does."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None and not self.transport.is_closing():
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.transport.abort()

    async def follow(self) -> None:
        """Connect, and again whenever the connection is lost."""
        first = True
        while not self.crowd.over:
            if not first:
                if self.stuck:
                    return
                await asyncio.sleep(self.crowd.chance.uniform(0.05, 1.0))
                if self.crowd.is_churning and self.crowd.chance.random() < 0.5:
                    self.after = self.crowd.chance.randint(0, self.furthest)
            async with self.crowd.door:
                self.over = asyncio.get_running_loop().create_future()
                with suppress(OSError):
                    await self._connect()
                    first = False
            if first or not hasattr(self, "transport"):
                await asyncio.sleep(0.2)
                continue
            self.crowd.connected.add(self)
            await self.over
            self.crowd.connected.discard(self)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        if self.stuck:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        try:
            await loop.sock_connect(sock, (HOST, self.crowd.port))
        except OSError:
            sock.close()
            self.over.set_result(None)
            raise
        await loop.create_connection(lambda: self, sock=sock)


class Crowd:
    """All subscribers."""

    def __init__(self) -> None:
        self.chance = random.Random(7)
        self.seen = Seen()
        self.lags = array("d")
        self.port = 0
        self.all: list[Subscriber] = []
        self.connected: set[Subscriber] = set()
        self.tasks: list[asyncio.Task[None]] = []
        self.codes: Counter[int] = Counter()
        self.over = self.is_churning = False
        self.door = asyncio.Semaphore(AT_ONCE)

    async def connect(
        self, port: int, many: int, stuck: bool, heads: Mapping[str, int]
    ) -> dict[str, Any]:
        """Connect so many; returns how long that took."""
        begin, self.port = time.monotonic(), port
        runs = list(heads)
        for number in range(many):
            run_id = runs[number % len(runs)]
            after = self.chance.randint(0, heads[run_id])
            self.all.append(Subscriber(self, run_id, after, stuck))
        more = self.all[-many:]
        self.tasks += [asyncio.create_task(each.follow()) for each in more]
        while not all(each.is_open for each in more):  # noqa: ASYNC110  # many things, no event
            await asyncio.sleep(0.05)
        return {"seconds": time.monotonic() - begin}

    async def churn(self, hold_s: float) -> dict[str, Any]:
        """Begin to drop connections."""
        self.is_churning = True
        self.tasks.append(asyncio.create_task(self._churn(hold_s)))
        return {}

    async def _churn(self, hold_s: float) -> None:
        due, last = 0.0, time.monotonic()
        while self.is_churning:
            await asyncio.sleep(0.05)
            now = time.monotonic()
            due, last = due + len(self.connected) * (now - last) / hold_s, now
            some = self.chance.sample(list(self.connected), min(int(due), len(self.connected)))
            due -= int(due)
            for each in some:
                each.reset()

    async def calm(self) -> dict[str, Any]:
        """Drop none any more."""
        self.is_churning = False
        return {}

    async def mark(self) -> dict[str, Any]:
        """Forget the lags so far, and tell them."""
        lags, self.lags = sorted(self.lags), array("d")
        return {
            "lags": len(lags),
            **{
                name: lags[min(len(lags) - 1, int(len(lags) * part))] if lags else 0.0
                for name, part in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
            },
        }

    async def drain(self, seconds: float) -> dict[str, Any]:
        """Have those that never read do so, until they are closed."""
        stuck = [each for each in self.all if each.stuck]
        for each in stuck:
            each.transport.resume_reading()
        until = time.monotonic() + seconds
        while not all(each.over.done() for each in stuck) and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        told = [each.closed for each in stuck if each.closed is not None]
        return {
            "stuck": len(stuck),
            "ended": sum(each.over.done() for each in stuck),
            "closed_1013": sum(code == 1013 for code, _ in told),
            "misplaced": self.seen.misplaced,
        }

    async def until(self, heads: Mapping[str, int], seconds: float) -> dict[str, Any]:
        """Wait until all that read have all; tells what was seen, and of the lags."""
        until = time.monotonic() + seconds
        behind = [each for each in self.all if not each.stuck]
        while behind and time.monotonic() < until:
            await asyncio.sleep(0.1)
            behind = [each for each in behind if each.after < heads[each.run_id]]
        self.seen.closes = dict(self.codes)
        return {"behind": len(behind), **msgspec.to_builtins(self.seen), **await self.mark()}

    def closed(self, who: Subscriber, code: int, reason: str) -> None:
        """Take down how a subscriber was let go."""
        self.codes[code] += 1
        if code in (1012, 1013) and reason != f"after={who.after}":
            self.seen.misplaced += 1


async def main() -> None:
    """Do what is told on stdin."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    crowd, lines = Crowd(), told()
    while words := await asyncio.to_thread(next, lines, None):
        name, *numbers = words
        say(await getattr(crowd, name)(*numbers))
    crowd.over = True
    for task in crowd.tasks:
        task.cancel()
    await asyncio.gather(*crowd.tasks, return_exceptions=True)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
