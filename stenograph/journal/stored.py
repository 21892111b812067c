"""A journal's file as it is stored: rows with nothing decoded or hidden, also where it is damaged."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, Final

from stenograph.journal.errors import CannotOpen, NotAJournal
from stenograph.journal.files import (
    APPLICATION_ID,
    BUSY_TIMEOUT_S,
    FORMAT,
    explained,
    place,
    script,
)
from stenograph.journal.protocol import PAGE_MAX_BYTES
from stenograph.journal.verifying import Reached, Stored, told
from stenograph.journal.writer import is_busy

PAGE: Final = 500
LAST: Final = 2**63 - 1
INTEGRITY_MAX: Final = 20
"""Most faults that are asked of SQLite's own check."""

COLUMNS = """
    SELECT offset, stream, run_id, created_at, seq, at, type, hash, erased, data
    FROM record LEFT JOIN stream ON stream.number = record.stream
"""
IN_OFFSET_ORDER = f"{COLUMNS} WHERE offset > ? ORDER BY offset LIMIT ?"
OF_A_STREAM = f"{COLUMNS} WHERE record.stream = ? AND seq > ? ORDER BY seq LIMIT ?"
NUMBER = "SELECT number FROM stream WHERE run_id = ?"
NAMED = """
    SELECT run_id FROM stream WHERE instr(run_id, '/') = 0 AND substr(run_id, 1, ?) = ?
    ORDER BY number DESC LIMIT ?
"""
HEAD = """
    SELECT run_id, seq, hash, offset FROM record LEFT JOIN stream ON stream.number = record.stream
    WHERE record.stream = ? AND {cursor} <= ? ORDER BY seq DESC LIMIT 1
"""
EMPTY_STREAMS = """
    SELECT number, run_id FROM stream
    WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.stream = stream.number)
    ORDER BY number LIMIT ?
"""
BROKEN_ERASURES = """
    SELECT run_id, gone, CASE WHEN kept < gone THEN kept END FROM (
        SELECT record.stream AS number, max(seq) FILTER (WHERE erased = 1) AS gone,
            min(seq) FILTER (WHERE erased = 0) AS kept
        FROM record WHERE {streams} GROUP BY record.stream
    ) LEFT JOIN stream USING (number) WHERE gone AND (kept < gone OR kept IS NULL) LIMIT ?
"""
WITH_ERASED = "record.stream IN (SELECT stream FROM record WHERE erased = 1)"
SCHEMA = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
TRIGGERS = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
META = "SELECT key, value FROM meta"


class Unreadable(Exception):
    """Rows after a cursor that cannot be read, and where they can be read again, if anywhere."""

    def __init__(self, reason: str, again: int | None) -> None:
        super().__init__(reason)
        self.again = again


class StoredFile:
    """The rows of a journal's file, by a connection that can only read. Pages are short reads."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self.db, self.path = db, path
        # What an edit has made no text stays something that can be shown.
        db.text_factory = lambda raw: raw.decode(errors="surrogateescape")

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return a page of rows, bounded in bytes, with no statement left open behind it."""
        return list(self._page(sql, parameters))

    def _page(self, sql: str, parameters: Sequence[object]) -> Iterator[tuple[Any, ...]]:
        size = 0
        with closing(self.db.execute(sql, parameters)) as cursor:
            for row in cursor:
                yield row
                size += len(row[-1]) if isinstance(row[-1], bytes) else 0
                if size >= PAGE_MAX_BYTES:
                    return

    def records(self, after: float = 0, limit: int = PAGE) -> list[Stored]:
        """Return the next records of the journal; raises Unreadable when the next one is."""
        return [Stored(*row) for row in self._readable(IN_OFFSET_ORDER, after, limit)]

    def records_of(self, stream: int, after: float = 0, limit: int = PAGE) -> list[Stored]:
        """Return the next records of a stream; raises Unreadable when the next one is."""
        return [Stored(*row) for row in self._readable(OF_A_STREAM, after, limit, stream)]

    def number(self, run_id: str) -> int | None:
        """Return the number of a run's stream, or None when there is none."""
        return next((number for (number,) in self.rows(NUMBER, run_id)), None)

    def named(self, prefix: str, limit: int) -> list[str]:
        """Return the ids of runs that begin so, newest first."""
        return [str(run_id) for (run_id,) in self.rows(NAMED, len(prefix), prefix, limit)]

    def head(
        self, stream: object, *, offset: int = LAST, seq: int = LAST
    ) -> tuple[Reached, int] | None:
        """Return where a stream stood at an offset or a seq, and that record's offset; or None."""
        cursor, value = ("seq", seq) if seq != LAST else ("offset", offset)
        for run_id, last, digest, at in self.rows(HEAD.format(cursor=cursor), stream, value):
            if isinstance(digest, bytes) and isinstance(last, int) and isinstance(at, int):
                return Reached(run_id, last, digest.hex()), at
        return None

    def meta(self) -> dict[str, Any]:
        """Return what the journal was made with."""
        return dict(self.rows(META))

    def empty_streams(self, limit: int) -> list[tuple[Any, Any]]:
        """Return numbers and run ids of streams that have no record, which none ever had."""
        return [(number, run_id) for number, run_id in self.rows(EMPTY_STREAMS, limit)]

    def broken_erasures(
        self, limit: int, stream: int | None = None
    ) -> list[tuple[Any, int, int | None]]:
        """Return runs with an erased record behind one that is not, and the seqs of both.

        Erasing takes all records and writes one behind them: where there is none, the second is None.
        """
        which = WITH_ERASED if stream is None else "record.stream = ?"
        bound = () if stream is None else (stream,)
        return self.rows(BROKEN_ERASURES.format(streams=which), *bound, limit)

    def changed_schema(self) -> list[str]:
        """Return the names of the format's tables and triggers that are missing or changed.

        What came later may be missing.
        """
        found = {name: plain(sql) for name, sql in self.rows(SCHEMA)}
        first = defined_by("schema.sql")
        return [
            name
            for name, sql in {**first, **defined_by("schema.sql", "additions.sql")}.items()
            if (name in first or name in found) and found.get(name) != plain(sql)
        ]

    def unknown_triggers(self) -> list[str]:
        """Return the names of triggers that no journal has: one could keep records from being written."""
        known = defined_by("schema.sql", "additions.sql")
        return [str(told(name)) for (name,) in self.rows(TRIGGERS) if name not in known]

    def damage(self) -> list[str]:
        """Return what SQLite's own check of pages and indexes finds."""
        try:
            found = [str(row[0]) for row in self.rows(f"PRAGMA integrity_check({INTEGRITY_MAX})")]
        except sqlite3.DatabaseError as error:
            if is_busy(error):
                raise
            return [str(error)]
        return [] if found == ["ok"] else [" ".join(each.split()) for each in found]

    def _readable(
        self, sql: str, after: float, limit: int, *before: object
    ) -> list[tuple[Any, ...]]:
        """Return a page, or what of it comes before what is damaged; raises Unreadable."""
        found: list[tuple[Any, ...]] = []
        try:
            found.extend(self._page(sql, (*before, after, limit)))
        except sqlite3.DatabaseError as error:
            if is_busy(error):
                raise
            if not found:
                raise Unreadable(str(error), self._readable_again(sql, after, *before)) from error
        return found

    def _readable_again(self, sql: str, after: float, *before: object) -> int | None:
        """Return the first cursor found behind the damage from which on a row can be read."""
        bad, step = int(max(after, -LAST)), 1
        while bad + step < LAST // 2:
            if self._can_read(sql, bad + step, *before):
                good = bad + step
                while good - bad > 1:
                    middle = (good + bad) // 2
                    if self._can_read(sql, middle, *before):
                        good = middle
                    else:
                        bad = middle
                return good
            step *= 2
        return None

    def _can_read(self, sql: str, after: int, *before: object) -> bool:
        try:
            return bool(self.rows(sql, *before, after, 1))
        except sqlite3.DatabaseError:
            return False


@contextmanager
def open_stored(path: str | PathLike[str]) -> Iterator[StoredFile]:
    """Open a journal's file to look at what is stored; raises CannotOpen, NotAJournal."""
    file = place(path)
    if not file.exists():
        raise CannotOpen(f"{file} does not exist: check the name")
    with explained(file):
        db = sqlite3.connect(
            f"{file.as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S
        )
    with closing(db):
        with explained(file):
            for pragma in ("query_only=1", "wal_autocheckpoint=0", "mmap_size=0"):
                db.execute(f"PRAGMA {pragma}").fetchall()
            [(application,)] = db.execute("PRAGMA application_id").fetchall()
            [(version,)] = db.execute("PRAGMA user_version").fetchall()
        if application != APPLICATION_ID or version != FORMAT:
            raise NotAJournal(
                f"{file} is no journal of format {FORMAT}: name another, or use a later version"
            )
        yield StoredFile(db, file)


def defined_by(*names: str) -> dict[str, str]:
    """Return what the scripts of this package define, by its name."""
    with closing(sqlite3.connect(":memory:")) as fresh:
        for name in names:
            fresh.executescript(script(name))
        return dict(fresh.execute(SCHEMA).fetchall())


def plain(sql: str) -> str:
    """Return a definition without comments, and with single blanks."""
    return " ".join(re.sub(r"--[^\n]*", " ", sql).split())
