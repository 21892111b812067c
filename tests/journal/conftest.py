"""Journals to test with: every kind, each with a full ring of recent records and without one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from stenograph.journal import MemoryJournal, SqliteJournal, open_journal
from stenograph.journal.ring import Ring

AnyJournal: TypeAlias = MemoryJournal | SqliteJournal

KINDS = [("memory", 8192), ("memory", 3), ("sqlite", 8192), ("sqlite", 3), ("sqlite", 0)]


@pytest.fixture(params=KINDS, ids=[f"{kind}, ring of {size}" for kind, size in KINDS])
def opened(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[], AbstractAsyncContextManager[AnyJournal]]:
    """What opens a new journal of each kind: ``async with opened() as journal``."""
    kind, ring_size = request.param

    @asynccontextmanager
    async def open_it() -> AsyncIterator[AnyJournal]:
        journal = MemoryJournal() if kind == "memory" else open_journal(tmp_path / "test.db")
        async with journal as it:
            it.feed.ring = Ring(max_records=ring_size)
            yield it

    return open_it
