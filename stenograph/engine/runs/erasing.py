"""Erasing: a run that has ended keeps the hashes of what it was, and nothing else of it."""

from __future__ import annotations

from typing import Any

from stenograph.engine.core.events import RunErased, encode_payload
from stenograph.engine.core.views import RunView
from stenograph.engine.errors import RunGone, RunUnfinished, UnknownRun
from stenograph.engine.executor.world import World
from stenograph.engine.stored.histories import Histories
from stenograph.engine.stored.imported import IMPORTED, is_imported
from stenograph.engine.times import to_text, to_us
from stenograph.journal import NewRecord, WrongExpectedSeq


async def erase(
    world: World, histories: Histories, run_id: str, *, reason: str, actor: str
) -> RunView:
    """Erase a run, and return what is left of it once that is durable; twice is as once.

    Raises UnknownRun, RunUnfinished.
    """
    erased = encode_payload(RunErased(actor=actor, reason=reason))
    while True:
        try:
            run = await histories.now(run_id)
        except RunGone:
            return await left_of(world, run_id)
        imported = await is_imported(world.journal, run_id)
        if not (run.ended or imported):
            raise RunUnfinished(run_id, run.status)
        at = to_text(max(world.clock.now_us(), to_us(run.updated_at)))
        record = NewRecord(RunErased.TYPE, erased, at)
        status = run.status if run.ended else "cancelled"  # which never goes on, here least of all
        labels = {"kind": "run", "status": status, "graph": run.graph_id, "erased": "yes"}
        labels |= {IMPORTED: "yes"} if imported else {}
        histories.forget(run_id)
        try:
            await world.journal.append(
                run_id, [record], expected_seq=run.seq, labels=labels, erase=True
            )
        except WrongExpectedSeq:  # somebody retried it meanwhile: it has not ended any more
            continue
        return await left_of(world, run_id)


async def left_of(world: World, run_id: str) -> RunView:
    """Return what is left of a run that was erased: how it ended, and when; raises UnknownRun."""
    stream = await world.journal.stream(run_id)
    if stream is None:
        raise UnknownRun(run_id)
    status: Any = stream.labels["status"]
    return RunView(
        id=run_id,
        graph_id=stream.labels["graph"],
        version="",
        status=status,
        seq=stream.head,
        steps=0,
        current=(),
        waits=(),
        tags={},
        error=None,
        reason="erased",
        erased=True,
        imported=IMPORTED in stream.labels,
        created_at=stream.created_at,
        updated_at=stream.updated_at,
        finished_at=stream.updated_at,
        state_json=b"{}",
    )
