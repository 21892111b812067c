"""Migrating: having an unfinished run go on in another graph, or telling what that would change."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from msgspec.structs import replace

from stenograph.engine.actors import Actors
from stenograph.engine.commands import Migrate
from stenograph.engine.errors import RunFinished
from stenograph.engine.graph import Graph
from stenograph.engine.graphs import Graphs
from stenograph.engine.migration import CHANGES_MAX, Migration, graph_changes, misfits
from stenograph.engine.run import Run


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
    stored = await graphs.named(graph, actor)
    command = Migrate(
        actor=actor,
        graph_id=stored.graph_id,
        version=stored.version,
        graph=stored.data,
        graphs=await graphs.pin(stored.graph),
    )
    run = await actors.load(run_id)
    _check_unfinished(run)
    report = _report(run, command)
    if dry_run:
        return report
    # The run may have moved on since: whether it fits is decided where the event is made.
    seq = (await actors.tell(run_id, command)).seq
    return replace(report, seq=seq, done=True, faults=())


def _check_unfinished(run: Run) -> None:
    if run.ended or run.status == "cancelling":
        raise RunFinished(run.id, run.status)


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
        faults=tuple(misfits(run, asked.graph, asked.graphs)),
    )
