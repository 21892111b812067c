"""Histories that somebody holds while they change: erased, or taken up again after a snapshot."""

from __future__ import annotations

from typing import Any

import pytest

from stenograph.engine import Engine, RunGone, tool
from stenograph.engine.core.run_data import FORMAT
from stenograph.engine.stored.histories import Histories
from stenograph.engine.stored.snapshots import sealed
from stenograph.http.streaming.following import to_its_end
from stenograph.journal import MemoryJournal, Snapshot

NOTE = {"start": "a", "nodes": {"a": {"tool": "fail_once"}}}


@tool
async def fail_once(state: dict[str, Any]) -> dict[str, Any]:
    """Fail as long as nobody says that it may work."""
    if state.get("broken"):
        raise OSError("not yet")
    return {"done": True}


async def test_who_held_a_run_from_before_it_was_erased_is_told_that_it_is_gone() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=[fail_once]) as engine:
        run = await engine.run(NOTE)
        histories = Histories(journal)
        assert (await histories.now(run.id)).status == "completed"
        await engine.erase(run.id)
        with pytest.raises(RunGone):
            await histories.now(run.id)
        pages = [page async for page in to_its_end(engine, run.id, 0)]
    assert not isinstance(pages[-1], list)
    assert pages[-1].done


async def test_a_snapshot_of_an_end_is_no_place_to_take_a_run_up_from() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=[fail_once]) as engine:
        run = await engine.run(NOTE, {"broken": True})
        histories = Histories(journal)
        ended = await histories.now(run.id)
        kept = Snapshot(ended.seq, sealed(ended))
        journal.keep_snapshot(run.id, kept, version=FORMAT)
        assert ended.ended
        assert await histories.boundary(run.id, ended.seq) < ended.seq
