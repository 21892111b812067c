"""Control: what a person asks of a run that is there, and what the run is then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from stenograph.cli.documents import run_document
from stenograph.cli.output import Output
from stenograph.cli.settings import Settings
from stenograph.cli.sources import ServerSource, find_run, open_client

if TYPE_CHECKING:
    from stenograph.engine import RunView
    from stenograph.http import Client


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
    else:
        output.document(run_document(run))
    return run
