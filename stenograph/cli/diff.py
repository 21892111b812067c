"""``steno diff``: how two runs differ, or one run at two points."""

from __future__ import annotations

import asyncio

import click

from stenograph.cli.failures import OK
from stenograph.cli.output import Output
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import find_run, open_source, reading
from stenograph.cli.text import printable

DIFFERENT = 1
SEQ_MAX = 2**63 - 1


@click.command(short_help="Tell how two runs differ, or one run at two points.")
@click.argument("run", metavar="RUN[@SEQ]")
@click.argument("other", metavar="OTHER[@SEQ]")
@place_options
def diff(run: str, other: str) -> None:
    """Compare two runs: their paths, outcomes, states and times; exit code 1 when they differ.

    RUN and OTHER are ids, how one id alone begins, @last, or exported files; with @SEQ as it was
    after this event.
    """
    code = asyncio.run(differing(Output(settings()), settings(), run, other))
    click.get_current_context().exit(code)


async def differing(output: Output, place: Settings, one: str, other: str) -> int:
    """Write how two runs differ; returns the exit code."""
    from stenograph.engine import lines_of

    left, at = point_of(one)
    right, other_at = point_of(other)
    async with open_source(reading(place, left, right)) as source:
        run_id, other_id = await find_run(source, left), await find_run(source, right)
        found = await source.diff(run_id, other_id, at=at, other_at=other_at)
    if output.tables:
        for line in lines_of(found):
            output.line(printable(line))
    else:
        output.document(found)
    return OK if found.same else DIFFERENT


def point_of(word: str) -> tuple[str, int | None]:
    """Return the run and the event of ``RUN@SEQ``; raises UsageError for an event that can be none."""
    name, at, seq = word.rpartition("@")
    if not at or not (seq.isascii() and seq.isdigit()):
        return word, None
    if not 1 <= int(seq[:20]) <= SEQ_MAX:
        raise click.UsageError(f"{word}: events are counted from 1")
    return name, int(seq)
