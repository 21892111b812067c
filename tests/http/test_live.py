"""Events as they come: server-sent, by long polls and over sockets, and on after a retry."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import pytest

import stenograph as st
from stenograph.http.streaming import server_sent
from stenograph.journal import envelope
from tests.graphs import TOOLS as MORE_TOOLS
from tests.graphs import chain, mapped
from tests.http.serving import (
    Served,
    app_client,
    begun,
    created,
    eventually,
    messages,
    ran,
    serving,
)
from tests.http.tools import COUNT, HANG

SSE = {"Accept": "text/event-stream"}
FAILS_ONCE = {"id": "g", **chain("count", "fail_until_retried", "note")}


def with_more_tools() -> AbstractAsyncContextManager[st.Engine]:
    return st.open(":memory:", tools=MORE_TOOLS)


class Message(msgspec.Struct):
    """One message of a stream of server-sent events."""

    id: int
    event: str
    data: Any


def parsed(text: str) -> list[Message]:
    blocks = [block.splitlines() for block in text.split("\n\n") if block and block[0] != ":"]
    fields = [dict(line.split(": ", 1) for line in lines) for lines in blocks]
    return [
        Message(int(each["id"]), each["event"], msgspec.json.decode(each["data"]))
        for each in fields
    ]


async def by_socket(server: Served, after: int) -> list[Any]:
    async with server.socket(f"/ws/r?after={after}") as socket:
        heard = await messages(socket)
    assert (heard[-1]["type"], heard[-1]["done"]) == ("status", True)
    assert heard[-1]["seq"] == heard[-2]["log"]["seq"]
    return [each["log"] for each in heard[:-1]]


async def by_batches(server: Served, after: int) -> list[Any]:
    async with server.socket(f"/ws/r?batch=1&after={after}") as socket:
        heard = await messages(socket)
    assert (heard[-1]["type"], heard[-1]["done"]) == ("status", True)
    return [log for each in heard[:-1] for log in each["logs"]]


async def by_server_sent_events(server: Served, after: int) -> list[Any]:
    headers = {**SSE, "Last-Event-ID": str(after)}
    heard = parsed((await server.http.get("/runs/r/events", headers=headers)).text)
    assert (heard[-1].event, heard[-1].id) == ("status", heard[-2].id)
    return [each.data for each in heard[:-1]]


async def by_long_polls(server: Served, after: int) -> list[Any]:
    events: list[Any] = []
    while True:
        query = {"after": after, "wait": 20, "limit": 3}
        page = (await server.http.get("/runs/r/events", params=query)).json()
        events += page["events"]
        after = page["after"]
        if page["end"]:
            return events


@pytest.mark.parametrize("listen", [by_socket, by_batches, by_server_sent_events, by_long_polls])
async def test_whoever_saw_a_run_fail_hears_how_it_goes_on_once_it_is_retried(
    listen: Callable[[Served, int], Awaitable[list[Any]]],
) -> None:
    async with serving(with_more_tools) as server:
        await created(server.http, FAILS_ONCE)
        await server.http.post("/graph/run", json={"graph_id": "g", "run_id": "r"})
        before = await listen(server, 0)
        assert before[-1]["type"] == "run.failed"
        assert (await server.http.post("/runs/r/retry")).status_code == 200
        later = await listen(server, before[-1]["seq"])
        stored = [envelope(each) for each in await server.engine.journal.read("r")]
    assert [later[0]["type"], later[-1]["type"]] == ["run.retried", "run.completed"]
    assert before + later == [msgspec.json.decode(each) for each in stored]


async def test_a_run_that_is_retried_as_its_end_is_told_is_told_to_its_later_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(with_more_tools) as server:
        engine, get = server.engine, server.engine.get

        async def retried_meanwhile(run_id: str) -> st.RunView:
            monkeypatch.setattr(engine, "get", get)
            await engine.retry(run_id)
            return await get(run_id)

        await engine.run(FAILS_ONCE, run_id="r")
        monkeypatch.setattr(engine, "get", retried_meanwhile)
        heard = await by_socket(server, 0)
    assert [each["seq"] for each in heard] == list(range(1, len(heard) + 1))
    assert [each["type"] for each in heard].count("run.failed") == 1
    assert heard[-1]["type"] == "run.completed"


async def test_what_changes_in_a_branch_is_told_with_its_scope() -> None:
    async with serving(with_more_tools) as server:
        await ran(server.http, {"id": "g", **mapped("double")}, "r", items=[1, 2])
        async with server.socket("/ws/r") as socket:
            heard = await messages(socket)
    patched = [
        (each["log"]["data"]["scope"], each["node"], each["result"])
        for each in heard
        if each["type"] == "log" and each["log"]["type"] == "state.patched"
    ]
    in_branches = {scope: (node, result) for scope, node, result in patched if scope != "/"}
    assert in_branches == {
        "/split#1[0]/": ("work", {"doubled": [2], "seen": [0]}),
        "/split#1[1]/": ("work", {"doubled": [4], "seen": [1]}),
    }
    joined = next(result for scope, node, result in patched if (scope, node) == ("/", "split"))
    assert joined == {"doubled": [2, 4], "seen": [0, 1]}


async def test_a_stream_of_server_sent_events_is_the_stored_bytes_and_then_the_end() -> None:
    async with serving() as server:
        await ran(server.http, COUNT, "r", to=2)
        answer = await server.http.get("/runs/r/events?after=2", headers=SSE)
        stored = await server.engine.journal.read("r", after=2)
    heard = parsed(answer.text)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Stenograph-Head"] == "12"
    assert [each.id for each in heard] == [*range(3, 13), 12]
    lines = [line[6:].encode() for line in answer.text.splitlines() if line[:6] == "data: "]
    assert lines[:-1] == [envelope(each) for each in stored]
    assert (heard[-1].event, heard[-1].data["status"]) == ("status", "completed")


async def test_a_browser_that_holds_the_end_is_told_to_stop() -> None:
    async with app_client() as client:
        await ran(client, COUNT, "r", to=2)
        answer = await client.get("/runs/r/events", headers={**SSE, "Last-Event-ID": "12"})
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("listen", [SSE, {}])
@pytest.mark.parametrize(
    ("query", "header", "status", "code"),
    [
        ("", "soon", 400, "query-invalid"),
        ("", "-1", 400, "query-invalid"),
        ("", "9" * 30, 400, "query-invalid"),
        ("", "99", 409, "cursor-unknown"),
        ("?wait=-1", "", 400, "query-invalid"),
        ("?wait=soon", "", 400, "query-invalid"),
        ("?journal=another", "", 409, "cursor-unknown"),
    ],
)
async def test_a_bad_cursor_is_refused_before_anything_is_sent(
    listen: dict[str, str], query: str, header: str, status: int, code: str
) -> None:
    async with app_client() as client:
        await ran(client, COUNT, "r", to=1)
        headers = {**listen, "Last-Event-ID": header}
        answers = [
            await client.get(f"{path}{query}", headers=headers)
            for path in ("/runs/r/events", "/journal")
        ]
        nobody = await client.get("/runs/nobody/events", headers=listen)
    assert {each.status_code for each in answers} == {status}
    assert {each.json()["type"] for each in answers} == {f"/problems/{code}"}
    assert nobody.status_code == 404


async def test_a_quiet_stream_has_a_pulse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_sent, "PULSE_S", 0.01)
    async with serving() as server:
        await begun(server.http, HANG, "r")
        async with server.http.stream("GET", "/runs/r/events?after=2", headers=SSE) as answer:
            chunks = answer.aiter_bytes()
            assert await anext(chunks) == server_sent.PULSE


async def test_the_whole_journal_comes_as_server_sent_events() -> None:
    async with serving() as server:
        await ran(server.http, COUNT, "a", to=1)
        async with server.http.stream("GET", "/journal?after=1", headers=SSE) as answer:
            chunks = answer.aiter_text()
            text = await anext(chunks)
            await begun(server.http, HANG, "b")
            while '"run_id":"b"' not in text:
                text += await anext(chunks)
        stored = await server.engine.journal.read_all(after=1)
    assert [each.id for each in parsed(text)] == [each.offset for each in stored][
        : len(parsed(text))
    ]


async def test_a_listener_that_leaves_is_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as server:
        await begun(server.http, HANG, "r")
        journal: Any = server.engine.journal
        with caplog.at_level(logging.WARNING):
            for query, headers in (("", SSE), ("?after=2&wait=60", {})):
                await left(server, f"/runs/r/events{query}", headers)
                await eventually(lambda: "r" not in journal.feed.followers)
    assert caplog.text == ""


async def left(server: Served, path: str, headers: dict[str, str]) -> None:
    """Ask for events that do not come, and leave."""
    journal: Any = server.engine.journal
    asking = asyncio.create_task(server.http.get(path, headers=headers))
    await eventually(lambda: "r" in journal.feed.followers)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


@pytest.mark.parametrize("headers", [SSE, {}])
async def test_a_server_that_stops_lets_its_listeners_go(headers: dict[str, str]) -> None:
    async with serving() as server:
        await begun(server.http, HANG, "r")
        journal: Any = server.engine.journal
        path = "/runs/r/events?after=2&wait=60"
        asking = asyncio.create_task(server.http.get(path, headers=headers))
        await eventually(lambda: "r" in journal.feed.followers)
        server.stop.set()
        answer = await asking
    assert answer.status_code == 200


async def test_a_long_poll_answers_as_soon_as_there_is_something() -> None:
    async with serving() as server:
        await begun(server.http, HANG, "r")
        journal: Any = server.engine.journal
        asking = asyncio.create_task(server.http.get("/runs/r/events?after=2&wait=60"))
        await eventually(lambda: "r" in journal.feed.followers)
        await server.http.post("/runs/r/cancel")
        page = (await asking).json()
    assert page["events"][0]["type"] == "run.cancelling"


@pytest.mark.parametrize("path", ["/runs/r/events?after=2", "/journal?after=3"])
async def test_a_long_poll_without_news_ends_by_itself(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stenograph.http.operations.pages.WAIT_MAX_S", 0.01)
    async with app_client() as client:
        await begun(client, HANG, "r")
        page = (await client.get(f"{path}&wait=99999999999999999999")).json()
    assert (page["events"], page["end"]) == ([], False)


async def test_a_long_poll_behind_the_end_answers_at_once() -> None:
    async with app_client() as client:
        await ran(client, COUNT, "r", to=2)
        page = (await client.get("/runs/r/events?after=12&wait=300")).json()
    assert (page["events"], page["end"]) == ([], True)


@pytest.mark.parametrize("path", ["/runs/r/events?after=2", "/journal?after=3"])
async def test_a_journal_that_is_closed_under_a_listener_ends_its_stream(path: str) -> None:
    async with serving() as server:
        await begun(server.http, HANG, "r")
        journal: Any = server.engine.journal
        async with server.http.stream("GET", path, headers=SSE) as answer:
            await journal.close()
            assert [chunk async for chunk in answer.aiter_bytes()] == []
