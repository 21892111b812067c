"""Control: what a person asks of a run that is there, and what the run is then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from stenograph.cli.documents import run_document
from stenograph.cli.output import Output
from stenograph.cli.settings import Settings
from stenograph.cli.sources import ServerSource, find_run, open_client

if TYPE_CHECKING:
    from stenograph.engine import RunView
    from stenograph.http import Client


F = TypeVar("F", bound=Callable[..., Any])
REPLAYED: Final = "-- this was asked before with that key, and not done again"


def key_option(command: F) -> F:
    """Let a command take an idempotency key."""
    told = "An idempotency key: the same again, for the same request, does nothing."
    return click.option("--key", metavar="TEXT", help=told)(command)


def if_seq_option(command: F) -> F:
    """Let a command say how far the run has come that it is for."""
    told = (
        "Only if that is the last event of the run; else nothing is done, and the exit code is 6."
    )
    return click.option("--if-seq", type=click.IntRange(min=1), metavar="SEQ", help=told)(command)


async def controlled(
    output: Output,
    place: Settings,
    name: str,
    ask: Callable[[Client, str], Awaitable[RunView]],
) -> RunView:
    """Ask something of the run that goes by a name, write what it is then, and return it."""
    async with open_client(place) as client:
        run_id = await find_run(ServerSource(client), name)
        run = await ask(client, run_id)
    if output.tables:
        output.line(f"run {run.id}  {run.status} at seq {run.seq}")
        if run.replayed:
            output.talk(REPLAYED)
    else:
        output.document(run_document(run))
    return run
