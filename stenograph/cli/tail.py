"""``steno tail``: a run's events, or all events, and those to come."""

from __future__ import annotations

import asyncio

import click

from stenograph.cli.failures import OK
from stenograph.cli.following import follow_all, follow_run, print_run
from stenograph.cli.only import Only, only, run_options
from stenograph.cli.output import Output
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import find_run, open_source, reading


@click.command(short_help="Print a run's events, and those to come.")
@click.argument("run", required=False)
@click.option("--all", "whole", is_flag=True, help="The events of all runs, by offset.")
@click.option(
    "--after",
    type=click.IntRange(min=0),
    default=0,
    help="Only what comes after this seq (with --all: offset).",
)
@run_options
@click.option("--no-follow", is_flag=True, help="Only what is there by now.")
@click.option("--no-reconnect", is_flag=True, help="Exit with 3 when the stream breaks off.")
@place_options
@click.pass_context
def tail(
    context: click.Context,
    run: str | None,
    *,
    whole: bool,
    after: int,
    types: tuple[str, ...],
    nodes: tuple[str, ...],
    graphs: tuple[str, ...],
    tags: tuple[str, ...],
    no_follow: bool,
    no_reconnect: bool,
) -> None:
    """Print a run's events and those to come, up to its end.

    RUN is an id, how one id alone begins, @last, or an exported file. A broken stream is taken up
    again for ever, where it broke off. Exit code 0 when the run completed, 1 when it failed or was cancelled.
    """
    if (run is None) == (not whole):
        raise click.UsageError("name one RUN, or ask for --all")
    if run is not None and (graphs or tags):
        raise click.UsageError("--graph and --tag choose among runs: use them with --all")
    wanted = only(types, nodes, graphs, tags)
    found, output = settings(), Output(settings())
    context.exit(
        asyncio.run(
            tailed(
                output, found, run, after, wanted, live=not no_follow, reconnect=not no_reconnect
            )
        )
    )


async def tailed(
    output: Output,
    place: Settings,
    run: str | None,
    after: int,
    wanted: Only,
    *,
    live: bool,
    reconnect: bool,
) -> int:
    """Print what is asked for; return the exit code."""
    place = place if run is None else reading(place, run)
    async with open_source(place, reconnect=reconnect, on_lost=output.reconnecting) as source:
        if run is None:
            await follow_all(output, source, place, after, wanted, live=live)
            return OK
        run_id = await find_run(source, run)
        if live:
            return await follow_run(output, source, place, run_id, after, wanted)
        await print_run(output, source, place, run_id, after, wanted)
        return OK
