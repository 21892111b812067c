"""Serving: the port, the start, and the stop."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

import stenograph as st
from stenograph.http import PortInUse, Settings, create_app, serve
from stenograph.http.serving.http_protocol import HttpProtocol
from stenograph.http.serving.server import Server, listener, sole, url_of
from tests.http.serving import PATIENCE_S, begun, eventually, in_memory, messages, ran, serving
from tests.http.tools import COUNT, HANG

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def process(path: Path) -> AsyncIterator[tuple[Process, str]]:
    """A server as a process, and its address."""
    command = (sys.executable, "-W", "error", "-m", "tests.http.process", str(path))
    server = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=PIPE)
    assert server.stdout is not None
    try:
        url = (await asyncio.wait_for(server.stdout.readline(), PATIENCE_S)).decode().strip()
        yield server, url
    finally:
        if server.returncode is None:
            server.kill()
        await server.communicate()


async def test_the_port_that_was_found_is_told_before_the_first_request() -> None:
    async with serving() as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert not server.url.endswith(":0")
        assert (await server.http.get("/readyz")).status_code == 200


async def test_no_answer_is_taken_by_a_browser_for_another_type_than_its_own() -> None:
    async with serving(settings=Settings(hosts=frozenset({"127.0.0.1"}))) as server:
        paths = (
            "/",
            "/docs",
            "/docs/start.js",
            "/openapi.json",
            "/healthz",
            "/metrics",
            "/nothing",
        )
        answers = [await server.http.get(path) for path in paths]
        answers.append(await server.http.get("/runs", headers={"Host": "example.org"}))
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"no HTTP\r\n\r\n")
        refusal = (await asyncio.wait_for(reader.read(), PATIENCE_S)).lower()
        writer.close()
        await writer.wait_closed()
        async with server.socket("/ws/logs") as socket:
            assert socket.response is not None
            told = [socket.response.headers["X-Content-Type-Options"]]
    assert [each.status_code for each in answers[-2:]] == [404, 421]
    assert b"\r\nx-content-type-options: nosniff\r\n" in refusal
    told += [each.headers.get("X-Content-Type-Options") for each in answers]
    assert set(told) == {"nosniff"}


def test_answers_are_not_held_back_to_be_sent_together() -> None:
    with listener("127.0.0.1", 0) as sock, socket.create_connection(sock.getsockname()):
        accepted, _ = sock.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP


async def test_headers_are_bounded_whatever_parser_is_installed() -> None:
    with listener("127.0.0.1", 0) as sock:
        app = create_app(in_memory)
        server = Server(app, sock, started=None, stop=None)
        server.config.load()
    assert server.config.http_protocol_class is HttpProtocol


async def test_the_system_keeps_little_for_the_slow_where_it_can_be_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = [socket.TCP_USER_TIMEOUT, socket.TCP_NOTSENT_LOWAT]
    for there in (True, False):
        if not there:
            monkeypatch.delattr(socket, "TCP_NOTSENT_LOWAT")
        stop = asyncio.Event()
        stop.set()
        with listener("127.0.0.1", 0) as sock:
            app = create_app(in_memory)
            server = Server(app, sock, started=None, stop=stop)
            server.config.load()
            server.lifespan = server.config.lifespan_class(server.config)
            await server.startup([sock])
            told = [sock.getsockopt(socket.IPPROTO_TCP, each) for each in options]
            for each in server.servers:
                each.close()
        assert told[0] == 40_000
        assert (told[1] == 128 * 1024) == there


async def test_nobody_need_be_told_of_the_start() -> None:
    stop = asyncio.Event()
    stop.set()
    await serve(create_app(in_memory), port=0, stop=stop)


async def test_a_port_in_use_is_told_in_one_sentence_before_the_engine_is_opened() -> None:
    def never() -> object:
        raise AssertionError("the engine must not be opened")

    with listener("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"^port {port} is in use; .*--port$"):
            await serve(create_app(never), port=port)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("number", "told"),
    [(errno.EACCES, "above 1023"), (errno.EADDRNOTAVAIL, "another --host")],
)
async def test_where_nobody_can_listen_is_told(
    number: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(PortInUse, match=told):
        await serve(create_app(in_memory), port=80)


async def test_an_engine_that_cannot_be_opened_says_so_itself(tmp_path: Path) -> None:
    path = tmp_path / "steno.db"
    async with st.open(path):
        with pytest.raises(st.CannotOpen):
            await serve(create_app(lambda: st.open(path)), port=0)


def test_errors_that_came_together_stay_together() -> None:
    two = ExceptionGroup("", [ValueError(), KeyError()])
    assert sole(ExceptionGroup("", [two])) is two


def test_an_address_with_colons_stands_in_brackets() -> None:
    try:
        with listener("::1", 0) as sock:
            assert url_of(sock) == f"http://[::1]:{sock.getsockname()[1]}"
    except PortInUse:
        pytest.skip("this machine has no IPv6")


async def test_a_server_can_run_beside_the_main_thread() -> None:
    async def main() -> None:
        async with serving() as server:
            await ran(server.http, COUNT, "r", to=1)

    await asyncio.to_thread(asyncio.run, main())


async def test_no_more_clients_are_taken_than_allowed() -> None:
    async with serving(settings=Settings(connections=2)) as server:
        await begun(server.http, HANG, "r")
        async with server.socket("/ws/r") as one:
            await one.recv()
            refused = await asyncio.to_thread(httpx.get, f"{server.url}/healthz")
            with pytest.raises(InvalidStatus) as no_socket:
                await server.socket("/ws/r")
            taken = await server.http.get("/healthz")
    assert (refused.status_code, taken.status_code) == (503, 200)
    assert refused.json()["type"] == "/problems/too-many-connections"
    assert int(refused.headers["Retry-After"]) > 0
    assert no_socket.value.response.status_code == 503


async def test_a_stop_answers_who_waits_and_tells_sockets_to_come_again() -> None:
    async with serving() as server:
        await begun(server.http, HANG, "r")
        one, two = await server.socket("/ws/r"), await server.socket("/ws/logs?after=0")
        body = {"graph_id": "hang", "run_id": "waits"}
        waiting = asyncio.create_task(server.http.post("/graph/run", json=body))
        journal: Any = server.engine.journal
        await eventually(lambda: "waits" in journal.store.heads)
        server.stop.set()
        answer = await waiting
        heard = [await messages(one), await messages(two)]
    assert (answer.status_code, answer.json()["status"]) == (202, "running")
    assert [len(each) for each in heard] == [2, 5]
    assert [one.close_code, two.close_code] == [1012, 1012]


async def test_a_server_that_is_stopping_is_not_ready() -> None:
    app = create_app(in_memory)
    transport: Any = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        app.state["stopping"].set()
        answers = [await client.get(path) for path in ("/readyz", "/healthz")]
    assert [each.status_code for each in answers] == [503, 200]
    assert answers[0].json()["type"] == "/problems/shutting-down"
    assert int(answers[0].headers["Retry-After"]) > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_at_once_and_its_runs_go_on_later(
    number: signal.Signals, tmp_path: Path
) -> None:
    path = tmp_path / "steno.db"
    async with process(path) as (server, url), httpx.AsyncClient(base_url=url) as client:
        await begun(client, HANG, "r")
        subscriber = await connect(url.replace("http", "ws") + "/ws/r")
        for _ in range(2):
            await asyncio.wait_for(subscriber.recv(), PATIENCE_S)
        server.send_signal(number)
        assert await messages(subscriber) == []
        assert subscriber.close_code == 1012
        _, said = await asyncio.wait_for(server.communicate(), PATIENCE_S)
        assert (server.returncode, said) == (0, b"")
    async with process(path) as (_, url), httpx.AsyncClient(base_url=url) as client:
        health = (await client.get("/healthz")).json()
        run = (await client.get("/runs/r")).json()
    assert (health["recovered"], run["status"]) == (1, "running")


async def test_a_client_in_the_midst_of_its_body_is_told_of_the_stop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as server:
        port = int(server.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /runs HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        await writer.drain()
        await server.http.get("/healthz")
        server.stop.set()
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"/problems/shutting-down" in answer
    assert not caplog.records
    writer.close()


async def test_another_server_may_open_the_application_by_its_lifespan() -> None:
    events = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    said: list[Any] = []

    async def receive() -> Any:
        return next(events)

    async def send(message: Any) -> None:
        said.append(message["type"])

    scope: Any = {"type": "lifespan", "asgi": {"version": "3.0"}}
    await create_app(in_memory)(scope, receive, send)
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
