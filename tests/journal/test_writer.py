"""The synchronous half of group commit, on a plain connection and without a loop."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from stenograph.journal import NewRecord
from stenograph.journal.files import creation
from stenograph.journal.reader import PageCursor
from stenograph.journal.writer import GROUP_COMMIT, Append, CommitConnection, Draft, is_busy

AT = "2026-11-20T22:55:01.123456Z"


@contextmanager
def blank(path: str = ":memory:") -> Iterator[CommitConnection]:
    db = sqlite3.connect(path, isolation_level=None, factory=CommitConnection)
    try:
        db.executescript(creation())
        yield db
    finally:
        db.close()


def append(run_id: str, expected_seq: int, *, count: int = 1, data: bytes = b"1") -> Append:
    records = [NewRecord("note", data, AT)] * count
    return Append(run_id, records, expected_seq, {}, 0)


def stored(db: sqlite3.Connection) -> list[tuple[str, int, int]]:
    sql = "SELECT run_id, seq, offset FROM record JOIN stream ON stream = number ORDER BY offset"
    return db.execute(sql).fetchall()


def test_a_batch_is_one_transaction() -> None:
    with blank() as db:
        statements: list[str] = []
        db.set_trace_callback(statements.append)
        db.executemany(GROUP_COMMIT, [append("a", 0, count=2), append("b", 0), append("a", 2)])
        assert [sql for sql in statements if sql.startswith(("BEGIN", "COMMIT"))] == [
            "BEGIN IMMEDIATE",
            "COMMIT",
        ]
        assert stored(db) == [("a", 1, 1), ("a", 2, 2), ("b", 1, 3), ("a", 3, 4)]


def test_a_refused_append_is_marked_and_the_others_are_sealed() -> None:
    with blank() as db:
        batch = [append("a", 0), append("a", 0), append("b", 3), append("a", 1)]
        db.writer.commit(batch)
        assert [len(each.sealed) for each in batch] == [1, 0, 0, 1]
        assert [each.refused and each.refused.actual for each in batch] == [None, 1, 0, None]


def test_a_batch_that_fails_halfway_leaves_everything_as_it_was() -> None:
    unstorable: Any = object()
    with blank() as db:
        db.writer.commit([append("a", 0)])
        bad = append("b", 0)
        bad.labels = {"status": unstorable}
        with pytest.raises(sqlite3.Error):
            db.writer.commit([append("a", 1), bad])
        assert not db.in_transaction
        db.writer.commit([append("a", 1), append("b", 0)])
        assert stored(db) == [("a", 1, 1), ("a", 2, 2), ("b", 1, 3)]


def test_a_commit_that_fails_leaves_everything_as_it_was() -> None:
    def and_an_orphan() -> Iterator[Append]:
        yield append("a", 0)
        db.execute("PRAGMA defer_foreign_keys=1")  # found out by the COMMIT alone
        db.execute("INSERT INTO label VALUES (99, 'key', 'value')")

    with blank() as db:
        db.execute("PRAGMA foreign_keys=1")
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            db.writer.commit(and_an_orphan())
        assert not db.in_transaction
        db.writer.commit([append("b", 0), append("a", 0)])
        assert stored(db) == [("b", 1, 1), ("a", 1, 2)]


def test_a_begin_that_fails_leaves_the_connection_usable() -> None:
    with blank() as db:
        db.execute("BEGIN")  # as one would be left behind by somebody who was cancelled
        with pytest.raises(sqlite3.OperationalError, match="within a transaction"):
            db.writer.commit([append("a", 0)])
        db.writer.commit([append("a", 0)])
        assert stored(db) == [("a", 1, 1)]


def test_an_interrupt_in_the_middle_rolls_back() -> None:
    def interrupted() -> Iterator[Append]:
        yield append("a", 0)
        raise KeyboardInterrupt

    with blank() as db:
        with pytest.raises(KeyboardInterrupt):
            db.writer.commit(interrupted())
        assert (db.in_transaction, stored(db)) == (False, [])


def test_heads_that_were_let_go_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stenograph.journal.writer.HEADS_MAX", 2)
    with blank() as db:
        for seq in range(3):
            db.writer.commit([append(run_id, seq) for run_id in "abcd"])
            assert list(db.writer.heads) == ["c", "d"]
        assert [seq for _, seq, _ in stored(db)] == [1] * 4 + [2] * 4 + [3] * 4


@pytest.mark.parametrize("count", [1, 2, 3, 127, 128, 129, 300])
def test_any_number_of_rows_is_inserted(count: int) -> None:
    with blank() as db:
        db.writer.commit([append("a", 0, count=count)])
        assert [seq for _, seq, _ in stored(db)] == list(range(1, count + 1))


def test_labels_are_written_only_when_they_change() -> None:
    with blank() as db:
        statements: list[str] = []
        db.set_trace_callback(lambda sql: statements.append(sql) if "label" in sql else None)
        for seq, status in enumerate(["running", "running", "completed"]):
            each = append("a", seq)
            each.labels = {"status": status}
            db.writer.commit([each])
        assert len([sql for sql in statements if "INTO label" in sql]) == 2


def test_a_rolled_back_draft_was_never_there() -> None:
    with blank() as db:
        db.execute("BEGIN IMMEDIATE")
        draft = Draft(db.writer)
        draft.take(append("a", 0))
        draft.write(db)
        db.execute("ROLLBACK")
        db.writer.commit([append("a", 0)])
        assert stored(db) == [("a", 1, 1)]


def test_only_busy_and_locked_are_worth_a_second_try() -> None:
    def error(code: int) -> sqlite3.OperationalError:
        made = sqlite3.OperationalError()
        made.sqlite_errorcode = code
        return made

    assert is_busy(error(sqlite3.SQLITE_BUSY))
    assert is_busy(error(sqlite3.SQLITE_BUSY_SNAPSHOT))
    assert is_busy(error(sqlite3.SQLITE_LOCKED))
    assert not is_busy(error(sqlite3.SQLITE_IOERR))
    assert not is_busy(ValueError())


def test_a_page_that_ends_early_leaves_no_statement_open() -> None:
    with blank() as db:
        large = b"1" * 2 * 1024 * 1024
        db.writer.commit([append("a", seq, data=large) for seq in range(3)])
        cursor = db.cursor(PageCursor)
        cursor.execute("SELECT data FROM record")
        assert len(cursor.fetchall()) == 2
        with pytest.raises(sqlite3.ProgrammingError, match="closed cursor"):
            cursor.fetchone()
