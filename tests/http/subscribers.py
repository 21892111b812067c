"""Subscribers, one a transport: each takes down what it hears, and goes on from its cursor alone.

None of them looks whether it has heard an event before: what comes twice is taken down twice.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlencode

import httpx
import msgspec
from msgspec import Struct, field
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from stenograph.engine import NO_FILTER, TERMINAL, Filter, filter_of
from stenograph.http import Client, ServerUnreachable
from stenograph.journal import Record

ROOT = Path(__file__).parents[2]
BROKEN = (
    *(httpx.TransportError, ConnectionClosed, InvalidHandshake, InvalidMessage),
    *(OSError, EOFError, ServerUnreachable),
)
UNREACHABLE = 3


class Notes(Struct):
    """What a subscriber wants (no run: the whole journal, until ``runs`` have ended) and has heard."""

    run: str | None
    wanted: Filter
    runs: frozenset[str]
    after: int = 0
    heard: list[tuple[int, str]] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)

    def hear(self, event: Any) -> None:
        self.after = event["seq"] if self.run else event["offset"]
        self.heard.append((self.after, event["hash"]))
        if event["type"] in TERMINAL:
            self.ended.add(event["run_id"])

    def hear_record(self, record: Record) -> None:
        self.hear(msgspec.to_builtins(record))

    @property
    def is_over(self) -> bool:
        """Whether the whole journal has told of all that is waited for."""
        return self.run is None and self.ended >= self.runs

    def query(self, **more: int) -> str:
        return urlencode([*self.wanted.query, ("after", self.after), *more.items()])

    @property
    def path(self) -> str:
        return f"/runs/{self.run}/events" if self.run else "/journal"


Listen: TypeAlias = Callable[[str, Notes], Awaitable[bool]]
"""Listens over one connection from the cursor on; True at the end of all."""


async def by_socket(url: str, notes: Notes, *, batch: int = 0) -> bool:
    place = f"/ws/{notes.run}" if notes.run else "/ws/logs"
    address = f"ws{url[4:]}{place}?{notes.query(batch=batch)}"
    async with connect(address, open_timeout=20, max_size=None, close_timeout=1) as socket:
        while not notes.is_over:
            message = msgspec.json.decode(await socket.recv())
            match message["type"]:
                case "log":
                    notes.hear(message["log"])
                case "logs":
                    for log in message["logs"]:
                        notes.hear(log)
                    notes.after = message["seq" if notes.run else "offset"]
                case "cursor":
                    notes.after = message["seq" if notes.run else "offset"]
                case "status":
                    assert message["done"]
                    assert message["seq"] == notes.after
                    return True
                case other:
                    raise AssertionError(f"{other}: {message}")
    return True


async def by_batches(url: str, notes: Notes) -> bool:
    return await by_socket(url, notes, batch=1)


async def by_server_sent_events(url: str, notes: Notes) -> bool:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(notes.after)}
    asked = f"{url}{notes.path}?{urlencode(notes.wanted.query)}"
    async with (
        httpx.AsyncClient(timeout=20) as http,
        http.stream("GET", asked, headers=headers) as answer,
    ):
        if answer.status_code == 204:
            return True
        assert answer.status_code == 200
        async for block in blocks(answer):
            if block.get("event") == "status":
                return True
            if block.get("event") == "log":
                notes.hear(msgspec.json.decode(block["data"]))
            notes.after = int(block.get("id", notes.after))
            if notes.is_over:
                return True
    return False


async def blocks(answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
    """Yield the whole blocks of server-sent events; half of one that is cut off is none."""
    block: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if line:
            block[name] = value
        elif block:
            yield block
            block = {}


async def by_pages(url: str, notes: Notes, *, wait: int = 0) -> bool:
    async with httpx.AsyncClient(timeout=20) as http:
        while not notes.is_over:
            answer = await http.get(f"{url}{notes.path}?{notes.query(limit=61, wait=wait)}")
            assert answer.status_code == 200, answer.text
            page = answer.json()
            for event in page["events"]:
                notes.hear(event)
            notes.after = page["after"]
            if page["end"]:
                return True
            if not (page["events"] or wait):
                await asyncio.sleep(0.05)
    return True


async def by_long_polls(url: str, notes: Notes) -> bool:
    return await by_pages(url, notes, wait=5)


async def by_lines(url: str, notes: Notes) -> bool:
    async with (
        httpx.AsyncClient(timeout=20) as http,
        http.stream(
            "GET",
            f"{url}{notes.path}?{notes.query()}",
            headers={"Accept": "application/x-ndjson"},
        ) as answer,
    ):
        rest = b""
        async for chunk in answer.aiter_bytes():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                notes.hear(msgspec.json.decode(line))
    return bool(notes.ended)


async def by_client(url: str, notes: Notes) -> bool:
    types, nodes = notes.wanted.types, notes.wanted.nodes
    async with Client(url) as client:
        if notes.run:
            pages = client.follow(notes.run, after=notes.after, types=types, nodes=nodes)
        else:
            tags = dict(notes.wanted.tags)
            pages = client.follow_all(after=notes.after, types=types, nodes=nodes, tags=tags)
        async for page in pages:
            for record in page:
                notes.hear_record(record)
            if notes.is_over:
                break
        await pages.aclose()
    return True


async def by_steno_tail(url: str, notes: Notes) -> bool:
    assert notes.run is not None
    words = [word for name, value in notes.wanted.query for word in (f"--{name}", value)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stenograph", "--url", url, "-q", "tail", notes.run),
        *("--after", str(notes.after), *words),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    for line in out.splitlines():
        notes.hear(msgspec.json.decode(line))
    assert process.returncode in (0, UNREACHABLE), err.decode()
    return process.returncode == 0


SOME = filter_of(["state.patched", "run.*"])
OF_A_NODE = filter_of(["node.*"], ["work"])
OF_A_TEAM = filter_of(tags=["team:a"])

SUBSCRIBERS: list[tuple[str, Listen, str | None, Filter]] = [
    ("WebSocket", by_socket, "a", NO_FILTER),
    ("WebSocket, filtered", by_socket, "b", SOME),
    ("WebSocket, whole journal, filtered", by_socket, None, OF_A_TEAM),
    ("WebSocket, batch", by_batches, "b", NO_FILTER),
    ("WebSocket, batch, filtered", by_batches, "a", OF_A_NODE),
    ("WebSocket, batch, whole journal", by_batches, None, NO_FILTER),
    ("server-sent", by_server_sent_events, "a", NO_FILTER),
    ("server-sent, filtered", by_server_sent_events, "b", SOME),
    ("server-sent, whole journal, filtered", by_server_sent_events, None, OF_A_TEAM),
    ("long poll", by_long_polls, "b", NO_FILTER),
    ("long poll, filtered", by_long_polls, "a", OF_A_NODE),
    ("pages", by_pages, "a", NO_FILTER),
    ("pages, whole journal, filtered", by_pages, None, OF_A_TEAM),
    ("NDJSON", by_lines, "b", NO_FILTER),
    ("client", by_client, "a", NO_FILTER),
    ("client, filtered", by_client, "b", SOME),
    ("client, whole journal, filtered", by_client, None, OF_A_TEAM),
    ("steno tail", by_steno_tail, "a", NO_FILTER),
    ("steno tail, filtered", by_steno_tail, "b", OF_A_NODE),
]
