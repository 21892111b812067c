"""``steno rerun``: a run made again from its recording, or checked against it, and what that came to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import click

from stenograph.cli.failures import NEEDS_A_PERSON, OK, USAGE, Failure
from stenograph.cli.hints import steno
from stenograph.cli.output import Output
from stenograph.cli.rerun_words import check_lines, rerun_lines
from stenograph.cli.resting import Parking, needs, rests
from stenograph.cli.resume import limit_options, limits_of
from stenograph.cli.run import checked_id, is_file, stored
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import ServerSource, find_run, open_client, records
from stenograph.cli.text import printable
from stenograph.cli.values import state_of, tags_of

if TYPE_CHECKING:
    from stenograph.engine import RunView
    from stenograph.http import Client

DIFFERENT: Final = 1
PAUSE_S: Final = 0.2
OPTIONS: Final = {"pairs": "set", "new_id": "id", "tags": "tag"}
"""How options are called whose values have other names."""


@click.command(short_help="Run a run again, with a changed tool, graph or input.")
@click.argument("run")
@click.option(
    "--tool", "tools", multiple=True, metavar="NAME", help="A tool to run anew; again for more."
)
@click.option("--graph", metavar="GRAPH", help="Another graph or version: a file or an id.")
@click.option(
    "-s",
    "--set",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="A key of the first state: JSON when it parses, else text. KEY:=JSON insists; KEY=@FILE reads.",
)
@click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="Make no run: call today's tools on the recorded states, and compare.",
)
@click.option(
    "--id", "new_id", metavar="ID", callback=checked_id, help="The new run's id; else it gets one."
)
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="NAME=VALUE",
    help="Beside the run's own; again for more.",
)
@click.option("--key", metavar="TEXT", help="An idempotency key: the same again is the same rerun.")
@limit_options
@place_options
def rerun(
    run: str,
    *,
    tools: tuple[str, ...],
    only_check: bool,
    steps: int | None,
    time_s: float | None,
    **given: Any,
) -> None:
    """Make RUN again as a new run, and tell how the two differ; RUN stays as it is.

    RUN is an id, how one id alone begins, or @last. What is unchanged is answered from its recording:
    the same tool in the same version, config and state; the rest is run. The exit code is 1 when
    anything differs, 75 when the new run needs a person before that is known.

    With --check, --time-s is how long that may take, 60 by default; what is left then is counted.
    """
    if only_check:
        others = {"steps": steps, **given}
        if wrong := [OPTIONS.get(name, name) for name, value in others.items() if value]:
            raise click.UsageError(f"--check makes no run, and takes no --{wrong[0]}")
        work = checked(Output(settings()), settings(), run, tools, time_s)
    else:
        asked = {
            "tools": tools,
            "graph": given["graph"],
            "state": state_of(None, given["pairs"]),
            "new_id": given["new_id"],
            "key": given["key"],
            "tags": tags_of(given["tags"]),
        }
        work = rerun_of(Output(settings()), settings(), run, asked, (steps, time_s))
    click.get_current_context().exit(asyncio.run(work))


async def checked(
    output: Output, place: Settings, name: str, tools: Iterable[str], time_s: float | None
) -> int:
    """Check a run, and write what that found; returns the exit code."""
    async with open_client(place) as client:
        run_id = await find_run(ServerSource(client), name)
        given: Any = {} if time_s is None else {"time_s": time_s}
        report = await client.check_run(run_id, tools=list(tools), **given)
    write(output, report, check_lines)
    return OK if report.same else DIFFERENT


async def rerun_of(
    output: Output,
    place: Settings,
    name: str,
    asked: dict[str, Any],
    limits: tuple[int | None, float | None],
) -> int:
    """Rerun a run, and write what came of it once it has ended or rests; returns the exit code."""
    async with open_client(place) as client:
        source = ServerSource(client)
        run_id = await find_run(source, name)
        asked["limits"] = await limits_of(source, run_id, *limits)
        if asked["graph"] is not None and is_file(asked["graph"]):
            asked["graph"] = await stored(output, client, asked["graph"])
        try:
            begun = await client.rerun(run_id, **asked)
        except ValueError as error:
            raise Failure(str(error), USAGE) from error
        if begun.replayed:
            output.talk(f"-- run {begun.id} was there already: the same was asked for before")
        output.talk(f"-- run {begun.id}, a rerun of {run_id}: {steno(place, 'tail', begun.id)}")
        new = await at_rest(client, begun)
        report = await client.rerun_report(new.id)
        write(output, report, rerun_lines)
        if new.done:
            return OK if report.same else DIFFERENT
        await tell_needs(output, place, source, new)
        return NEEDS_A_PERSON


async def at_rest(client: Client, run: RunView) -> RunView:
    """Return a run as it is when it has ended, or does not go on before a person does something."""
    while not (run.done or rests(run)):
        run = await client.wait(run.id)
        if run.status == "waiting" and not rests(run):
            await asyncio.sleep(PAUSE_S)
    return run


async def tell_needs(output: Output, place: Settings, source: ServerSource, run: RunView) -> None:
    """Say what a run that rests needs, and how to have its report then."""
    parking = Parking()
    async for record in records(source, run.id):
        parking.note(record)
    for need in needs(run, parking, place):
        output.talk(f"-- {need.what}: {need.command}")


def write(output: Output, report: Any, lines_of: Any) -> None:
    """Write a report: as text for people, or as it is."""
    if not output.tables:
        output.document(report)
        return
    for line in lines_of(report):
        output.line(printable(line))
