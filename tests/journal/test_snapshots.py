"""Snapshots kept beside a stream: a cache that goes with other commits, and may go at any time."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import TypeAlias

import pytest

from stenograph.journal import (
    SNAPSHOT_MAX_BYTES,
    Journal,
    JournalFailed,
    NewRecord,
    Snapshot,
    WrongExpectedSeq,
    open_journal,
    open_journal_readonly,
)
from stenograph.journal.checkpoints import WAL_PAGES

Opened: TypeAlias = Callable[[], AbstractAsyncContextManager[Journal]]

NOTE = [NewRecord("note", b"1", "2026-11-20T22:55:01.123456Z")]


async def kept(journal: Journal, run_id: str, *seqs: int, version: int = 1) -> None:
    """Have a stream of enough records, and a snapshot after each of ``seqs``."""
    if not (head := await journal.head(run_id)):
        head = (await journal.append(run_id, NOTE * max(seqs), expected_seq=0))[-1].seq
    for seq in seqs:
        journal.keep_snapshot(run_id, Snapshot(seq, b"after %d" % seq), version=version)
        head = (await journal.append(run_id, NOTE, expected_seq=head))[-1].seq


# --- every journal --------------------------------------------------------------------------


async def test_the_latest_snapshot_up_to_a_seq_is_found(opened: Opened) -> None:
    async with opened() as journal:
        await kept(journal, "a", 2, 5, 9)
        found = {
            at: each and each.seq
            for at in (None, 99, 9, 8, 5, 4, 2, 1, 0, -1)
            for each in [await journal.snapshot("a", version=1, at=at)]
        }
        wanted = {None: 9, 99: 9, 9: 9, 8: 5, 5: 5, 4: 2, 2: 2, 1: None, 0: None, -1: None}
        assert found == wanted
        assert await journal.snapshot("a", version=1, at=5) == Snapshot(5, b"after 5")


async def test_each_stream_and_each_version_has_its_own(opened: Opened) -> None:
    async with opened() as journal:
        await kept(journal, "a", 2)
        await kept(journal, "a", 3, version=2)
        assert await journal.snapshot("a", version=1) == Snapshot(2, b"after 2")
        assert await journal.snapshot("a", version=2) == Snapshot(3, b"after 3")
        assert await journal.snapshot("a", version=3) is None
        for name in ("b", "", "\udcff"):
            assert await journal.snapshot(name, version=1) is None


async def test_a_snapshot_kept_again_has_the_later_data(opened: Opened) -> None:
    async with opened() as journal:
        await kept(journal, "a", 2)
        journal.keep_snapshot("a", Snapshot(2, b"anew"), version=1)
        await journal.append("b", NOTE, expected_seq=0)
        assert await journal.snapshot("a", version=1) == Snapshot(2, b"anew")


async def test_what_no_record_stands_behind_is_not_kept(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", NOTE, expected_seq=0)
        journal.keep_snapshot("a", Snapshot(7, b"of the future"), version=1)
        journal.keep_snapshot("nobody", Snapshot(1, b"of nothing"), version=1)
        await journal.append("a", NOTE, expected_seq=1)
        await journal.append("a", NOTE, expected_seq=2)
        assert await journal.snapshot("a", version=1) is None
        assert await journal.snapshot("nobody", version=1) is None
        assert await journal.head("nobody") == 0


async def test_a_snapshot_has_a_size_and_a_stream(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", NOTE, expected_seq=0)
        large = Snapshot(1, bytes(SNAPSHOT_MAX_BYTES + 1))
        journal.keep_snapshot("a", large, version=1)
        await journal.append("a", NOTE, expected_seq=1)
        assert await journal.snapshot("a", version=1) is None
        with pytest.raises(ValueError, match="run id 'no id': must match"):
            journal.keep_snapshot("no id", Snapshot(1, b""), version=1)


async def test_a_snapshot_is_neither_a_record_nor_seen_in_lists(opened: Opened) -> None:
    async with opened() as journal:
        await kept(journal, "a", 1)
        assert "after" not in repr((await journal.read_all(), await journal.streams({})))


async def test_a_closed_journal_tells_of_no_snapshot(opened: Opened) -> None:
    async with opened() as journal:
        await kept(journal, "a", 1)
    with pytest.raises(JournalFailed):
        await journal.snapshot("a", version=1)


# --- in a file ------------------------------------------------------------------------------


async def test_a_snapshot_adds_no_commit(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "a.db") as journal:
        for number in range(3):
            await journal.append(f"run-{number}", NOTE, expected_seq=0)
            journal.keep_snapshot(f"run-{number}", Snapshot(1, b"x"), version=1)
        await asyncio.sleep(0.01)
        assert (journal.commits, await journal.snapshot("run-0", version=1)) == (
            3,
            Snapshot(1, b"x"),
        )
        await journal.append("b", NOTE, expected_seq=0)
        await journal.append("b", NOTE, expected_seq=1)
        assert (journal.commits, await journal.snapshot("run-2", version=1)) == (
            5,
            Snapshot(1, b"x"),
        )


async def test_a_snapshot_goes_also_with_a_refused_append(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "a.db") as journal:
        await journal.append("a", NOTE, expected_seq=0)
        journal.keep_snapshot("a", Snapshot(1, b"x"), version=1)
        with pytest.raises(WrongExpectedSeq):
            await journal.append("a", NOTE, expected_seq=7)
        assert await journal.snapshot("a", version=1) == Snapshot(1, b"x")


async def test_of_many_that_wait_for_a_commit_some_are_lost(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "a.db") as journal:
        for number in range(100):
            await journal.append(f"run-{number}", NOTE, expected_seq=0)
        for number in range(100):
            journal.keep_snapshot(f"run-{number}", Snapshot(1, b"x"), version=1)
        for seq in range(100):
            await journal.append("b", NOTE, expected_seq=seq)
        found = [await journal.snapshot(f"run-{n}", version=1) for n in range(100)]
        assert found == [Snapshot(1, b"x")] * 64 + [None] * 36


async def test_snapshots_count_for_the_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with open_journal(path) as journal:
        head = 0
        for _ in range(12):
            head = (await journal.append("a", NOTE, expected_seq=head))[-1].seq
            journal.keep_snapshot("a", Snapshot(head, bytes(4_000_000)), version=1)
        assert path.with_name("a.db-wal").stat().st_size < 2 * WAL_PAGES * 4096


async def test_erasing_a_run_deletes_its_snapshots_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with open_journal(path) as journal:
        await kept(journal, "a", 1, 3)
        await kept(journal, "b", 1)
        journal.keep_snapshot("a", Snapshot(2, b"not yet written"), version=1)
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.create_function("sha256", 1, lambda data: b"x" * 32, deterministic=True)
            db.execute("UPDATE record SET erased = 1, data = sha256(data) WHERE stream = 1")
        await journal.append("b", NOTE, expected_seq=2)
        assert await journal.snapshot("a", version=1) is None
        assert await journal.snapshot("b", version=1) == Snapshot(1, b"after 1")


async def test_a_file_is_read_with_its_snapshots_and_without(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with open_journal(path) as journal:
        await kept(journal, "a", 2)
    async with open_journal_readonly(path) as journal:
        assert await journal.snapshot("a", version=1) == Snapshot(2, b"after 2")
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE snapshot")  # as in a file from before there were any
    async with open_journal_readonly(path) as journal:
        assert await journal.snapshot("a", version=1) is None
    async with open_journal(path) as journal:
        await kept(journal, "a", 3)
        assert await journal.snapshot("a", version=1) == Snapshot(3, b"after 3")
