"""A copy of a journal's file as it is at one moment, also while an engine writes it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from os import PathLike
from pathlib import Path

from stenograph.journal.errors import CannotBackUp, JournalUnreadable
from stenograph.journal.stored import open_stored


def back_up(path: str | PathLike[str], to: str | PathLike[str]) -> None:
    """Copy a journal to a new file, which is there once it is whole and durable.

    It holds all that was committed when copying began, secrets too, and keeps the journal's id. The
    copy is read through a connection that can only read, as one read: whoever writes goes on, and
    the write-ahead log grows meanwhile. Raises CannotBackUp when there is such a file, or none can
    be written; CannotOpen; JournalUnreadable.
    """
    target = Path(to)
    part = target.with_name(f"{target.name}.part")
    with open_stored(path) as file:
        if os.path.lexists(target):
            raise CannotBackUp(f"{target} is there already: name another file")
        try:
            # Nobody but the owner: the secrets of runs that have not ended are in it.
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as error:
            raise CannotBackUp(f"{part} cannot be made: {error.strerror}") from error
        try:
            with closing(sqlite3.connect(part)) as copy:
                # In one step: with more, each commit in between would have it begin anew.
                file.db.backup(copy, pages=-1)
                # Reading it then makes no files beside it, and needs none where none can be made.
                copy.execute("PRAGMA journal_mode=DELETE").fetchall()
            sync(part)
            os.link(part, target)  # which never overwrites, as a rename would
            sync(target.parent)
        except OSError as error:
            raise CannotBackUp(f"{target} cannot be written: {error.strerror}") from error
        except sqlite3.Error as error:
            raise JournalUnreadable(f"{file.path} cannot be copied: {error}") from error
        finally:
            with suppress(FileNotFoundError):
                part.unlink()


def sync(path: Path) -> None:
    """Wait until what was written is on the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
