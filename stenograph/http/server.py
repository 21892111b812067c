"""Serving: uvicorn with our settings, on a port that is known before the first request."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from math import ceil
from types import FrameType
from typing import Any, Final

import uvicorn
from litestar import Litestar
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from stenograph.engine import Engine
from stenograph.http.settings import Settings

HOST: Final = "127.0.0.1"
PORT: Final = 8000
BACKLOG: Final = 1024
DRAIN_S: Final = 10
"""How long a socket that was closed may take to send what is left."""


class PortInUse(Exception):
    """Nothing can listen there; the message says why and what to do."""


async def serve(
    app: Litestar,
    host: str = HOST,
    port: int = PORT,
    *,
    started: Callable[[str, Engine], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or ``stop``, let go of everybody in a few seconds, and return.

    ``port`` 0 takes a free one. ``started`` is called with the base URL and the open engine, just
    before the first request is taken. Raises PortInUse before the engine is opened, and whatever
    opening the engine raises.
    """
    with listener(host, port) as sock:
        async with opened(app):
            server = Server(app, sock, started=started, stop=stop)
            await server.serve(sockets=[sock])


@asynccontextmanager
async def opened(app: Litestar) -> AsyncIterator[None]:
    """Keep an application's engine open; raises what opening it raises.

    Not by uvicorn's own lifespan: it would make a log line and exit code 3 of what goes wrong.
    """
    try:
        async with app.lifespan():
            yield
    except BaseExceptionGroup as group:  # the framework holds a task group around it
        error = sole(group)
        raise error from error.__cause__


def sole(error: BaseException) -> BaseException:
    """Return the one error inside groups of one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


@contextmanager
def listener(host: str, port: int) -> Iterator[socket.socket]:
    """Give a socket that listens: who comes before the server is ready waits; raises PortInUse."""
    try:
        sock = bound(host, port)
    except OSError as error:
        raise PortInUse(_why_not(host, port, error)) from error
    with sock:
        yield sock


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raises OSError."""
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    # With the protocol named, or asyncio leaves Nagle's algorithm on: 40 ms an answer.
    sock = socket.socket(family, kind, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


@lru_cache(maxsize=8)
def framed(text: str) -> bytes:
    """Return a message as it goes over the wire, made once for all who are sent the same one."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


class SocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket that writes shared frames, and is dropped when its peer takes nothing any more.

    uvicorn closes a connection once all that was written is sent: never, to a peer that is stuck.
    """

    is_lost = False

    def connection_made(self, transport: Any) -> None:
        """Begin; nothing that passes is logged, at whichever level: heads carry tokens."""
        self.conn.debug = False
        super().connection_made(transport)

    async def send(self, message: ASGISendEvent) -> None:
        """Send a message; a text to an open connection in the frame that others are sent as well.

        uvicorn would encode it, frame it and copy it anew for each of them.
        """
        await self.writable.wait()
        text = message.get("text")
        if not isinstance(text, str) or self.conn.state is not State.OPEN:
            await super().send(message)
            # uvicorn takes an answer in place of a handshake for none, and logs an error.
            self.handshake_complete |= self.initial_response is not None
        elif self.transport.is_closing():
            raise ClientDisconnected
        else:
            self.transport.write(framed(text))

    def send_receive_event_to_app(self) -> None:
        """Pass a message on; text that is not UTF-8 ends the connection, and is no error here."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.send_close(1007)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    async def run_asgi(self) -> None:
        """Run the application, and give the peer a while to take what was left."""
        await super().run_asgi()
        self.loop.call_later(DRAIN_S, self.drop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Know that nothing is left to be sent, or nobody to take it."""
        self.is_lost = True
        super().connection_lost(exc)

    def drop(self) -> None:
        """Hang up on a peer that has not taken what was left; asyncio fails at one that is gone."""
        if not self.is_lost:
            self.transport.abort()


class Server(uvicorn.Server):
    """uvicorn's server, which tells the application when it has begun and when it is to end."""

    def __init__(
        self,
        app: Litestar,
        sock: socket.socket,
        *,
        started: Callable[[str, Engine], None] | None,
        stop: asyncio.Event | None,
    ) -> None:
        settings: Settings = app.state["settings"]
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",  # httptools, taken where it is installed, bounds no header
                ws=SocketProtocol,
                ws_per_message_deflate=False,
                ws_max_size=settings.body_bytes,  # the first frame of /ws/execute holds a state
                ws_max_queue=32,
                ws_ping_interval=20.0,
                ws_ping_timeout=20.0,
                limit_concurrency=settings.connections,
                timeout_graceful_shutdown=ceil(settings.stop_s),
                server_header=False,
                access_log=False,
                proxy_headers=False,
                log_config=None,
                lifespan="off",
            )
        )
        self.app, self.sock, self.tell, self.stop = app, sock, started, stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests, and tell where."""
        await super().startup(sockets)
        if self.tell is not None:
            self.tell(url_of(self.sock), self.app.state["engine"])

    async def on_tick(self, counter: int) -> bool:
        """Tell whether to stop."""
        asked = self.stop is not None and self.stop.is_set()
        return await super().on_tick(counter) or asked

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go of those who wait, then stop as uvicorn does."""
        self.app.state["stopping"].set()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at a signal, and return: uvicorn would raise it again, and die of it.

        Only at the first: a second one does what it did before there was a server.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers: dict[int, Any] = {}

        def give_back() -> None:
            while handlers:
                signal.signal(*handlers.popitem())

        def stop(number: int, frame: FrameType | None) -> None:
            give_back()
            self.handle_exit(number, frame)

        handlers |= {each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            give_back()


def url_of(sock: socket.socket) -> str:
    """Return the base URL of a bound socket."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _why_not(host: str, port: int, error: OSError) -> str:
    where = f"{host}:{port}"
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} is in use; stop what listens there, or choose another with --port"
        case errno.EACCES:
            return f"{where} is not ours to listen on; choose a port above 1023 with --port"
        case _:
            return f"cannot listen on {where}: {error.strerror or error}; choose another --host"
