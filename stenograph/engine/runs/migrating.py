"""Migrating: having an unfinished run go on in another graph, or telling what that would change."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stenograph.engine.core.commands import Migrate
from stenograph.engine.core.events import RunMigrated
from stenograph.engine.core.keying import check_seq, is_repeat
from stenograph.engine.core.migration import CHANGES_MAX, Migration, graph_changes, misfits
from stenograph.engine.core.run import Run, key_id
from stenograph.engine.errors import NotJson, RunFinished
from stenograph.engine.executor.actors import Actors
from stenograph.engine.graphs.graph import Graph, as_data
from stenograph.engine.runs.starts import Key
from stenograph.engine.stored.graphs import Graphs
from stenograph.engine.stored.histories import Histories
from stenograph.engine.values import canonical, request_hash


class MigrateOptions(Struct, frozen=True, kw_only=True):
    """Who migrates a run, whether at all, and on what conditions."""

    actor: str
    dry_run: bool = False
    key: Key | None = None
    if_seqs: frozenset[int] | None = None


async def migrate(
    actors: Actors,
    graphs: Graphs,
    histories: Histories,
    run_id: str,
    graph: Graph | Mapping[str, Any] | str,
    options: MigrateOptions,
) -> Migration:
    """Have a run go on in another graph, or with ``dry_run`` only tell of it; as ``Engine.migrate``."""
    run = await actors.load(run_id)
    await actors.check_own(run_id)
    if not options.dry_run and (again := await _repeated(histories, run, graph, options)):
        return again
    _check_unfinished(run)
    command = await _command(graphs, graph, options)
    run = await actors.load(run_id)
    _check_unfinished(run)
    report = _report(run, command)
    if options.dry_run:
        check_seq(run_id, run.seq, options.if_seqs)
        return replace(report, faults=tuple(misfits(run, command.graph, command.graphs)))
    # The run may have moved on since: whether it fits is decided where the event is made.
    run, is_done = await actors.tell_once(run_id, command)
    again = await _repeated(histories, run, graph, options) if is_done else None
    return again or replace(report, seq=run.seq, done=True)


async def _repeated(
    histories: Histories, run: Run, graph: Graph | Mapping[str, Any] | str, options: MigrateOptions
) -> Migration | None:
    """Return what was answered when this was asked with its key before, from the journal; or None.

    Raises KeyReused.
    """
    if options.key is None:
        return None
    known = run.keyed.get(key_id(options.actor, options.key))
    asked = Migrate(
        actor=options.actor,
        key=options.key,
        named=_named(graph),
        graph_id="",
        version="",
        graph=b"",
        graphs={},
    )
    if known is None or not is_repeat(run, asked):
        return None
    [migrated] = [
        event.data async for event in histories.events(run.id, after=known.seq - 1, to=known.seq)
    ]
    assert isinstance(migrated, RunMigrated), "only a migration is asked for so"
    before = await histories.at(run.id, known.seq - 1)
    was = replace(
        asked,
        graph_id=migrated.graph_id,
        version=migrated.version,
        graph=bytes(migrated.graph),
        graphs=migrated.graphs,
    )
    return replace(_report(before, was), seq=run.seq, done=True, replayed=True)


def _named(graph: Graph | Mapping[str, Any] | str) -> str:
    """Return how a graph was asked for: its id, or a hash of it, whatever tools there are by now."""
    if isinstance(graph, str):
        return graph
    try:
        return request_hash(canonical(as_data(graph) if isinstance(graph, Graph) else graph, "")[1])
    except NotJson:
        return ""  # no graph at all, which is said when it is read


def _check_unfinished(run: Run) -> None:
    if run.ended or run.status == "cancelling":
        raise RunFinished(run.id, run.status)


async def _command(
    graphs: Graphs, graph: Graph | Mapping[str, Any] | str, options: MigrateOptions
) -> Migrate:
    if options.dry_run:
        stored, pinned = await graphs.previewed(graph)
    else:
        stored = await graphs.named(graph, options.actor)
        pinned = await graphs.pin(stored.graph)
    return Migrate(
        actor=options.actor,
        named=_named(graph),
        key=options.key,
        if_seqs=options.if_seqs,
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
