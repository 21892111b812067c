"""The stop, as clients see it: whole events, their cursor, and the rest after the restart."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import stenograph as st
from stenograph.http import Settings, create_app, serve
from stenograph.http.serving.http_protocol import HttpProtocol
from tests.http.raw import asking, connected, shaking
from tests.http.serving import begun, eventually, in_memory, messages, ran, serving
from tests.http.test_server import process
from tests.http.tools import COUNT, HANG, TOOLS, looping
from tests.ports import free_port


async def test_sockets_are_told_of_the_stop_with_their_cursor() -> None:
    async with serving() as server:
        await begun(server.http, HANG, "r")
        run, journal = await server.socket("/ws/r"), await server.socket("/ws/logs")
        starting = await server.socket("/ws/execute/hang")
        await run.recv()
        await run.recv()
        server.stop.set()
        for each in (run, journal, starting):
            await messages(each)
    assert (run.close_code, run.close_reason) == (1012, "after=2")
    assert (journal.close_code, journal.close_reason) == (1012, "after=3")
    assert (starting.close_code, starting.close_reason) == (1012, "")


async def test_a_socket_that_takes_nothing_does_not_hold_up_the_stop() -> None:
    async with (
        serving(settings=Settings(stop_s=0.5)) as server,
        connected(server.port, 1, buffer=4096) as [stuck],
    ):
        await ran(server.http, looping("swell", 60, size=500_000), "r")
        stuck.transport.pause_reading()
        stuck.say(shaking("/ws/r"))
        subscribers = server.app.state["subscribers"]
        await eventually(lambda: subscribers.now == 1)
        server.stop.set()
        await eventually(lambda: subscribers.now == 0)


async def test_who_cannot_be_waited_for_is_told_of_the_stop_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        "stenograph.http.serving.socket_protocol.SocketProtocol.shutdown", lambda protocol: None
    )
    async with serving(settings=Settings(stop_s=0.1)) as server:
        await begun(server.http, HANG, "r")
        socket = await server.socket("/ws/r")
        await socket.recv()
        await socket.recv()
        server.stop.set()
        await messages(socket)
    assert (socket.close_code, socket.close_reason) == (1012, "after=2")
    assert all("Exception" not in each.message for each in caplog.records)


async def test_a_handler_that_is_cancelled_at_any_other_time_tells_of_no_stop() -> None:
    async with serving() as server:
        await begun(server.http, HANG, "r")
        async with server.socket("/ws/r") as socket:
            await socket.recv()
            [task] = [each for each in asyncio.all_tasks() if "run_asgi" in repr(each.get_coro())]
            task.cancel()
            await messages(socket)
            assert socket.close_code == 1006


@pytest.mark.parametrize(
    ("accept", "end"),
    [("text/event-stream", b"\n\n"), ("application/x-ndjson", b"}\n")],
)
async def test_a_stream_ends_after_a_whole_event(accept: str, end: bytes) -> None:
    async with serving() as server:
        await ran(server.http, looping("swell", 60, size=500_000), "r")
        await begun(server.http, HANG, "later")
        asked = server.http.stream("GET", "/journal", headers={"Accept": accept})
        async with asked as answer:
            chunks = answer.aiter_raw(chunk_size=1024)
            heard = await anext(chunks)
            server.stop.set()
            await eventually(lambda: server.app.state["stopping"].is_set())
            heard += b"".join([chunk async for chunk in chunks])
    assert heard.endswith(end)
    assert len(heard) > 1024


async def test_who_was_accepted_and_comes_after_all_were_told_is_let_go() -> None:
    async with serving() as server, connected(server.port, 1) as [first]:
        [config] = {
            each.config
            for each in gc.get_objects()
            if type(each) is HttpProtocol
            and each.transport is not None
            and not each.transport.is_closing()
        }
        config.is_stopping = True
        async with connected(server.port, 1) as [late]:
            late.say(shaking("/ws/logs"))
            await asyncio.wait_for(asyncio.shield(late.lost), 30)
        assert late.heard == b""
        assert not first.lost.done()


async def test_no_new_work_is_taken_while_the_server_stops() -> None:
    app = create_app(in_memory)
    transport: Any = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        await ran(client, COUNT, "r", to=1)
        app.state["stopping"].set()
        refused = await client.post("/runs", json={"graph": "count", "id": "new"})
        read = await client.get("/runs/r")
    assert (refused.status_code, read.status_code) == (503, 200)
    assert refused.json()["type"] == "/problems/shutting-down"
    assert int(refused.headers["Retry-After"]) > 0


async def test_a_signal_is_heeded_before_the_next_request(tmp_path: Path) -> None:
    async with process(tmp_path / "steno.db") as (server, url):
        port = int(url.rpartition(":")[2])
        async with connected(port, 1) as [client]:
            client.say(asking("/readyz"))
            await eventually(lambda: b'"ok"' in client.heard)
            server.send_signal(signal.SIGTERM)
            await asyncio.wait_for(server.wait(), 30)
            assert server.returncode == 0


@asynccontextmanager
async def on(port: int, db: Path) -> AsyncIterator[st.Engine]:
    """A server on a port and a file; its engine."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    ready: asyncio.Future[st.Engine] = loop.create_future()
    app = create_app(lambda: st.open(db, tools=TOOLS), Settings(subscribers=1))
    serving = asyncio.create_task(
        serve(app, port=port, started=lambda url, engine: ready.set_result(engine), stop=stop)
    )
    try:
        yield await ready
    finally:
        stop.set()
        await serving


async def test_our_client_goes_on_at_its_cursor_after_a_restart_and_a_server_that_is_full(
    tmp_path: Path,
) -> None:
    port, heard = free_port(), list[int]()
    lost: list[int] = []

    async def listen() -> None:
        async with st.Client(f"http://127.0.0.1:{port}", on_lost=lost.append) as client:
            async for event in client.tail("r", after=0):
                heard.append(event.seq)

    async with on(port, tmp_path / "steno.db") as engine:
        await engine.start(HANG, run_id="r")
        listening = asyncio.create_task(listen())
        await eventually(lambda: heard == [1, 2])
    async with on(port, tmp_path / "steno.db") as engine:
        url = f"http://127.0.0.1:{port}/journal"
        async with httpx.AsyncClient() as http:
            async with http.stream("GET", url, headers={"Accept": "text/event-stream"}):
                await asyncio.sleep(1.5)  # there is place for one alone
            await engine.cancel("r")
            await listening
            stored = await engine.journal.read("r")
    assert heard == [each.seq for each in stored]
    assert set(lost) == {2}
