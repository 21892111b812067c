"""A real server on a free loopback port, in the test's own event loop, and what to talk to it with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx

import stenograph as st
from stenograph.engine import Engine
from stenograph.http import create_app, serve
from tests.http.tools import TOOLS

PATIENCE_S = 30.0
"""How long a test waits for what must come; nothing is asserted about time."""


class Server:
    """A server that runs: its address, its engine, and a client."""

    def __init__(self, url: str, engine: Engine, client: httpx.AsyncClient) -> None:
        self.url, self.engine, self.http = url, engine, client
        self.ws = url.replace("http://", "ws://")


def in_memory() -> AbstractAsyncContextManager[Engine]:
    return st.open(":memory:", tools=TOOLS)


@asynccontextmanager
async def serving(
    open_engine: Callable[[], AbstractAsyncContextManager[Engine]] = in_memory,
    *,
    stop: asyncio.Event | None = None,
    connections_max: int = 200,
) -> AsyncIterator[Server]:
    """Serve on a free port; ends the server, and waits for its end, when the test has ended."""
    stop = stop or asyncio.Event()
    begun: asyncio.Future[tuple[str, Engine]] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        serve(
            create_app(open_engine),
            port=0,
            started=lambda url, engine: begun.set_result((url, engine)),
            stop=stop,
            connections_max=connections_max,
        )
    )
    await asyncio.wait({task, begun}, return_when=asyncio.FIRST_COMPLETED)
    if not begun.done():
        task.result()
    url, engine = begun.result()
    try:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
            yield Server(url, engine, client)
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE_S)


@asynccontextmanager
async def app_client(
    open_engine: Callable[[], AbstractAsyncContextManager[Engine]] = in_memory,
) -> AsyncIterator[httpx.AsyncClient]:
    """The application without a network, for what no transport can change."""
    app = create_app(open_engine)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield client
