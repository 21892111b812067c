"""Turns, rates, delays and alarms: which runs go on, in what order, before and after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from stenograph.engine import UnknownRun
from stenograph.engine.errors import TooManyRuns
from stenograph.journal import NewRecord, Record
from tests.stage import Stage, held, staged

HOUR = 3600.0


def limited(limit: int | None = 1, **rules: Any) -> dict[str, Any]:
    """Return a graph of one held node, ``a``, of which so many runs go on at once."""
    return {
        "id": "g",
        "start": "a",
        "nodes": {"a": held()},
        "concurrency": {"limit": limit, **rules},
    }


async def begin(stage: Stage, *run_ids: str, state: Mapping[str, Any] | None = None) -> None:
    """Start runs of the graph ``g``, one after the other."""
    for run_id in run_ids:
        await stage.engine.start("g", state, run_id=run_id)
    await stage.settle()


def going(stage: Stage) -> list[str]:
    """Return the runs with a tool under way."""
    return sorted(name.partition("/")[0] for name in stage.held)


async def end(stage: Stage, run_id: str) -> None:
    """Have the tool of a run return, which ends it."""
    await stage.finish(next(name for name in stage.held if name.startswith(f"{run_id}/")))


async def test_queued_runs_begin_one_after_the_other_in_order() -> None:
    async with staged() as stage:
        await stage.engine.create_graph(limited())
        await begin(stage, "r1", "r2", "r3", "r4")
        order = []
        for _ in range(4):
            (run_id,) = going(stage)
            order.append(run_id)
            await end(stage, run_id)
        assert order == ["r1", "r2", "r3", "r4"]


async def test_as_many_runs_go_on_as_the_limit_says() -> None:
    async with staged() as stage:
        await stage.engine.create_graph(limited(2))
        await begin(stage, "r1", "r2", "r3", "r4")
        assert going(stage) == ["r1", "r2"]
        await end(stage, "r2")
        assert going(stage) == ["r1", "r3"]


async def test_a_queued_run_says_that_it_waits_for_its_turn() -> None:
    async with staged() as stage:
        await stage.engine.create_graph(limited())
        await begin(stage, "r1", "r2")
        waiting = await stage.engine.get("r2")
        assert (waiting.status, [wait.kind for wait in waiting.waits]) == ("waiting", ["turn"])
        assert not stage.engine._actors.active.keys() & {"r2"}


async def test_each_value_of_the_key_has_a_line_of_its_own() -> None:
    async with staged() as stage:
        await stage.engine.create_graph(limited(key="who.name"))
        await begin(stage, "a1", "a2", state={"who": {"name": "ann"}})
        await begin(stage, "b1", "b2", state={"who": {"name": "bob"}})
        await begin(stage, "n1", "n2")
        assert going(stage) == ["a1", "b1", "n1"]
        await end(stage, "b1")
        assert going(stage) == ["a1", "b2", "n1"]


async def test_a_run_too_many_is_rejected_and_leaves_nothing_behind() -> None:
    async with staged() as stage:
        await stage.engine.create_graph(limited(policy="reject"))
        await begin(stage, "r1")
        with pytest.raises(TooManyRuns):
            await begin(stage, "r2")
        with pytest.raises(UnknownRun):
            await stage.engine.get("r2")
        await end(stage, "r1")
        await begin(stage, "r2")
        assert going(stage) == ["r2"]


async def test_a_new_run_takes_the_place_of_the_oldest() -> None:
    async with staged() as stage:
        await stage.engine.create_graph(limited(2, policy="cancel_old"))
        await begin(stage, "r1", "r2", "r3")
        assert await stage.status("r1") == "cancelled"
        assert going(stage) == ["r2", "r3"]


async def test_many_new_runs_at_once_leave_the_newest() -> None:
    async with staged() as stage:
        await stage.engine.create_graph(limited(policy="cancel_old"))
        names = [f"r{number}" for number in range(5)]
        await asyncio.gather(*(stage.engine.start("g", run_id=name) for name in names))
        await stage.settle()
        assert going(stage) == ["r4"]
        assert [await stage.status(name) for name in names] == ["cancelled"] * 4 + ["running"]


async def test_a_queued_run_that_is_cancelled_leaves_the_line() -> None:
    async with staged() as stage:
        await stage.engine.create_graph(limited())
        await begin(stage, "r1", "r2", "r3")
        await stage.engine.cancel("r2")
        await end(stage, "r1")
        assert going(stage) == ["r3"]
        assert await stage.status("r2") == "cancelled"


async def test_a_queued_run_that_is_paused_begins_once_it_is_resumed() -> None:
    async with staged() as stage:
        await stage.engine.create_graph(limited())
        await begin(stage, "r1", "r2", "r3")
        await stage.engine.pause("r2")
        await end(stage, "r1")
        assert going(stage) == []
        await stage.engine.resume("r2")
        await stage.settle()
        assert going(stage) == ["r2"]


async def test_a_failed_run_makes_room_and_counts_again_once_it_is_retried() -> None:
    async with staged() as stage:
        await stage.engine.create_graph(limited())
        await begin(stage, "r1", "r2", "r3")
        await stage.fail("r1/a#1.1")
        assert going(stage) == ["r2"]
        await stage.engine.retry("r1")
        await stage.settle()
        assert going(stage) == ["r1", "r2"]
        await end(stage, "r2")
        assert going(stage) == ["r1"]
        await end(stage, "r1")
        assert going(stage) == ["r3"]


async def test_a_retry_that_fails_at_once_makes_room() -> None:
    async with staged() as stage:
        await stage.engine.create_graph({"id": "child", "start": "x", "nodes": {"x": held()}})
        call = {"graph": "child", "in": {"given": "absent"}}
        await stage.engine.create_graph({**limited(), "nodes": {"a": call}})
        await begin(stage, "r1")
        await stage.engine.retry("r1")
        await stage.settle()
        assert await stage.status("r1") == "failed"
        await begin(stage, "r2", state={"absent": 1})
        assert going(stage) == ["r2"]


async def test_asking_for_a_run_again_makes_no_room() -> None:
    async with staged() as stage:
        await stage.engine.create_graph(limited())
        await begin(stage, "r1", "r2")
        assert (await stage.engine.start("g", run_id="r1")).replayed
        assert (await stage.engine.start("g", run_id="r2")).replayed
        await stage.settle()
        assert going(stage) == ["r1"]
        await end(stage, "r1")
        assert going(stage) == ["r2"]


@pytest.mark.parametrize("policy", ["queue", "reject", "cancel_old"])
async def test_asking_for_one_run_twice_at_once_is_as_asking_once(policy: str) -> None:
    async with staged() as stage:
        await stage.engine.create_graph(limited(policy=policy))
        both = await asyncio.gather(*(stage.engine.start("g", run_id="r1") for _ in range(2)))
        await stage.settle()
        assert sorted(view.replayed for view in both) == [False, True]
        assert going(stage) == ["r1"]
        if policy == "queue":
            await begin(stage, "r2")
            assert going(stage) == ["r1"]


async def test_who_hangs_up_while_a_run_begins_makes_no_room() -> None:
    async with staged() as stage:
        await stage.engine.create_graph(limited())
        with slow(stage):
            starting = asyncio.ensure_future(stage.engine.start("g", run_id="r1"))
            for _ in range(6):
                await asyncio.sleep(0)
            starting.cancel()
            await stage.settle()
        assert going(stage) == ["r1"]
        await begin(stage, "r2")
        assert going(stage) == ["r1"]


async def test_the_line_is_kept_across_a_restart() -> None:
    async with staged() as stage:
        await stage.engine.create_graph(limited())
        await begin(stage, "r1", "r2", "r3", "r4")
        for expected in ("r1", "r2", "r3", "r4"):
            await stage.restart(crash=True)
            assert going(stage) == [expected]
            await end(stage, expected)
        assert going(stage) == []


async def test_a_run_that_had_queued_counts_as_going_after_a_restart() -> None:
    async with staged() as stage:
        await stage.engine.create_graph(limited())
        await begin(stage, "r1", "r2")
        await end(stage, "r1")
        await stage.restart()
        await begin(stage, "r3")
        assert going(stage) == ["r2"]


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_a_turn_that_a_crash_swallowed_comes_after_the_restart(at: int) -> None:
    async with staged() as stage:
        await stage.engine.create_graph(limited())
        await begin(stage, "r1", "r2", "r3")
        stage.die_at(at)
        await end(stage, "r1")
        await stage.restart(crash=True)
        for run_id in going(stage):  # r1 again, if its end was not written
            assert len(going(stage)) == 1
            await end(stage, run_id)
        while going(stage):
            assert len(going(stage)) == 1
            await end(stage, going(stage)[0])
        assert [await stage.status(each) for each in ("r1", "r2", "r3")] == ["completed"] * 3


async def test_a_waiting_run_keeps_its_turn_across_a_restart() -> None:
    async with staged() as stage:
        await stage.engine.create_graph(
            {**limited(), "nodes": {"a": {"wait": {"for_s": HOUR}, "next": "b"}, "b": held()}}
        )
        await begin(stage, "r1", "r2")
        await stage.restart()
        await stage.pass_time(2 * HOUR)
        assert going(stage) == ["r1"]
        await end(stage, "r1")
        await stage.pass_time(2 * HOUR)
        assert going(stage) == ["r2"]


async def begun_at(stage: Stage, *run_ids: str) -> list[float]:
    """Return when runs entered their first nodes, in seconds after the first one did."""
    found = []
    for run_id in run_ids:
        view = await stage.engine.get(run_id)
        found.append(view.waits[0].due_at if view.waits else view.created_at)
    times = [stage.seconds_of(at) for at in found if at is not None]
    return [at - times[0] for at in times]


async def test_a_rate_spreads_starts_over_time() -> None:
    async with staged() as stage:
        await stage.engine.create_graph(limited(None, rate={"limit": 2, "per_s": 60}))
        await begin(stage, "r1", "r2", "r3", "r4", "r5")
        assert await begun_at(stage, "r1", "r2", "r3", "r4", "r5") == [0, 0, 60, 60, 120]
        assert going(stage) == ["r1", "r2"]
        await stage.pass_time(60)
        assert going(stage) == ["r1", "r2", "r3", "r4"]
        await stage.pass_time(60)
        assert len(going(stage)) == 5


async def test_a_rate_holds_across_a_restart() -> None:
    async with staged() as stage:
        await stage.engine.create_graph(limited(None, rate={"limit": 1, "per_s": 60}))
        await begin(stage, "r1", "r2", "r3")
        await stage.pass_time(1)
        await stage.restart(crash=True)
        await begin(stage, "r4")
        assert await begun_at(stage, "r1", "r2", "r3", "r4") == [0, 60, 120, 180]


async def test_a_rate_may_reject() -> None:
    async with staged() as stage:
        rate = {"limit": 1, "per_s": 60}
        await stage.engine.create_graph(limited(None, policy="reject", rate=rate))
        await begin(stage, "r1")
        for _ in range(3):
            with pytest.raises(TooManyRuns):
                await begin(stage, "r2")
        await stage.pass_time(60)
        await begin(stage, "r2")
        assert going(stage) == ["r1", "r2"]


async def test_a_start_that_the_limit_rejects_does_not_count_for_the_rate() -> None:
    async with staged() as stage:
        rate = {"limit": 2, "per_s": 60}
        await stage.engine.create_graph(limited(policy="reject", rate=rate))
        await begin(stage, "r1")
        with pytest.raises(TooManyRuns):
            await begin(stage, "r2")
        await end(stage, "r1")
        await begin(stage, "r2")
        assert going(stage) == ["r2"]


@pytest.mark.parametrize("crash", [False, True])
async def test_a_delayed_run_begins_in_its_time_across_a_restart(crash: bool) -> None:
    async with staged() as stage:
        await stage.engine.create_graph({**limited(), "concurrency": None})
        await stage.engine.start("g", run_id="r1", delay_s=HOUR)
        await stage.pass_time(HOUR - 1)
        await stage.restart(crash=crash)
        assert (going(stage), stage.engine._actors.active) == ([], {})
        await stage.pass_time(1)
        assert going(stage) == ["r1"]


async def test_a_delay_that_ended_while_nothing_ran_ends_at_the_start() -> None:
    async with staged() as stage:
        await stage.engine.create_graph({**limited(), "concurrency": None})
        await stage.engine.start("g", run_id="r1", delay_s=HOUR)
        await stage.close()
        stage.clock.advance(2 * HOUR)
        await stage.open()
        assert going(stage) == ["r1"]


async def test_a_run_that_queues_keeps_its_delay() -> None:
    async with staged() as stage:
        await stage.engine.create_graph(limited())
        await begin(stage, "r1")
        await stage.engine.start("g", run_id="r2", delay_s=HOUR)
        await end(stage, "r1")
        assert going(stage) == []
        await stage.pass_time(HOUR)
        assert going(stage) == ["r2"]


@pytest.mark.parametrize("restarts", [False, True])
async def test_alarms_ring_as_they_are_due_and_waiting_runs_hold_no_actor(restarts: bool) -> None:
    delays = {f"r{number}": float(1 + number * 7 % 23) for number in range(23)}
    node = {"wait": {"at": "due"}, "next": "b"}
    async with staged() as stage:
        await stage.engine.create_graph(
            {"id": "g", "start": "a", "nodes": {"a": node, "b": held()}}
        )
        for run_id, delay_s in delays.items():
            await stage.engine.start("g", {"due": stage.text_in(delay_s)}, run_id=run_id)
        await stage.settle()
        if restarts:
            await stage.restart(crash=True)
        assert not stage.engine._actors.active
        await stage.pass_time(100)
        order = [name.partition("/")[0] for name in stage.begun]
        assert order == sorted(delays, key=lambda run_id: delays[run_id])


async def test_an_alarm_rings_for_a_wait_that_begins_anew() -> None:
    """The due time of an earlier wait, or of an earlier engine, is none of the later ones."""
    wait = {"wait": {"for_s": 10}, "next": [{"to": "a", "max": 3}, {"to": "b"}]}
    async with staged() as stage:
        await stage.engine.create_graph(
            {"id": "g", "start": "a", "nodes": {"a": wait, "b": held()}}
        )
        await begin(stage, "r1")
        for _ in range(4):
            assert going(stage) == []
            await stage.restart()
            await stage.pass_time(10)
        assert going(stage) == ["r1"]


async def test_a_clock_that_is_set_back_only_delays_an_alarm() -> None:
    async with staged() as stage:
        await stage.engine.create_graph(
            {
                "id": "g",
                "start": "a",
                "nodes": {"a": {"wait": {"for_s": 10}, "next": "b"}, "b": held()},
            }
        )
        await begin(stage, "r1")
        stage.clock.advance(10)  # the alarm rings, and before anybody answers it
        stage.clock.step(-5)
        await stage.settle()
        await stage.pass_time(20)
        assert going(stage) == ["r1"]


async def test_a_run_that_was_told_something_as_it_began_has_one_actor() -> None:
    async with staged() as stage:
        await stage.engine.create_graph({**limited(), "concurrency": None})
        with slow(stage):
            starting = asyncio.ensure_future(stage.engine.start("g", run_id="r1"))
            for _ in range(40):
                await asyncio.sleep(0)
                if await stage.store.head("r1"):
                    break
            pausing = asyncio.ensure_future(stage.engine.pause("r1"))
            await asyncio.gather(starting, pausing)
            await stage.settle()
        assert (stage.begun, stage.doubled) == (["r1/a#1.1"], [])


class slow:
    """The journal writes after a while, and answers after another."""

    def __init__(self, stage: Stage) -> None:
        self._journal = stage.faults
        self._append = stage.faults.append

    def __enter__(self) -> None:
        self._journal.append = self._slow  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        self._journal.append = self._append  # type: ignore[method-assign]

    async def _slow(self, run_id: str, records: Sequence[NewRecord], **more: Any) -> list[Record]:
        for _ in range(5):
            await asyncio.sleep(0)
        written = await self._append(run_id, records, **more)
        for _ in range(5):
            await asyncio.sleep(0)
        return written
