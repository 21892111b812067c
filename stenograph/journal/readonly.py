"""Reading a journal that another process may be writing, or that nobody does: without its lock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from os import PathLike
from typing import Final

from stenograph.journal.errors import CannotOpen, JournalUnreadable, NotAJournal
from stenograph.journal.files import check_format, explained, place
from stenograph.journal.reader import Reader, connect_reader
from stenograph.journal.reading import ReadableJournal

POLL_S: Final = 0.1


@asynccontextmanager
async def open_journal_readonly(path: str | PathLike[str]) -> AsyncIterator[ReadableJournal]:
    """Open the journal in a file for reading and tailing, whoever writes it, and if nobody does.

    Raises NotAJournal for what is something else, CannotOpen for a file that is missing or
    cannot be read.
    """
    file = place(path)
    if not file.exists():
        raise CannotOpen(f"{file} does not exist: check the name")
    async with connect_reader(file) as reader:
        with explained(file):
            is_blank = await check_format(reader.db, file)
        if is_blank:
            raise NotAJournal(f"{file} is empty: no engine has used it yet")
        journal = ReadableJournal(await reader.id(), reader)
        polling = asyncio.create_task(poll(journal, reader))
        try:
            yield journal
        finally:
            polling.cancel()
            await asyncio.wait({polling})
            journal.feed.close()


async def poll(journal: ReadableJournal, reader: Reader) -> None:
    """Wake the tails whenever another process has committed, until cancelled."""
    seen: int | None = -1  # which no version is
    while True:
        if journal.feed.followers:
            last, seen = seen, await version(reader)
            if seen != last:
                journal.feed.wake_all()
        await asyncio.sleep(POLL_S)


async def version(reader: Reader) -> int | None:
    """Return what changes with each commit, or None: then the tails see for themselves why."""
    try:
        return await reader.data_version()
    except JournalUnreadable:
        return None
