"""Which files become a journal, which are one, and what is said of all others."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from stenograph.journal import (
    CannotOpen,
    DamagedFile,
    JournalUnreadable,
    NewRecord,
    NotAJournal,
    inspect_file,
    open_journal,
    open_journal_readonly,
)
from stenograph.journal.files import APPLICATION_ID, creation, set_up

NOTE = [NewRecord("note", b"1", "2026-11-20T22:55:01.123456Z")]
OPENERS: list[Callable[[Path], Any]] = [open_journal, open_journal_readonly]

both_ways = pytest.mark.parametrize("opener", OPENERS)


def sqlite_file(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script)


async def test_a_new_journal_is_for_its_owner_alone(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "new.db") as journal:
        await journal.append("a", NOTE, expected_seq=0)
        names = set(os.listdir(tmp_path)) - {"new.db.lock"}  # which tells who holds the journal
        found = {name: os.stat(tmp_path / name).st_mode & 0o077 for name in names}
    assert found == dict.fromkeys(("new.db", "new.db-wal", "new.db-shm"), 0)


async def test_a_journal_that_others_may_read_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    path.touch()
    path.chmod(0o644)
    async with open_journal(path) as journal:
        await journal.append("a", NOTE, expected_seq=0)
    assert path.stat().st_mode & 0o077 == 0o044


async def test_an_absent_or_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    sqlite_file(tmp_path / "half-made.db", "PRAGMA journal_mode=WAL")
    ids = set()
    for name in ("absent.db", "empty.db", "half-made.db"):
        async with open_journal(tmp_path / name) as journal:
            await journal.append("a", NOTE, expected_seq=0)
            ids.add(journal.id)
    assert len(ids) == 3


async def test_a_journal_keeps_its_id_and_its_records(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        written = await journal.append("a", NOTE, expected_seq=0, labels={"status": "running"})
    async with open_journal(str(path)) as again:
        assert again.id == journal.id
        assert await again.read("a") == written
        assert len(await again.append("a", NOTE, expected_seq=1)) == 1
        assert len(await again.streams({"status": "running"})) == 1


def left_in(folder: Path) -> list[str]:
    """What stands in a folder, but for SQLite's own companions of a file."""
    return sorted(each.name for each in folder.iterdir() if "-" not in each.name)


@pytest.mark.parametrize("name", ["a?b.db", "a#b.db", "a%20b.db", "a b.db", "ключ.db", ":memory:"])
async def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    async with open_journal(tmp_path / name) as journal:
        await journal.append("a", NOTE, expected_seq=0)
        assert await journal.head("a") == 1
    async with open_journal_readonly(tmp_path / name) as beside:
        assert await beside.head("a") == 1
    assert left_in(tmp_path) == [name, f"{name}.lock"]


@both_ways
@pytest.mark.parametrize("content", [b"not a database\n", b"SQLite format 3\x00" + b"\xff" * 5000])
async def test_what_is_no_sqlite_file_is_no_journal(
    tmp_path: Path, opener: Callable[[Path], Any], content: bytes
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(CannotOpen, match=r"notes\.txt (is no SQLite file|cannot be opened)"):
        async with opener(path):
            pass
    assert path.read_bytes() == content


@both_ways
@pytest.mark.parametrize(
    "script", ["CREATE TABLE t(a)", "PRAGMA application_id=5", "PRAGMA user_version=5"]
)
async def test_another_programs_file_is_left_alone(
    tmp_path: Path, opener: Callable[[Path], Any], script: str
) -> None:
    path = tmp_path / "theirs.db"
    sqlite_file(path, script)
    before = path.read_bytes()
    with pytest.raises(NotAJournal, match=r"theirs\.db is an SQLite file of another program"):
        async with opener(path):
            pass
    assert path.read_bytes() == before


@both_ways
async def test_a_later_format_is_not_guessed_at(
    tmp_path: Path, opener: Callable[[Path], Any]
) -> None:
    path = tmp_path / "later.db"
    sqlite_file(path, f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version=2")
    with pytest.raises(NotAJournal, match="format 2, and this program knows format 1"):
        async with opener(path):
            pass


@both_ways
async def test_a_folder_is_no_journal(tmp_path: Path, opener: Callable[[Path], Any]) -> None:
    with pytest.raises(CannotOpen, match="is a folder: name a file in it"):
        async with opener(tmp_path):
            pass


@both_ways
async def test_a_missing_folder_is_named(tmp_path: Path, opener: Callable[[Path], Any]) -> None:
    with pytest.raises(CannotOpen, match=r"the folder .*/missing does not exist: create it first"):
        async with opener(tmp_path / "missing" / "test.db"):
            pass


@both_ways
async def test_a_pipe_is_no_journal(tmp_path: Path, opener: Callable[[Path], Any]) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotAJournal, match="is no regular file"):
        async with opener(tmp_path / "pipe"):
            pass


@both_ways
async def test_a_link_to_itself_leads_nowhere(
    tmp_path: Path, opener: Callable[[Path], Any]
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(CannotOpen, match=r"leads nowhere .*symbolic links"):
        async with opener(tmp_path / "loop"):
            pass


@both_ways
async def test_a_file_is_no_folder(tmp_path: Path, opener: Callable[[Path], Any]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotOpen, match=r"leads nowhere .*Not a directory"):
        async with opener(tmp_path / "file" / "test.db"):
            pass


async def test_a_link_leads_to_its_journal(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to("test.db")
    async with open_journal(tmp_path / "link.db") as journal:
        assert journal.path == tmp_path / "test.db"


async def test_a_file_that_another_program_has_locked_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    sqlite_file(path, "PRAGMA user_version=0")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        with pytest.raises(CannotOpen, match="locked by another program: close it there"):
            async with open_journal(path):
                pass


async def test_what_cannot_keep_a_write_ahead_log_is_no_place_for_a_journal() -> None:
    """As where memory cannot be shared, on a network file system; here in memory alone."""
    async with aiosqlite.connect(":memory:") as db:
        with pytest.raises(CannotOpen, match="cannot hold a write-ahead log: use a local disk"):
            await set_up(db, Path("test.db"), "full")


async def test_how_durable_is_one_of_two_words(tmp_path: Path) -> None:
    word: Any = "off"
    with pytest.raises(ValueError, match=r"durability 'off': must be one of \('full', 'normal'\)"):
        async with open_journal(tmp_path / "test.db", durability=word):
            pass


async def test_only_what_is_there_can_be_opened_for_reading(tmp_path: Path) -> None:
    with pytest.raises(CannotOpen, match=r"absent\.db does not exist"):
        async with open_journal_readonly(tmp_path / "absent.db"):
            pass
    (tmp_path / "empty.db").touch()
    with pytest.raises(NotAJournal, match="is empty: no engine has used it yet"):
        async with open_journal_readonly(tmp_path / "empty.db"):
            pass
    assert left_in(tmp_path) == ["empty.db"]


async def test_damage_is_told_when_it_is_met(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        for seq in range(0, 5000, 1000):
            await journal.append("a", NOTE * 1000, expected_seq=seq)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 4)
        file.write(b"\xff" * (size // 2))
    async with open_journal_readonly(path) as damaged:
        with pytest.raises(JournalUnreadable, match=r"test\.db: cannot be read: .*malformed"):
            await asyncio.gather(*(damaged.read_all(after=n) for n in range(0, 5000, 1000)))


# --- rights ---------------------------------------------------------------------------------


@contextmanager
def somebody_else() -> Iterator[None]:
    """Run as a user without rights; whoever is not root has none to give up."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody can reach, unlike pytest's; inside is one that nobody can change."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        (path / "inner").mkdir(0o555)
        path.chmod(0o777)
        yield path
        path.chmod(0o777)


@pytest.fixture
def forbidden(folder: Path) -> Path:
    """A file in a folder that cannot be entered."""
    folder.chmod(0o000)
    return folder / "inner" / "test.db"


@pytest.fixture
def protected(folder: Path) -> Path:
    """A file that cannot be written, in a folder that can."""
    path = folder / "test.db"
    sqlite_file(path, f"PRAGMA journal_mode=WAL; {creation()}")
    path.chmod(0o444)
    return path


async def test_a_folder_that_cannot_be_written_is_named(folder: Path) -> None:
    with somebody_else(), pytest.raises(CannotOpen, match=r"test\.db\.lock cannot be written"):
        async with open_journal(folder / "inner" / "test.db"):
            pass


@both_ways
async def test_a_folder_that_cannot_be_entered_is_named(
    forbidden: Path, opener: Callable[[Path], Any]
) -> None:
    with somebody_else(), pytest.raises(CannotOpen, match=r"leads nowhere .*Permission denied"):
        async with opener(forbidden):
            pass


async def test_a_file_that_cannot_be_written_can_only_be_read(protected: Path) -> None:
    with somebody_else():
        with pytest.raises(CannotOpen, match=r"cannot be opened .*or not yours to use"):
            async with open_journal(protected):
                pass
        async with open_journal_readonly(protected) as journal:
            assert await journal.end() == 0


async def test_a_file_that_was_cut_short_is_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path):
        pass
    os.truncate(path, 6000)
    with pytest.raises(DamagedFile, match=r"test\.db is damaged"):
        inspect_file(path)
    with pytest.raises(DamagedFile):
        await open_journal(path).__aenter__()
