"""Obstacles: what keeps the journal from writing for now is told, and goes away by itself."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stenograph.journal import (
    CannotOpen,
    JournalBusy,
    JournalFailed,
    JournalFull,
    JournalUnreadable,
    NewRecord,
    SqliteJournal,
    open_journal,
)
from stenograph.journal.files import explained, script
from stenograph.journal.writer import Append, CommitConnection

AT = "2026-11-20T22:55:01.123456Z"
LARGE = [NewRecord("note", b"1" * 100_000, AT)]
SMALL = [NewRecord("note", b"1", AT)]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stenograph.journal.sqlite.OBSTACLE_AGAIN_S", 0.01)


async def pages(journal: SqliteJournal, most: int) -> None:
    """Have the file hold so many pages at most: to SQLite more is a full disk."""
    await journal._writer.execute_fetchall(f"PRAGMA max_page_count={most}")


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_what_finds_no_room_is_refused_and_the_same_append_goes_through_later(
    tmp_path: Path,
) -> None:
    async with open_journal(tmp_path / "test.db") as journal:
        await journal.append("a", SMALL, expected_seq=0)
        await pages(journal, 30)
        for run_id, seq in (("a", 1), ("new", 0)):  # one statement, and a transaction of several
            with pytest.raises(JournalFull, match=r"test\.db: the disk is full"):
                await journal.append(run_id, LARGE, expected_seq=seq)
            assert isinstance(journal.trouble, JournalFull)
        assert (journal.failure, await journal.head("a"), await journal.head("new")) == (None, 1, 0)
        await pages(journal, 1000)
        [record] = await journal.append("a", LARGE, expected_seq=1)
        assert (record.seq, journal.obstacle, journal.trouble) == (2, None, None)
        verdict = await journal.verify()
        assert verdict is not None
        assert not verdict.findings


async def test_a_journal_sees_by_itself_that_there_is_room_again(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "test.db") as journal:
        await pages(journal, 30)
        with pytest.raises(JournalFull):
            await journal.append("a", LARGE, expected_seq=0)
        await pages(journal, 1000)
        await eventually(lambda: journal.obstacle is None)
        assert await journal.end() == 0


async def test_a_journal_sees_by_itself_that_nobody_else_writes_any_more(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(JournalBusy):
                await journal.append("a", SMALL, expected_seq=0)
            await asyncio.sleep(0.6)  # it looks, and is still kept out
            assert isinstance(journal.trouble, JournalBusy)
        await eventually(lambda: journal.trouble is None)


async def test_a_look_that_fails_otherwise_is_a_failure(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "test.db") as journal:
        await pages(journal, 30)
        with pytest.raises(JournalFull):
            await journal.append("a", LARGE, expected_seq=0)
        await journal._writer.execute_fetchall("PRAGMA query_only=1")
        await eventually(lambda: journal.failure is not None)
        assert isinstance(journal.trouble, JournalFailed)


async def test_a_checkpoint_that_finds_no_room_loses_nothing_and_is_made_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    faults = [full]

    async with open_journal(tmp_path / "test.db") as journal:
        run = journal._checkpoints.run

        async def run_or_fail(mode: str) -> tuple[int, int, int]:
            if faults:
                raise faults.pop()
            return await run(mode)

        monkeypatch.setattr(journal._checkpoints, "run", run_or_fail)
        journal._checkpoints.must_truncate = True
        await journal.append("a", SMALL, expected_seq=0)
        await eventually(lambda: not faults and journal.trouble is None)
        await eventually(lambda: not journal._checkpoints.must_truncate)
        assert await journal.head("a") == 1


async def test_a_log_that_takes_up_the_room_is_emptied(tmp_path: Path) -> None:
    log = tmp_path / "test.db-wal"
    async with open_journal(tmp_path / "test.db") as journal:
        await journal.append("a", LARGE, expected_seq=0)
        await pages(journal, 50)
        with pytest.raises(JournalFull):
            await journal.append("a", LARGE, expected_seq=1)
        await eventually(lambda: not journal._checkpoints.must_truncate)
        assert log.stat().st_size < 20_000


async def test_a_page_that_is_damaged_is_trouble_and_no_failure(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        for seq in range(20):
            await journal.append("a", [NewRecord("note", b"1" * 2000, AT)], expected_seq=seq)
        digest = (await journal.read("a"))[10].hash
    with path.open("r+b") as file:
        found = file.read().index(bytes.fromhex(digest))
        file.seek(found // 4096 * 4096)
        file.write(b"\xff" * 4096)
    async with open_journal(path) as journal:
        assert journal.trouble is None
        with pytest.raises(JournalUnreadable, match="malformed"):
            await journal.read("a")
        assert isinstance(journal.trouble, JournalUnreadable)
        assert journal.failure is None


def test_a_disk_that_is_full_from_the_start_is_told_of() -> None:
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    with pytest.raises(CannotOpen, match="the disk is full: make room"), explained(Path("a.db")):
        raise full


def test_a_transaction_that_cannot_be_rolled_back_is_no_mere_obstacle(tmp_path: Path) -> None:
    """What came after would be part of it, and not be committed."""

    class Stuck(CommitConnection):
        def execute(self, sql: str, /, *parameters: Any) -> sqlite3.Cursor:
            if sql == "ROLLBACK":
                raise sqlite3.OperationalError("no")
            if sql == "COMMIT":
                full = sqlite3.OperationalError("database or disk is full")
                full.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise full
            return super().execute(sql, *parameters)

    with closing(sqlite3.connect(":memory:", isolation_level=None, factory=Stuck)) as db:
        db.executescript(script("schema.sql") + script("additions.sql"))
        append = Append("a", SMALL, 0, {}, 1)
        with pytest.raises(sqlite3.OperationalError, match="cannot be rolled back") as caught:
            db.writer.commit([append])
    assert not hasattr(caught.value, "sqlite_errorcode")
