"""WebSockets, through a real server: nothing missing, nothing twice, and always told the end."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from uvicorn.protocols.utils import ClientDisconnected
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from stenograph.engine import NO_FILTER
from stenograph.http import Settings
from stenograph.http.operations import sockets
from stenograph.http.serving import socket_protocol
from stenograph.http.serving.socket_protocol import SocketProtocol, framed
from stenograph.http.streaming.frames import Frames
from stenograph.http.streaming.sifting import Belongings, Part, Sieve
from stenograph.journal import MemoryJournal, Record
from tests.http.serving import (
    PATIENCE_S,
    Served,
    begun,
    created,
    eventually,
    messages,
    ran,
    serving,
)
from tests.http.tools import COUNT, FAIL, HANG, looping, of_one

RUN_PATHS = ["/ws/r", "/ws/logs/r", "/ws/monitor/r", "/graph/stream/r"]
PREFIXES = ["", "/api"]

STATE_FRAMES: list[dict[str, Any]] = [
    {"to": 2},
    {"initial_state": {"to": 2}},
    {"state": {"to": 2}},
    {"input": {"to": 2}},
    {"graph_id": "count", "initial_state": {"to": 2}, "state": {"to": 2}, "wait": False},
    {"state": {"to": 2}, "background": True},
]
BAD_FRAMES: list[tuple[str | bytes, str]] = [
    ("{", "not-json"),
    ("", "not-json"),
    (b"\x00\xff", "not-utf8"),
    ("[1, 2]", "body-invalid"),
    ('"count"', "body-invalid"),
    ('{"to": ' + "[" * 500 + "]" * 500 + "}", "too-deep"),
    ('{"to": 18446744073709551616}', "state-not-json"),
    ('{"to": 1e999}', "not-json"),
    ('{"initial_state": [2]}', "body-invalid"),
    ('{"initial_state": {"to": 2}, "state": {"to": 3}}', "body-invalid"),
    ('{"initial_state": {"to": 2}, "graph_id": "other"}', "body-invalid"),
    ('{"initial_state": {"to": 2}, "to": 3}', "body-invalid"),
]
REFUSED = [
    ("/ws/nobody", 4404, "run-not-found"),
    ("/ws/execute/nothing", 4404, "graph-not-found"),
    ("/ws/execute/count@0000", 4404, "graph-not-found"),
    ("/ws/r?after=8", 4409, "cursor-unknown"),
    ("/ws/r?after=999999999999999999999999", 4409, "cursor-unknown"),
    ("/ws/r?after=1&journal=another", 4409, "cursor-unknown"),
    ("/ws/logs?after=9", 4409, "cursor-unknown"),
    ("/ws/logs?after=1&journal=another", 4409, "cursor-unknown"),
    ("/ws/r?after=-1", 4400, "query-invalid"),
    ("/ws/r?after=x", 4400, "query-invalid"),
    ("/ws/r?after=\u0664", 4400, "query-invalid"),
    ("/ws/r?after=" + "1" * 5000, 4400, "query-invalid"),
    ("/ws/r?batch=yes", 4400, "query-invalid"),
    ("/ws/logs?after=x", 4400, "query-invalid"),
]


def anything() -> Sieve:
    return Sieve(NO_FILTER, Belongings(MemoryJournal()), whole=False)


def logs(heard: list[Any]) -> list[Any]:
    return [each["log"] for each in heard if each["type"] == "log"]


def seqs(heard: list[Any]) -> list[int]:
    return [each["seq"] for each in logs(heard)]


async def heard_on(server: Served, path: str) -> list[Any]:
    async with server.socket(path) as socket:
        return await messages(socket)


def followers(server: Served) -> int:
    journal: Any = server.engine.journal
    return sum(map(len, journal.feed.followers.values()))


async def heard_up_to(socket: ClientConnection, offset: int) -> list[Any]:
    heard: list[Any] = []
    while not heard or heard[-1]["offset"] < offset:
        heard.append(json.loads(await asyncio.wait_for(socket.recv(), PATIENCE_S)))
    return heard


async def test_a_run_is_sent_from_its_beginning_to_its_end() -> None:
    async with serving() as server:
        await ran(server.http, COUNT, "r", to=1)
        async with server.socket("/ws/r") as socket:
            heard = await messages(socket)
            assert socket.close_code == 1000
    assert seqs(heard) == list(range(1, 8))
    assert heard[-1] | {"journal": ""} == {
        "type": "status",
        "status": "completed",
        "done": True,
        "seq": 7,
        "run_id": "r",
        "graph_id": "count",
        "journal": "",
        "message": "the run completed after 1 step (loop-done)",
        "error": None,
    }


async def test_a_run_has_a_socket_under_each_of_its_old_names() -> None:
    async with serving() as server:
        await ran(server.http, COUNT, "r", to=1)
        heard = [await heard_on(server, prefix + path) for prefix in PREFIXES for path in RUN_PATHS]
    assert all(each == heard[0] for each in heard)
    assert len(heard) == 8


async def test_resuming_at_any_cursor_misses_nothing_and_repeats_nothing() -> None:
    async with serving() as server:
        head = (await ran(server.http, COUNT, "r", to=3))["head"]
        whole = logs(await heard_on(server, "/ws/r"))
        for cursor in range(head + 1):
            heard = await heard_on(server, f"/ws/r?after={cursor}")
            assert logs(heard) == whole[cursor:]
            assert (heard[-1]["type"], heard[-1]["seq"]) == ("status", head)


async def test_who_comes_after_the_end_is_told_the_end() -> None:
    async with serving() as server:
        head = (await ran(server.http, FAIL, "r"))["head"]
        heard = await heard_on(server, f"/ws/r?after={head}")
        batch = await heard_on(server, f"/ws/r?after={head}&batch=1")
    assert heard == batch
    assert [each["type"] for each in heard] == ["status"]
    assert (heard[0]["status"], heard[0]["error"]["message"]) == ("failed", "no luck")


async def test_events_are_sent_as_they_happen() -> None:
    async with serving() as server:
        await begun(server.http, HANG, "r")
        async with server.socket("/ws/r") as socket:
            first = [json.loads(await socket.recv()) for _ in range(2)]
            await server.http.post("/graph/cancel/r")
            rest = await messages(socket)
    assert seqs(first + rest) == list(range(1, len(first + rest)))
    assert rest[-1]["status"] == "cancelled"
    assert logs(rest)[-1]["type"] == "run.cancelled"


async def test_a_change_of_the_state_tells_who_changed_what() -> None:
    graph = looping("count", 2)
    graph["nodes"]["count"]["next"] = [graph["nodes"]["count"]["next"], "tidy"]
    graph["nodes"]["tidy"] = {"tool": "tidy"}
    async with serving() as server:
        await ran(server.http, graph, "r")
        heard = await heard_on(server, "/ws/r")
    told = [(each["node"], each["result"]) for each in heard if "result" in each]
    assert told == [
        ("count", {"n": 1, "seen": [1]}),
        ("count", {"n": 2, "seen": [2]}),
        ("tidy", {"n": None, "seen": [], "a/b~c": True}),
    ]
    assert all(("node" in each) == (each["log"]["type"] == "state.patched") for each in heard[:-1])


async def test_many_events_come_in_one_message_when_asked() -> None:
    async with serving() as server:
        await ran(server.http, COUNT, "r", to=3)
        one_by_one = logs(await heard_on(server, "/ws/r"))
        heard = await heard_on(server, "/ws/r?batch=1&after=2")
    assert [each["type"] for each in heard] == ["logs", "status"]
    assert heard[0]["logs"] == one_by_one[2:]
    assert heard[0]["seq"] == one_by_one[-1]["seq"] == heard[-1]["seq"]
    assert heard[0]["journal"] == heard[-1]["journal"]


async def test_a_message_of_many_events_stays_small_enough_for_any_client() -> None:
    async with serving() as server:
        await ran(server.http, looping("swell", 20, size=60_000), "r")
        heard = await heard_on(server, "/ws/r?batch=1")
    many = [each for each in heard if each["type"] == "logs"]
    assert len(many) > 3
    assert max(len(json.dumps(each)) for each in many) < 1024 * 1024
    together = [log["seq"] for each in many for log in each["logs"]]
    assert together == list(range(1, heard[-1]["seq"] + 1))
    assert [each["seq"] for each in many] == [each["logs"][-1]["seq"] for each in many]


async def test_subscribers_share_the_messages_that_are_built() -> None:
    async with serving() as server:
        await begun(server.http, HANG, "r")
        async with server.socket("/ws/r?batch=1") as one, server.socket("/ws/r?batch=1") as two:
            first = [await one.recv(), await two.recv()]
            await server.http.post("/graph/cancel/r")
            rest = [await messages(one), await messages(two)]
    assert first[0] == first[1]
    assert rest[0] == rest[1]


async def test_a_message_is_framed_once_for_all_who_get_it() -> None:
    async with serving() as server, AsyncExitStack() as stack:
        await ran(server.http, COUNT, "r", to=3)
        sockets = [
            await stack.enter_async_context(server.socket("/ws/logs?batch=1&after=0"))
            for _ in range(20)
        ]
        for each in sockets:
            await each.recv()
        before = framed.cache_info().misses
        await ran(server.http, COUNT, "s", to=3)
        heard = [await heard_up_to(each, await server.engine.journal.end()) for each in sockets]
        built = framed.cache_info().misses - before
    assert heard == [heard[0]] * 20
    assert built == len(heard[0])


async def test_the_whole_journal_is_live_by_default() -> None:
    async with serving() as server:
        await ran(server.http, COUNT, "before", to=1)
        async with server.socket("/ws/logs") as socket:
            await ran(server.http, COUNT, "after", to=1)
            heard = [json.loads(await socket.recv()) for _ in range(7)]
            await socket.close()
    assert {each["log"]["run_id"] for each in heard} == {"after"}
    assert [each["log"]["seq"] for each in heard] == list(range(1, 8))
    assert heard[4]["result"] == {"n": 1, "seen": [1]}


async def test_the_whole_journal_resumes_at_an_offset() -> None:
    async with serving() as server:
        await ran(server.http, COUNT, "r", to=1)
        end = await server.engine.journal.end()
        async with server.socket("/ws/logs?after=3") as socket:
            heard = [json.loads(await socket.recv()) for _ in range(end - 3)]
        async with server.socket("/ws/logs?after=0&batch=1") as socket:
            batch = json.loads(await socket.recv())
    assert [each["log"]["offset"] for each in heard] == list(range(4, end + 1))
    assert (batch["offset"], len(batch["logs"])) == (end, end)
    assert batch["logs"][0]["run_id"] == "graph/count"


async def test_a_run_is_started_and_followed_on_one_socket() -> None:
    async with serving() as server:
        await created(server.http, COUNT)
        for frame in STATE_FRAMES:
            async with server.socket("/ws/execute/count") as socket:
                await socket.send(json.dumps(frame))
                named, *heard = await messages(socket)
            assert (named["type"], named["status"], named["done"]) == ("status", "running", False)
            assert (named["seq"], seqs(heard)) == (0, list(range(1, 13)))
            assert heard[-1]["done"]
            state = await server.http.get(f"/runs/{named['run_id']}/state")
            assert state.json()["state"] == {"to": 2, "seen": [1, 2], "n": 2}


async def test_a_state_with_a_key_called_state_is_a_state() -> None:
    async with serving() as server:
        await created(server.http, of_one("count"))
        async with server.socket("/api/ws/execute/count") as socket:
            await socket.send('{"state": {"a": 1}, "n": 4}')
            heard = await messages(socket)
        run = await server.http.get(f"/runs/{heard[0]['run_id']}/state?at=1")
    assert run.json()["state"] == {"state": {"a": 1}, "n": 4}


async def test_a_first_message_may_say_that_there_is_no_state() -> None:
    async with serving() as server:
        await created(server.http, of_one("count"))
        async with server.socket("/ws/execute/count") as socket:
            await socket.send('{"initial_state": null}')
            heard = await messages(socket)
        run = await server.http.get(f"/runs/{heard[0]['run_id']}/state?at=1")
    assert run.json()["state"] == {}


async def test_a_first_message_that_is_no_state_is_refused() -> None:
    async with serving() as server:
        await created(server.http, COUNT)
        for frame, code in BAD_FRAMES:
            async with server.socket("/ws/execute/count") as socket:
                await socket.send(frame)
                heard = await messages(socket)
            told = [each["problem"]["type"] for each in heard]
            assert (socket.close_code, told) == (4400, [f"/problems/{code}"]), frame[:50]
        runs = await server.http.get("/runs")
    assert runs.json()["items"] == []


async def test_a_first_message_that_is_too_large_is_not_read() -> None:
    async with serving() as server:
        await created(server.http, COUNT)
        async with server.socket("/ws/execute/count") as socket:
            await socket.send(json.dumps({"text": "x" * 2 * 1024 * 1024}))
            await messages(socket)
            assert socket.close_code == 1009
        assert (await server.http.get("/healthz")).status_code == 200


async def test_a_first_message_that_never_comes_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "FIRST_FRAME_TIMEOUT_S", 0.01)
    async with serving() as server:
        await created(server.http, COUNT)
        heard = await heard_on(server, "/ws/execute/count")
    assert heard[0]["problem"]["type"] == "/problems/body-timeout"


async def test_a_socket_that_cannot_serve_says_why() -> None:
    async with serving() as server:
        await ran(server.http, COUNT, "r", to=1)
        for path, close, code in REFUSED:
            async with server.socket(path) as socket:
                heard = await messages(socket)
            told = [(each["type"], each["problem"]["type"]) for each in heard]
            assert (socket.close_code, told) == (close, [("error", f"/problems/{code}")]), path


async def test_the_cursor_may_come_with_its_journal() -> None:
    async with serving() as server:
        await ran(server.http, COUNT, "r", to=1)
        journal = server.engine.journal.id
        async with server.socket(f"/ws/r?after=5&journal={journal}") as socket:
            assert socket.response is not None
            assert socket.response.headers["Stenograph-Journal"] == journal
            assert seqs(await messages(socket)) == [6, 7]


async def test_a_path_without_a_socket_refuses_the_handshake() -> None:
    async with serving() as server:
        for path in ("/nowhere", "/runs", "/healthz"):
            with pytest.raises(InvalidStatus):
                async with server.socket(path):
                    pass
        assert (await server.http.get("/healthz")).status_code == 200


async def test_a_failure_inside_is_told_by_number_only(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as server:
        await ran(server.http, COUNT, "r", to=1)

        def broken(*args: Any, **options: Any) -> Any:
            raise RuntimeError("the secret is 42")

        monkeypatch.setattr(server.engine, "follow", broken)
        async with server.socket("/ws/r") as socket:
            heard = await messages(socket)
            assert socket.close_code == 1011
    assert heard[0]["problem"]["type"] == "/problems/internal-error"
    assert "secret" not in str(heard)


async def test_a_slow_reader_gets_everything_and_delays_nobody() -> None:
    async with serving() as server:
        await created(server.http, looping("swell", 100, size=20_000))
        async with server.socket("/ws/logs?after=0", max_queue=1) as slow:
            answer = await server.http.post("/graph/run", json={"graph_id": "swell"})
            quick = await heard_on(server, f"/ws/{answer.json()['run_id']}")
            late: list[Any] = []
            while not late or late[-1]["log"]["type"] != "run.completed":
                late.append(json.loads(await slow.recv()))
    assert seqs(quick) == [each["log"]["seq"] for each in late[1:]]


async def test_a_client_that_takes_nothing_is_let_go_and_its_place_is_free_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket_protocol, "DRAIN_S", 0.1)
    async with serving(settings=Settings(connections=2, send_s=0.1)) as server:
        await ran(server.http, looping("swell", 60, size=500_000), "r")
        health = f"{server.url}/healthz"
        async with server.socket("/ws/logs?after=0", max_queue=1, close_timeout=0.1) as stuck:
            full = await asyncio.to_thread(httpx.get, health)
            for _ in range(1000):
                again = await asyncio.to_thread(httpx.get, health)
                if again.status_code == 200:
                    break
                await asyncio.sleep(0.01)
            assert (full.status_code, again.status_code) == (503, 200)
            assert followers(server) == 0
            await messages(stuck)
            assert stuck.close_code == 1006


async def test_a_client_that_takes_what_was_left_in_time_is_not_hung_up_on_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(socket_protocol, "DRAIN_S", drain_s := 0.5)
    async with serving(settings=Settings(send_s=0.1)) as server:
        await ran(server.http, looping("swell", 60, size=500_000), "r")
        async with server.socket("/ws/logs?after=0", max_queue=1) as slow:
            await eventually(lambda: followers(server) == 0)
            heard = await messages(slow)
            assert slow.close_code == 1013
            assert slow.close_reason == f"after={heard[-1]['log']['offset']}"
        await asyncio.sleep(drain_s)
    assert not caplog.records


async def test_a_client_that_leaves_as_it_is_sent_something_is_noticed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    send = SocketProtocol.send

    async def lose(protocol: SocketProtocol, message: Any) -> None:
        if message.get("text"):
            raise ClientDisconnected
        await send(protocol, message)

    monkeypatch.setattr(SocketProtocol, "send", lose)
    async with serving() as server:
        await ran(server.http, COUNT, "r", to=1)
        async with server.socket("/ws/logs?after=0", close_timeout=0.1) as socket:
            await socket.wait_closed()
        assert followers(server) == 0
    assert not caplog.records


async def test_a_client_that_leaves_in_a_quiet_time_is_noticed() -> None:
    async with serving() as server:
        await begun(server.http, HANG, "r")
        async with server.socket("/ws/r"), server.socket("/ws/logs") as talker:
            await eventually(lambda: followers(server) == 2)
            await talker.send("what a client says here is not listened to")
        await eventually(lambda: followers(server) == 0)
        assert (await server.http.get("/runs/r")).json()["status"] == "running"


async def test_a_client_that_breaks_off_is_noticed() -> None:
    async with serving() as server:
        await begun(server.http, HANG, "r")
        async with server.socket("/ws/r") as socket:
            await socket.recv()
            socket.transport.abort()
            await eventually(lambda: followers(server) == 0)


async def test_nothing_is_written_to_a_connection_that_is_lost() -> None:
    async with serving() as server:
        await begun(server.http, HANG, "r")
        async with server.socket("/ws/r"):
            protocols = [each for each in gc.get_objects() if type(each) is SocketProtocol]
            [found] = (each for each in protocols if not each.transport.is_closing())
            found.transport.abort()
            with pytest.raises(ClientDisconnected):
                await found.send({"type": "websocket.send", "text": "news"})


async def test_a_hundred_subscribers_all_get_everything() -> None:
    async with serving() as server:
        await created(server.http, COUNT)
        async with asyncio.TaskGroup() as tasks:
            waiting = [
                tasks.create_task(heard_after_start(server, "r", batch=number % 2))
                for number in range(100)
            ]
            async with asyncio.timeout(PATIENCE_S):
                body = {"graph": "count", "id": "r", "input": {"to": 20}}
                await server.http.post("/runs", json=body)
        heard = [task.result() for task in waiting]
    assert all(each == heard[0] for each in heard)
    assert heard[0] == list(range(1, len(heard[0]) + 1))


async def heard_after_start(server: Served, run_id: str, *, batch: int) -> list[int]:
    """Connect until the run is there; return the seqs of all its events."""
    while True:
        heard = await heard_on(server, f"/ws/{run_id}?batch={batch}")
        if heard[0]["type"] != "error":
            single = seqs(heard)
            many = [log["seq"] for each in heard for log in each.get("logs", [])]
            return single + many


@pytest.mark.parametrize("path", ["/ws/r", "/ws/logs?after=0"])
async def test_a_journal_that_is_closed_under_a_stream_asks_to_come_again(path: str) -> None:
    async with serving() as server:
        await begun(server.http, HANG, "r")
        async with server.socket(path) as socket:
            await socket.recv()
            journal: Any = server.engine.journal
            await journal.close()
            assert {each["type"] for each in await messages(socket)} == {"log"}
            assert socket.close_code == 1012


def test_only_so_many_messages_are_kept() -> None:
    def record(number: int) -> Record:
        data = b'"%b"' % (b"x" * 1000)
        return Record(number, "r", number, "2026-11-20T22:55:01.123456Z", "log", data, "0" * 64)

    frames, sieve = Frames(cache_max_chars=5000), anything()

    def messages(number: int) -> Sequence[str]:
        return frames.of(Part([record(number)], number), sieve, batch=False, journal="j")

    made = [messages(number) for number in range(9)]
    again, anew = messages(8), messages(0)
    assert frames.cached_chars <= 5000
    assert (again is made[8], anew is made[0], anew == made[0]) == (True, False, True)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ('{"to": 1, "to": 2}', "body-invalid"),
        (b"\xff{}", "not-utf8"),
    ],
)
async def test_a_first_message_that_is_not_sound_is_refused(frame: Any, code: str) -> None:
    async with serving() as server:
        await created(server.http, COUNT)
        async with server.socket("/ws/execute/count") as socket:
            await socket.send(frame)
            heard = await messages(socket)
    assert heard[-1]["problem"]["type"] == f"/problems/{code}"
    assert socket.close_code == 4400


async def test_a_first_message_may_be_binary() -> None:
    async with serving() as server:
        await created(server.http, COUNT)
        async with server.socket("/ws/execute/count") as socket:
            await socket.send(b'{"to": 1}')
            heard = await messages(socket)
    assert (heard[-1]["status"], socket.close_code) == ("completed", 1000)


async def test_text_that_is_not_utf8_ends_the_connection_and_is_no_error_here(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as server:
        await created(server.http, COUNT)
        async with server.socket("/ws/execute/count") as socket:
            await socket.send(b"\xff", text=True)
            assert await messages(socket) == []
    assert socket.close_code == 1007
    assert not [each for each in caplog.records if each.levelname == "ERROR"]
