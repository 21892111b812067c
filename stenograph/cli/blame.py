"""``steno blame``: who last wrote each part of a run's state."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from stenograph.cli.output import Output
from stenograph.cli.places import ROOT
from stenograph.cli.places import place as place_of
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import find_run, open_source, reading
from stenograph.cli.text import TEXT_MAX, count, printable, short, shortened, width

if TYPE_CHECKING:
    from stenograph.engine import Blame, Writer

SOURCES_MAX: Final = 3
PATH_MAX: Final = 60
VALUE_MIN: Final = 22
"""So many columns tell at least the size of a value."""


@click.command(short_help="Tell who last wrote each part of a run's state.")
@click.argument("run")
@click.argument("path", default="")
@click.option("--at", type=click.IntRange(min=1), help="As it was right after this event.")
@click.option("--scope", default=ROOT, help="The state of this scope, such as '/split#1[0]/'.")
@place_options
def blame(run: str, path: str, at: int | None, scope: str) -> None:
    """Tell which event, node, visit and attempt last wrote each part of a run's state.

    RUN is an id, how one id alone begins, @last, or an exported file. PATH leads into the state:
    /key, /list/0.
    """
    asyncio.run(blamed(Output(settings()), settings(), run, path, at, scope))


async def blamed(
    output: Output, place: Settings, name: str, path: str, at: int | None, scope: str
) -> None:
    """Write who wrote what."""
    async with open_source(reading(place, name)) as source:
        run_id = await find_run(source, name)
        found = await source.blame(run_id, path, at=at, scope=scope)
    if not output.tables:
        output.document(found)
        return
    if not found.items:
        output.talk("There is nothing in this state yet.")
        return
    output.table(*columns_of(found.items, output.columns))
    if found.more:
        output.line(f"… {found.more:,} more; name a path to see what is in it")


def columns_of(items: Sequence[Blame], room: int) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return heads and rows; on a terminal, values are as short as its columns ask for."""
    head: tuple[str, ...] = ("path", "value", "last written by", "first made by")
    rows = [row_of(each) for each in items]
    if not any(row[3] for row in rows):
        head, rows = head[:3], [row[:3] for row in rows]
    most = room - sum(
        max(map(width, column)) + 2
        for number, column in enumerate(zip(head, *rows, strict=True))
        if number != 1
    )
    if room > 0 and most < TEXT_MAX:
        most = max(most, VALUE_MIN)
        rows = [
            (row[0], told(each.value, most), *row[2:])
            for row, each in zip(rows, items, strict=True)
        ]
    return head, rows


def row_of(blame: Blame) -> tuple[str, ...]:
    """Return who wrote what stands at a path."""
    more = len(blame.sources) - SOURCES_MAX + blame.more
    return (
        shortened(printable(blame.path), PATH_MAX),
        told(blame.value, TEXT_MAX),
        who(blame.by),
        listed(blame.sources[:SOURCES_MAX], more),
    )


def told(value: Any, most: int) -> str:
    """Return a value in short; one of which there is only the type and the length, by these."""
    match value:
        case {"type": "str", "length": int(size)} if len(value) == 2:
            return f"text of {count(size, 'character')}"
        case {"type": "list", "length": int(size)} if len(value) == 2:
            return f"[{count(size, 'item')}]"
        case {"type": "dict", "length": int(size)} if len(value) == 2:
            return f"{{{count(size, 'key')}}}"
        case _:
            return short(value, most)


def who(writer: Writer) -> str:
    """Return a writer: its node or its actor, with the event."""
    by = place_of({"scope": writer.scope or ROOT, "node": writer.node})
    visit = f"#{writer.visit}" if writer.visit > 1 else ""
    attempt = f", try {writer.attempt}" if writer.attempt > 1 else ""
    by = f"{by}{visit}{attempt}" if writer.node else f"{writer.actor} ({writer.type})"
    return f"{printable(by)} {writer.seq}"


def listed(writers: Sequence[Writer], more: int) -> str:
    """Return writers, and how many there are beside them."""
    return ", ".join(map(who, writers)) + (f" and {more:,} more" if more > 0 else "")
