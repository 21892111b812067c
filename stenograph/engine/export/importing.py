"""Importing: an exported run is verified and folded, and then laid into a journal as it was."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec
from msgspec.structs import replace

from stenograph.engine.bounds import Bounds
from stenograph.engine.core.boundaries import last_boundary
from stenograph.engine.core.events import (
    Event,
    RunCreated,
    RunErased,
    RunMigrated,
    UnknownEvent,
    decode,
)
from stenograph.engine.core.folding import evolve
from stenograph.engine.core.run import Run
from stenograph.engine.core.run_data import FORMAT as SNAPSHOT_FORMAT
from stenograph.engine.core.views import RunView, view
from stenograph.engine.errors import ExportRefused, GraphInvalid, RunExists
from stenograph.engine.executor.world import World
from stenograph.engine.export.exported import ExportedRun
from stenograph.engine.export.plausible import implausible, misplaced
from stenograph.engine.graphs.parse import ID_PATTERN, parse_graph
from stenograph.engine.stored.imported import IMPORTED, is_imported
from stenograph.engine.stored.snapshots import Snapshots
from stenograph.journal import (
    AppendTooLarge,
    Journal,
    NewRecord,
    Snapshot,
    WrongExpectedSeq,
    run_at_length,
)


class Anything(frozenset[str]):
    """All names: a tool, predicate or graph that is missing here was not where the run comes from."""

    def __contains__(self, name: object) -> bool:
        return True


ANYTHING: Final = Anything()


async def import_run(world: World, exported: ExportedRun) -> RunView:
    """Lay a run into the journal, all of it in one commit; nothing is executed, now or later.

    ``replayed``: it was there already, the same.

    Raises ExportRefused for a history that no engine can have written, RunExists when another run
    has its id, or the same one at another event.
    """
    snapshots: list[Snapshot] = []
    folding = partial(folded, exported, snapshots.append, world.bounds)
    run = await run_at_length(folding)
    shown = seen(run)
    records = [NewRecord(each.type, each.data, each.at) for each in exported.records]
    try:
        await world.journal.adopt(
            run.id, records, labels=labels_of(run), snapshots=snapshots, version=SNAPSHOT_FORMAT
        )
    except WrongExpectedSeq:
        if await hash_at_head(world.journal, run.id) != exported.header.hash:
            raise RunExists(run.id) from None
        imported = await is_imported(world.journal, run.id)  # or it was begun here
        return replace(shown, replayed=True, imported=imported)
    except (AppendTooLarge, ValueError) as error:
        raise ExportRefused(str(error), line=1, sound=run.seq) from None
    return replace(shown, imported=True)


def folded(exported: ExportedRun, keep: Callable[[Snapshot], None], bounds: Bounds) -> Run:
    """Return the run that the events tell of, and keep snapshots on the way; raises ExportRefused."""
    run = Run(id=exported.header.run_id)
    snapshots = Snapshots(run, keep)
    last = deque[Event](maxlen=2)
    for place, record in enumerate(exported.records):
        if record.type == RunErased.TYPE or (record.type == RunCreated.TYPE) != (place == 0):
            raise refused(place, f"{record.type} cannot stand here")
        try:
            event = event_of(decode(record))
            if why := implausible(run, event):
                raise refused(place, f"{record.type}: {why}")
            if run.growth.is_worth_it and last_boundary([*last, event]) == run.seq:
                snapshots.take()
            evolve(run, event)
            snapshots.count([record])
            last.append(event)
        except ExportRefused:
            raise
        except UnknownEvent as error:
            raise refused(place, str(error)) from None
        except Exception as error:  # the file may say anything that its hashes hold for
            told = f"{record.type} does not fit what was before: {type(error).__name__}"
            raise refused(place, told) from None
        if record.type in (RunCreated.TYPE, RunMigrated.TYPE):
            check_graphs(run, bounds)
            check_scopes(run)
            check_states(run)
    check_scopes(run)
    return run


def check_graphs(run: Run, bounds: Bounds) -> None:
    """Raise ExportRefused where a run's graphs are none that could run, or not of their versions."""
    named = [(run.graph_id, run.version, run.graph)]
    named += [(each.graph_id, each.version, bytes(each.graph)) for each in run.graphs.values()]
    for graph_id, version, graph in named:
        if not ID_PATTERN.fullmatch(graph_id):
            raise refused(run.seq - 1, f"{graph_id[:140]!r} is no id of a graph")
        try:
            parsed = parse_graph(
                msgspec.json.decode(graph),
                tools=ANYTHING,
                predicates=ANYTHING,
                graphs=ANYTHING,
                bounds=bounds,
            )
        except GraphInvalid as error:
            raise refused(run.seq - 1, f"its graph is none that could run: {error}") from None
        if (parsed.version, parsed.data) != (version, graph):
            raise refused(run.seq - 1, f"its graph {graph_id} is not of version {version[:64]!r}")


def check_scopes(run: Run) -> None:
    """Raise ExportRefused where the scopes of a run cannot stand as they do."""
    if why := misplaced(run):
        raise refused(run.seq - 1, why)


def check_states(run: Run) -> None:
    """Raise ExportRefused where what a run began with was patched to what is no JSON."""
    try:
        for scope in run.scopes.values():
            scope.state.to_values()
    except msgspec.DecodeError:
        raise refused(run.seq - 1, "a state cannot be patched so") from None


def seen(run: Run) -> RunView:
    """Return a run as the outside sees it; raises ExportRefused where nobody could."""
    try:
        return view(run)
    except Exception as error:  # as above
        raise refused(run.seq - 1, f"it cannot be shown: {type(error).__name__}") from None


def event_of(event: Event) -> Event:
    """Return an event of a run; raises UnknownEvent for one of a graph's stream."""
    if event.type.startswith("graph."):
        raise UnknownEvent(f"{event.run_id} seq {event.seq}: {event.type} is no event of a run")
    return event


def refused(before: int, why: str) -> ExportRefused:
    """Return the refusal of the event that has so many before it."""
    return ExportRefused(why, line=before + 2, sound=before)


def labels_of(run: Run) -> dict[str, str]:
    """Return what runs are listed by. It stands in no line of runs, and nothing is due in it."""
    labels = {f"tag:{name}": text for name, text in run.tags.items()}
    labels |= {"kind": "run", "graph": run.graph_id, "status": run.status, IMPORTED: "yes"}
    if run.origin is not None:
        labels["origin"] = run.origin.run_id
    return labels


async def hash_at_head(journal: Journal, run_id: str) -> str:
    """Return the hash of a run's last event."""
    [record] = await journal.read(run_id, after=await journal.head(run_id) - 1, limit=1)
    return record.hash
