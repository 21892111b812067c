"""``steno fork``: a new run that goes on from any event of another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from stenograph.cli.documents import run_document
from stenograph.cli.failures import USAGE, Failure
from stenograph.cli.hints import steno
from stenograph.cli.output import Output
from stenograph.cli.resume import limit_options, limits_of
from stenograph.cli.run import checked_id, is_file, stored
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import ServerSource, find_run, open_client
from stenograph.cli.values import json_of, state_of, tags_of

if TYPE_CHECKING:
    from stenograph.engine import RunView


@click.command(short_help="Go on from any event of a run, in a new one.")
@click.argument("run")
@click.option(
    "--at", type=click.IntRange(min=1), required=True, metavar="SEQ", help="After which event."
)
@click.option(
    "-s",
    "--set",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="A key to set: JSON when it parses, else text. KEY:=JSON insists; KEY=@FILE reads.",
)
@click.option("--patch", metavar="JSON", help="RFC 6902 operations on keys: JSON, @FILE, or -.")
@click.option("--scope", metavar="SCOPE", default="/", help="Whose state to change: /split#1[0]/.")
@click.option("--graph", metavar="GRAPH", help="Another version to go on in: a file or an id.")
@click.option(
    "--signal", "signals", multiple=True, metavar="NAME=VALUE", help="A signal to give at once."
)
@click.option(
    "--id", "new_id", metavar="ID", callback=checked_id, help="The new run's id; else it gets one."
)
@click.option(
    "--tag", "tags", multiple=True, metavar="NAME=VALUE", help="Instead of the run's own."
)
@click.option("--key", metavar="TEXT", help="An idempotency key: the same again is the same fork.")
@limit_options
@place_options
def fork(run: str, steps: int | None, time_s: float | None, **given: Any) -> None:
    """Begin a new run that goes on from where RUN was after an event; RUN stays as it is.

    RUN is an id, how one id alone begins, or @last. A point inside a step means the boundary before
    it. What ran there is entered again, as work of the new run; waits stay open.
    """
    patch = [] if given["patch"] is None else json_of(given["patch"], "--patch")
    if not isinstance(patch, list) or not all(isinstance(op, dict) for op in patch):
        raise click.UsageError("--patch: operations are a JSON array of objects")
    asked = {
        "at": given["at"],
        "state": state_of(None, given["pairs"]),
        "patch": patch,
        "scope": given["scope"],
        "graph": given["graph"],
        "signals": state_of(None, given["signals"]),
        "new_id": given["new_id"],
        "key": given["key"],
        "tags": tags_of(given["tags"]) if given["tags"] else None,
    }
    asyncio.run(forked(Output(settings()), settings(), run, asked, (steps, time_s)))


async def forked(
    output: Output,
    place: Settings,
    name: str,
    asked: dict[str, Any],
    limits: tuple[int | None, float | None],
) -> None:
    """Fork a run, and tell of the new one."""
    async with open_client(place) as client:
        source = ServerSource(client)
        run_id = await find_run(source, name)
        asked["limits"] = await limits_of(source, run_id, *limits)
        if asked["graph"] is not None and is_file(asked["graph"]):
            asked["graph"] = await stored(output, client, asked["graph"])
        try:
            new = await client.fork(run_id, **asked)
        except ValueError as error:
            raise Failure(str(error), USAGE) from error
    tell(output, place, new, asked["at"])


def tell(output: Output, place: Settings, run: RunView, at: int) -> None:
    """Say what was forked, and from where."""
    assert run.origin is not None, "a fork has an origin"
    if run.replayed:
        output.talk(f"-- run {run.id} was there already: the same was asked for before")
    if run.origin.seq < at:
        output.talk(f"-- event {at} is no boundary of steps: forked after event {run.origin.seq}")
    if not output.tables:
        output.document(run_document(run))
        return
    output.line(
        f"run {run.id}  forked from {run.origin.run_id} at seq {run.origin.seq}  {run.status}"
    )
    output.talk(f"-- watch it: {steno(place, 'tail', run.id)}")
