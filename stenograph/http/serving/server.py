"""Serving: uvicorn with our settings, on a port that is known before the first request."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from math import ceil
from types import FrameType
from typing import Any, Final

import uvicorn
from litestar import Litestar

from stenograph.engine import Engine
from stenograph.http.serving.http_protocol import ALWAYS
from stenograph.http.serving.server_config import ServerConfig
from stenograph.http.serving.socket_protocol import DRAIN_S
from stenograph.http.settings import Settings

HOST: Final = "127.0.0.1"
PORT: Final = 8000
BACKLOG: Final = 1024
LAST_WORDS_S: Final = 1.0
"""How long those may take that were cancelled at the end."""
UNSENT_BYTES: Final = 128 * 1024
"""About how much the system keeps for a client that takes nothing."""


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


class Server(uvicorn.Server):
    """uvicorn's server, which tells the application when it has begun and when it is to end."""

    config: ServerConfig

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
            ServerConfig(
                app,
                settings,
                app.state["subscribers"],
                ws_per_message_deflate=False,
                ws_max_size=settings.body_bytes,  # the first frame of /ws/execute holds a state
                ws_max_queue=32,
                ws_ping_interval=20.0,
                ws_ping_timeout=20.0,
                timeout_graceful_shutdown=ceil(settings.stop_s),
                server_header=False,
                headers=[(name.decode(), value.decode()) for name, value in ALWAYS],
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
        _bound_buffers(self.sock, self.app.state["settings"].send_s + DRAIN_S)
        if self.tell is not None:
            self.tell(url_of(self.sock), self.app.state["engine"])

    async def on_tick(self, counter: int) -> bool:
        """Tell whether to stop."""
        asked = self.stop is not None and self.stop.is_set()
        return await super().on_tick(counter) or asked

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go of those who wait, stop as uvicorn does, and hang up on who is still there then."""
        self.app.state["stopping"].set()
        self.config.is_stopping = True
        await super().shutdown(sockets)
        if self.server_state.tasks:  # which were cancelled, and have something to say yet
            await asyncio.wait(self.server_state.tasks, timeout=LAST_WORDS_S)
        for connection in list(self.server_state.connections):
            connection.transport.abort()

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

        loop = asyncio.get_running_loop()

        def stop(number: int, frame: FrameType | None) -> None:
            give_back()
            loop.call_soon_threadsafe(self.app.state["stopping"].set)  # no new work from now on
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


def _bound_buffers(sock: socket.socket, patience_s: float) -> None:
    """Have the system keep little for a client that is slow, and that for ``patience_s`` at most.

    Or it keeps some megabytes for each that takes nothing, of which we hear late; and what is too
    little for us to wait for it to be taken, for a quarter of an hour. What a socket that listens
    is set to holds for those that it accepts.
    """
    for name, value in (
        ("TCP_NOTSENT_LOWAT", UNSENT_BYTES),
        ("TCP_USER_TIMEOUT", round(patience_s * 1000)),
    ):
        option = getattr(socket, name, None)  # not everywhere
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _why_not(host: str, port: int, error: OSError) -> str:
    where = f"{host}:{port}"
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} is in use; stop what listens there, or choose another with --port"
        case errno.EACCES:
            return f"{where} is not ours to listen on; choose a port above 1023 with --port"
        case _:
            return f"cannot listen on {where}: {error.strerror or error}; choose another --host"
