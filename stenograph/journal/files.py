"""What makes a file a journal: where it may lie, how it is told from others, how it is made."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from secrets import token_hex
from typing import Final, Literal, TypeAlias

import aiosqlite

from stenograph.journal.errors import CannotOpen, DamagedFile, NotAJournal
from stenograph.journal.writer import CommitConnection, is_busy, is_full

Durability: TypeAlias = Literal["full", "normal"]
"""``full``: survives power loss. ``normal``: power loss may take the last commits, never a hole."""

APPLICATION_ID: Final = 0x5354_454E  # "STEN"
FORMAT: Final = 1
BUSY_TIMEOUT_S: Final = 0.5
PROBE: Final = "DELETE FROM label WHERE 0;"
"""Changes nothing, and fails where nothing can be changed: SQLite opens such a file in silence."""

TOUCH: Final = f"PRAGMA user_version={FORMAT}"
"""Writes the first page as it is: what a commit needs room for, and no more."""


def place(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of the file that ``path`` leads to; raises CannotOpen.

    Symbolic links are followed, so that one file has one name, and with it one lock.
    """
    file = Path(os.path.realpath(path))
    try:
        folder, mode = mode_of(file.parent), mode_of(file)
    except OSError as error:
        raise CannotOpen(f"{file}: the path leads nowhere ({error.strerror}): check it") from error
    if folder is None:
        raise CannotOpen(f"{file}: the folder {file.parent} does not exist: create it first")
    if mode is not None and stat.S_ISDIR(mode):
        raise CannotOpen(f"{file} is a folder: name a file in it")
    if mode is not None and not stat.S_ISREG(mode):
        raise NotAJournal(f"{file} is no regular file: name another")
    return file


def mode_of(path: Path) -> int | None:
    """Return what kind of thing is there, or None for nothing."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


@asynccontextmanager
async def connect_writer(path: Path, durability: Durability) -> AsyncIterator[aiosqlite.Connection]:
    """Open the connection that writes and checkpoints, making the journal where none is.

    Whoever calls this holds the lock. Raises CannotOpen.
    """
    async with AsyncExitStack() as stack:
        make_private(path)
        with explained(path):
            db = await stack.enter_async_context(
                aiosqlite.connect(
                    path, isolation_level=None, factory=CommitConnection, timeout=BUSY_TIMEOUT_S
                )
            )
            is_blank = await check_format(db, path)
            await set_up(db, path, durability)
            await db.executescript(creation() if is_blank else PROBE + script("additions.sql"))
        yield db


def make_private(path: Path) -> None:
    """Make a file that its owner alone can read, where there is none; as SQLite does its log.

    What cannot be made is left for SQLite to find, whose reasons are told.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a file that it cannot open into what to do."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise NotAJournal(f"{path} is no SQLite file: name another") from error
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_CORRUPT:
            raise DamagedFile(f"{path} is damaged and cannot be opened: {error}") from error
        if is_busy(error):
            raise CannotOpen(f"{path} is locked by another program: close it there") from error
        if is_full(error):
            raise CannotOpen(f"{path} cannot be opened: the disk is full: make room") from error
        raise CannotOpen(
            f"{path} cannot be opened ({error}): is it damaged, or not yours to use?"
        ) from error


async def check_format(db: aiosqlite.Connection, path: Path) -> bool:
    """Return whether the file is still blank; raise NotAJournal unless it is that or a journal."""
    [(application,)] = await db.execute_fetchall("PRAGMA application_id")
    [(version,)] = await db.execute_fetchall("PRAGMA user_version")
    if application == APPLICATION_ID and version == FORMAT:
        return False
    if application == APPLICATION_ID:
        raise NotAJournal(
            f"{path} is a journal of format {version}, and this program knows format {FORMAT}: "
            "use the version of Stenograph that wrote it, or a later one"
        )
    [(things,)] = await db.execute_fetchall("SELECT count(*) FROM sqlite_master")
    if application or version or things:
        raise NotAJournal(f"{path} is an SQLite file of another program: name another")
    return True


async def set_up(db: aiosqlite.Connection, path: Path, durability: Durability) -> None:
    """Set what the writer relies on: WAL, the durability asked for, no checkpoint behind its back."""
    await db.execute_fetchall("PRAGMA page_size=4096")
    [(mode,)] = await db.execute_fetchall("PRAGMA journal_mode=WAL")
    if mode != "wal":
        raise CannotOpen(f"{path}: its folder cannot hold a write-ahead log: use a local disk")
    for pragma in (
        f"synchronous={durability}",
        "fullfsync=1",  # on macOS a plain fsync does not reach the disk
        "wal_autocheckpoint=0",  # errors of automatic checkpoints go unseen
        "recursive_triggers=1",  # or REPLACE would delete past the triggers
        "secure_delete=1",  # what is forgotten or erased does not stay in free pages
        "cache_size=-16000",
        "mmap_size=0",
    ):
        await db.execute_fetchall(f"PRAGMA {pragma}")


def creation() -> str:
    """Return the script that makes a blank file a journal, in one transaction."""
    at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return f"""
        BEGIN IMMEDIATE;
        {script("schema.sql")}
        {script("additions.sql")}
        INSERT INTO meta (key, value) VALUES ('id', '{token_hex(8)}'), ('created_at', '{at}');
        PRAGMA application_id={APPLICATION_ID};
        PRAGMA user_version={FORMAT};
        COMMIT;
    """


def script(name: str) -> str:
    """Return an SQL script of this package."""
    return files(__package__).joinpath(name).read_text("utf-8")
