"""Importing: an exported run is verified and folded, and then laid into a journal as it was."""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec.structs import replace

from stenograph.engine.edges import compile_graph
from stenograph.engine.errors import ExportRefused, RunExists
from stenograph.engine.events import Event, RunCreated, RunErased, UnknownEvent, decode
from stenograph.engine.exported import ExportedRun
from stenograph.engine.folding import evolve
from stenograph.engine.run import Run
from stenograph.engine.views import RunView, view
from stenograph.engine.world import World
from stenograph.journal import AppendTooLarge, Journal, NewRecord, WrongExpectedSeq

IMPORTED: Final = "imported"
"""The label of a run that was imported: it lies at rest, whatever its status."""
BREATH: Final = 500
"""After so many events others have their turn."""


async def import_run(world: World, exported: ExportedRun) -> RunView:
    """Lay a run into the journal, all of it in one commit; nothing is executed, now or later.

    ``replayed``: it was there already, the same.

    Raises ExportRefused for a history that no engine can have written, RunExists when another run
    has its id, or the same one at another event.
    """
    run = await folded(exported)
    records = [NewRecord(each.type, each.data, each.at) for each in exported.records]
    try:
        await world.journal.adopt(run.id, records, labels=labels_of(run))
    except WrongExpectedSeq:
        if await hash_at_head(world.journal, run.id) != exported.header.hash:
            raise RunExists(run.id) from None
        return replace(view(run), replayed=True)
    except (AppendTooLarge, ValueError) as error:
        raise ExportRefused(str(error), line=1, sound=run.seq) from None
    return view(run)


async def folded(exported: ExportedRun) -> Run:
    """Return the run that the events tell of; raises ExportRefused."""
    run = Run(id=exported.header.run_id)
    for place, record in enumerate(exported.records):
        if place % BREATH == BREATH - 1:
            await asyncio.sleep(0)
        if record.type == RunErased.TYPE or (record.type == RunCreated.TYPE) != (place == 0):
            raise refused(run, f"{record.type} cannot stand here")
        try:
            evolve(run, event_of(decode(record)))
        except UnknownEvent as error:
            raise refused(run, str(error)) from None
        except Exception as error:  # the file may say anything that its hashes hold for
            told = f"{record.type} does not fit what was before: {type(error).__name__}"
            raise refused(run, told) from None
    if not all(map(can_be_read, (run.graph, *(bytes(each.graph) for each in run.graphs.values())))):
        raise ExportRefused("its graph is none that could run", line=2, sound=0)
    return run


def can_be_read(graph: bytes) -> bool:
    """Tell whether a graph can be compiled, and begins at a node; its tools may be missing."""
    try:
        found = compile_graph(graph).graph
    except Exception:  # as above
        return False
    return found.start in found.nodes


def event_of(event: Event) -> Event:
    """Return an event of a run; raises UnknownEvent for one of a graph's stream."""
    if event.type.startswith("graph."):
        raise UnknownEvent(f"{event.run_id} seq {event.seq}: {event.type} is no event of a run")
    return event


def refused(run: Run, why: str) -> ExportRefused:
    """Return the refusal of the event after those that a run was folded from."""
    return ExportRefused(why, line=run.seq + 2, sound=run.seq)


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


async def is_imported(journal: Journal, run_id: str) -> bool:
    """Tell whether a run was imported."""
    stream = await journal.stream(run_id)
    return stream is not None and IMPORTED in stream.labels
