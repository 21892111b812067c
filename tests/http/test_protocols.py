"""Connections: for whom the server waits, how long, and what whoever is let go is told."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
from itertools import count
from typing import Any

import httpx
import msgspec
import pytest
from websockets.frames import Frame, Opcode

from stenograph.http import Settings
from stenograph.http.serving import throttle
from stenograph.http.serving.http_protocol import READ_BYTES
from stenograph.http.serving.socket_protocol import SocketProtocol
from tests.figures import Figure
from tests.http.raw import RawClient, asking, connected, more_files, raw, shaking
from tests.http.serving import PATIENCE_S, begun, eventually, ran, serving
from tests.http.tools import COUNT, HANG, looping

SOON = Settings(head_s=0.2, body_s=0.2, send_s=0.2)
SLOW = 1_000
FLOOD = 300_000
BEGIN = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: "


def problem(client: RawClient) -> tuple[int, str]:
    """Return the status and the code of a client's only answer, after which the server hung up."""
    head, _, body = bytes(client.heard).partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower()
    assert b"connection: close" in head.lower()
    told = msgspec.json.decode(body)
    assert int(head.split()[1]) == told["status"]
    return told["status"], told["type"].rpartition("/")[2]


async def ended(client: RawClient) -> RawClient:
    await asyncio.wait_for(asyncio.shield(client.lost), PATIENCE_S)
    return client


async def a_little(client: RawClient, rest_s: float) -> None:
    """Read once, and then rest."""
    client.transport.resume_reading()
    for _ in range(3):
        await asyncio.sleep(0)
    client.transport.pause_reading()
    await asyncio.sleep(rest_s)
    client.transport.resume_reading()


async def test_a_head_that_does_not_come_to_its_end_is_given_up_with_a_problem() -> None:
    async with serving(settings=SOON) as server, connected(server.port, 1) as [client]:
        client.say(BEGIN)
        assert problem(await ended(client)) == (408, "head-timeout")


async def test_who_has_left_when_it_is_refused_is_no_failure(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(transport: asyncio.Transport) -> None:
        """What the system says when a reset comes between the refusal and this."""
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    name = "asyncio.selector_events._SelectorSocketTransport.write_eof"
    monkeypatch.setattr(name, gone)
    async with serving(settings=SOON) as server, connected(server.port, 1) as [client]:
        client.say(asking("/healthz") + b"\x00\r\n\r\n")
        await ended(client)
    assert client.heard.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 400" in client.heard
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


async def test_who_leaves_in_the_midst_of_a_handshake_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as server, connected(server.port, 60) as clients:
        for number, client in enumerate(clients):
            client.say(shaking("/ws/logs"))
            for _ in range(number % 12):
                await asyncio.sleep(0)
            client.transport.abort()
        assert (await server.http.get("/healthz")).status_code == 200
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


async def test_the_time_of_a_later_head_runs_from_its_first_byte() -> None:
    async with serving(settings=SOON) as server, connected(server.port, 1) as [client]:
        client.say(asking("/healthz"))
        await eventually(lambda: b"}" in client.heard)
        client.heard.clear()
        await asyncio.sleep(0.1)
        while not client.lost.done():
            client.say(b"G" if not client.heard else b"")
            await asyncio.sleep(0.02)
        assert problem(client) == (408, "head-timeout")


@pytest.mark.parametrize("request_first", [True, False])
async def test_a_connection_that_says_nothing_ends_without_a_word(request_first: bool) -> None:
    async with serving(settings=SOON) as server, connected(server.port, 1) as [client]:
        if request_first:
            client.say(asking("/healthz"))
            await eventually(lambda: b"}" in client.heard)
            client.heard.clear()
        await ended(client)
        assert client.heard == b""


async def test_a_request_under_way_may_take_longer_than_a_head() -> None:
    async with serving(settings=SOON) as server, connected(server.port, 1) as [client]:
        await begun(server.http, HANG, "r")
        client.say(asking("/runs/r/events?after=2&wait=1"))
        await eventually(lambda: b'"end":false' in client.heard)


async def test_whoever_sends_on_after_the_answer_is_not_listened_to_for_ever() -> None:
    head = b"POST /runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    async with serving(settings=SOON) as server, connected(server.port, 1) as [client]:
        client.say(head + b"Content-Length: 900000000\r\n\r\n")
        while not client.lost.done():
            client.say(b"{")
            await asyncio.sleep(0.02)
        assert client.heard.startswith(b"HTTP/1.1 413")


async def test_a_body_that_trickles_in_is_given_up() -> None:
    head = b"POST /runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    async with serving(settings=SOON) as server, connected(server.port, 1) as [client]:
        client.say(head + b"Content-Length: 1000\r\n\r\n")
        while not client.lost.done():
            client.say(b"{")
            await asyncio.sleep(0.02)
        assert client.heard.startswith(b"HTTP/1.1 408")
        assert b"/problems/body-timeout" in client.heard


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200_000, (431, "head-too-large")),
        (b"GET /" + b"y" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (431, "head-too-large")),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", (400, "bad-request")),
        (b"GET / HTTP/1.1\r\n\r\n", (400, "bad-request")),
    ],
)
async def test_what_is_not_http_is_told_so_by_a_problem(said: bytes, told: tuple[int, str]) -> None:
    async with serving() as server, connected(server.port, 1) as [client]:
        client.say(said)
        assert problem(await ended(client)) == told


async def test_chunks_that_are_none_are_told_so_and_their_handler_waits_no_longer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    head = b"POST /runs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving() as server, connected(server.port, 1) as [client]:
        client.say(head)
        await server.http.get("/healthz")
        client.say(b"ZZ\r\n")
        client.say(b"and more")
        assert problem(await ended(client)) == (400, "bad-request")
    assert [each.message for each in caplog.records] == ["Invalid HTTP request received."]


async def test_what_is_not_http_behind_an_answer_ends_the_connection() -> None:
    head = b"POST /runs/import HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving() as server, connected(server.port, 1) as [client]:
        client.say(head)  # of a type that is refused before there is a body
        await eventually(lambda: b"unsupported-media-type" in client.heard)
        client.say(b"ZZ\r\n")
        await ended(client)
        assert client.heard.count(b"HTTP/1.1") == 1


async def test_a_body_in_tiny_chunks_is_read_slowly_and_whole() -> None:
    head = b"POST /runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    many = 20_000
    async with serving() as server, connected(server.port, 1) as [client]:
        client.say(head + b"Transfer-Encoding: chunked\r\n\r\n")
        client.say(b"1\r\n[\r\n" * many + b"0\r\n\r\n")
        await eventually(lambda: b"/problems/" in client.heard)
        assert b"/problems/too-deep" in client.heard


async def test_a_thousand_slow_heads_and_a_thousand_silent_sockets_hold_up_nobody(
    figure: Figure,
) -> None:
    more_files(4 * SLOW + 500)
    settings = Settings(head_s=3.0, connections=3 * SLOW)  # a busy machine is slow to connect
    async with (
        serving(settings=settings) as server,
        connected(server.port, SLOW) as slow,
        connected(server.port, SLOW) as silent,
        httpx.AsyncClient() as http,
    ):
        slowest, asked, loop = 0.0, 0, asyncio.get_running_loop()
        for client in slow:
            client.say(BEGIN)
        while not all(each.lost.done() for each in (*slow, *silent)):
            for client in slow[asked % 10 :: 10]:
                client.say(b"y")
            begin = loop.time()
            answer = await http.get(f"{server.url}/healthz")
            slowest, asked = max(slowest, loop.time() - begin), asked + 1
            assert answer.status_code == 200
        assert {problem(each) for each in slow if each.heard} == {(408, "head-timeout")}
        assert {bytes(each.heard) for each in silent} == {b""}
    figure(
        f"{SLOW:,} slow heads and {SLOW:,} silent sockets: all let go; health asked {asked} times "
        f"meanwhile, the slowest answer {1000 * slowest:.0f} ms"
    )


@pytest.mark.parametrize(
    "accept", ["application/json", "application/x-ndjson", "text/event-stream"]
)
async def test_whoever_does_not_take_an_answer_is_hung_up_on(accept: str) -> None:
    async with serving(settings=SOON) as server:
        await ran(server.http, looping("swell", 60, size=500_000), "r")
        subscribers = server.app.state["subscribers"]
        client = await raw(server.port, buffer=4096)
        client.transport.pause_reading()
        client.say(asking("/runs/r/events", more=f"Accept: {accept}\r\n"))
        await eventually(lambda: subscribers.slow == 1)
        await eventually(lambda: subscribers.now == 0)
        client.transport.resume_reading()
        await ended(client)


async def test_whoever_takes_a_byte_at_a_time_is_hung_up_on() -> None:
    async with serving(settings=SOON) as server:
        await ran(server.http, looping("swell", 60, size=500_000), "r")
        subscribers = server.app.state["subscribers"]
        client = await raw(server.port, buffer=4096)
        client.transport.max_size = 1  # type: ignore[attr-defined]
        client.say(asking("/runs/r/events", more="Accept: application/x-ndjson\r\n"))
        while not subscribers.slow:
            await a_little(client, 0.01)
        client.transport.abort()
        await ended(client)


async def test_whoever_takes_an_answer_slowly_but_in_time_gets_all_of_it() -> None:
    async with serving(settings=Settings(send_s=5.0)) as server:
        await ran(server.http, looping("swell", 60, size=100_000), "r")
        stored = await server.http.get("/runs/r/events", headers={"Accept": "application/x-ndjson"})
        client = await raw(server.port, buffer=65536)
        more = "Accept: application/x-ndjson\r\nConnection: close\r\n"
        client.say(asking("/runs/r/events", more=more))
        while not client.lost.done():
            await a_little(client, 0.002)
        assert len(client.heard) > len(stored.content)
        assert server.app.state["subscribers"].slow == 0


async def test_an_answer_before_the_end_that_is_not_taken_is_given_up() -> None:
    async with serving(settings=SOON) as server:
        await ran(server.http, looping("swell", 30, size=500_000), "r")
        client = await raw(server.port, buffer=4096)
        client.transport.pause_reading()
        client.say(asking("/graph/state/r", more="Connection: close\r\n"))
        await eventually(lambda: server.app.state["subscribers"].slow == 1)
        client.transport.abort()


@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.TEXT])
async def test_of_a_flood_of_tiny_frames_one_part_is_read_between_two_pauses(
    opcode: Opcode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as taking it in is costly: so it is here, and each pause longer than the test."""
    reads: list[tuple[SocketProtocol, int]] = []
    take = SocketProtocol.data_received

    def taken(protocol: SocketProtocol, data: bytes) -> None:
        if len(data) >= throttle.LARGE_BYTES:
            reads.append((protocol, len(data)))
        take(protocol, data)

    monkeypatch.setattr(SocketProtocol, "data_received", taken)
    monkeypatch.setattr(throttle, "thread_time", count(step=PATIENCE_S).__next__)
    frame = Frame(opcode, b"").serialize(mask=True)
    async with serving() as server, connected(server.port, 1) as [client]:
        await begun(server.http, HANG, "r")
        client.say(shaking("/ws/r"))
        await eventually(lambda: b"node.entered" in client.heard)
        client.say(frame * FLOOD)
        for parts in (1, 2, 3):
            await eventually(lambda parts=parts: len(reads) == parts)  # type: ignore[misc]
            assert (await server.http.get("/healthz")).status_code == 200
            assert len(reads) == parts, "nothing was read meanwhile"
            protocol, size = reads[-1]
            assert size <= READ_BYTES
            protocol.read_on()
        assert client.heard.count(b"\x8a\x00") < FLOOD


async def test_of_many_floods_of_tiny_frames_one_part_is_taken_in_at_a_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turn = [0]
    taken: list[int] = []
    take = SocketProtocol.take_in

    def noting(protocol: SocketProtocol, data: bytes) -> None:
        if len(data) >= throttle.LARGE_BYTES:
            taken.append(turn[0])
        take(protocol, data)

    async def turning() -> None:
        while True:
            turn[0] += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(SocketProtocol, "take_in", noting)
    monkeypatch.setattr(throttle, "thread_time", count(step=PATIENCE_S).__next__)
    frame = Frame(Opcode.PONG, b"").serialize(mask=True)
    async with serving() as server, connected(server.port, 8) as clients:
        await begun(server.http, HANG, "r")
        for client in clients:
            client.say(shaking("/ws/r"))
        await eventually(lambda: all(b"node.entered" in client.heard for client in clients))
        task = asyncio.create_task(turning())
        for client in clients:
            client.say(frame * FLOOD)
        await eventually(lambda: len(taken) == len(clients))
        task.cancel()
    assert len(set(taken)) == len(clients)


async def test_a_client_that_answers_no_ping_is_left_with_its_cursor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[SocketProtocol] = []
    begin = SocketProtocol.start_keepalive

    def impatient(protocol: SocketProtocol) -> None:
        protocol.ping_interval = protocol.ping_timeout = 0.05
        made.append(protocol)
        begin(protocol)

    monkeypatch.setattr(SocketProtocol, "start_keepalive", impatient)
    async with serving() as server, connected(server.port, 1) as [client]:
        await begun(server.http, HANG, "r")
        client.say(shaking("/ws/r"))
        await ended(client)
        assert client.heard.endswith(b"\x88\x09\x03\xf5after=2")
        assert server.app.state["subscribers"].slow == 1


async def test_whoever_is_left_is_left_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[SocketProtocol] = []
    begin = SocketProtocol.start_keepalive

    def kept(protocol: SocketProtocol) -> None:
        made.append(protocol)
        begin(protocol)

    monkeypatch.setattr(SocketProtocol, "start_keepalive", kept)
    async with serving() as server, connected(server.port, 1) as [client]:
        await begun(server.http, HANG, "r")
        client.say(shaking("/ws/r"))
        await eventually(lambda: b"node.entered" in client.heard)
        made[0].too_slow()
        made[0].shutdown()
        made[0].too_slow()
        await ended(client)
        made[0].too_slow()
        assert client.heard.endswith(b"\x88\x09\x03\xf5after=2")
        assert server.app.state["subscribers"].slow == 1


async def test_only_so_many_follow_at_a_time() -> None:
    events = "/runs/r/events?after=2"
    streams = [{"Accept": "text/event-stream"}, {"Accept": "application/x-ndjson"}]
    async with serving(settings=Settings(subscribers=2)) as server:
        await begun(server.http, HANG, "r")
        subscribers = server.app.state["subscribers"]
        async with server.socket("/ws/r"), server.socket("/ws/logs"):
            await eventually(lambda: subscribers.now == 2)
            refused: list[httpx.Response] = [
                await server.http.get(events, headers=each) for each in streams
            ]
            async with server.socket("/ws/r") as third:
                told: Any = json.loads(await third.recv())
                await third.wait_closed()
            page = await server.http.get(events)
        await eventually(lambda: subscribers.now == 0)
        free = await server.http.get(events, headers=streams[1])
    assert {each.status_code for each in refused} == {503}
    assert all(int(each.headers["Retry-After"]) > 0 for each in refused)
    assert {each.json()["type"] for each in refused} == {told["problem"]["type"]}
    assert told["problem"]["type"] == "/problems/too-many-subscribers"
    assert (third.close_code, third.close_reason) == (1013, "")
    assert (page.status_code, free.status_code) == (200, 200)


async def test_a_finished_stream_is_no_subscriber_any_more() -> None:
    async with serving(settings=Settings(subscribers=1)) as server:
        await ran(server.http, COUNT, "r", to=1)
        for _ in range(3):
            answer = await server.http.get(
                "/runs/r/events", headers={"Accept": "text/event-stream"}
            )
            assert answer.status_code == 200
            await eventually(lambda: server.app.state["subscribers"].now == 0)
