"""``steno cancel``: ask a run to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

import click

from stenograph.cli.control import controlled, if_seq_option
from stenograph.cli.output import Output
from stenograph.cli.settings import place_options, settings

if TYPE_CHECKING:
    from stenograph.engine import RunView
    from stenograph.http import Client


@click.command(short_help="Ask a run to stop.")
@click.argument("run")
@click.option("--reason", default="", help="Why; it is written into the journal.")
@if_seq_option
@place_options
def cancel(run: str, reason: str, if_seq: int | None) -> None:
    """Ask a run to stop; asking twice is as asking once.

    RUN is an id, how one id alone begins, or @last. Exit code 6 when it has ended otherwise.
    """

    def ask(client: Client, run_id: str) -> Awaitable[RunView]:
        return client.cancel(run_id, reason=reason, if_seq=if_seq)

    asyncio.run(controlled(Output(settings()), settings(), run, ask))
