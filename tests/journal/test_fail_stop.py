"""Fail-stop: after an I/O error nothing is acknowledged any more, and reading goes on."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from stenograph.journal import JournalFailed, NewRecord, SqliteJournal, open_journal

AT = "2026-11-20T22:55:01.123456Z"
MIB = 1024 * 1024


def notes(count: int, *, data: bytes = b'"a note"') -> list[NewRecord]:
    return [NewRecord("note", data, AT)] * count


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A disk that takes no more: writing past ``size`` bytes of a file is an I/O error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def write_until_it_fails(journal: SqliteJournal) -> int:
    """Append large records to a stream; return how many were acknowledged before the failure."""
    for seq in range(1000):
        try:
            await journal.append("a", notes(1, data=b"1" * MIB), expected_seq=seq)
        except JournalFailed:
            return seq
    raise AssertionError("nothing failed")


async def test_after_a_failed_write_nothing_is_acknowledged_and_reading_goes_on(
    tmp_path: Path,
) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        tail = journal.tail("a")
        with files_of_at_most(6 * MIB):
            acknowledged = await write_until_it_fails(journal)
        assert 0 < acknowledged < 6
        assert "writing failed" in str(journal.failure)
        with pytest.raises(JournalFailed, match=r"test\.db: writing failed"):
            await journal.append("b", notes(1), expected_seq=0)
        seqs = [record.seq for _ in range(acknowledged // 4 + 1) for record in await anext(tail)]
        assert seqs == list(range(1, acknowledged + 1))
        assert await journal.head("a") == acknowledged
    async with open_journal(path) as again:
        assert await again.head("a") >= acknowledged


async def test_all_who_wait_are_told_of_the_failure(tmp_path: Path) -> None:
    large = notes(4, data=b"1" * MIB)
    async with open_journal(tmp_path / "test.db") as journal:
        with files_of_at_most(6 * MIB):
            outcomes = await asyncio.gather(
                *(journal.append(f"run-{n}", large, expected_seq=0) for n in range(20)),
                return_exceptions=True,
            )
        assert {type(each) for each in outcomes} == {JournalFailed}
        assert (journal.commits, await journal.end()) == (0, 0)


async def test_a_failed_checkpoint_is_a_failure(tmp_path: Path) -> None:
    """The log stays within the limit, and the file that it is moved into does not."""
    async with open_journal(tmp_path / "test.db") as journal:
        with files_of_at_most(24 * MIB):
            acknowledged = await write_until_it_fails(journal)
        assert acknowledged > 24
        assert await journal.head("a") >= acknowledged


async def test_after_a_failure_the_file_is_not_touched_again(tmp_path: Path) -> None:
    """Not even by the checkpoint that closing brings: a second fsync may falsely succeed."""
    path = tmp_path / "test.db"
    files = [path, path.with_name("test.db-wal")]
    async with open_journal(path) as journal:
        with files_of_at_most(6 * MIB):
            await write_until_it_fails(journal)
        before = [file.read_bytes() for file in files]
    assert [file.read_bytes() for file in files] == before


async def test_a_seq_that_is_there_already_is_a_broken_invariant(tmp_path: Path) -> None:
    """Somebody wrote past the lock: what this engine believes of the journal is worth nothing."""
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        await journal.append("a", notes(1), expected_seq=0)
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute(
                "INSERT INTO record SELECT 99, stream, 2, at, type, hash, 0, data FROM record"
            )
        with pytest.raises(JournalFailed, match="UNIQUE constraint failed"):
            await journal.append("a", notes(1), expected_seq=1)
        with pytest.raises(JournalFailed):
            await journal.append("b", notes(1), expected_seq=0)
        assert len(await journal.read("a")) == 1


async def test_a_writer_that_is_cancelled_by_force_fails_all_who_wait(tmp_path: Path) -> None:
    """As a loop does that ends while the journal is open: whether it committed is not known."""
    async with open_journal(tmp_path / "test.db") as journal:
        appending = asyncio.create_task(journal.append("a", notes(1), expected_seq=0))
        for _ in range(2):  # once for the append, once for the flush that it begins
            await asyncio.sleep(0)
        assert journal._flushing is not None
        journal._flushing.cancel()
        await asyncio.wait({journal._flushing})
        with pytest.raises(JournalFailed, match="CancelledError"):
            await appending
        assert journal.failure is not None
