"""``steno sql``: a SELECT over the journal's views, of a server or of a file."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from typing import TYPE_CHECKING, Any, Final

import click

from stenograph.cli.output import Output
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import open_client
from stenograph.cli.standard import write
from stenograph.cli.text import printable, shortened

if TYPE_CHECKING:
    from stenograph.http import SqlAnswer
    from stenograph.journal import Table

CELL_MIN: Final = 40
"""On a terminal so many columns of a value are shown at least, and up to half of its own."""


@click.command(short_help="Ask the journal in SQL.")
@click.argument("query")
@click.option(
    "-p", "--param", "params", multiple=True, metavar="VALUE",
    help="The value of the next ?: JSON when it parses as such, else text; again for more.",
)  # fmt: skip
@click.option(
    "-n", "limit", type=click.IntRange(1, 10_000), default=1000, show_default=True,
    help="Most rows.",
)  # fmt: skip
@click.option(
    "--time-s", type=click.FloatRange(0, 30, min_open=True), default=5.0, show_default=True,
    help="How long it may take, in seconds.",
)  # fmt: skip
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV.")
@place_options
def sql(query: str, params: tuple[str, ...], limit: int, time_s: float, *, as_csv: bool) -> None:
    """Ask one SELECT over the views runs, visits, attempts, transitions and events."""
    output = Output(settings())
    values = list(map(value_of, params))
    table = asyncio.run(asked(settings(), query, values, limit, time_s))
    if as_csv:
        write_csv(table)
    else:
        show(output, table)
    if table.truncated:
        output.talk(f"-- there is more: these are the first {len(table.rows):,} rows")


async def asked(
    place: Settings, sql: str, params: list[Any], limit: int, time_s: float
) -> SqlAnswer | Table:
    """Ask the file, or else the server."""
    if place.db is not None:
        from stenograph.journal import open_journal_readonly, query

        async with open_journal_readonly(place.db):  # which says what is wrong with the file
            return await query(place.db, sql, params, time_s=time_s, rows_max=limit)
    async with open_client(place) as client:
        return await client.sql(sql, params, time_s=time_s, limit=limit)


def show(output: Output, table: SqlAnswer | Table) -> None:
    """Write rows: in columns for people, else an object a row."""
    if output.tables:
        rows = [[cell(value) for value in row] for row in table.rows]
        most = max(CELL_MIN, output.columns // 2) if output.columns else 0
        if most and any(len(each) > most for row in rows for each in row):
            rows = [[shortened(each, most) for each in row] for row in rows]
            output.talk("-- long values are cut here; whole: -o json, or --csv")
        output.table([printable(each) for each in table.columns], rows)
    else:
        output.items([dict(zip(table.columns, row, strict=True)) for row in table.rows])


def write_csv(table: SqlAnswer | Table) -> None:
    """Write the columns, and a row a line (RFC 4180); null is nothing."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    write(text.getvalue().encode())


def value_of(word: str) -> Any:
    """Return a value that a word stands for: JSON, or the text itself."""
    try:
        value = json.loads(word)
    except ValueError:
        return word
    return word if isinstance(value, list | dict) else value


def cell(value: Any) -> str:
    """Return a value as people read it."""
    return "" if value is None else printable(str(value))
