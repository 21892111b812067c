"""``steno why``: the reason of an event, and the events that it follows from."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from stenograph.cli.output import Output
from stenograph.cli.places import place as place_of
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import find_run, open_source, reading
from stenograph.cli.text import printable

if TYPE_CHECKING:
    from stenograph.engine import Reason


@click.command(short_help="Tell why an event of a run happened.")
@click.argument("run")
@click.argument("seq", type=click.IntRange(min=1), required=False)
@place_options
def why(run: str, seq: int | None) -> None:
    """Tell why event SEQ of a run happened, else the last one: of a transition all edges, and
    what each read.

    RUN is an id, how one id alone begins, @last, or an exported file.
    """
    asyncio.run(told(Output(settings()), settings(), run, seq))


async def told(output: Output, place: Settings, name: str, seq: int | None) -> None:
    """Write why an event happened, the last one unless it is named."""
    async with open_source(reading(place, name)) as source:
        run_id = await find_run(source, name)
        reason = await source.why(run_id, seq or (await source.get(run_id)).seq)
    if output.tables:
        show_reason(output, reason)
    else:
        output.document(reason)


def show_reason(output: Output, reason: Reason) -> None:
    """Write a reason for people."""
    output.line(f"{reason.seq}  {reason.type}  {where(reason)}".rstrip())
    for sentence in reason.says:
        output.line(f"    {output.hanging(printable(sentence), 4)}")
    if reason.because:
        output.line()
        rows = [(str(each.seq), each.type, where(each)) for each in reason.because]
        output.table(("because", "", ""), rows)
        output.line(output.style("and so on, to the beginning: steno why RUN SEQ", dim=True))


def where(event: Any) -> str:
    """Return where an event happened; nothing for one of the run as a whole."""
    if not event.scope and not event.node:
        return ""
    return printable(place_of({"scope": event.scope or "/", "node": event.node}))
