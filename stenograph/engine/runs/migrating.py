"""Migrating: having an unfinished run go on in another graph, or telling what that would change."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from msgspec.structs import replace

from stenograph.engine.core.commands import Migrate
from stenograph.engine.core.migration import CHANGES_MAX, Migration, graph_changes, misfits
from stenograph.engine.core.run import Run
from stenograph.engine.errors import RunFinished
from stenograph.engine.executor.actors import Actors
from stenograph.engine.graphs.graph import Graph
from stenograph.engine.stored.graphs import Graphs


async def migrate(
    actors: Actors,
    graphs: Graphs,
    run_id: str,
    graph: Graph | Mapping[str, Any] | str,
    *,
    dry_run: bool,
    actor: str,
) -> Migration:
    """Have a run go on in another graph, or with ``dry_run`` only tell of it; as ``Engine.migrate``."""
    _check_unfinished(await actors.load(run_id))
    await actors.check_own(run_id)
    command = await _command(graphs, graph, dry_run=dry_run, actor=actor)
    run = await actors.load(run_id)
    _check_unfinished(run)
    report = _report(run, command)
    if dry_run:
        return replace(report, faults=tuple(misfits(run, command.graph, command.graphs)))
    # The run may have moved on since: whether it fits is decided where the event is made.
    return replace(report, seq=(await actors.tell(run_id, command)).seq, done=True)


def _check_unfinished(run: Run) -> None:
    if run.ended or run.status == "cancelling":
        raise RunFinished(run.id, run.status)


async def _command(
    graphs: Graphs, graph: Graph | Mapping[str, Any] | str, *, dry_run: bool, actor: str
) -> Migrate:
    if dry_run:
        stored, pinned = await graphs.previewed(graph)
    else:
        stored = await graphs.named(graph, actor)
        pinned = await graphs.pin(stored.graph)
    return Migrate(
        actor=actor,
        graph_id=stored.graph_id,
        version=stored.version,
        graph=stored.data,
        graphs=pinned,
    )


def _report(run: Run, asked: Migrate) -> Migration:
    found = graph_changes(run, asked.graph, asked.graphs)
    return Migration(
        run_id=run.id,
        seq=run.seq,
        done=False,
        from_graph_id=run.graph_id,
        from_version=run.version,
        graph_id=asked.graph_id,
        version=asked.version,
        changes=tuple(islice(found, CHANGES_MAX)),
        changes_more=sum(1 for _ in found),
    )
