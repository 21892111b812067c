"""A proxy in front of a server that cuts connections in the middle of what they carry."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

RESET_AT_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER for no time: what is closed so is reset."""


class Cutter:
    """Passes bytes on, and cuts connections after a random number of them: closed, or reset."""

    def __init__(self, port: int, chance: random.Random, *, cuts: int, bytes_between: int) -> None:
        self.port, self.chance = port, chance
        self.cuts, self.bytes_between = cuts, bytes_between
        self.done: Counter[str] = Counter()
        self.url = ""

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Connect a client with the server, for as long as both and chance will."""
        try:
            theirs, ours = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:  # the server was killed, and is not back yet
            self.done["refused"] += 1
            writer.transport.abort()
            return
        ways = [
            asyncio.ensure_future(self._pass(reader, ours)),
            asyncio.ensure_future(self._pass_or_cut(theirs, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ours.transport.abort()  # before any await: whoever waits may be cancelled there
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pass(self, reader: StreamReader, writer: StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def _pass_or_cut(self, reader: StreamReader, writer: StreamWriter) -> None:
        left = self.chance.randrange(1, 2 * self.bytes_between)
        while data := await reader.read(65536):
            is_last = len(data) >= left and self.cuts > 0
            writer.write(data[:left] if is_last else data)
            await writer.drain()
            if is_last:
                self._cut(writer)
                return
            left = max(1, left - len(data))

    def _cut(self, writer: StreamWriter) -> None:
        self.cuts -= 1
        how = self.chance.choice(["closed", "reset"])
        self.done[how] += 1
        if how == "reset":
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
            writer.transport.abort()


@asynccontextmanager
async def cutting(
    port: int, chance: random.Random, *, cuts: int, bytes_between: int
) -> AsyncIterator[Cutter]:
    """A proxy on a free port of this machine; its connections end with the block."""
    cutter = Cutter(port, chance, cuts=cuts, bytes_between=bytes_between)
    serving: set[asyncio.Task[None]] = set()

    def begin(reader: StreamReader, writer: StreamWriter) -> None:
        async def serve() -> None:
            with suppress(OSError):
                await cutter.serve(reader, writer)

        def ended(task: asyncio.Task[None]) -> None:
            serving.discard(task)
            writer.close()  # also of one that was cancelled before it had begun

        task = asyncio.create_task(serve())
        serving.add(task)
        task.add_done_callback(ended)

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    cutter.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield cutter
    finally:
        server.close()
        for _ in range(3):  # who was just being accepted comes yet
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)
            await asyncio.sleep(0)
