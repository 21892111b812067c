"""Events of one run or of the whole journal: as pages, lines, or live; the stored bytes, joined."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final, TypeAlias

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath
from litestar.response import Response, Stream
from msgspec import Struct

from stenograph.engine import Engine, RunView, UnknownRun
from stenograph.http.errors import Refused, problems
from stenograph.http.following import to_its_end
from stenograph.http.queries import Accept, After, JournalId, LastEventId, Limit, Wait, cursor_of
from stenograph.http.server_sent import SSE_TYPE, server_sent
from stenograph.http.waiting import first_of, until_gone
from stenograph.http.wire import (
    DONE,
    EVENTS_DEFAULT,
    HEAD_HEADER,
    JOURNAL_HEADER,
    LIMIT_MAX,
    NDJSON_TYPE,
    WAIT_MAX_S,
    EventsPage,
)
from stenograph.journal import CursorUnknown, Record, envelope

JSON_TYPE: Final = "application/json"
Pages: TypeAlias = AsyncGenerator[list[Record] | RunView, None]
PAGE: Final = ResponseSpec(EventsPage, generate_examples=False, description="A page of events")


class RunSource:
    """The events of one run, by ``seq``."""

    whole = False

    def __init__(self, engine: Engine, run_id: str) -> None:
        self.engine, self.journal, self.run_id = engine, engine.journal, run_id

    def follow(self, after: int) -> Pages:
        """Yield what comes after a cursor, then live, and last the ended run."""
        return to_its_end(self.engine, self.run_id, after)

    async def read(self, after: int, limit: int) -> list[Record]:
        """Return up to ``limit`` records after a cursor."""
        return await self.journal.read(self.run_id, after=after, limit=limit)

    async def head(self) -> tuple[int, bool]:
        """Return the last seq, and whether the run has ended there; raises UnknownRun."""
        stream = await self.journal.stream(self.run_id)
        if stream is None:
            raise UnknownRun(self.run_id)
        return stream.head, stream.labels.get("status") in DONE

    def cursor(self, record: Record) -> int:
        """Return a record's place."""
        return record.seq


class JournalSource:
    """The events of the whole journal, by ``offset``; it never ends."""

    whole = True

    def __init__(self, engine: Engine) -> None:
        self.journal = engine.journal

    async def follow(self, after: int) -> Pages:
        """Yield what comes after a cursor, then live."""
        async with aclosing(self.journal.tail_all(after=after)) as pages:
            async for page in pages:
                yield page

    async def read(self, after: int, limit: int) -> list[Record]:
        """Return up to ``limit`` records after a cursor."""
        return await self.journal.read_all(after=after, limit=limit)

    async def head(self) -> tuple[int, bool]:
        """Return the last offset."""
        return await self.journal.end(), False

    def cursor(self, record: Record) -> int:
        """Return a record's place."""
        return record.offset


Source: TypeAlias = RunSource | JournalSource


class Asked(Struct, frozen=True):
    """What a request for events says: from where on, how many, how patient it is, in which form."""

    after: int
    limit: int
    wait_s: int
    accept: str


@get(
    "/runs/{run_id:str}/events",
    responses={200: PAGE, **problems("query-invalid", "run-not-found", "cursor-unknown")},
    summary="Events of a run",
    tags=["Runs"],
)
async def run_events(
    request: Request[Any, Any, Any],
    run_id: FromPath[str],
    engine: NamedDependency[Engine],
    stopping: NamedDependency[asyncio.Event],
    after: After = 0,
    limit: Limit = EVENTS_DEFAULT,
    wait: Wait = 0,
    journal: JournalId = None,
    last_event_id: LastEventId = None,
    accept: Accept = "",
) -> Response[bytes] | Stream:
    """Read the events of a run after a cursor.

    With `wait=S` the answer comes as soon as there is one, or after S seconds. With `Accept:
    application/x-ndjson` all of them up to the head, one a line; with `Accept: text/event-stream`
    also what comes, live, to the end of the run.
    """
    check_journal(engine, journal)
    asked = Asked(cursor_of(after, last_event_id), limit, min(wait, WAIT_MAX_S), accept.lower())
    return await _answer(RunSource(engine, run_id), asked, request, stopping)


@get(
    "/journal",
    responses={200: PAGE, **problems("query-invalid", "cursor-unknown")},
    summary="Events of all runs",
    tags=["Journal"],
)
async def journal_events(
    request: Request[Any, Any, Any],
    engine: NamedDependency[Engine],
    stopping: NamedDependency[asyncio.Event],
    after: After = 0,
    limit: Limit = EVENTS_DEFAULT,
    wait: Wait = 0,
    journal: JournalId = None,
    last_event_id: LastEventId = None,
    accept: Accept = "",
) -> Response[bytes] | Stream:
    """Read the events of the whole journal after an offset, as those of a run."""
    check_journal(engine, journal)
    asked = Asked(cursor_of(after, last_event_id), limit, min(wait, WAIT_MAX_S), accept.lower())
    return await _answer(JournalSource(engine), asked, request, stopping)


def check_journal(engine: Engine, journal: str | None) -> None:
    """Raise Refused when a cursor comes with another journal's id."""
    if journal is not None and journal != engine.journal.id:
        detail = (
            f"the cursor belongs to journal {journal[:100]}, and this is {engine.journal.id}; "
            "start again from 0"
        )
        raise Refused("cursor-unknown", detail)


async def _answer(
    source: Source, asked: Asked, request: Request[Any, Any, Any], stopping: asyncio.Event
) -> Response[bytes] | Stream:
    head, done = await source.head()
    _check_cursor(asked.after, head)
    if SSE_TYPE in asked.accept:
        if done and asked.after == head:  # anything else would have a browser ask for ever
            return Response(b"", status_code=204)
        chunks = server_sent(
            source.follow(asked.after), source.journal.id, stopping, whole=source.whole
        )
        headers = {**_headers(source, head), "Cache-Control": "no-store"}
        return Stream(chunks, media_type=SSE_TYPE, headers=headers)
    if NDJSON_TYPE in asked.accept:
        lines = _lines(source, asked.after, head)
        return Stream(lines, media_type=NDJSON_TYPE, headers=_headers(source, head))
    if asked.wait_s and asked.after == head and not done:
        await _until_news(source, asked, request, stopping)
        head, done = await source.head()
    records = await source.read(asked.after, min(asked.limit, LIMIT_MAX))
    return _page_answer(source, records, asked.after, head, done=done)


async def _until_news(
    source: Source, asked: Asked, request: Request[Any, Any, Any], stopping: asyncio.Event
) -> None:
    """Return when something comes after the cursor, it has been long enough, or nobody listens."""
    async with aclosing(source.follow(asked.after)) as pages:
        await first_of(
            lambda: anext(pages, None),
            lambda: asyncio.sleep(asked.wait_s),
            lambda: until_gone(request),
            stopping.wait,
        )


def _page_answer(
    source: Source, records: list[Record], after: int, head: int, *, done: bool
) -> Response[bytes]:
    after = source.cursor(records[-1]) if records else after
    head = max(after, head)  # more may have come since
    body = b'{"events":[%b],"after":%d,"head":%d,"end":%b,"journal":"%b"}' % (
        b",".join(map(envelope, records)),
        after,
        head,
        b"true" if done and after == head else b"false",
        source.journal.id.encode(),
    )
    return Response(body, media_type=JSON_TYPE, headers=_headers(source, head))


async def _lines(source: Source, after: int, head: int) -> AsyncIterator[bytes]:
    """Yield a page of lines at a time, up to the head at the start; nothing is held between."""
    while after < head:
        records = await source.read(after, LIMIT_MAX)
        yield b"".join(
            envelope(record) + b"\n" for record in records if source.cursor(record) <= head
        )
        after = source.cursor(records[-1])


def _check_cursor(after: int, head: int) -> None:
    if after > head:
        raise CursorUnknown(after=after, head=head)


def _headers(source: Source, head: int) -> dict[str, str]:
    return {JOURNAL_HEADER: source.journal.id, HEAD_HEADER: str(head)}


HANDLERS = (run_events, journal_events)
