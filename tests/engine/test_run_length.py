"""A run that has as many events as one may have: it parks, whatever it is made of, and can be ended."""

from __future__ import annotations

from typing import Any

import pytest

from stenograph.engine import Bounds, Engine, RunTooLong, RunView, decode, fold
from stenograph.engine.core.events import LimitReached
from stenograph.engine.core.steps import BUDGET
from stenograph.journal import Journal, MemoryJournal
from tests.crashes import drive
from tests.graphs import LARGER, SAMPLES, TOOLS, Sample, one

ALL = {**SAMPLES, **LARGER}
LENGTHS = (10, 17, 30)
ROUND = {"start": "a", "nodes": {"a": {"next": {"to": "a", "max": 1_000_000}}}}
PURE = one("count", effects="pure", next={"to": "work", "max": 1_000_000})


async def come_to_an_end(engine: Engine, sample: Sample) -> RunView:
    """Drive a sample until it ends, parks or waits, and answer for those who drive what is too long."""
    try:
        return await drive(engine, sample)
    except RunTooLong:
        return await engine.get("run")


async def limits_of(journal: Journal, run_id: str) -> list[str]:
    """The limits that a run reached."""
    found: list[str] = []
    seq = 0
    while page := await journal.read(run_id, after=seq):
        seq = page[-1].seq
        data = [decode(each).data for each in page]
        found += [each.limit for each in data if isinstance(each, LimitReached)]
    return found


@pytest.mark.parametrize("most", LENGTHS)
@pytest.mark.parametrize("name", ALL)
async def test_every_sample_ends_or_parks_and_can_be_cancelled(name: str, most: int) -> None:
    sample, bounds = ALL[name], Bounds(run_events=most)
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS, bounds=bounds) as engine:
            before = await come_to_an_end(engine, sample)
            assert before.status in (
                "completed",
                "failed",
                "cancelled",
                "parked",
                "paused",
                "waiting",
            )
            limits = await limits_of(journal, "run")
        async with Engine(journal, tools=TOOLS, bounds=bounds) as engine:
            if not before.done:
                assert limits or before.status in ("paused", "waiting")
                assert (await engine.cancel("run")).status == "cancelled"
            after = await engine.get("run")
            assert after.done
            assert fold([decode(each) for each in await journal.read("run")]).status == after.status


@pytest.mark.parametrize("graph", [ROUND, PURE], ids=["a router", "pure tools"])
async def test_a_run_is_no_longer_than_the_bound_and_a_step(graph: dict[str, Any]) -> None:
    async with (
        MemoryJournal() as journal,
        Engine(journal, tools=TOOLS, bounds=Bounds(run_events=1000)) as engine,
    ):
        run = await engine.run(graph, run_id="run")
        assert (run.status, run.reason) == ("parked", "limit")
        assert 1000 <= run.seq < 1010
        assert run.seq < 1000 + BUDGET


async def test_a_larger_bound_lets_it_go_on() -> None:
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS, bounds=Bounds(run_events=100)) as engine:
            run = await engine.run(ROUND, run_id="run", limits=None)
            with pytest.raises(RunTooLong, match="102 events, and goes on no more after 100"):
                await engine.resume("run")
        async with Engine(journal, tools=TOOLS, bounds=Bounds(run_events=200)) as engine:
            await engine.resume("run")
            further = await engine.wait("run")
    assert (run.seq, further.status) == (102, "parked")
    assert 200 <= further.seq < 210


async def test_a_run_that_is_under_way_ends_what_it_does_before_it_parks() -> None:
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS) as engine:
            await engine.create_graph({**ROUND, "id": "g"})
            run = await engine.run(ROUND, run_id="run", limits=None, wait_s=0)
        async with Engine(journal, tools=TOOLS, bounds=Bounds(run_events=10)) as engine:
            after = await engine.wait("run")
    assert run.seq <= after.seq
    assert (after.status, after.reason) == ("parked", "limit")
