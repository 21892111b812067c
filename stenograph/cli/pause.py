"""``steno pause``: have a run begin nothing new."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from stenograph.cli.control import controlled, if_seq_option
from stenograph.cli.hints import steno
from stenograph.cli.output import Output
from stenograph.cli.settings import Settings, place_options, settings

if TYPE_CHECKING:
    from stenograph.engine import RunView
    from stenograph.http import Client


@click.command(short_help="Have a run begin nothing new, until it is resumed.")
@click.argument("run")
@click.option("--reason", default="", help="Why; it is written into the journal.")
@if_seq_option
@place_options
def pause(run: str, reason: str, if_seq: int | None) -> None:
    """Have a run begin nothing new, until it is resumed; nodes under way finish first.

    RUN is an id, how one id alone begins, or @last. Asking twice is as asking once. Exit code 6
    when it has ended.
    """

    def ask(client: Client, run_id: str) -> Awaitable[RunView]:
        return client.pause(run_id, reason=reason, if_seq=if_seq)

    asyncio.run(paused(Output(settings()), settings(), run, ask))


async def paused(
    output: Output, place: Settings, name: str, ask: Callable[[Client, str], Awaitable[RunView]]
) -> None:
    """Pause a run, write what it is then, and say how to let it go on."""
    found = await controlled(output, place, name, ask)
    first = "" if found.status in ("paused", "parked") else "what is under way finishes first; "
    output.talk(f"-- {first}to go on: {steno(place, 'resume', found.id)}")
