"""A journal and several processes: killed writers, and readers beside living ones."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

import stenograph
from stenograph.journal import (
    GENESIS,
    CursorUnknown,
    JournalInUse,
    JournalUnreadable,
    NewRecord,
    ReadableJournal,
    Record,
    expected_hash,
    open_journal,
    open_journal_readonly,
)
from stenograph.journal.reader import Reader

SCRIPT = Path(__file__).with_name("writing_process.py")
NOTE = [NewRecord("note", b"1", "2026-11-20T22:55:01.123456Z")]


class Engine:
    """Another process that holds the journal, and what it has acknowledged."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.acknowledged: dict[str, list[str]] = {}

    async def acknowledgements(self, count: int) -> None:
        assert self.process.stdout is not None
        for _ in range(count):
            self.note(await self.process.stdout.readline())

    async def kill(self) -> None:
        """Kill -9, and read what it still acknowledged until then."""
        assert self.process.stdout is not None
        self.process.kill()
        async for line in self.process.stdout:
            self.note(line)
        await self.process.wait()

    def note(self, line: bytes) -> None:
        assert line.endswith(b"\n")
        run_id, seq, digest = line.decode().split()
        self.acknowledged.setdefault(run_id, []).append(digest)
        assert len(self.acknowledged[run_id]) == int(seq)


@asynccontextmanager
async def engine(path: Path, *, appenders: int) -> AsyncIterator[Engine]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPT), str(path), str(appenders)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(stenograph.__path__[0]).parent)},
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"ready\n"
        yield Engine(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def stream_of(journal: ReadableJournal, run_id: str) -> list[Record]:
    records: list[Record] = []
    while page := await journal.read(run_id, after=len(records)):
        records += page
    return records


async def assert_sound(journal: ReadableJournal, acknowledged: dict[str, list[str]]) -> None:
    """What was acknowledged is there, every seq is there once, and the chain holds."""
    for run_id, hashes in acknowledged.items():
        records = await stream_of(journal, run_id)
        assert [record.hash for record in records[: len(hashes)]] == hashes
        previous = GENESIS
        for seq, record in enumerate(records, start=1):
            assert record.seq == seq
            assert record.hash == expected_hash(record, previous)
            previous = record.hash


async def test_another_process_that_holds_the_journal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with engine(path, appenders=0) as other:
        with pytest.raises(JournalInUse, match=f"process id {other.process.pid} on"):
            async with open_journal(path):
                pass
        await other.kill()
        async with open_journal(path) as journal:
            assert await journal.end() == 0


@pytest.mark.parametrize("acknowledgements", [1, 10, 300, 3000])
async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, acknowledgements: int) -> None:
    path = tmp_path / "test.db"
    async with engine(path, appenders=8) as other:
        await other.acknowledgements(acknowledgements)
        await other.kill()
    async with open_journal(path) as journal:
        assert journal._checkpoints.pages > 0  # what it left in the log
        await assert_sound(journal, other.acknowledged)
        head = await journal.head("run-0")
        assert len(await journal.append("run-0", NOTE, expected_seq=head)) == 1


async def test_a_reader_beside_a_living_writer_sees_all_that_is_acknowledged(
    tmp_path: Path,
) -> None:
    path = tmp_path / "test.db"
    async with engine(path, appenders=2) as other, open_journal_readonly(path) as journal:
        await other.acknowledgements(500)
        await assert_sound(journal, other.acknowledged)
        assert [stream.run_id for stream in await journal.streams({})] == ["run-1", "run-0"]


async def test_a_reader_follows_a_writer_in_another_process(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with engine(path, appenders=1) as other, open_journal_readonly(path) as journal:
        async with aclosing(journal.tail("run-0")) as tail:
            seen: list[Record] = []
            while len(seen) < 300:
                seen += await anext(tail)
        await other.acknowledgements(300)
        assert [record.hash for record in seen[:300]] == other.acknowledged["run-0"][:300]
        assert [record.seq for record in seen] == list(range(1, len(seen) + 1))


async def test_reading_after_kill_9_needs_no_writer_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with engine(path, appenders=4) as other:
        await other.acknowledgements(300)
        await other.kill()
    files = [path, tmp_path / "test.db-wal"]
    before = [file.read_bytes() for file in files]
    (tmp_path / "test.db-shm").unlink()  # as when only the other two were copied
    for _ in range(2):
        async with open_journal_readonly(path) as journal:
            await assert_sound(journal, other.acknowledged)
    assert [file.read_bytes() for file in files] == before


async def test_a_reader_of_a_journal_at_rest_leaves_its_records_alone(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        written = await journal.append("a", NOTE, expected_seq=0)
    assert not (tmp_path / "test.db-wal").exists()
    before = path.read_bytes()
    async with open_journal_readonly(path) as reading:
        assert (reading.id, await reading.read_all()) == (journal.id, written)
    assert path.read_bytes() == before


async def test_a_reader_outlives_its_writer_and_follows_the_next(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        await journal.append("a", NOTE, expected_seq=0)
        reading = open_journal_readonly(path)
        beside = await reading.__aenter__()
    try:
        tail = beside.tail_all(after=1)
        waiting = asyncio.ensure_future(anext(tail))
        async with open_journal(path) as again:
            written = await again.append("a", NOTE, expected_seq=1)
            assert await waiting == written
    finally:
        await reading.__aexit__(None, None, None)
    assert [page async for page in tail] == []


async def polls(reader: Reader, count: int = 2) -> None:
    """Return after so many looks at whether something has changed."""
    looked = 0

    def look(statement: str) -> None:
        nonlocal looked
        looked += "data_version" in statement

    await reader.db.set_trace_callback(look)
    for _ in range(1000):
        await asyncio.sleep(0.01)
        if looked >= count:
            return
    raise AssertionError("it does not look")


async def test_a_reader_with_nothing_to_tell_waits(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal, open_journal_readonly(path) as beside:
        waiting = asyncio.ensure_future(anext(beside.tail("a")))
        assert isinstance(beside.storage, Reader)
        await polls(beside.storage, 3)
        assert not waiting.done()
        assert await journal.append("a", NOTE, expected_seq=0) == await waiting


async def test_a_reader_refuses_a_cursor_beyond_the_head(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path), open_journal_readonly(path) as beside:
        with pytest.raises(CursorUnknown):
            await anext(beside.tail_all(after=1))


async def test_a_tail_that_can_no_longer_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        await journal.append("a", NOTE, expected_seq=0)
    async with open_journal_readonly(path) as beside:
        waiting = asyncio.ensure_future(anext(beside.tail("a", after=1)))
        assert isinstance(beside.storage, Reader)
        await polls(beside.storage)
        await beside.storage.db.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)
        with pytest.raises(JournalUnreadable, match=r"test\.db: cannot be read: not authorized"):
            await waiting
