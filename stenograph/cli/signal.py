"""``steno signal``: give a run input."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import click

from stenograph.cli.control import controlled, if_seq_option, key_option
from stenograph.cli.output import Output
from stenograph.cli.settings import place_options, settings
from stenograph.cli.values import json_of, state_of

if TYPE_CHECKING:
    from stenograph.engine import RunView
    from stenograph.http import Client


@click.command(short_help="Give a run the input that it waits for.")
@click.argument("run")
@click.argument("name")
@click.argument("payload", required=False)
@click.option(
    "-s",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="A key of the payload: JSON when it parses, else text. KEY:=JSON insists; KEY=@FILE reads.",
)
@click.option("--scope", metavar="SCOPE", help="Only for what waits there: / or /split#1[0]/.")
@click.option(
    "--saw", type=click.IntRange(min=0), metavar="SEQ", help="The last event that you had seen."
)
@key_option
@if_seq_option
@place_options
def signal(
    run: str,
    name: str,
    payload: str | None,
    pairs: tuple[str, ...],
    scope: str | None,
    saw: int | None,
    key: str | None,
    if_seq: int | None,
) -> None:
    """Give a run input: a node that waits for signal NAME takes it, else it is kept until one does.

    RUN is an id, how one id alone begins, or @last. PAYLOAD is JSON, @FILE, or - for stdin; without
    it, and without -s, it is null. Exit code 6 when the run has ended.
    """
    if payload is not None and pairs:
        raise click.UsageError("give PAYLOAD or -s, not both")
    value: Any = state_of(None, pairs) if pairs else None
    if payload is not None:
        value = json_of(payload, "PAYLOAD")

    def ask(client: Client, run_id: str) -> Awaitable[RunView]:
        return client.signal(run_id, name, value, scope=scope, saw=saw, key=key, if_seq=if_seq)

    asyncio.run(controlled(Output(settings()), settings(), run, ask))
