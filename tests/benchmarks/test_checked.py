"""What a benchmark has made, told by its file alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.checked import ends
from stenograph.journal import NewRecord, open_journal

AT = "2026-11-20T22:55:01.123456Z"


async def made(folder: Path) -> Path:
    """A journal of two streams, of two records and of one."""
    path = folder / "made.db"
    async with open_journal(path) as journal:
        for run_id, seq in (("a", 0), ("b", 0), ("a", 1)):
            await journal.append(run_id, [NewRecord("log", b"{}", AT)], expected_seq=seq)
    return path


def changed(path: Path, statement: str) -> None:
    """Change the file as none but a forger does."""
    with closing(sqlite3.connect(path)) as db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            db.execute(f"DROP TRIGGER {trigger}")
        db.execute(statement)
        db.commit()


async def test_a_journal_tells_where_each_stream_ends(tmp_path: Path) -> None:
    assert ends(await made(tmp_path)) == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM record WHERE stream = 1 AND seq = 1",
        "UPDATE record SET data = x'5b5d' WHERE stream = 1 AND seq = 2",
        "UPDATE record SET hash = zeroblob(32) WHERE stream = 1 AND seq = 1",
    ],
)
async def test_what_is_missing_or_other_than_the_chain_says_is_found(
    statement: str, tmp_path: Path
) -> None:
    path = await made(tmp_path)
    changed(path, statement)
    with pytest.raises(RuntimeError, match=r"record \d of a does not follow"):
        ends(path)
