"""A file that an older version wrote opens, verifies and folds as it always did."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import stenograph as st
from stenograph.engine import RunGone
from stenograph.journal import (
    NewRecord,
    NotAJournal,
    envelope,
    inspect_file,
    is_erased,
    open_journal,
    open_journal_readonly,
)
from tests.golden_histories import GOLDEN, written
from tests.golden_journal import ERASED, ends_of, records_of
from tests.journal.tampering import rows_of

FILES = sorted(GOLDEN.glob("*/journal.sqlite"))


@pytest.fixture(params=FILES, ids=lambda path: path.parent.name)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "journal.sqlite"
    shutil.copyfile(request.param, path)
    shutil.copyfile(request.param.with_suffix(".ends"), path.with_suffix(".ends"))
    return path


def test_there_is_one_and_it_is_small() -> None:
    assert FILES
    assert all(path.stat().st_size < 100_000 for path in FILES)


def test_it_verifies(golden: Path) -> None:
    verdict = inspect_file(golden)
    assert verdict is not None
    assert (verdict.findings, verdict.ok) == ([], True)
    assert verdict.erased > 0


async def test_its_runs_fold_to_what_they_always_were(golden: Path) -> None:
    assert written(await ends_of(golden)) == golden.with_suffix(".ends").read_bytes()
    assert all(map(is_erased, (await records_of(golden, ERASED))[:-1]))


async def test_it_goes_on_where_it_was(golden: Path) -> None:
    async with st.open(golden) as engine:
        assert (await engine.signal("waiting", "go")).id == "waiting"
        assert (await engine.wait("waiting")).status == "completed"
        with pytest.raises(RunGone):
            await engine.get(ERASED)
    verdict = inspect_file(golden)
    assert verdict is not None
    assert verdict.ok


async def test_opening_adds_what_is_missing_and_writes_no_record_anew(golden: Path) -> None:
    """What format 1 had at first: records, streams, labels, and nothing beside them."""
    with closing(sqlite3.connect(golden)) as db:
        additions = db.execute(
            "SELECT type, name FROM sqlite_master WHERE sql IS NOT NULL AND name NOT IN ("
            "'meta', 'stream', 'record', 'label', 'label_by_value', 'record_is_only_ever_erased',"
            "'record_is_never_deleted', 'stream_never_changes', 'stream_is_never_deleted',"
            "'meta_never_changes', 'meta_is_never_deleted')"
        ).fetchall()
        for kind, name in sorted(additions, key=lambda row: row[0] != "trigger"):
            db.execute(f"DROP {kind} {name}")
    assert additions
    rows = rows_of(golden)
    async with open_journal_readonly(golden) as reader:  # reading needs no additions
        lines = [envelope(each) for each in await reader.read_all()]
    one = NewRecord("log", b"{}", "2026-11-20T22:55:01.123456Z")
    async with open_journal(golden) as journal:
        await journal.append("later", [one], expected_seq=0, secrets={"/key": b"value"})
        assert await journal.secrets("later") == {"/key": b"value"}
        assert [envelope(each) for each in await journal.read_all()][:-1] == lines
    assert rows_of(golden)[:-1] == rows
    verdict = inspect_file(golden)
    assert verdict is not None
    assert verdict.ok


def bytes_of(path: Path) -> bytes:
    return path.read_bytes()


async def test_a_later_format_is_refused_by_all_who_open_it(golden: Path) -> None:
    with closing(sqlite3.connect(golden)) as db:
        db.execute("PRAGMA user_version=2")
    before = bytes_of(golden)
    with pytest.raises(NotAJournal, match="format 2"):
        await open_journal(golden).__aenter__()
    with pytest.raises(NotAJournal, match="format 2"):
        await open_journal_readonly(golden).__aenter__()
    with pytest.raises(NotAJournal, match="format"):
        inspect_file(golden)
    assert bytes_of(golden) == before
