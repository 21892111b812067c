"""The client's token: sent with all it asks, to that server alone, and told of when it is not good."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from stenograph.engine.core.events import RunCreated
from stenograph.http import Client, RequestRefused, ServerUnreachable, Settings, StreamLost
from stenograph.http.client.streams import Stream
from stenograph.http.door.tokens import create_token, revoke_token
from stenograph.http.errors import Refused, problem_of
from tests.http.serving import eventually, serving
from tests.http.tools import COUNT

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SECRET = "steno_0123456789ab_" + "cd" * 32


@asynccontextmanager
async def listening(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Something that answers every request so, and keeps what was asked."""
    asked: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()
        finally:
            writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", asked


async def test_a_token_goes_with_requests_and_streams(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    token = create_token(path, "ann", ["read", "run"], now=NOW)
    async with (
        serving(settings=Settings(tokens=str(path))) as server,
        Client(server.url, token=token) as client,
    ):
        run = await client.run(COUNT, {"to": 1})
        events = [event async for event in client.tail(run.id)]
        assert isinstance(events[0].data, RunCreated)
        assert events[0].data.actor == "ann"
        with pytest.raises(RequestRefused) as caught:
            await client.cancel(run.id)
        assert caught.value.problem.code == "scope-missing"


async def test_a_stream_that_is_not_for_one_is_refused_and_not_tried_for_ever(
    tmp_path: Path,
) -> None:
    path = tmp_path / "tokens"
    create_token(path, "ann", ["read"], now=NOW)
    async with serving(settings=Settings(tokens=str(path))) as server, Client(server.url) as client:
        with pytest.raises(RequestRefused) as caught:
            await anext(client.follow_all(after=0))
    assert caught.value.problem.code == "token-missing"


async def test_a_stream_whose_token_is_revoked_ends_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    token = create_token(path, "ann", ["read"], now=NOW)
    lost: list[int] = []
    async with serving(settings=Settings(tokens=str(path))) as server:
        await server.engine.run({"id": "g", "start": "a", "nodes": {"a": {}}}, {})
        async with Client(server.url, token=token, on_lost=lost.append) as client:
            pages = client.follow_all(after=0)
            await anext(pages)
            revoke_token(path, "ann")
            await asyncio.sleep(0.6)
            await server.engine.run("g", {})
            with pytest.raises(RequestRefused) as caught:
                await anext(pages)
    assert caught.value.problem.code == "token-invalid"
    assert len(lost) == 1


async def test_a_stream_that_comes_too_often_is_refused_at_first_and_later_lost() -> None:
    """So that it is taken up again: what was good before will be, a little later."""
    problem = msgspec.json.encode(problem_of(Refused("rate-limited", "too often")))
    head = f"HTTP/1.1 429 Too Many Requests\r\nContent-Length: {len(problem)}\r\n\r\n"
    async with listening(head.encode() + problem) as (url, _):
        async with Client(url) as client:
            with pytest.raises(RequestRefused, match="too often"):
                await anext(client.follow_all(after=0))
        stream = Stream(url, None, 7, headers={}, proxy=False, on_lost=None, reconnect=False)
        stream.journal = "3f0c9a1be27d5566"
        with pytest.raises(StreamLost, match=r"broke off after 7 .*429"):
            await anext(stream.pages())


async def test_no_redirect_takes_a_token_elsewhere() -> None:
    async with listening(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as (elsewhere, asked):
        to = f"HTTP/1.1 307 Moved\r\nLocation: {elsewhere}/x\r\nContent-Length: 0\r\n\r\n"
        async with listening(to.encode()) as (url, first), Client(url, token=SECRET) as client:
            with pytest.raises(ServerUnreachable):
                await client.runs()
            with pytest.raises(ServerUnreachable):
                await anext(client.follow_all(after=0))
            await eventually(lambda: len(first) == 2)
    assert [SECRET.encode() in each for each in first] == [True, True]
    assert asked == []


@pytest.mark.parametrize("token", ["", "two words", "ä", "a\nb", "x" * 513])
def test_what_is_no_token_is_refused_without_saying_it(token: str) -> None:
    with pytest.raises(ValueError, match="the token is none") as caught:
        Client("http://localhost", token=token)
    assert token not in str(caught.value) or not token


def test_a_token_and_a_password_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="and not both"):
        Client("http://ann:secret@localhost", token=SECRET)
