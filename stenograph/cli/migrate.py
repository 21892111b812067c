"""``steno migrate``: an unfinished run goes on in another graph."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from stenograph.cli.control import REPLAYED, if_seq_option, key_option
from stenograph.cli.failures import OK, USAGE, Failure
from stenograph.cli.graph_files import fault_lines, graph_within, read_graph
from stenograph.cli.output import Output
from stenograph.cli.run import is_file, stored
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import ServerSource, find_run, open_client
from stenograph.cli.text import count, printable

if TYPE_CHECKING:
    from stenograph.engine import GraphChange, Migration
    from stenograph.http import Client


@click.command(short_help="Go on in another graph, in the same run.")
@click.argument("run")
@click.argument("graph")
@click.option("--dry-run", is_flag=True, help="Tell what would change, and change nothing.")
@key_option
@if_seq_option
@place_options
@click.pass_context
def migrate(
    context: click.Context,
    run: str,
    graph: str,
    *,
    dry_run: bool,
    key: str | None,
    if_seq: int | None,
) -> None:
    """Have RUN, which has not ended, go on in GRAPH: a graph file, or the id of a stored graph.

    RUN is an id, how one id alone begins, or @last. Every scope stays where it stands, and what is
    under way is left by the new edges. Exit code 2 when RUN cannot go on there as it stands, also
    with --dry-run, and 6 when it has ended.
    """
    output = Output(settings())
    asked = migrated(output, settings(), run, graph, dry_run=dry_run, key=key, if_seq=if_seq)
    context.exit(asyncio.run(asked))


async def migrated(
    output: Output, place: Settings, name: str, graph: str, *, dry_run: bool, **conditions: Any
) -> int:
    """Migrate a run, or ask what that would change, and tell of it; returns the exit code."""
    from stenograph.engine import MigrationRefused

    async with open_client(place) as client:
        run_id = await find_run(ServerSource(client), name)
        try:
            if dry_run and is_file(graph):
                found = await _tried(client, run_id, graph)
            else:
                named = await stored(output, client, graph) if is_file(graph) else graph
                found = await client.migrate(run_id, named, dry_run=dry_run, **conditions)
        except MigrationRefused as error:
            why = (printable(fault.detail) for fault in error.faults)
            lines = [f"run {run_id} cannot go on in {graph} as it stands:", *why]
            raise Failure("\n".join(lines), USAGE) from error
    tell(output, found)
    return USAGE if found.faults else OK


async def _tried(client: Client, run_id: str, name: str) -> Migration:
    """Ask what a migration to the graph of a file would change; the file is not stored."""
    from stenograph.engine import Fault, GraphInvalid

    whole, faults = read_graph(name)
    data, at = graph_within(whole)
    if at and "id" in whole:
        data = {**data, "id": whole["id"]}
    if not faults:
        try:
            return await client.migrate(run_id, data, dry_run=True)
        except GraphInvalid as error:
            faults = [Fault(at + each.pointer, each.detail) for each in error.faults]
    raise Failure("\n".join([f"{name} cannot run:", *fault_lines(name, faults)]), USAGE)


def tell(output: Output, found: Migration) -> None:
    """Say what has changed, or would change, and what does not fit."""
    if not output.tables:
        output.document(found)
        return
    if found.replayed:
        output.talk(REPLAYED)
    same = (found.graph_id, found.version) == (found.from_graph_id, found.from_version)
    if same and not found.faults:
        output.line(f"run {found.run_id}  is in {found.graph_id}@{found.version[:8]} already")
        return
    how = "goes on in" if found.done else "cannot go on in" if found.faults else "would go on in"
    output.line(
        f"run {found.run_id}  {how} {found.graph_id}@{found.version[:8]}"
        f"  instead of {found.from_graph_id}@{found.from_version[:8]}  at seq {found.seq}"
    )
    if found.changes:
        output.table(("what", "how", "name", "of", "detail"), [_row(c) for c in found.changes])
    if found.changes_more:
        output.line(f"and {count(found.changes_more, 'more change')}")
    for fault in found.faults:
        output.line(f"{output.sign('failed')} {printable(fault.detail)}")


def _row(change: GraphChange) -> tuple[str, ...]:
    told: list[Any] = [", ".join(change.fields), change.says]
    if change.what == "node" and change.scopes:
        more = f" and {count(len(change.scopes) - 1, 'more scope')}" if change.scopes[1:] else ""
        told.append(f"{change.scopes[0]}{more} here now")
    detail = "; ".join(each for each in told if each)
    return tuple(map(printable, (change.what, change.how, change.name, change.graph, detail)))
