"""What the journal in a file promises beyond the contract, and the traps it steps around."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Literal

import aiosqlite
import pytest

from stenograph.journal import (
    GENESIS,
    JournalBusy,
    JournalUnreadable,
    NewRecord,
    SqliteJournal,
    chain_link,
    expected_hash,
    handover,
    open_journal,
)
from stenograph.journal.reader import connect_reader
from stenograph.journal.writer import Append, CommitConnection, Draft

AT = "2026-11-20T22:55:01.123456Z"


def notes(count: int, *, data: bytes = b'"a note"') -> list[NewRecord]:
    return [NewRecord("note", data, AT)] * count


@contextmanager
def beside(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection as another program would have it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA wal_autocheckpoint=0")
        yield db


async def pragma(db: aiosqlite.Connection, name: str) -> object:
    [(value,)] = await db.execute_fetchall(f"PRAGMA {name}")
    return value


async def test_appends_that_wait_together_share_a_commit(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "test.db") as journal:
        await asyncio.gather(
            *(journal.append(f"run-{n}", notes(4), expected_seq=0) for n in range(128))
        )
        assert journal.commits == 1
        assert await journal.end() == 512


async def test_a_commit_carries_a_bounded_batch(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "test.db") as journal:
        large = notes(2, data=b"1" * 2 * 1024 * 1024)
        await asyncio.gather(
            *(journal.append(f"many-{n}", notes(256), expected_seq=0) for n in range(6))
        )
        assert journal.commits == 3
        await asyncio.gather(
            *(journal.append(f"large-{n}", large, expected_seq=0) for n in range(5))
        )
        assert journal.commits == 5


async def test_an_idle_journal_has_its_thread_back_and_goes_on(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "test.db") as journal:
        for seq in range(2):
            await journal.append("a", notes(1), expected_seq=seq)
            while journal._flushing:
                await asyncio.wait({journal._flushing})
        assert journal.commits == 2


async def test_one_trip_to_the_thread_serves_many_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "IDLE_S", 60)  # which closing does not wait for
    async with open_journal(tmp_path / "test.db") as journal:
        await journal.append("a", notes(1), expected_seq=0)
        flushing = journal._flushing
        for seq in range(1, 10):
            await journal.append("a", notes(1), expected_seq=seq)
        assert journal.commits == 10
        assert journal._flushing is flushing


async def test_a_flush_that_is_cancelled_while_it_is_idle_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a loop does to all tasks when it ends, and some of them have something to say still."""
    monkeypatch.setattr(handover, "IDLE_S", 60)
    async with open_journal(tmp_path / "test.db") as journal:
        await journal.append("a", notes(1), expected_seq=0)
        assert journal._flushing is not None
        journal._flushing.cancel()
        await asyncio.wait({journal._flushing})
        assert journal.failure is None
        assert len(await journal.append("a", notes(1), expected_seq=1)) == 1


async def test_a_flush_that_is_cancelled_before_it_has_begun_begins_anew(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "test.db") as journal, asyncio.timeout(30):
        appending = asyncio.create_task(journal.append("a", notes(1), expected_seq=0))
        await asyncio.sleep(0)
        assert journal._flushing is not None
        journal._flushing.cancel()
        assert len(await appending) == 1
        assert len(await journal.append("a", notes(1), expected_seq=1)) == 1


async def test_who_closes_waits_for_a_flush_that_begins_anew(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "test.db") as journal, asyncio.timeout(30):
        appending = asyncio.create_task(journal.append("a", notes(1), expected_seq=0))
        await asyncio.sleep(0)
        assert journal._flushing is not None
        journal._flushing.cancel()
        await journal.close()
        assert len(await appending) == 1


async def test_an_appender_cancelled_during_the_commit_leaves_everything_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The BEGIN still runs on its thread, and so does what comes after it."""
    monkeypatch.setattr("stenograph.journal.files.BUSY_TIMEOUT_S", 60)
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        with beside(path) as db:
            db.execute("BEGIN IMMEDIATE")  # holds the commit up
            task = asyncio.create_task(journal.append("a", notes(1), expected_seq=0))
            while not journal._handover._drafted:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.wait({task})
            db.execute("ROLLBACK")
        [record] = await journal.append("a", notes(1), expected_seq=1)
        assert (record.seq, record.offset) == (2, 2)
        assert (task.cancelled(), await journal.end()) == (True, 2)


async def test_an_append_cancelled_before_its_commit_began_is_not_written(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "test.db") as journal:
        task = asyncio.create_task(journal.append("a", notes(1), expected_seq=0))
        await asyncio.sleep(0)  # it waits, and the flush has not begun
        task.cancel()
        await asyncio.wait({task})
        await journal.append("b", notes(1), expected_seq=0)
        assert await journal.end() == 1


async def test_a_reader_never_sees_what_is_not_committed(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        with closing(sqlite3.connect(path, isolation_level=None, factory=CommitConnection)) as db:
            db.execute("BEGIN IMMEDIATE")
            draft = Draft(db.writer)
            draft.take(Append("a", notes(3), 0, {"status": "running"}, 0))
            draft.write(db)
            assert (await journal.end(), await journal.streams({})) == (0, [])
            db.execute("COMMIT")
        assert (await journal.end(), len(await journal.streams({}))) == (3, 1)


async def test_neither_reader_nor_tail_is_told_before_the_commit(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        tailing = asyncio.ensure_future(anext(journal.tail("a")))
        with beside(path) as db:
            db.execute("BEGIN IMMEDIATE")  # holds the commit up
            appending = asyncio.create_task(journal.append("a", notes(1), expected_seq=0))
            for _ in range(10):
                assert await journal.read("a") == []
            assert not tailing.done()
            db.execute("ROLLBACK")
        assert await appending == await tailing


async def test_who_meets_another_writer_may_try_again(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        with beside(path) as db:
            db.execute("BEGIN IMMEDIATE")
            with pytest.raises(JournalBusy, match=r"test\.db: another program is writing"):
                await journal.append("a", notes(1), expected_seq=0)
        assert journal.failure is None
        assert len(await journal.append("a", notes(1), expected_seq=0)) == 1


async def test_one_connection_writes_and_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal, connect_reader(path) as reader:
        writer = journal._writer
        for db in (writer, reader.db):
            assert await pragma(db, "wal_autocheckpoint") == 0
            assert await pragma(db, "mmap_size") == 0
            assert await pragma(db, "cache_size") == -16000
        assert await pragma(writer, "journal_mode") == "wal"
        assert await pragma(writer, "page_size") == 4096
        assert await pragma(writer, "recursive_triggers") == 1
        assert await pragma(reader.db, "query_only") == 1


@pytest.mark.parametrize(("durability", "level"), [("full", 2), ("normal", 1)])
async def test_the_file_is_as_durable_as_was_asked(
    tmp_path: Path, durability: Literal["full", "normal"], level: int
) -> None:
    async with open_journal(tmp_path / "test.db", durability=durability) as journal:
        assert await pragma(journal._writer, "synchronous") == level


@pytest.mark.parametrize("sql", ["DELETE FROM record", "PRAGMA user_version=7", "VACUUM"])
async def test_the_readers_connection_can_only_read(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        await journal.append("a", notes(1), expected_seq=0)
        async with connect_reader(path) as reader:
            with pytest.raises(JournalUnreadable, match="readonly database"):
                await reader.rows(sql)


async def test_every_question_is_answered_from_an_index(tmp_path: Path) -> None:
    """However long the journal: no table is scanned, and nothing is sorted."""
    path = tmp_path / "test.db"
    asked: list[str] = []
    async with open_journal(path), connect_reader(path) as reader:
        await reader.db.set_trace_callback(asked.append)
        await asyncio.gather(reader.head("a"), reader.end(), reader.stream("a"))
        await asyncio.gather(reader.read("a", 0, 10), reader.read_all(0, 10))
        for labels in ({}, {"status": "running"}, {"status": "running", "graph": "g"}):
            await reader.streams(labels, None, 10)
        await reader.db.set_trace_callback(lambda _: None)
        plans = [await reader.rows(f"EXPLAIN QUERY PLAN {sql}") for sql in asked]
    steps = [step for plan in plans for *_, step in plan]
    assert len(plans) == 10
    assert [step for step in steps if "TEMP B-TREE" in step] == []
    assert [step for step in steps if "SCAN" in step and "subquery" not in step.lower()] == []


# --- append-only ----------------------------------------------------------------------------

ERASE = "UPDATE record SET data = sha256(data), erased = 1 WHERE seq = 2"


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE record SET data = x'31' WHERE seq = 2",
        "UPDATE record SET erased = 1 WHERE seq = 2",
        "UPDATE record SET data = sha256(data) WHERE seq = 2",
        "UPDATE record SET data = x'31', erased = 1 WHERE seq = 2",
        "UPDATE record SET data = sha256(data), erased = 2 WHERE seq = 2",
        "UPDATE record SET data = sha256(data), erased = 1, type = 'other' WHERE seq = 2",
        "UPDATE record SET data = sha256(data), erased = 1, at = 'never' WHERE seq = 2",
        "UPDATE record SET data = sha256(data), erased = 1, hash = x'00' WHERE seq = 2",
        "UPDATE record SET data = sha256(data), erased = 1, seq = 9 WHERE seq = 2",
        "UPDATE record SET data = sha256(data), erased = 1, offset = 9 WHERE seq = 2",
        "UPDATE record SET data = sha256(data), erased = 1, stream = 9 WHERE seq = 2",
        "UPDATE record SET data = NULL, erased = 1 WHERE seq = 2",
        "UPDATE OR REPLACE record SET seq = 1 WHERE seq = 2",
        "DELETE FROM record WHERE seq = 2",
        "INSERT OR REPLACE INTO record SELECT * FROM record WHERE seq = 2",
        "REPLACE INTO record SELECT 99, stream, seq, at, type, hash, 0, data FROM record",
        "INSERT INTO record SELECT 99, stream, seq, at, type, hash, 0, data FROM record",
        "UPDATE stream SET run_id = 'other'",
        "DELETE FROM stream",
        "REPLACE INTO stream VALUES (1, 'other', '')",
        "REPLACE INTO stream VALUES (9, 'a', '')",
        "UPDATE meta SET value = 'other'",
        "DELETE FROM meta",
        "REPLACE INTO meta VALUES ('id', 'other')",
    ],
)
async def test_what_was_written_cannot_be_changed(tmp_path: Path, sql: str) -> None:
    async with open_journal(tmp_path / "test.db") as journal:
        before = await journal.append("a", notes(3), expected_seq=0)
        with pytest.raises(sqlite3.IntegrityError):
            await journal._writer.execute(sql)
        async with connect_reader(journal.path) as reader:
            assert await reader.read("a", 0, 10) == before
            assert await reader.id() == journal.id


async def test_only_the_writers_own_connection_can_erase(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        await journal.append("a", notes(3), expected_seq=0)
        with beside(path) as db, pytest.raises(sqlite3.OperationalError, match="sha256"):
            db.execute("UPDATE record SET data = x'31', erased = 1")


async def test_an_erased_record_is_gone_and_the_chain_still_verifies(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "test.db") as journal:
        before = await journal.append("a", notes(3, data=b'"secret"'), expected_seq=0)
        await journal._writer.execute(ERASE)
        with pytest.raises(sqlite3.IntegrityError):  # once is enough
            await journal._writer.execute(ERASE)
        async with connect_reader(journal.path) as reader:
            records = await reader.read("a", 0, 10)
            assert await reader.read_all(0, 10) == records
    digest = sha256(b'"secret"').hexdigest()
    assert records[1].data == b'{"$erased":"%b"}' % digest.encode()
    assert [record.hash for record in records] == [record.hash for record in before]
    assert records[1].hash == chain_link("a", 2, records[0].hash, AT, "note", digest)
    previous = GENESIS
    for record in records:
        assert record.hash == expected_hash(record, previous)
        previous = record.hash


# --- the write-ahead log --------------------------------------------------------------------

MIB = 1024 * 1024


async def fill(journal: SqliteJournal, run_id: str, mebibytes: int) -> int:
    """Write so much to a stream, and return how large the log has become, in bytes."""
    for seq in range(0, mebibytes // 4 * 2, 2):
        await journal.append(run_id, notes(2, data=b"1" * 2 * MIB), expected_seq=seq)
    return journal.path.with_name(f"{journal.path.name}-wal").stat().st_size


async def test_the_log_does_not_grow_while_pages_are_read(tmp_path: Path) -> None:
    async def read_on(journal: SqliteJournal) -> None:
        async with connect_reader(journal.path) as reader:
            while True:
                await reader.read_all(0, 1000)

    async with open_journal(tmp_path / "test.db", durability="normal") as journal:
        reading = [asyncio.create_task(read_on(journal)) for _ in range(2)]
        assert await fill(journal, "a", 160) < 100 * MIB
        for task in reading:
            task.cancel()
        await asyncio.wait(reading)


async def test_a_reader_that_does_not_finish_holds_the_log_but_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path, durability="normal") as journal:
        await journal.append("a", notes(1), expected_seq=0)
        with beside(path) as db:
            db.execute("BEGIN")
            db.execute("SELECT * FROM record").fetchall()
            held = await fill(journal, "b", 96)
            assert held > 64 * MIB
        assert journal.failure is None
        assert await fill(journal, "c", 64) < held + 32 * MIB
