"""The synchronous half of group commit, on a plain connection and without a loop."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from stenograph.journal import NewRecord
from stenograph.journal.files import creation
from stenograph.journal.protocol import PAGE_MAX_BYTES
from stenograph.journal.reader import PageCursor
from stenograph.journal.writer import (
    GROUP_COMMIT,
    Append,
    CommitConnection,
    Draft,
    is_busy,
)

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


class Batches:
    """Where a writer finds its batches, and what it said and did, word by word."""

    def __init__(self, *batches: list[Append]) -> None:
        self.batches = list(batches)
        self.words: list[str] = []

    def take(self) -> list[Append]:
        self.words.append("take")
        return self.batches.pop(0) if self.batches else []

    def drafted(self) -> None:
        self.words.append("drafted")


@contextmanager
def traced(db: sqlite3.Connection) -> Iterator[list[str]]:
    """The first words of the statements that are run."""
    words: list[str] = []
    db.set_trace_callback(lambda sql: words.append(sql.split()[0]))
    yield words
    db.set_trace_callback(None)


def test_a_batch_is_one_transaction() -> None:
    with blank() as db, traced(db) as words:
        batch = [append("a", 0, count=2), append("b", 0), append("a", 2)]
        db.executemany(GROUP_COMMIT, Batches(batch))
        assert [word for word in words if word in ("BEGIN", "COMMIT")] == ["BEGIN", "COMMIT"]
        assert stored(db) == [("a", 1, 1), ("a", 2, 2), ("b", 1, 3), ("a", 3, 4)]


def test_a_batch_that_is_one_statement_needs_no_other() -> None:
    with blank() as db:
        db.writer.commit([append("a", 0), append("b", 0)])
        with traced(db) as words:
            db.writer.commit([append("a", 1, count=5), append("b", 1, count=4)])
        assert words == ["INSERT"]
        assert [seq for run_id, seq, _ in stored(db) if run_id == "a"] == [1, 2, 3, 4, 5, 6]


def test_a_batch_of_several_statements_is_one_transaction() -> None:
    with blank() as db:
        db.writer.commit([append("a", 0), append("b", 0)])
        with traced(db) as words:
            db.writer.commit([append("a", 1, count=1024), append("b", 1)])
        assert words == ["BEGIN", "INSERT", "INSERT", "COMMIT"]


def test_a_batch_is_drafted_before_it_is_said_so_and_committed_before_the_next_is_taken() -> None:
    with blank() as db, traced(db) as words:
        batches = Batches([append("a", 0)], [append("a", 1)])
        batches.words = words
        db.executemany(GROUP_COMMIT, batches)
        last = words.index("COMMIT") + 1
        assert words[last:] == ["take", "drafted", "INSERT", "take"]
        assert words.index("drafted") < words.index("BEGIN")
        assert stored(db) == [("a", 1, 1), ("a", 2, 2)]


def test_after_a_batch_that_fails_no_other_is_taken() -> None:
    with blank() as db:
        db.writer.commit([append("a", 0), append("b", 0)])
        db.execute("CREATE TEMP TRIGGER no BEFORE INSERT ON record WHEN NEW.stream = 2 "
                   "BEGIN SELECT RAISE(ABORT, 'no'); END")  # fmt: skip
        batches = Batches([append("a", 1)], [append("a", 2), append("b", 1)], [append("a", 3)])
        with pytest.raises(sqlite3.IntegrityError, match="no"):
            db.executemany(GROUP_COMMIT, batches)
        assert (batches.words, db.in_transaction) == (["take", "drafted"] * 2, False)
        assert stored(db) == [("a", 1, 1), ("b", 1, 2), ("a", 2, 3)]


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


def test_a_commit_that_fails_leaves_everything_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def and_an_orphan(draft: Draft, db: sqlite3.Connection) -> None:
        write(draft, db)
        db.execute("PRAGMA defer_foreign_keys=1")  # found out by the COMMIT alone
        db.execute("INSERT INTO label VALUES (99, 'key', 'value')")

    write = Draft.write
    with blank() as db:
        db.execute("PRAGMA foreign_keys=1")
        with monkeypatch.context() as patched:
            patched.setattr(Draft, "write", and_an_orphan)
            with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
                db.writer.commit([append("a", 0)])
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


@pytest.mark.parametrize("count", [1, 2, 3, 9, 127, 300, 1023, 1024, 1025, 2100])
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


def test_the_labels_of_a_batch_are_one_statement_and_the_last_word_counts() -> None:
    with blank() as db:
        batch = [append("a", 0), append("b", 0), append("a", 1)]
        for each, status in zip(batch, ["running", "waiting", "completed"], strict=True):
            each.labels = {"kind": "run", "status": status}
        statements: list[str] = []
        db.set_trace_callback(statements.append)
        db.writer.commit(batch)
        assert len([sql for sql in statements if "INTO label" in sql]) == 1
        found = db.execute("SELECT value FROM label WHERE key = 'status' ORDER BY stream")
        assert found.fetchall() == [("completed",), ("waiting",)]


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


def test_a_page_ends_with_the_row_that_fills_it() -> None:
    with blank() as db:
        large = b"1" * (PAGE_MAX_BYTES // 20)
        db.writer.commit([append("a", seq, data=large) for seq in range(50)])
        cursor = db.cursor(PageCursor)
        cursor.execute("SELECT seq, data FROM record ORDER BY seq")
        assert [seq for seq, _ in cursor.fetchall()] == list(
            range(1, 22)
        )  # 20 are just short of it


def test_rows_without_data_are_all_of_a_page() -> None:
    with blank() as db:
        db.writer.commit([append("a", seq) for seq in range(50)])
        cursor = db.cursor(PageCursor)
        cursor.execute("SELECT data, seq FROM record")
        assert len(cursor.fetchall()) == 50
