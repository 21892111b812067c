"""WebSocket clients of one run, in a process of their own: how far each has come, and when.

They read the frames' lengths, and of a frame its last bytes, where a batch says up to which event
it goes; so that the client takes little beside the server. Where a message has one event, they
count messages.
"""

from __future__ import annotations

import base64
import os
import resource
import select
import socket
import time
from typing import Any, Final

from benchmarks.processes import HOST, PATIENCE_S, say, told

CHUNK: Final = 1 << 20
TAIL: Final = 200
"""Of a batch, the bytes at its end in which its cursor stands."""
PAUSE_S: Final = 0.005
"""Many are looked after in turns: each turn then finds more."""


PING, TEXT = 9, 1


class Frames:
    """The frames of one connection, read as they come, and how far the last whole one goes.

    ``pongs`` is what the server is to be sent: it hangs up on who does not answer its pings.
    """

    def __init__(self, *, batch: bool) -> None:
        self.batch = batch
        self.seq = self.bytes = self.left = 0
        self.part = self.tail = self.ping = self.pongs = b""
        self.kind = 0

    def feed(self, data: bytes) -> None:
        """Go through frames, which may begin and end anywhere in what was received."""
        self.bytes += len(data)
        data, self.part, at = self.part + data, b"", 0
        while at < len(data):
            if not self.left:
                size = self._header(data, at)
                if not size:
                    self.part = data[at:]
                    return
                at += size
            taken = min(self.left, len(data) - at)
            at, self.left = at + taken, self.left - taken
            if self.kind == PING:
                self.ping += data[at - taken : at]
            elif self.batch:
                self.tail = (self.tail + data[max(at - TAIL, at - taken) : at])[-TAIL:]
            if not self.left:
                self._ended()

    def _header(self, data: bytes, at: int) -> int:
        """Read how long a frame is; returns the size of its header, 0 when that is not all there."""
        if len(data) < at + 2:
            return 0
        kind, length, size = data[at] & 15, data[at + 1], 2
        if length > 125:
            size = 4 if length == 126 else 10
            if len(data) < at + size:
                return 0
            length = int.from_bytes(data[at + 2 : at + size], "big")
        self.kind, self.left, self.tail = kind, length, b""
        return size

    def _ended(self) -> None:
        """Know from a whole message how far it goes."""
        if self.kind == PING:
            self.pongs += bytes([0x8A, 0x80 | len(self.ping), 0, 0, 0, 0]) + self.ping  # no mask
            self.ping = b""
        if self.kind != TEXT:
            return
        if not self.batch:
            self.seq += 1
            return
        at = self.tail.rindex(b'"seq":') + 6
        end = at
        while self.tail[end : end + 1].isdigit():
            end += 1
        self.seq = int(self.tail[at:end])


class Subscriber:
    """One connection."""

    def __init__(self, port: int, path: str) -> None:
        self.frames = Frames(batch="batch=1" in path)
        self.socket = socket.create_connection((HOST, port), timeout=PATIENCE_S)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        self._shake_hands()
        self.socket.setblocking(False)

    def _shake_hands(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            data = self.socket.recv(4096)
            if not data:
                raise RuntimeError(f"the server hung up: {head!r}")
            head += data
        if not head.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(f"no WebSocket: {head[:200]!r}")
        self.frames.feed(head.split(b"\r\n\r\n", 1)[1])

    def read(self) -> None:
        """Take in what is there."""
        try:
            data = self.socket.recv(CHUNK)
        except BlockingIOError:
            return
        if not data:
            raise RuntimeError("the server hung up")
        self.frames.feed(data)
        if self.frames.pongs:
            self.socket.sendall(self.frames.pongs)
            self.frames.pongs = b""


class Subscribers:
    """All connections."""

    def __init__(self) -> None:
        self.poll = select.epoll()
        self.all: dict[int, Subscriber] = {}

    def connect(self, port: int, path: str, many: int) -> dict[str, Any]:
        """Connect so many."""
        begin = time.monotonic()
        for _ in range(many):
            each = Subscriber(port, path)
            self.all[each.socket.fileno()] = each
            self.poll.register(each.socket, select.EPOLLIN)
        return {"begin": begin}

    def until(self, then: float, seq: int) -> dict[str, Any]:
        """Read until that time, or until all have that event; returns where they are."""
        behind = {number for number, each in self.all.items() if each.frames.seq < seq}
        while behind and (now := time.monotonic()) < then:
            for number, _ in self.poll.poll(min(0.05, then - now)):
                each = self.all[number]
                each.read()
                if each.frames.seq >= seq:
                    behind.discard(number)
            if len(self.all) > 10:
                time.sleep(PAUSE_S)
        seqs = [each.frames.seq for each in self.all.values()]
        sizes = [each.frames.bytes for each in self.all.values()]
        return {
            "at": time.monotonic(),
            "behind": len(behind),
            "sum": sum(seqs),
            "bytes": sum(sizes),
        }

    def close(self) -> dict[str, Any]:
        """Hang up."""
        for each in self.all.values():
            self.poll.unregister(each.socket)
            each.socket.close()
        self.all.clear()
        return {}


def main() -> None:
    """Do what is told on stdin."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    subscribers = Subscribers()
    for name, *words in told():
        say(getattr(subscribers, name)(*words))


if __name__ == "__main__":
    main()
