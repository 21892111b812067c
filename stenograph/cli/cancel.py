"""``steno cancel``: ask a run to stop."""

from __future__ import annotations

import asyncio

import click

from stenograph.cli.documents import run_document
from stenograph.cli.output import Output
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import ServerSource, find_run, open_client


@click.command(short_help="Ask a run to stop.")
@click.argument("run")
@click.option("--reason", default="", help="Why; it is written into the journal.")
@place_options
def cancel(run: str, reason: str) -> None:
    """Ask a run to stop; asking twice is as asking once.

    RUN is an id, how one id alone begins, or @last. Exit code 6 when it has ended otherwise.
    """
    asyncio.run(cancelled(Output(settings()), settings(), run, reason))


async def cancelled(output: Output, place: Settings, name: str, reason: str) -> None:
    """Cancel a run, and write what it is then."""
    async with open_client(place) as client:
        run_id = await find_run(ServerSource(client), name)
        run = await client.cancel(run_id, reason=reason)
    if output.tables:
        output.line(f"run {run.id}  {run.status} at seq {run.seq}")
    else:
        output.document(run_document(run))
