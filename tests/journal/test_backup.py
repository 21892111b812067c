"""A backup: whole, durable, of one moment, and in nobody's way."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from stenograph.journal import (
    CannotBackUp,
    JournalUnreadable,
    NewRecord,
    back_up,
    inspect_file,
    open_journal,
)
from stenograph.journal.apart import apart
from stenograph.journal.stored import StoredFile
from tests.journal.tampering import make_journal, rows_of

ONE = NewRecord("log", b"{}", "2026-11-20T22:55:01.123456Z")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    asyncio.run(make_journal(tmp_path / "journal.db"))
    return tmp_path / "journal.db"


def test_a_copy_is_the_journal_itself(journal: Path, tmp_path: Path) -> None:
    back_up(journal, tmp_path / "copy.db")
    assert sorted(path.name for path in tmp_path.iterdir() if "copy" in path.name) == ["copy.db"]
    assert rows_of(tmp_path / "copy.db") == rows_of(journal)
    assert inspect_file(tmp_path / "copy.db") == inspect_file(journal)
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600


def test_a_copy_is_one_file_also_once_it_was_read(journal: Path, tmp_path: Path) -> None:
    """A file with a write-ahead log could not be read in a folder that nobody may write to."""
    back_up(journal, tmp_path / "copy.db")
    verdict = inspect_file(tmp_path / "copy.db")
    assert verdict is not None
    assert verdict.ok
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == ["copy.db"]
    assert (tmp_path / "copy.db").read_bytes()[18:20] == b"\x01\x01"


async def test_while_it_is_written_a_journal_is_copied_as_it_was_at_one_moment(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.db"
    async with open_journal(path, durability="normal") as journal:
        await journal.append("r", [ONE] * 1000, expected_seq=0)
        stop = asyncio.Event()

        async def write() -> int:
            n = 1000
            while not stop.is_set():
                await journal.append("r", [ONE], expected_seq=n)
                n += 1
            return n

        writing = asyncio.create_task(write())
        for n in range(5):
            await apart(partial(back_up, path, tmp_path / f"copy-{n}.db"))
        stop.set()
        written = await writing
        copies = [inspect_file(tmp_path / f"copy-{n}.db") for n in range(5)]
        assert all(copy and copy.ok and copy.journal == journal.id for copy in copies)
        counts = [copy.records for copy in copies if copy]
        assert 1000 <= counts[0] <= counts[-1] <= written
        assert counts == sorted(counts)
    async with open_journal(tmp_path / "copy-4.db") as copy:
        assert await copy.append("r", [ONE], expected_seq=counts[-1])


def test_nothing_is_overwritten(journal: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"precious")
    with pytest.raises(CannotBackUp, match="is there already"):
        back_up(journal, tmp_path / "there")
    assert (tmp_path / "there").read_bytes() == b"precious"
    assert not (tmp_path / "there.part").exists()
    (tmp_path / "other.part").write_bytes(b"somebody else's")
    with pytest.raises(CannotBackUp, match="cannot be made"):
        back_up(journal, tmp_path / "other")
    assert (tmp_path / "other.part").read_bytes() == b"somebody else's"


def test_where_no_copy_can_be_written_it_says_so(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CannotBackUp, match="cannot be made"):
        back_up(journal, tmp_path / "nowhere" / "copy")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CannotBackUp, match="No space left"):
        back_up(journal, tmp_path / "copy")
    assert not list(tmp_path.glob("copy*"))


def test_of_a_journal_that_cannot_be_read_no_copy_is_left(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def closed(path: Path) -> Iterator[StoredFile]:
        db = sqlite3.connect(path)
        db.close()
        yield StoredFile(db, path)

    monkeypatch.setattr("stenograph.journal.backup.open_stored", closed)
    with pytest.raises(JournalUnreadable, match="cannot be copied"):
        back_up(journal, tmp_path / "copy")
    assert not list(tmp_path.glob("copy*"))
