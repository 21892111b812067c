"""When the writer moves its write-ahead log into the file, and what it makes of the answer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import aiosqlite

from stenograph.journal.writer import Append

PAGE_BYTES: Final = 4096
WAL_PAGES: Final = 4000
"""Pages between two checkpoints. Fewer cost syncs; more, an ever growing file."""
WAL_PAGES_HIGH: Final = 16_000
"""From here on the writer waits for the readers, for as long as its busy timeout allows."""


class Checkpoints:
    """Runs on the one connection that writes: SQLite before 3.51.3 may lose data otherwise."""

    def __init__(self, db: aiosqlite.Connection, path: Path) -> None:
        self.db = db
        self.pages = left_behind(path)

    def count(self, appends: Iterable[Append]) -> None:
        """Note about how many pages a commit has put into the log: SQLite does not tell."""
        self.pages += 2 + sum(1 + append.size // PAGE_BYTES for append in appends)

    async def run_if_due(self) -> None:
        """Checkpoint about every ``WAL_PAGES``; raises sqlite3.Error when it fails.

        Readers in the way are no failure. What they keep in the log goes with a later one.
        """
        if self.pages < WAL_PAGES:
            return
        self.pages = 0
        if await self.run("PASSIVE") >= WAL_PAGES_HIGH:
            # Pages read without a pause never let the log begin anew; this waits for them.
            await self.run("RESTART")

    async def run(self, mode: str) -> int:
        """Return how many pages the log held."""
        [(_, pages, _)] = await self.db.execute_fetchall(f"PRAGMA wal_checkpoint({mode})")
        return int(pages)


def left_behind(path: Path) -> int:
    """Return how many pages a killed writer left in the log."""
    log = path.with_name(f"{path.name}-wal")
    return log.stat().st_size // PAGE_BYTES if log.exists() else 0
