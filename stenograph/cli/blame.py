"""``steno blame``: who last wrote each part of a run's state."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from stenograph.cli.output import Output
from stenograph.cli.places import ROOT
from stenograph.cli.places import place as place_of
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import find_run, open_source, reading
from stenograph.cli.text import printable, short, shortened

if TYPE_CHECKING:
    from stenograph.engine import Blame, Writer

SOURCES_MAX: Final = 3
PATH_MAX: Final = 60


@click.command(short_help="Tell who last wrote each part of a run's state.")
@click.argument("run")
@click.argument("path", default="")
@click.option("--at", type=click.IntRange(min=1), help="As it was right after this event.")
@click.option("--scope", default=ROOT, help="The state of this scope, such as '/split#1[0]/'.")
@place_options
def blame(run: str, path: str, at: int | None, scope: str) -> None:
    """Tell which event, node, visit and attempt last wrote each part of a run's state.

    RUN is an id, how one id alone begins, or @last. PATH leads into the state: /key, /list/0.
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
    rows = [row_of(each) for each in found.items]
    output.table(("path", "value", "last written by", "first made by"), rows)
    if found.more:
        output.line(f"… {found.more:,} more; name a path to see what is in it")


def row_of(blame: Blame) -> tuple[str, str, str, str]:
    """Return who wrote what stands at a path."""
    more = len(blame.sources) - SOURCES_MAX + blame.more
    return (
        shortened(printable(blame.path), PATH_MAX),
        short(blame.value),
        who(blame.by),
        listed(blame.sources[:SOURCES_MAX], more),
    )


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
