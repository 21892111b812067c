"""Events as pages and as lines, of one run or of the whole journal: the stored bytes, joined."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from litestar import get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath
from litestar.response import Response, Stream

from stenograph.engine import Engine, UnknownRun
from stenograph.http.errors import Refused, problems
from stenograph.http.queries import Accept, After, JournalId, Limit
from stenograph.http.wire import (
    DONE,
    EVENTS_DEFAULT,
    HEAD_HEADER,
    JOURNAL_HEADER,
    LIMIT_MAX,
    NDJSON_TYPE,
    EventsPage,
)
from stenograph.journal import CursorUnknown, Journal, Record, envelope

JSON_TYPE: Final = "application/json"
PAGE: Final = ResponseSpec(EventsPage, generate_examples=False, description="A page of events")


class RunSource:
    """The events of one run, by ``seq``."""

    def __init__(self, journal: Journal, run_id: str) -> None:
        self.journal, self.run_id = journal, run_id

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

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    async def read(self, after: int, limit: int) -> list[Record]:
        """Return up to ``limit`` records after a cursor."""
        return await self.journal.read_all(after=after, limit=limit)

    async def head(self) -> tuple[int, bool]:
        """Return the last offset."""
        return await self.journal.end(), False

    def cursor(self, record: Record) -> int:
        """Return a record's place."""
        return record.offset


Source = RunSource | JournalSource


@get(
    "/runs/{run_id:str}/events",
    responses={200: PAGE, **problems("query-invalid", "run-not-found", "cursor-unknown")},
    summary="Events of a run",
    tags=["Runs"],
)
async def run_events(
    run_id: FromPath[str],
    engine: NamedDependency[Engine],
    after: After = 0,
    limit: Limit = EVENTS_DEFAULT,
    journal: JournalId = None,
    accept: Accept = "",
) -> Response[bytes] | Stream:
    """Read the events of a run after a cursor.

    With `Accept: application/x-ndjson` all of them up to the head, one a line.
    """
    check_journal(engine, journal)
    return await _answer(RunSource(engine.journal, run_id), after, limit, accept)


@get(
    "/journal",
    responses={200: PAGE, **problems("query-invalid", "cursor-unknown")},
    summary="Events of all runs",
    tags=["Journal"],
)
async def journal_events(
    engine: NamedDependency[Engine],
    after: After = 0,
    limit: Limit = EVENTS_DEFAULT,
    journal: JournalId = None,
    accept: Accept = "",
) -> Response[bytes] | Stream:
    """Read the events of the whole journal after an offset, as those of a run."""
    check_journal(engine, journal)
    return await _answer(JournalSource(engine.journal), after, limit, accept)


def check_journal(engine: Engine, journal: str | None) -> None:
    """Raise Refused when a cursor comes with another journal's id."""
    if journal is not None and journal != engine.journal.id:
        detail = (
            f"the cursor belongs to journal {journal[:100]}, and this is {engine.journal.id}; "
            "start again from 0"
        )
        raise Refused("cursor-unknown", detail)


async def _answer(source: Source, after: int, limit: int, accept: str) -> Response[bytes] | Stream:
    if NDJSON_TYPE in accept.lower():
        return await _lines_answer(source, after)
    head, done = await source.head()
    _check_cursor(after, head)
    records = await source.read(after, min(limit, LIMIT_MAX))
    return _page_answer(source, records, after, head, done=done)


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


async def _lines_answer(source: Source, after: int) -> Stream:
    head, _ = await source.head()
    _check_cursor(after, head)
    headers = _headers(source, head)
    return Stream(_lines(source, after, head), media_type=NDJSON_TYPE, headers=headers)


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
