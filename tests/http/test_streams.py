"""Streams that resume: whatever a server sends, each event is given once, in order, or refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_socket

import stenograph as st
from stenograph.engine import TERMINAL, decode
from stenograph.http import Client, ServerUnreachable, StreamLost
from stenograph.journal import Record, envelope, open_journal_readonly
from tests.http.serving import PATIENCE_S, eventually, serving
from tests.http.test_kill import serving as serving_process
from tests.http.tools import COUNT

CLOSE = ""
"""In a script: the server breaks the connection off."""


def logs(*events: str) -> str:
    return f'{{"type":"logs","logs":[{",".join(events)}],"journal":"j"}}'


def log(event: str) -> str:
    return f'{{"type":"log","log":{event}}}'


def status(seq: int, *, done: bool) -> str:
    told = '"run_id":"r","graph_id":"g","journal":"j","message":"","error":null'
    name = "completed" if done else "running"
    return f'{{"type":"status","status":"{name}","done":{str(done).lower()},"seq":{seq},{told}}}'


def named(socket: ServerConnection, request: Any, response: Any) -> None:
    response.headers["Stenograph-Journal"] = "j"


@asynccontextmanager
async def scripted(
    *connections: Sequence[str | bytes], journal: bool = True, asked: list[str] | None = None
) -> AsyncIterator[Client]:
    """A client of a server that says on each connection what the script of it holds."""
    scripts = iter(connections)

    async def talk(socket: ServerConnection) -> None:
        if asked is not None and socket.request is not None:
            asked.append(socket.request.path)
        for message in next(scripts):
            if message == CLOSE:
                return
            await socket.send(message)
        await socket.wait_closed()

    checked = named if journal else None
    async with serve_socket(talk, "127.0.0.1", 0, process_response=checked) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with Client(f"http://127.0.0.1:{port}") as client:
            yield client


async def stored(runs: int = 1) -> list[Record]:
    """The records of short runs, r first, as one journal holds them."""
    async with serving() as served, Client(served.url) as client:
        for number in range(runs):
            await client.run(COUNT, {"to": 1}, run_id=f"r{number or ''}")
        return [record for record in await client.read_all() if record.run_id.startswith("r")]


async def written(runs: int = 1) -> list[str]:
    return [envelope(record).decode() for record in await stored(runs)]


async def places(client: Client, *, whole: bool = False, after: int = 0) -> list[int]:
    """The seqs of what the client hands out (whole journal: offsets), to the end or an error."""
    pages = client.follow_all(after=after) if whole else client.follow("r", after=after)
    heard: list[int] = []
    try:
        async for page in pages:
            heard += [record.offset if whole else record.seq for record in page]
    except StreamLost as lost:
        lost.add_note(str(heard))
        raise
    return heard


async def test_a_socket_that_is_no_journals_is_refused() -> None:
    async with scripted([], journal=False) as client:
        with pytest.raises(ServerUnreachable, match="something else"):
            await places(client)


async def test_what_is_no_news_is_passed_over() -> None:
    events = await written()
    script = [status(1, done=False), '{"type":"of a later version","what":1}']
    script += [logs(*events[:2]), log(events[2]), logs(*events[3:]), status(len(events), done=True)]
    async with scripted(script) as client:
        assert [event.seq async for event in client.tail("r")] == [*range(1, len(events) + 1)]


@pytest.mark.parametrize(
    "message",
    ["{", b"\xff", '{"type":1}', '{"type":"status","status":"of a later version"}'],
)
async def test_a_stream_that_says_what_nobody_can_read_is_lost(message: str | bytes) -> None:
    async with scripted([message]) as client:
        with pytest.raises(StreamLost, match="nobody can read") as caught:
            await places(client)
    assert caught.value.after == 0


@pytest.mark.parametrize(
    ("pages", "expected", "actual", "given"),
    [
        ([[2]], 1, 2, []),
        ([[1, 3]], 2, 3, []),
        ([[1], [3]], 2, 3, [1]),
        ([[1, 1]], 2, 1, []),
        ([[1, 2], [2]], 3, 2, [1, 2]),
        ([[1, 2], [1, 2, 3]], 3, 1, [1, 2]),
        ([[1, 3, 2]], 2, 3, []),
        ([[1, 2], [4], [3]], 3, 4, [1, 2]),
    ],
)
async def test_an_event_that_is_left_out_repeated_or_too_early_loses_the_stream(
    pages: list[list[int]], expected: int, actual: int, given: list[int]
) -> None:
    events = await written()
    async with scripted([logs(*(events[seq - 1] for seq in page)) for page in pages]) as client:
        with pytest.raises(st.OutOfSequence) as caught:
            await places(client)
    error = caught.value
    assert (error.expected, error.actual) == (expected, actual)
    # What was not handed out is asked for again by whoever goes on from `after`.
    assert (error.__notes__, error.after) == ([str(given)], max(given, default=0))
    assert f"event {expected} was due, and {actual} came" in str(error)


async def test_what_comes_again_after_a_reconnect_is_dropped() -> None:
    events = await written()
    again = [logs(*events[:3]), CLOSE], [logs(*events[1:3]), logs(*events[3:5]), CLOSE]
    rest = [log(events[0]), logs(*events[1:]), status(len(events), done=True)]
    async with scripted(*again, rest) as client:
        assert await places(client) == [*range(1, len(events) + 1)]


async def test_what_is_missing_after_a_reconnect_loses_the_stream() -> None:
    events = await written()
    async with scripted([logs(*events[:2]), CLOSE], [logs(*events[3:])]) as client:
        with pytest.raises(st.OutOfSequence, match="event 3 was due, and 4 came") as caught:
            await places(client)
    assert caught.value.after == 2


async def test_an_end_that_comes_before_the_last_event_loses_the_stream() -> None:
    events = await written()
    async with scripted([logs(*events[:2]), status(len(events), done=True)]) as client:
        with pytest.raises(st.OutOfSequence, match=f"3 was due, and {len(events)} came"):
            await places(client)


async def test_an_event_of_another_run_loses_the_stream() -> None:
    events = await written(runs=2)
    foreign = next(event for event in events if '"run_id":"r1"' in event)
    async with scripted([logs(foreign)]) as client:
        with pytest.raises(StreamLost, match="an event of another run came: r1"):
            await places(client)


async def test_of_the_whole_journal_offsets_rise_and_nothing_comes_twice() -> None:
    records = await stored(runs=2)
    kept = [record for record in records if record.seq != 2]  # a journal may leave some out
    known = [envelope(record).decode() for record in kept]
    offsets = [record.offset for record in kept]
    first, again = [logs(*known[:3]), CLOSE], [logs(*known[1:]), logs(known[-1])]
    async with scripted(first, again) as client:
        with pytest.raises(st.OutOfSequence) as caught:
            await places(client, whole=True)
    error = caught.value
    assert error.__notes__ == [str(offsets)]
    assert (error.expected, error.actual) == (offsets[-1] + 1, offsets[-1])
    assert error.after == offsets[-1]


def cursor(seq: int) -> str:
    return f'{{"type":"cursor","seq":{seq},"journal":"j"}}'


def batch(seq: int, *events: str) -> str:
    return f'{{"type":"logs","logs":[{",".join(events)}],"seq":{seq},"journal":"j"}}'


async def test_a_filtered_stream_is_taken_up_again_where_the_server_had_looked() -> None:
    events = await written()
    asked: list[str] = []
    first, then = [batch(3, events[1]), cursor(4), CLOSE], [batch(6, events[5]), CLOSE]
    async with scripted(first, then, [status(6, done=True)], asked=asked) as client:
        pages = [
            page async for page in client.follow("r", types=["log", "node.*"], nodes=["count"])
        ]
    assert [record.seq for page in pages for record in page] == [2, 6]
    assert [each.partition("after=")[2].partition("&")[0] for each in asked] == ["0", "4", "6"]
    assert all("type=log&type=node.%2A&node=count" in each for each in asked)


@pytest.mark.parametrize("late", [batch(5), cursor(2)])
async def test_an_end_beyond_the_cursor_loses_a_filtered_stream(late: str) -> None:
    async with scripted([late, status(7, done=True)]) as client:
        with pytest.raises(st.OutOfSequence, match="and 7 came"):
            [page async for page in client.follow("r", types=["log"])]


@pytest.mark.parametrize("late", ["cursor", "event", "batch"])
async def test_a_filtered_stream_that_goes_back_is_lost(late: str) -> None:
    events = await written()
    message = {"cursor": cursor(3), "event": log(events[3]), "batch": batch(3, events[4])}[late]
    async with scripted([batch(4, events[1]), message]) as client:
        with pytest.raises(st.OutOfSequence):
            [page async for page in client.follow("r", types=["log"])]


async def test_a_single_event_moves_the_cursor_of_a_filtered_stream() -> None:
    events = await written()
    script = [log(events[1]), logs(events[4]), status(5, done=True)]
    async with scripted(script) as client:
        pages = [page async for page in client.follow("r", types=["log"])]
    assert [record.seq for page in pages for record in page] == [2, 5]


ROUNDS: dict[str, Any] = {
    "id": "rounds",
    "start": "work",
    "nodes": {
        "work": {"tool": "work", "next": "note"},
        "note": {
            "tool": "work_in_a_thread",
            "next": [
                {"to": "$end", "when": "n >= 30"},
                {"to": "ask", "when": "n % 10 == 0"},
                "work",
            ],
        },
        "ask": {"wait": {"signal": "go"}, "next": "work"},
    },
}
"""Three rounds of 20 steps, each begun by a signal but for the first."""


async def test_a_tail_outlives_kills_of_its_server_and_misses_nothing(tmp_path: Path) -> None:
    heard: list[st.Event] = []
    lost: list[int] = []

    async def listen(client: Client) -> None:
        async for event in client.tail("r"):
            heard.append(event)

    def waits(times: int) -> bool:
        return [event.type for event in heard].count("wait.opened") == times

    async with (
        serving_process(tmp_path) as server,
        Client(server.url, on_lost=lost.append) as client,
    ):
        await client.start(ROUNDS, {"n": 0, "seen": []}, run_id="r")
        listening = asyncio.create_task(listen(client))
        for number in (1, 2):
            await eventually(partial(waits, number))
            await client.signal("r", "go")
            await server.kill()  # in the midst of the round
            await server.start()
        await asyncio.wait_for(listening, PATIENCE_S)
    async with open_journal_readonly(server.db) as journal:
        kept = await journal.read("r")
    assert heard == list(map(decode, kept))
    assert (heard[-1].type in TERMINAL, len(lost)) == (True, 2)
