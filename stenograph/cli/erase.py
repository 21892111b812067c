"""``steno erase``: forget what a run was given, said and came to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

import click

from stenograph.cli.control import controlled
from stenograph.cli.output import Output
from stenograph.cli.settings import Settings, place_options, settings

if TYPE_CHECKING:
    from stenograph.engine import RunView
    from stenograph.http import Client


@click.command(short_help="Forget what a run was given, said and came to.")
@click.argument("run")
@click.option("--reason", default="", help="Why; it is written into the journal, and stays there.")
@place_options
def erase(run: str, reason: str) -> None:
    """Erase a run that has ended: of its events only places, times, types and hashes stay.

    RUN is an id, how one id alone begins, or @last. It cannot be undone; backups keep what they have.
    Exit code 6 when the run has not ended.
    """
    asyncio.run(erased(Output(settings()), settings(), run, reason))


async def erased(output: Output, place: Settings, name: str, reason: str) -> None:
    """Erase a run, and tell what stays of it."""

    def ask(client: Client, run_id: str) -> Awaitable[RunView]:
        return client.erase(run_id, reason=reason)

    run = await controlled(output, place, name, ask)
    output.talk(f"-- {run.id} is erased: times, types and hashes of its events stay, and verify")
