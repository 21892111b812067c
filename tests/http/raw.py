"""Clients as bare transports: as many as there are, and none of them with good manners."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

HOST = "127.0.0.1"


class RawClient(asyncio.Protocol):
    """Takes down what it is told; ``lost`` is done once the connection has ended."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    def say(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)


Make: TypeAlias = Callable[[], RawClient]


async def raw(port: int, *, buffer: int | None = None) -> RawClient:
    """Connect; ``buffer``: so many bytes may wait to be read here."""
    sock = socket.socket()
    sock.setblocking(False)
    if buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, (HOST, port))
    _, client = await loop.create_connection(RawClient, sock=sock)
    return client


@asynccontextmanager
async def connected(
    port: int, many: int, *, buffer: int | None = None
) -> AsyncIterator[list[RawClient]]:
    """So many clients, who leave with the block."""
    clients: list[RawClient] = []
    try:
        for _ in range(many):
            clients.append(await raw(port, buffer=buffer))
        yield clients
    finally:
        for client in clients:
            client.transport.abort()
        await asyncio.gather(*(client.lost for client in clients))


def more_files(most: int) -> None:
    """Allow this process so many open files, if it may allow itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, hard), hard))


def asking(path: str, *, host: str = HOST, more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode()


def shaking(path: str) -> bytes:
    """The handshake of a WebSocket."""
    return asking(
        path,
        more="Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
    )
