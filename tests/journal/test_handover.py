"""What goes between the loop and the writer's thread, with the test in the thread's place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stenograph.journal import JournalBusy, JournalFailed, NewRecord
from stenograph.journal.checkpoints import WAL_PAGES, Checkpoints
from stenograph.journal.files import connect_writer
from stenograph.journal.handover import SNAPSHOTS_MAX, Handover, Waiting
from stenograph.journal.writer import Append

AT = "2026-11-20T22:55:01.123456Z"


def append(run_id: str, *, size: int = 0) -> Append:
    return Append(run_id, [NewRecord("note", b'"private"', AT)], 0, {}, size)


class Acknowledged(list[str]):
    """The run ids of the batches that were told of."""

    def __call__(self, batch: list[Waiting]) -> None:
        for one, answer in batch:
            self.append(one.run_id)
            answer.set_result([])


@asynccontextmanager
async def handover(tmp_path: Path) -> AsyncIterator[tuple[Handover, Acknowledged]]:
    async with connect_writer(tmp_path / "test.db", "full") as db:
        acknowledged = Acknowledged()
        yield Handover(Checkpoints(db, 0), acknowledged), acknowledged


def run_ids(batch: list[Append]) -> list[str]:
    return [each.run_id for each in batch]


async def test_the_thread_goes_on_before_anybody_hears(tmp_path: Path) -> None:
    async with handover(tmp_path) as (between, acknowledged):
        for run_id in "ab":
            between.put(append(run_id))
            assert run_ids(between.take()) == [run_id]
            between.drafted()
            assert acknowledged == []
        await asyncio.sleep(0)
        assert acknowledged == ["a"]


async def test_when_nothing_more_waits_it_is_told_before_the_thread_waits(tmp_path: Path) -> None:
    async with handover(tmp_path) as (between, acknowledged):
        committed = between.put(append("a"))
        between.take()
        waiting = asyncio.create_task(asyncio.to_thread(between.take))
        await committed
        assert (acknowledged, waiting.done()) == (["a"], False)
        between.put(append("b"))
        assert run_ids(await waiting) == ["b"]


async def test_who_hears_early_is_not_told_again(tmp_path: Path) -> None:
    async with handover(tmp_path) as (between, acknowledged):
        between.put(append("a"))
        between.take()
        assert (between.progress, between.is_under_way) == (0, True)
        between.drafted()
        assert between.take() == []
        assert (between.progress, between.is_under_way) == (2, False)
        await asyncio.sleep(0)
        assert acknowledged == ["a"]


async def test_the_thread_comes_back_when_nobody_appends_for_a_while(tmp_path: Path) -> None:
    async with handover(tmp_path) as (between, _):
        assert await asyncio.to_thread(between.take) == []


async def test_the_thread_comes_back_when_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stenograph.journal.handover.IDLE_S", 60)
    async with handover(tmp_path) as (between, _), asyncio.timeout(30):
        for _ in range(2):  # it may wait by then, or not yet
            waiting = asyncio.create_task(asyncio.to_thread(between.take))
            between.call_back()
            assert await waiting == []
        between.put(append("a"))
        assert run_ids(between.take()) == ["a"]


async def test_the_thread_comes_back_once_it_has_committed_what_waited_when_it_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stenograph.journal.handover.IDLE_S", 60)
    async with handover(tmp_path) as (between, acknowledged):
        between.put(append("a"))
        between.call_back()
        assert run_ids(between.take()) == ["a"]
        assert between.take() == []
        between.acknowledge()
        assert acknowledged == ["a"]


async def test_who_cancelled_before_his_batch_was_taken_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the thread waits for nobody else."""
    monkeypatch.setattr("stenograph.journal.handover.IDLE_S", 60)
    async with handover(tmp_path) as (between, _):
        for run_ids_of_cancelled in ("ab", "c"):
            for run_id in run_ids_of_cancelled:
                between.put(append(run_id)).cancel()
            batch = asyncio.create_task(asyncio.to_thread(between.take))
            between.put(append("d"))
            assert run_ids(await batch) == ["d"]


async def test_who_was_committed_before_a_refused_batch_hears_so(tmp_path: Path) -> None:
    async with handover(tmp_path) as (between, acknowledged):
        committed = between.put(append("a"))
        between.take()
        refused = between.put(append("b"))
        between.take()
        between.refuse_last(JournalBusy("busy"))
        assert (await committed, acknowledged) == ([], ["a"])
        with pytest.raises(JournalBusy, match="busy"):
            await refused


async def test_who_was_refused_by_force_is_not_acknowledged_later(tmp_path: Path) -> None:
    """The loop gave up waiting for the thread, and the thread knows nothing of it yet."""
    async with handover(tmp_path) as (between, acknowledged):
        answers = [between.put(append("a"))]
        between.take()
        answers.append(between.put(append("b")))
        between.refuse_all(JournalFailed("stopped"))
        answers.append(between.put(append("c")))  # as if the thread had had it in its hands
        assert run_ids(between.take()) == ["c"]
        between.acknowledge()
        assert acknowledged == []
        for answer in answers:
            with pytest.raises(JournalFailed, match="stopped"):
                await answer


async def test_who_was_refused_by_force_does_not_hear_of_his_commit(tmp_path: Path) -> None:
    async with handover(tmp_path) as (between, acknowledged):
        refused = between.put(append("a"))
        between.take()
        between.call_back()
        between.refuse_all(JournalFailed("stopped"))
        between.call_back()
        assert between.take() == []
        between.acknowledge()
        assert (acknowledged, type(refused.exception())) == ([], JournalFailed)


async def test_who_is_taken_while_others_are_refused_by_force_is_refused_too(
    tmp_path: Path,
) -> None:
    """The thread had him in its hands, and goes on while the loop tells one after the other."""
    in_hand: list[Append] = []

    class Stopped(JournalFailed):
        def __init__(self, text: str) -> None:
            super().__init__(text)
            while in_hand:
                answers.append(between.put(in_hand.pop()))
                between.take()

    async with handover(tmp_path) as (between, _):
        answers = [between.put(append("a"))]
        between.take()
        answers.append(between.put(append("b")))
        error = Stopped("stopped")
        in_hand.append(append("c"))
        between.refuse_all(error)
        assert [type(answer.exception()) for answer in answers] == [Stopped] * 3
        assert not between.is_under_way


async def test_what_the_thread_has_in_its_hands_is_under_way(tmp_path: Path) -> None:
    async with handover(tmp_path) as (between, _):
        assert not between.is_under_way
        between.put(append("a"))
        between._waiting.get_nowait()  # as the thread does, which then takes note of it
        assert between.is_under_way


async def test_who_cancelled_is_not_under_way_once_he_was_left_out(tmp_path: Path) -> None:
    async with handover(tmp_path) as (between, _):
        between.put(append("a")).cancel()
        assert between.is_under_way
        between.call_back()
        assert between.take() == []
        assert not between.is_under_way


async def test_who_cancelled_while_his_batch_was_taken_is_not_failed(tmp_path: Path) -> None:
    async with handover(tmp_path) as (between, _):
        answer = between.put(append("a"))
        between.take()
        answer.cancel()
        between.refuse_last(JournalBusy("busy"))
        assert answer.cancelled()


async def test_the_thread_comes_back_for_a_checkpoint_and_goes_on_after_it(tmp_path: Path) -> None:
    async with handover(tmp_path) as (between, _):
        between.put(append("a", size=WAL_PAGES * 4096))
        between.take()
        between.put(append("b"))
        assert between.take() == []
        assert [each.run_id for each in between.take()] == ["b"]  # even if it could not be run


async def test_a_commit_carries_one_snapshot_of_few(tmp_path: Path) -> None:
    async with handover(tmp_path) as (between, _):
        for number in range(SNAPSHOTS_MAX + 1):
            between.keep(f"run-{number}", (1, b"", f"run-{number}", 1))
        between.keep("run-0", None)
        carried: list[str] = []
        for _n in range(SNAPSHOTS_MAX):
            between.put(append("a"))
            carried += [run_id for _, _, run_id, _ in between.take()[0].snapshots]
        assert carried == [f"run-{number}" for number in range(1, SNAPSHOTS_MAX)]


async def test_what_is_handed_over_shows_neither_data_nor_secrets() -> None:
    assert repr(append("a")) == "<append of 1 to a>"
