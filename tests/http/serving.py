"""The application for a test: in process, or as a real server on a free loopback port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import httpx
import msgspec
from litestar import Litestar
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

import stenograph as st
from stenograph.http import Settings, create_app, serve
from tests.http.tools import TOOLS

OpenEngine: TypeAlias = Callable[[], AbstractAsyncContextManager[st.Engine]]

DEFAULTS = Settings()
PATIENCE_S = 30.0
"""How long a test waits for what must come; no test asserts a time."""


def in_memory() -> AbstractAsyncContextManager[st.Engine]:
    return st.open(":memory:", tools=TOOLS)


class Served(msgspec.Struct, frozen=True):
    """What a test talks to: a real server's address, its engine, a client, and how to stop it."""

    url: str
    engine: st.Engine
    http: httpx.AsyncClient
    stop: asyncio.Event
    app: Litestar

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def socket(self, path: str, **options: Any) -> connect:
        return connect(self.url.replace("http://", "ws://") + path, max_size=None, **options)


@asynccontextmanager
async def app_client(
    open_engine: OpenEngine = in_memory, *, settings: Settings = DEFAULTS, **options: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """The application without a network, for what no transport can change."""
    app = create_app(open_engine, settings, **options)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield client


@asynccontextmanager
async def serving(
    open_engine: OpenEngine = in_memory, *, settings: Settings = DEFAULTS
) -> AsyncIterator[Served]:
    """A real server in the test's own loop; it has ended when the block has."""
    begun: asyncio.Future[tuple[str, st.Engine]] = asyncio.get_running_loop().create_future()
    stop, app = asyncio.Event(), create_app(open_engine, settings)
    task = asyncio.create_task(
        serve(
            app,
            port=0,
            started=lambda url, engine: begun.set_result((url, engine)),
            stop=stop,
        )
    )
    both: set[asyncio.Future[Any]] = {task, begun}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    url, engine = begun.result()
    try:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
            yield Served(url, engine, client, stop, app)
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE_S)


async def created(client: httpx.AsyncClient, graph: Mapping[str, Any]) -> str:
    """Store a graph and return its id."""
    answer = await client.post("/graph/create", json=graph)
    assert answer.status_code == 200, answer.text
    graph_id: str = answer.json()["graph_id"]
    return graph_id


async def ran(
    client: httpx.AsyncClient, graph: Mapping[str, Any], run_id: str, **state: Any
) -> Any:
    """Run a graph to its end, and return the classic answer."""
    body = {"graph_id": await created(client, graph), "state": state, "run_id": run_id}
    answer = await client.post("/graph/run", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def begun(client: httpx.AsyncClient, graph: Mapping[str, Any], run_id: str) -> None:
    """Start a run in the background."""
    body = {"graph": await created(client, graph), "id": run_id}
    answer = await client.post("/runs", json=body)
    assert answer.status_code == 202, answer.text


async def messages(socket: ClientConnection) -> list[Any]:
    """Return all that a socket says until it is closed."""
    heard = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for message in socket:
                heard.append(msgspec.json.decode(message))
    except ConnectionClosed:
        pass
    return heard


async def eventually(holds: Callable[[], bool]) -> None:
    """Return as soon as something holds that needs a while."""
    for _ in range(int(PATIENCE_S * 100)):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to hold")
