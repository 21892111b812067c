"""Events of one run or of the whole journal: as pages, lines, or live; the stored bytes, joined."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final, TypeAlias

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath
from litestar.response import Response, Stream
from msgspec import Struct

from stenograph.engine import Engine, Filter, UnknownRun, filter_of
from stenograph.http.door.access import check_holds, still_may
from stenograph.http.errors import Refused
from stenograph.http.operations.answers import NOTHING_MORE, Events
from stenograph.http.operations.queries import (
    Accept,
    After,
    Graphs,
    JournalId,
    LastEventId,
    Limit,
    MaxGap,
    Nodes,
    RunTags,
    Speed,
    Types,
    Wait,
    check_names,
    cursor_of,
)
from stenograph.http.operations.waiting import first_of, until_gone
from stenograph.http.problems import problems
from stenograph.http.shapes.messages import EventsPage
from stenograph.http.shapes.wire import (
    DONE,
    EVENTS_DEFAULT,
    HEAD_HEADER,
    JOURNAL_HEADER,
    LIMIT_MAX,
    NDJSON_TYPE,
    SSE_TYPE,
    WAIT_MAX_S,
)
from stenograph.http.streaming.following import to_its_end
from stenograph.http.streaming.playback import AT_ONCE, Playback, played
from stenograph.http.streaming.server_sent import server_sent
from stenograph.http.streaming.sifting import Belongings, Pages, Part, Sieve
from stenograph.journal import CursorUnknown, Record, envelope, envelopes

JSON_TYPE: Final = "application/json"
SCAN_MAX_PAGES: Final = 20
"""How many pages without an event that passes one request looks through."""
_NAMES: Final = frozenset({"after", "limit", "wait", "journal", "type", "node"})
PACE: Final = frozenset({"speed", "max_gap"})
RUN_NAMES: Final = _NAMES | PACE
JOURNAL_NAMES: Final = _NAMES | {"graph", "tag"}
"""What the query of a request for events may say."""
_REFUSALS: Final = ("query-invalid", "cursor-unknown", "too-many-subscribers")
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


Source: TypeAlias = RunSource | JournalSource


class Asked(Struct, frozen=True):
    """What a request for events says: from where on, how many, how patient, in which form, which."""

    after: int
    limit: int
    wait_s: int
    accept: str
    wanted: Filter
    playback: Playback = AT_ONCE


@get(
    "/runs/{run_id:str}/events",
    needs="read",
    responses={
        200: PAGE,
        **NOTHING_MORE,
        **problems(*_REFUSALS, "run-not-found"),
    },
    operation_class=Events,
    summary="Events of a run",
    tags=["Runs"],
)
async def run_events(
    request: Request[Any, Any, Any],
    run_id: FromPath[str],
    engine: NamedDependency[Engine],
    belongings: NamedDependency[Belongings],
    stopping: NamedDependency[asyncio.Event],
    after: After = 0,
    limit: Limit = EVENTS_DEFAULT,
    wait: Wait = 0,
    types: Types = None,
    nodes: Nodes = None,
    speed: Speed = 0.0,
    max_gap: MaxGap = None,
    journal: JournalId = None,
    last_event_id: LastEventId = None,
    accept: Accept = "",
) -> Response[bytes] | Stream:
    """Read the events of a run after a cursor.

    With `wait=S` the answer comes as soon as there is one, or after S seconds. With `Accept:
    application/x-ndjson` all of them up to the head, one a line; with `Accept: text/event-stream`
    also what comes, live, to the end of the run; with `speed=2` twice as fast as it happened.
    """
    check_names(request.query_params, RUN_NAMES)
    if not PACE.isdisjoint(request.query_params) and SSE_TYPE not in accept.lower():
        raise Refused("query-invalid", "speed and max_gap are for sockets and server-sent events")
    check_journal(engine, journal)
    wanted = filter_of(types or (), nodes or ())
    at = cursor_of(after, last_event_id)
    playback = Playback(speed, max_gap)
    asked = Asked(at, limit, min(wait, WAIT_MAX_S), accept.lower(), wanted, playback)
    sieve = Sieve(wanted, belongings, whole=False)
    return await _answer(RunSource(engine, run_id), sieve, asked, request, stopping)


@get(
    "/journal",
    needs="read",
    responses={200: PAGE, **problems(*_REFUSALS)},
    operation_class=Events,
    summary="Events of all runs",
    tags=["Journal"],
)
async def journal_events(
    request: Request[Any, Any, Any],
    engine: NamedDependency[Engine],
    belongings: NamedDependency[Belongings],
    stopping: NamedDependency[asyncio.Event],
    after: After = 0,
    limit: Limit = EVENTS_DEFAULT,
    wait: Wait = 0,
    types: Types = None,
    nodes: Nodes = None,
    graphs: Graphs = None,
    run_tags: RunTags = None,
    journal: JournalId = None,
    last_event_id: LastEventId = None,
    accept: Accept = "",
) -> Response[bytes] | Stream:
    """Read the events of the whole journal after an offset, as those of a run."""
    check_names(request.query_params, JOURNAL_NAMES)
    check_journal(engine, journal)
    wanted = filter_of(types or (), nodes or (), graphs or (), run_tags or ())
    at = cursor_of(after, last_event_id)
    asked = Asked(at, limit, min(wait, WAIT_MAX_S), accept.lower(), wanted)
    sieve = Sieve(wanted, belongings, whole=True)
    return await _answer(JournalSource(engine), sieve, asked, request, stopping)


def check_journal(engine: Engine, journal: str | None) -> None:
    """Raise Refused when a cursor comes with another journal's id."""
    if journal is not None and journal != engine.journal.id:
        detail = (
            f"the cursor belongs to journal {journal[:100]}, and this is {engine.journal.id}; "
            "start again from 0"
        )
        raise Refused("cursor-unknown", detail)


async def _answer(
    source: Source,
    sieve: Sieve,
    asked: Asked,
    request: Request[Any, Any, Any],
    stopping: asyncio.Event,
) -> Response[bytes] | Stream:
    head, done = await source.head()
    _check_cursor(asked.after, head)
    if SSE_TYPE in asked.accept or NDJSON_TYPE in asked.accept:
        request.app.state["subscribers"].enter()
    if SSE_TYPE in asked.accept:
        if done and asked.after == head:  # anything else would have a browser ask for ever
            return Response(b"", status_code=204)
        parts = sieve.parts(source.follow(asked.after))
        if asked.playback.speed:
            parts = played(parts, sieve, asked.playback)
        chunks = server_sent(
            parts, sieve, asked.after, source.journal.id, stopping, still_may(request)
        )
        headers = {**_headers(source, head), "Cache-Control": "no-store"}
        return Stream(chunks, media_type=SSE_TYPE, headers=headers)
    if NDJSON_TYPE in asked.accept:
        lines = _lines(source, sieve, asked.after, head, stopping)
        return Stream(lines, media_type=NDJSON_TYPE, headers=_headers(source, head))
    limit = min(asked.limit, LIMIT_MAX)
    part = await _read(source, sieve, asked.after, limit)
    if asked.wait_s and not part.records and part.after >= head and not done:
        after = await _until_news(source, sieve, part.after, asked.wait_s, request, stopping)
        check_holds(request.scope)
        part = await _read(source, sieve, after, limit)
        head, done = await source.head()
    return _page_answer(source, part, head, done=done)


async def _read(source: Source, sieve: Sieve, after: int, limit: int) -> Part:
    """Return the first part with records after a cursor; without any, after as many pages as may be."""
    pages = 1 if sieve.is_open else SCAN_MAX_PAGES
    part = Part([], after)
    for _ in range(pages):
        page = await source.read(part.after, limit if sieve.is_open else LIMIT_MAX)
        if not page:
            break
        part = await sieve.part(page)
        if part.records:
            break
    if len(part.records) > limit:
        first = part.records[:limit]
        return Part(first, sieve.place(first[-1]))
    return part


async def _until_news(
    source: Source,
    sieve: Sieve,
    after: int,
    wait_s: int,
    request: Request[Any, Any, Any],
    stopping: asyncio.Event,
) -> int:
    """Return when something comes that passes, it has been long enough, or nobody listens.

    What is returned is the cursor up to which nothing passes.
    """

    async def news() -> None:
        nonlocal after
        async with aclosing(sieve.parts(source.follow(after))) as parts:
            async for part in parts:
                if not isinstance(part, Part) or part.records:
                    return
                after = part.after

    await first_of(news, lambda: asyncio.sleep(wait_s), lambda: until_gone(request), stopping.wait)
    return after


def _page_answer(source: Source, part: Part, head: int, *, done: bool) -> Response[bytes]:
    head = max(part.after, head)  # more may have come since
    body = b'{"events":%b,"after":%d,"head":%d,"end":%b,"journal":"%b"}' % (
        envelopes(part.records),
        part.after,
        head,
        b"true" if done and part.after == head else b"false",
        source.journal.id.encode(),
    )
    return Response(body, media_type=JSON_TYPE, headers=_headers(source, head))


async def _lines(
    source: Source, sieve: Sieve, after: int, head: int, stopping: asyncio.Event
) -> AsyncIterator[bytes]:
    """Yield a page of lines at a time, up to the head at the start; nothing is held between.

    Ends early, after a whole line, with the server: who has not come to the head comes again.
    """
    while after < head and not stopping.is_set():
        part = await sieve.part(await source.read(after, LIMIT_MAX))
        yield b"".join(
            envelope(record) + b"\n" for record in part.records if sieve.place(record) <= head
        )
        after = part.after


def _check_cursor(after: int, head: int) -> None:
    if after > head:
        raise CursorUnknown(after=after, head=head)


def _headers(source: Source, head: int) -> dict[str, str]:
    return {JOURNAL_HEADER: source.journal.id, HEAD_HEADER: str(head)}


HANDLERS = (run_events, journal_events)
