"""``steno replay``: a run's events again, at the pace at which they happened or another."""

from __future__ import annotations

import asyncio

import click

from stenograph.cli.following import Pages, follow_run
from stenograph.cli.only import Only, event_options, only
from stenograph.cli.output import Output
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import find_run, open_source, reading


@click.command(short_help="Play a run's events again, at any speed.")
@click.argument("run")
@click.option(
    "--speed",
    type=click.FloatRange(0, 1000),
    default=1.0,
    show_default=True,
    help="So many times as fast as it happened; 0 is without waiting.",
)
@click.option(
    "--max-gap",
    "max_gap_s",
    type=click.FloatRange(0, 86_400),
    default=2.0,
    show_default=True,
    help="The longest wait between two events, in seconds.",
)
@click.option(
    "--after", type=click.IntRange(min=0), default=0, help="Only what comes after this seq."
)
@event_options
@place_options
@click.pass_context
def replay(
    context: click.Context,
    run: str,
    *,
    speed: float,
    max_gap_s: float,
    after: int,
    types: tuple[str, ...],
    nodes: tuple[str, ...],
) -> None:
    """Play a run's events again, with the waits between them as they were.

    RUN is an id, how one id alone begins, @last, or an exported file. A run that has not ended is
    played up to now, and then comes live. Nothing is executed.
    """
    output = Output(settings())
    wanted = only(types, nodes)
    context.exit(asyncio.run(replayed(output, settings(), run, after, wanted, speed, max_gap_s)))


async def replayed(
    output: Output,
    place: Settings,
    run: str,
    after: int,
    wanted: Only,
    speed: float,
    max_gap_s: float,
) -> int:
    """Print a run at a pace; return the exit code."""
    from stenograph.http import Playback, played_pages

    def pace(pages: Pages) -> Pages:
        return played_pages(pages, Playback(speed, max_gap_s)) if speed else pages

    place = reading(place, run)
    async with open_source(place, on_lost=output.reconnecting) as source:
        run_id = await find_run(source, run)
        return await follow_run(
            output, source, place, run_id, after, wanted, pace=pace, command="replay"
        )
