"""Events as pages and lines: the same bytes everywhere."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from stenograph.journal import envelope
from tests.http.serving import app_client, begun, created, ran, serving
from tests.http.tools import COUNT, HANG, looping

NDJSON = {"Accept": "application/x-ndjson"}


class Page(msgspec.Struct):
    """A page whose events stay the bytes that came."""

    events: list[Raw]
    after: int
    head: int
    end: bool
    journal: str

    @property
    def lines(self) -> list[bytes]:
        return [bytes(each) for each in self.events]


async def page(client: Any, path: str) -> Page:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Page)


async def test_a_page_tells_where_it_ends() -> None:
    async with app_client() as client:
        await ran(client, COUNT, "r", to=2)
        first = await page(client, "/runs/r/events?limit=5")
        rest = await page(client, f"/runs/r/events?after={first.after}")
        none = await page(client, f"/runs/r/events?after={rest.after}")
    assert [first.after, first.head, first.end] == [5, 12, False]
    assert [len(rest.events), rest.after, rest.head, rest.end] == [7, 12, 12, True]
    assert [none.events, none.after, none.head, none.end] == [[], 12, 12, True]


async def test_a_run_that_goes_on_has_no_end() -> None:
    async with app_client() as client:
        await begun(client, HANG, "r")
        answer = await page(client, "/runs/r/events")
    assert [answer.after, answer.head, answer.end] == [2, 2, False]


async def test_a_page_holds_at_most_a_thousand_events() -> None:
    async with app_client() as client:
        await ran(client, looping("count", 300), "r")
        answer = await page(client, "/runs/r/events?limit=99999999999999999999")
    assert len(answer.events) == 1000


async def test_pages_lines_and_messages_are_the_stored_bytes() -> None:
    async with serving() as server:
        await ran(server.http, COUNT, "r", to=3)
        stored = [envelope(each) for each in await server.engine.journal.read("r")]
        paged: list[bytes] = []
        while len(paged) < len(stored):
            paged += (await page(server.http, f"/runs/r/events?after={len(paged)}&limit=4")).lines
        lines = (await server.http.get("/runs/r/events", headers=NDJSON)).content.splitlines()
        async with server.socket("/ws/r") as socket:
            said = [message.encode() async for message in socket if isinstance(message, str)]
        async with server.socket("/ws/r?batch=1") as socket:
            batch = [message.encode() async for message in socket if isinstance(message, str)]
    assert paged == lines == stored
    assert [_field(each, "log") for each in said[:-1]] == stored
    many: list[Raw] = msgspec.json.decode(_field(batch[0], "logs"), type=list[Raw])
    assert [bytes(each) for each in many] == stored


def _field(message: bytes, name: str) -> bytes:
    return bytes(msgspec.json.decode(message, type=dict[str, Raw])[name])


async def test_lines_go_on_over_many_pages() -> None:
    async with app_client() as client:
        await ran(client, looping("count", 300), "r")
        answer = await client.get("/runs/r/events?after=10", headers=NDJSON)
    seqs = [json.loads(line)["seq"] for line in answer.content.splitlines()]
    assert seqs == list(range(11, int(answer.headers["Stenograph-Head"]) + 1))
    assert len(seqs) > 1000
    assert answer.headers["Content-Type"] == "application/x-ndjson"


async def test_lines_end_at_the_head_of_a_run_that_goes_on() -> None:
    async with app_client() as client:
        await begun(client, HANG, "r")
        answer = await client.get("/runs/r/events", headers=NDJSON)
        none = await client.get("/runs/r/events?after=2", headers=NDJSON)
    assert (len(answer.content.splitlines()), none.content) == (2, b"")


async def test_every_answer_with_events_names_the_journal() -> None:
    async with app_client() as client:
        await ran(client, COUNT, "r", to=1)
        journal = (await client.get("/healthz")).json()["journal"]
        answers = [
            await client.get(path, headers=headers)
            for path in ("/runs/r/events", "/journal")
            for headers in ({}, NDJSON)
        ]
        same = await client.get(f"/runs/r/events?after=1&journal={journal}")
    assert {each.headers["Stenograph-Journal"] for each in answers} == {journal}
    assert same.json()["journal"] == journal


@pytest.mark.parametrize("headers", [{}, NDJSON], ids=["page", "lines"])
@pytest.mark.parametrize(
    "path",
    [
        "/runs/r/events?after=8",
        "/runs/r/events?after=99999999999999999999999999",
        "/runs/r/events?after=1&journal=another",
        "/journal?after=9",
        "/journal?after=1&journal=another",
    ],
)
async def test_a_cursor_that_is_not_of_this_journal_is_refused(
    path: str, headers: dict[str, str]
) -> None:
    async with app_client() as client:
        await ran(client, COUNT, "r", to=1)
        answer = await client.get(path, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/cursor-unknown")


@pytest.mark.parametrize("headers", [{}, NDJSON], ids=["page", "lines"])
async def test_a_run_that_there_is_not_has_no_events(headers: dict[str, str]) -> None:
    async with app_client() as client:
        answer = await client.get("/runs/nobody/events", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/run-not-found")


@pytest.mark.parametrize("path", ["/runs/r/events", "/journal"])
@pytest.mark.parametrize("query", ["after=-1", "after=abc", "after=1.5", "limit=0", "limit=x"])
async def test_a_query_that_is_no_number_is_refused(path: str, query: str) -> None:
    async with app_client() as client:
        await ran(client, COUNT, "r", to=1)
        answer = await client.get(f"{path}?{query}")
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/query-invalid")
    assert answer.json()["errors"][0]["pointer"] == f"/{query.partition('=')[0]}"


async def test_the_journal_holds_every_run_and_graph_in_order() -> None:
    async with app_client() as client:
        await created(client, HANG)
        await ran(client, COUNT, "a", to=1)
        await ran(client, COUNT, "b", to=1)
        first = await page(client, "/journal?limit=4")
        rest = await page(client, f"/journal?after={first.after}")
        lines = (await client.get("/journal", headers=NDJSON)).content.splitlines()
    events = [json.loads(each) for each in first.lines + rest.lines]
    assert first.lines + rest.lines == lines
    assert [each["offset"] for each in events] == list(range(1, 17))
    assert list(dict.fromkeys(each["run_id"] for each in events)) == [
        "graph/hang",
        "graph/count",
        "a",
        "b",
    ]
    assert [rest.after, rest.head, rest.end] == [16, 16, False]
