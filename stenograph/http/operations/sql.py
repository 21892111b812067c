"""SQL over the journal: a few queries at a time, each given up when its client leaves."""

from __future__ import annotations

import asyncio
import csv
import io
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from litestar import Request, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import BodyKwarg
from litestar.response import Response

from stenograph.engine import EngineClosed
from stenograph.http.errors import Refused
from stenograph.http.operations.queries import Accept
from stenograph.http.operations.waiting import first_of, until_gone
from stenograph.http.problems import BODY_CODES, problems
from stenograph.http.shapes.requests import SqlRequest
from stenograph.http.shapes.wire import NDJSON_TYPE, SqlAnswer
from stenograph.journal import Journal, Table, query

AT_ONCE_MAX: Final = 2
"""How many queries run at a time, each in a process of its own."""
CSV_TYPE: Final = "text/csv"
TRUNCATED_HEADER: Final = "Stenograph-Truncated"
"""On lines and CSV, which have no other place for it: ``true`` when there was more."""

SqlBody: TypeAlias = Annotated[
    SqlRequest,
    BodyKwarg(
        examples=[
            Example(
                summary="The slowest visits of nodes",
                value={
                    "sql": "SELECT run, node, duration_ms FROM visits WHERE node <> ? "
                    "ORDER BY duration_ms DESC LIMIT 10",
                    "params": ["look"],
                },
            )
        ]
    ),
]
ANSWER: Final = ResponseSpec(SqlAnswer, generate_examples=False, description="What was found")


class Queries:
    """Asks the journal's file, if it is in one, and never too much at once."""

    def __init__(self, journal: Journal, *, enabled: bool) -> None:
        self._path: Path | None = getattr(journal, "path", None)  # one in memory has none
        self._enabled = enabled
        self.under_way = 0

    async def ask(self, asked: SqlRequest) -> Table:
        """Return what a query finds; raises Refused, QueryRefused."""
        if not self._enabled:
            detail = "SQL is only for who is on the server's own machine; read the file there"
            raise Refused("sql-off", detail)
        if self._path is None:
            raise Refused("no-sql", "serve the journal from a file: steno serve --db FILE")
        if self.under_way >= AT_ONCE_MAX:
            raise Refused(
                "too-many-queries", f"{AT_ONCE_MAX} queries run at a time; ask again soon"
            )
        self.under_way += 1
        try:
            return await query(
                self._path, asked.sql, asked.params, time_s=asked.time_s, rows_max=asked.limit
            )
        finally:
            self.under_way -= 1


@post(
    "/sql",
    needs="admin",
    status_code=200,
    responses={
        200: ANSWER,
        **problems(*BODY_CODES, "sql-off", "no-sql", "sql-refused", "too-many-queries"),
    },
    summary="Ask in SQL",
    tags=["Journal"],
)
async def ask_sql(
    request: Request[Any, Any, Any],
    data: SqlBody,
    queries: NamedDependency[Queries],
    stopping: NamedDependency[asyncio.Event],
    accept: Accept = "",
) -> Response[bytes]:
    """Ask one SELECT over the views `runs`, `visits`, `attempts`, `transitions` and `events`.

    With `Accept: application/x-ndjson` a row is an object a line, with `Accept: text/csv` a line.
    """
    found: list[Table] = []

    async def ask() -> None:
        found.append(await queries.ask(data))

    await first_of(ask, lambda: until_gone(request), stopping.wait)
    if not found:
        raise EngineClosed  # nobody reads this but who asked a server that stops
    table = found[0]
    headers = {TRUNCATED_HEADER: "true" if table.truncated else "false"}
    if NDJSON_TYPE in accept.lower():
        return Response(ndjson(table), media_type=NDJSON_TYPE, headers=headers)
    if CSV_TYPE in accept.lower():
        return Response(csv_of(table), media_type=CSV_TYPE, headers=headers)
    return Response(msgspec.json.encode(table), media_type="application/json", headers=headers)


def ndjson(table: Table) -> bytes:
    """Return a row as an object a line; of two columns of one name the later one counts."""
    rows = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def csv_of(table: Table) -> bytes:
    """Return the columns, and a row a line (RFC 4180); null is nothing."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return text.getvalue().encode()


HANDLERS = (ask_sql,)
