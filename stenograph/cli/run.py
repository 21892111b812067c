"""``steno run``: start a graph on a server, and follow it if asked to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stenograph.cli.documents import run_document
from stenograph.cli.failures import OK, USAGE, Failure
from stenograph.cli.following import follow_run
from stenograph.cli.graph_files import fault_lines, read_graph
from stenograph.cli.hints import steno
from stenograph.cli.output import Output
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import ServerSource, open_client
from stenograph.cli.values import Seconds, state_of, tags_of

if TYPE_CHECKING:
    from stenograph.engine import RunView
    from stenograph.http import Client


def checked_id(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Return an id for a run; raises UsageError."""
    if value is not None:
        from stenograph.http import run_id_of

        try:
            run_id_of(value)
        except ValueError as error:
            raise click.UsageError(f"--id: {error}") from error
    return value


@click.command(short_help="Start a graph, and follow it if asked to.")
@click.argument("graph")
@click.option(
    "-s",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="A key of the state: JSON when it parses, else text. KEY:=JSON insists; KEY=@FILE reads.",
)
@click.option(
    "-S", "file", metavar="FILE", help="The state, a JSON object in a file (- for stdin)."
)
@click.option(
    "--id", "run_id", metavar="ID", callback=checked_id, help="The run's id; else it is given one."
)
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="Something to find it by.")
@click.option(
    "--key",
    metavar="TEXT",
    help="An idempotency key: the same again, for the same request, is the same run.",
)
@click.option(
    "--delay",
    "delay_s",
    type=Seconds(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Begin with the first node only then.",
)
@click.option("--follow", is_flag=True, help="Print its events, up to its end.")
@place_options
@click.pass_context
def run(
    context: click.Context,
    graph: str,
    *,
    pairs: tuple[str, ...],
    file: str | None,
    run_id: str | None,
    tags: tuple[str, ...],
    key: str | None,
    delay_s: float,
    follow: bool,
) -> None:
    """Start a run of GRAPH: a graph file, which is stored first, or the id of a stored graph.

    With --follow the exit code is 0 when the run completed, 1 when it failed or was cancelled,
    and 75 when it needs a person: it waits for a signal, was paused, or parked.
    """
    if graph == file == "-":
        raise click.UsageError("stdin holds one thing: the graph or the state")
    given = {
        "state": state_of(file, pairs),
        "tags": tags_of(tags),
        "run_id": run_id,
        "key": key,
        "delay_s": delay_s,
    }
    context.exit(asyncio.run(started(Output(settings()), settings(), graph, given, follow=follow)))


async def started(
    output: Output, place: Settings, graph: str, given: dict[str, Any], *, follow: bool
) -> int:
    """Start a run and say so, or print its events; return the exit code."""
    async with open_client(place, on_lost=output.reconnecting) as client:
        if is_file(graph):
            graph = await stored(output, client, graph)
        try:
            view = await client.start(graph, **given)
        except ValueError as error:
            raise Failure(str(error), USAGE) from error
        if view.replayed:
            output.talk(f"-- run {view.id} was there already: the same was asked for before")
        if not follow:
            tell(output, place, view)
            return OK
        output.talk(f"-- run {view.id}, at {client.url}/runs/{view.id}")
        return await follow_run(output, ServerSource(client), place, view.id, 0, rest=True)


def is_file(graph: str) -> bool:
    """Tell a file's name from a graph's id."""
    return graph == "-" or graph.endswith(".json") or "/" in graph or Path(graph).is_file()


async def stored(output: Output, client: Client, name: str) -> str:
    """Store the graph of a file, and return its id and version; raises Failure."""
    from stenograph.engine import GraphInvalid

    data, twice = read_graph(name)
    try:
        if twice:
            raise GraphInvalid(twice, [])
        graph = await client.create_graph(data)
    except GraphInvalid as error:
        lines = [f"{name} cannot run:", *fault_lines(name, error.faults)]
        raise Failure("\n".join(lines), USAGE) from error
    for line in fault_lines(name, graph.warnings, "warning: "):
        output.talk(line)
    return f"{graph.graph_id}@{graph.version}"


def tell(output: Output, place: Settings, run: RunView) -> None:
    """Say that a run has been started."""
    if not output.tables:
        output.document(run_document(run))
        return
    output.line(f"run {run.id}  {run.graph_id}@{run.version[:8]}  {run.status}")
    output.talk(f"-- watch it: {steno(place, 'tail', run.id)}")
