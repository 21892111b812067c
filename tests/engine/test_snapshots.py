"""Snapshots of runs: reading gets shorter by them, and nothing else depends on one."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from stenograph.engine import Engine, Limits, tool
from stenograph.engine.core.growth import SNAPSHOT_MIN_BYTES
from stenograph.engine.core.run import Run
from stenograph.engine.core.run_data import FORMAT, from_bytes
from stenograph.engine.stored import snapshots as snapshots_module
from stenograph.engine.stored.snapshots import AT_ONCE_SCOPES, sealed
from stenograph.journal import (
    Journal,
    JournalUnreadable,
    MemoryJournal,
    Record,
    Snapshot,
    open_journal,
)

STEPS = 400


@tool
async def count(state: dict[str, Any]) -> dict[str, Any]:
    return {"n": state.get("n", 0) + 1, "last": "x" * 400}


@tool
async def grow(state: dict[str, Any]) -> None:
    state.setdefault("lines", []).append("x" * 4000)


LOOP = {
    "start": "work",
    "nodes": {"work": {"tool": "count", "next": [{"to": "work", "max": STEPS}]}},
}


async def snapshots(journal: Journal, run_id: str) -> list[Snapshot]:
    found: list[Snapshot] = []
    at = await journal.head(run_id)
    while each := await journal.snapshot(run_id, version=FORMAT, at=at):
        found.append(each)
        at = each.seq - 1
    return found[::-1]


async def records(journal: Journal, run_id: str) -> list[Record]:
    found: list[Record] = []
    while page := await journal.read(run_id, after=len(found)):
        found += page
    return found


async def test_a_snapshot_is_taken_each_64_kib_of_events() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=[count]) as engine:
        run = await engine.run(LOOP)
        sizes = [len(each.data) for each in await records(journal, run.id)]
        taken = [each.seq for each in await snapshots(journal, run.id)]
        assert len(taken) == sum(sizes[1:]) // SNAPSHOT_MIN_BYTES
        for before, after in zip([1, *taken], taken, strict=False):
            assert SNAPSHOT_MIN_BYTES <= sum(sizes[before:after]) < SNAPSHOT_MIN_BYTES + 2000


async def test_large_runs_have_snapshots_so_rarely_that_events_are_larger() -> None:
    graph = {"start": "w", "nodes": {"w": {"tool": "grow", "next": [{"to": "w", "max": 400}]}}}
    async with MemoryJournal() as journal, Engine(journal, tools=[grow]) as engine:
        run = await engine.run(graph)
        assert run.done
        events = sum(len(each.data) for each in await records(journal, run.id))
        taken = await snapshots(journal, run.id)
        assert len(taken) == 5  # each has about twice the size of the one before
        assert sum(len(each.data) for each in taken[:-1]) <= events


@pytest.mark.parametrize("is_fork", [False, True])
async def test_a_run_that_begins_large_has_a_first_one_when_as_much_has_happened(
    is_fork: bool,
) -> None:
    graph = {"start": "work", "nodes": {"work": {"tool": "count", "next": "work"}}}
    limits = {"steps": 400}
    async with MemoryJournal() as journal, Engine(journal, tools=[count]) as engine:
        run = await engine.run(graph | {"limits": limits}, {"constant": "x" * 150_000})
        if is_fork:
            fork = await engine.fork(run.id, run.seq)
            await engine.resume(fork.id, limits=Limits(steps=800))
            run = await engine.wait(fork.id)
        created, *others = [len(each.data) for each in await records(journal, run.id)]
        [first] = await snapshots(journal, run.id)
        assert created <= sum(others[: first.seq - 1]) < created + 2000


@tool
async def write(state: dict[str, Any]) -> dict[str, Any]:
    return {"last": f"{state['go']:x>20000}"}


async def wake(engine: Engine, number: int) -> None:
    """Have a run that rests take a step, and rest again."""
    await engine.signal("run", "go", number)
    run = await engine.wait("run")
    assert (run.status, run.state["last"].strip("x")) == ("waiting", str(number))


@pytest.mark.parametrize("is_stopped", [False, True], ids=["rests", "is taken up anew"])
async def test_a_large_run_that_often_rests_has_as_many_as_one_that_never_does(
    is_stopped: bool,
) -> None:
    ask, work = {"wait": {"signal": "go"}, "next": "work"}, {"tool": "write", "next": "ask"}
    graph = {"start": "ask", "nodes": {"ask": ask, "work": work}}
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=[write]) as engine:
            await engine.start(graph, {"constant": "x" * 150_000}, run_id="run")
            for number in range(0 if is_stopped else 40):
                await wake(engine, number)
        for number in range(40 if is_stopped else 0):
            async with Engine(journal, tools=[write]) as engine:
                await wake(engine, number)
        created, *others = [len(each.data) for each in await records(journal, "run")]
        assert len(await snapshots(journal, "run")) == sum(others) // (created + 20_000) == 4


async def test_of_a_run_that_branches_make_huge_none_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stenograph.engine.stored.snapshots.SNAPSHOT_MAX_BYTES", 300_000)
    graph = {
        "start": "split",
        "nodes": {
            "split": {"next": {"each": "items", "to": "grow", "join": "count"}},
            "grow": {"tool": "grow", "next": [{"to": "grow", "max": 9}, {"to": "count"}]},
            "count": {"tool": "count"},
        },
        "state": {"lines": {"reducer": "concat"}},
    }
    async with MemoryJournal() as journal, Engine(journal, tools=[count, grow]) as engine:
        run = await engine.run(graph, {"items": list(range(30))})
        taken = await snapshots(journal, run.id)
        assert (run.status, bool(taken)) == ("completed", True)
        assert all(len(each.data) < 400_000 for each in taken)
        assert run.seq - taken[-1].seq > 100


async def test_a_snapshot_is_what_the_fold_says_and_reading_is_the_same_without() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=[count]) as engine:
        run = await engine.run(LOOP)
        seqs = range(1, run.seq, 7)
        with_them = [await engine.state(run.id, at) for at in seqs]
        taken = await snapshots(journal, run.id)
        journal.store.snapshots.clear()
        assert [await engine.state(run.id, at) for at in seqs] == with_them
        for each in taken:
            folded = await engine._histories.at(run.id, each.seq)
            assert sealed(folded) == each.data


async def test_a_state_is_read_from_the_last_snapshot_on() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=[count]) as engine:
        run = await engine.run(LOOP)
        taken = [each.seq for each in await snapshots(journal, run.id)]
        counting = CountingJournal(journal)
        async with Engine(counting, recover=False) as reader:
            for at in (taken[1] - 1, taken[1], taken[1] + 9):
                counting.records = 0
                assert (await reader._histories.at(run.id, at)).seq == at
                assert counting.records == at - max([0, *(s for s in taken if s <= at)])
            counting.records = 0
            assert (await reader.get(run.id)).seq == run.seq
            assert counting.records == run.seq - taken[-1]


class CountingJournal:
    """A journal that counts the records that are read."""

    def __init__(self, inner: Journal) -> None:
        self._inner, self.records = inner, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def read(self, *args: Any, **kwargs: Any) -> list[Record]:
        page = await self._inner.read(*args, **kwargs)
        self.records += len(page)
        return page


def damaged(data: bytes) -> bytes:
    return data[:-9] + b"~" + data[-8:]


def of_another_run(data: bytes) -> bytes:
    run = from_bytes(data[32:])
    run.id = "another"
    return sealed(run)


def of_another_format(data: bytes) -> bytes:
    text = data[32:].replace(b'"format":2', b'"format":0', 1)
    return sha256(text).digest() + text


@pytest.mark.parametrize("spoil", [damaged, of_another_run, of_another_format])
async def test_an_unsound_snapshot_is_passed_over(spoil: Callable[[bytes], bytes]) -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=[count]) as engine:
        run = await engine.run(LOOP, run_id="run")
        *_, sound, last = await snapshots(journal, run.id)
        kept = journal.store.snapshots[run.id, FORMAT]
        kept[last.seq] = Snapshot(last.seq, spoil(last.data))
        counting = CountingJournal(journal)
        async with Engine(counting, recover=False) as reader:
            assert (await reader.get(run.id)).state == run.state
        assert counting.records == run.seq - sound.seq


async def test_snapshots_that_cannot_be_read_are_none() -> None:
    class Unreadable(CountingJournal):
        async def snapshot(self, *args: Any, **kwargs: Any) -> Snapshot | None:
            raise JournalUnreadable("a bad page")

    async with MemoryJournal() as journal, Engine(journal, tools=[count]) as engine:
        run = await engine.run(LOOP)
        async with Engine(Unreadable(journal), recover=False) as reader:
            assert await reader.get(run.id) == run


async def test_a_run_of_which_no_snapshot_can_be_taken_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(run: object) -> bytes:
        raise RuntimeError("as a fault of ours would")

    monkeypatch.setattr("stenograph.engine.stored.snapshots.sealed", broken)
    async with MemoryJournal() as journal, Engine(journal, tools=[count]) as engine:
        run = await engine.run(LOOP)
        assert (run.status, await snapshots(journal, run.id)) == ("completed", [])
    assert [each.message for each in caplog.records] == [f"run {run.id}: no snapshot can be taken"]


async def test_a_run_goes_on_from_a_snapshot_after_the_engine_was_stopped(tmp_path: Path) -> None:
    """And to the same end without: rows may go at any time."""
    path = tmp_path / "runs.db"
    graph = {
        "start": "work",
        "nodes": {
            "work": {"tool": "count", "next": [{"to": "work", "max": 250}, {"to": "ask"}]},
            "ask": {"wait": {"signal": "go"}, "next": "more"},
            "more": {"tool": "count", "next": [{"to": "more", "max": 250}]},
        },
    }
    async with open_journal(path) as journal, Engine(journal, tools=[count]) as engine:
        for run_id in ("kept", "lost"):
            waiting = await engine.run(graph, run_id=run_id, wait_s=10)
        assert await snapshots(journal, "kept")
        begun = waiting.seq
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "DELETE FROM snapshot WHERE stream = (SELECT number FROM stream WHERE run_id='lost')"
        )
        db.commit()
    async with open_journal(path) as journal:
        counting = CountingJournal(journal)
        async with Engine(counting, tools=[count]) as engine:
            assert counting.records == 0
            views = []
            for run_id, most in (("kept", begun // 2), ("lost", begun)):
                counting.records = 0
                await engine.signal(run_id, "go")
                assert counting.records <= most
                views.append(await engine.wait(run_id))
            assert views[0].state == views[1].state == {"n": 502, "last": "x" * 400, "go": None}


async def test_no_snapshot_holds_a_secret() -> None:
    @tool
    async def use(state: dict[str, Any]) -> dict[str, Any]:
        return {"n": state.get("n", 0) + 1, "fill": "x" * 400, "token": state["token"]}

    graph = {
        "start": "work",
        "nodes": {"work": {"tool": "use", "next": [{"to": "work", "max": 300}]}},
        "state": {"token": {"secret": True}},
    }
    async with MemoryJournal() as journal, Engine(journal, tools=[use]) as engine:
        run = await engine.run(graph, {"token": "open sesame"})
        taken = await snapshots(journal, run.id)
        assert taken
        assert not any(b"open sesame" in each.data for each in taken)


async def test_a_snapshot_of_a_run_of_many_scopes_is_made_beside_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: dict[int, str] = {}

    def noting(run: Run) -> bytes:
        made[len(run.scopes)] = threading.current_thread().name
        return sealed(run)

    monkeypatch.setattr(snapshots_module, "sealed", noting)
    nodes = {
        "split": {"next": {"each": "items", "to": "wait", "join": "$end"}},
        "wait": {"wait": {"signal": "go"}},
    }
    async with MemoryJournal() as journal, Engine(journal, tools=[count]) as engine:
        await engine.run(LOOP, {}, run_id="narrow")
        await engine.run(
            {"start": "split", "nodes": nodes}, {"items": [*range(1000)]}, run_id="wide"
        )
        assert {each.startswith("stenograph-brief") for each in made.values()} == {True, False}
        assert all(
            name.startswith("stenograph-brief") == (scopes > AT_ONCE_SCOPES)
            for scopes, name in made.items()
        )
        [*_, last] = await snapshots(journal, "wide")
        run = from_bytes(last.data[32:])
        assert (run.seq, len(run.scopes)) == (last.seq, max(made))
