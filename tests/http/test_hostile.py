"""Hostile input is answered with a problem, never a failure, and the server goes on as before."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import httpx
import pytest

from tests.http import hostile
from tests.http.serving import PATIENCE_S, Served, created, messages, ran, serving
from tests.http.tools import COUNT

GETS = [
    "/graphs",
    "/graphs/count",
    "/runs",
    "/runs/r",
    "/runs/r/state",
    "/runs/r/events",
    "/runs/r/visits",
    "/graph/state/r",
    "/journal",
]


@asynccontextmanager
async def unharmed(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Served]:
    """A server that must be as well after the block as it was before, and have logged no failure."""
    async with serving() as server:
        await ran(server.http, COUNT, "r", to=2)
        with caplog.at_level(logging.ERROR):
            yield server
        again = await ran(server.http, COUNT, "afterwards", to=2)
        assert again["state"]["n"] == 2
        assert (await server.http.get("/healthz")).status_code == 200
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == []


def sound(answer: httpx.Response) -> bool:
    """An answer, or a problem that blames the client."""
    if answer.status_code < 400:
        return True
    kind = answer.headers["Content-Type"]
    return answer.status_code < 500 and kind == "application/problem+json" and bool(answer.json())


def told(answer: httpx.Response) -> str:
    return f"{answer.request.method} {str(answer.request.url)[:200]}: {answer.status_code} {answer.text[:300]}"


@pytest.mark.parametrize("path", hostile.POSTS)
async def test_hostile_bodies(path: str, caplog: pytest.LogCaptureFixture) -> None:
    bodies = [*hostile.RAW_BODIES, *(json.dumps(each).encode() for each in hostile.JSON_BODIES)]
    headers = {"Content-Type": "application/json", "Prefer": "wait=0"}
    async with unharmed(caplog) as server:
        for body in bodies:
            answer = await server.http.post(path, content=body, headers=headers)
            assert sound(answer), (body[:100], told(answer))


async def test_hostile_paths(caplog: pytest.LogCaptureFixture) -> None:
    async with unharmed(caplog) as server:
        for path in hostile.PATHS:
            for method in ("GET", "POST", "DELETE", "OPTIONS"):
                answer = await server.http.request(method, httpx.URL(server.url + path))
                assert sound(answer), told(answer)
                assert "X-Evil" not in answer.headers


@pytest.mark.parametrize("path", GETS)
async def test_hostile_queries(path: str, caplog: pytest.LogCaptureFixture) -> None:
    async with unharmed(caplog) as server:
        for query in hostile.QUERIES:
            answer = await server.http.get(f"{path}?{query}")
            assert sound(answer), told(answer)


async def test_hostile_headers(caplog: pytest.LogCaptureFixture) -> None:
    async with unharmed(caplog) as server:
        for headers in hostile.HEADERS:
            for path in GETS:
                async with server.http.stream("GET", path, headers=headers) as answer:
                    if answer.status_code >= 400:  # what goes well may have no end
                        await answer.aread()
                    assert sound(answer), told(answer)
            answer = await server.http.post("/runs", headers=headers)
            assert sound(answer), told(answer)


async def test_hostile_first_messages(caplog: pytest.LogCaptureFixture) -> None:
    async with unharmed(caplog) as server:
        await created(server.http, COUNT)
        for frame in hostile.FRAMES:
            async with server.socket("/ws/execute/count") as socket:
                await socket.send(frame)
                heard = await messages(socket)
                assert socket.close_code in (1000, 4400), frame[:100]
                assert heard[-1]["type"] in ("status", "error")


async def test_hostile_socket_addresses(caplog: pytest.LogCaptureFixture) -> None:
    addresses = [f"/ws/r?{query}" for query in hostile.QUERIES]
    addresses += [f"/ws/{quote(each)}" for each in ("\x00", "é" * 200, "..", "' OR 1=1", "%ff")]
    async with unharmed(caplog) as server:
        for address in addresses:
            async with server.socket(quote(address, safe="/?&=%:;[]")) as socket:
                await messages(socket)
                assert socket.close_code in (1000, 4400, 4404, 4409), address[:100]


async def test_what_is_hardly_http(caplog: pytest.LogCaptureFixture) -> None:
    async with unharmed(caplog) as server:
        port = int(server.url.rpartition(":")[2])
        for text in hostile.TEXTS:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(text)
            writer.write_eof()
            said = await asyncio.wait_for(reader.read(), PATIENCE_S)
            writer.close()
            assert b" 500 " not in said.partition(b"\r\n")[0], text[:100]
