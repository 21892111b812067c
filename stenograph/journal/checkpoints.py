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

    def __init__(self, db: aiosqlite.Connection, left_behind: int) -> None:
        self.db = db
        self.pages = left_behind
        self.must_truncate = left_behind > 0
        """Whether the log may hold secrets that were forgotten; a killed writer cannot tell."""

    def count(self, appends: Iterable[Append]) -> None:
        """Note about how many pages a commit has put into the log: SQLite does not tell."""
        self.pages += 2
        for append in appends:
            self.pages += 1 + append.size // PAGE_BYTES + 2 * len(append.secrets)
            if append.snapshots or append.own_snapshots:
                rows = (*append.snapshots, *append.own_snapshots)
                self.pages += sum(len(data) // PAGE_BYTES for _, data, *_ in rows)
            self.must_truncate |= append.has_forgotten

    @property
    def is_due(self) -> bool:
        """Whether the writer should pause for it."""
        return self.must_truncate or self.pages >= WAL_PAGES

    async def run_if_due(self) -> None:
        """Checkpoint about every ``WAL_PAGES``; raises sqlite3.Error when it fails.

        Readers in the way are no failure. What they keep in the log goes with a later one.
        """
        if self.must_truncate:
            await self.truncate()
        if self.pages < WAL_PAGES:
            return
        _, pages, _ = await self.run("PASSIVE")
        self.pages = 0
        if pages >= WAL_PAGES_HIGH:
            # Pages read without a pause never let the log begin anew; this waits for them.
            await self.run("RESTART")

    async def truncate(self) -> None:
        """Empty the log, so that what was forgotten is in no file any more, unless a reader is in it.

        The passive one before waits for nobody: where it leaves pages, truncating would be in vain.
        """
        _, pages, moved = await self.run("PASSIVE")
        if pages == moved:
            in_the_way, _, _ = await self.run("TRUNCATE")
            if not in_the_way:
                self.must_truncate, self.pages = False, 0

    async def run(self, mode: str) -> tuple[int, int, int]:
        """Return whether somebody was in the way, the log's pages, and how many were moved."""
        [(in_the_way, pages, moved)] = await self.db.execute_fetchall(
            f"PRAGMA wal_checkpoint({mode})"
        )
        return in_the_way, pages, moved


def left_behind(path: Path) -> int:
    """Return how many pages a killed writer left in the log."""
    log = path.with_name(f"{path.name}-wal")
    return log.stat().st_size // PAGE_BYTES if log.exists() else 0
