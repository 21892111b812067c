"""``steno runs``: the runs there are, newest first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from stenograph.cli.marks import OF_STATUS
from stenograph.cli.output import Output
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import PAGE, all_runs, open_source
from stenograph.cli.text import duration, printable
from stenograph.cli.times import local, seconds_between
from stenograph.cli.values import tags_of

if TYPE_CHECKING:
    from stenograph.http import RunItem

STATUSES = (
    "running", "waiting", "paused", "parked", "cancelling", "completed", "failed", "cancelled",
)  # fmt: skip
"""As ``stenograph.http.shapes.wire`` has them, which is too heavy to load for a help text."""


@click.command(short_help="List the runs, newest first.")
@click.option("--status", type=click.Choice(STATUSES), help="Only runs of this status.")
@click.option("--graph", metavar="ID", help="Only runs of this graph.")
@click.option("--origin", metavar="RUN", help="Only runs that were forked from this one: its id.")
@click.option(
    "--tag",
    "tags",
    metavar="NAME=VALUE",
    multiple=True,
    help="Only runs with this tag, such as rerun_of=RUN; several must all be there.",
)
@click.option(
    "-n", "number", type=click.IntRange(min=1), default=20, show_default=True, help="How many."
)
@place_options
def runs(
    status: str | None, graph: str | None, origin: str | None, tags: tuple[str, ...], number: int
) -> None:
    """List the runs, newest first."""
    labels = {"status": status, "graph": graph, "origin": origin}
    wanted = {name: value for name, value in labels.items() if value is not None}
    wanted |= {f"tag:{name}": value for name, value in tags_of(tags).items()}
    asyncio.run(listed(Output(settings()), settings(), wanted, number))


async def listed(output: Output, place: Settings, labels: dict[str, str], number: int) -> None:
    """Write up to ``number`` runs that carry the labels."""
    items: list[RunItem] = []
    async with open_source(place) as source:
        async for item in all_runs(source, labels, page=min(number, PAGE)):
            items.append(item)
            if len(items) == number:
                break
    if not output.tables:
        output.items(items)
    elif items:
        head = ("", "status", "run", "graph", "started", "lasted", "events")
        output.table(head, [row(output, item) for item in items])
    else:
        those = " of that kind" if labels else ""
        output.talk(f"There are no runs{those}. Start one: steno run GRAPH")


def row(output: Output, run: RunItem) -> tuple[str, ...]:
    """Return a run as a row: the time it lasted ends with its last event."""
    return (
        output.sign(OF_STATUS[run.status]),
        ", ".join([run.status, *["imported"] * run.imported, *["erased"] * run.erased]),
        run.id,
        printable(run.graph_id),
        local(run.created_at),
        duration(seconds_between(run.created_at, run.updated_at)),
        f"{run.seq:,}",
    )
