"""Inspection: a run, a journal, or a part of one is read as it is stored, and verified."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Sequence
from os import PathLike
from typing import Any, Final, Protocol

from stenograph.journal.erasure import ERASED
from stenograph.journal.errors import JournalUnreadable
from stenograph.journal.record import GENESIS, TIME, Record
from stenograph.journal.stored import LAST, PAGE, StoredFile, Unreadable, open_stored
from stenograph.journal.verifying import (
    FINDINGS_MAX,
    Checker,
    Finding,
    Reached,
    Stored,
    Verdict,
    matches,
    told,
)
from stenograph.journal.writer import is_busy

JOURNAL_ID: Final = re.compile("[0-9a-f]{16}")
FIRST: Final = -math.inf
"""Before all that can be stored: any number would leave out of sight what stands below it."""
PLACES_MAX: Final = 100
"""Most damaged places of a file that reading goes on behind."""


class Rows(Protocol):
    """Where records are stored, as ``StoredFile`` is one: nothing of a row is hidden."""

    def records(self, after: float, limit: int) -> list[Stored]:
        """Return the next records of the journal; raises Unreadable when the next one is."""

    def records_of(self, stream: int, after: float, limit: int) -> list[Stored]:
        """Return the next records of a stream; raises Unreadable when the next one is."""

    def number(self, run_id: str) -> int | None:
        """Return the number of a run's stream, or None when there is none."""

    def head(
        self, stream: Any, *, offset: int = LAST, seq: int = LAST
    ) -> tuple[Reached, int] | None:
        """Return where a stream stood at an offset or a seq, and that record's offset; or None."""


class Watcher(Protocol):
    """Who looks at the rows beside the checker: what checkpoints say of them."""

    def take(self, row: Stored) -> None:
        """Look at a row."""


def inspect_file(
    path: str | PathLike[str],
    run_id: str | None = None,
    *,
    after: int = 0,
    limit: int = LAST,
    watchers: Sequence[Watcher] = (),
) -> Verdict | None:
    """Verify what a file stores: one run, or the whole journal with its streams, schema and indexes.

    Only up to ``limit`` records with a cursor over ``after`` are looked at; then ``next`` tells
    where to go on, and what concerns the file as a whole is left to whoever looks at all of it.
    ``watchers`` are given the rows of a journal, in order. Returns None when there is no such run.
    Raises CannotOpen, NotAJournal, JournalUnreadable.
    """
    with open_stored(path) as file:
        try:
            journal_id = told(file.meta().get("id")) or ""
            if run_id is not None:
                run = check_run(file, run_id, after, limit)
                if run is not None and run.records < limit:
                    check_erasing(file, run, file.number(run_id))
                return None if run is None else verdict(run, journal_id, run_id, after, limit)
            checker = Checker(after=after, offset=after)
            is_all = after == 0 and limit == LAST
            if is_all:
                check_file(file, checker)
            check_records(file, checker, after, limit, watchers)
            if is_all:
                check_streams(file, checker)
                check_erasing(file, checker)
            return verdict(checker, journal_id, None, after, limit)
        except sqlite3.DatabaseError as error:
            why = "cannot be read now" if is_busy(error) else "is damaged; nothing can be read"
            raise JournalUnreadable(f"{file.path} {why}: {error}") from error


def inspect_rows(
    rows: Rows, journal_id: str, run_id: str | None, *, after: int = 0, limit: int = LAST
) -> Verdict | None:
    """As ``inspect_file``, of records that lie elsewhere."""
    if run_id is not None:
        run = check_run(rows, run_id, after, limit)
        return None if run is None else verdict(run, journal_id, run_id, after, limit)
    checker = Checker(after=after, offset=after)
    check_records(rows, checker, after, limit)
    return verdict(checker, journal_id, None, after, limit)


def check_records(
    rows: Rows, checker: Checker, after: int, limit: int, watchers: Sequence[Watcher] = ()
) -> None:
    """Let the checker take a journal's records with an offset over ``after``, page by page."""
    cursor: float = after or FIRST
    places = 0
    while limit > checker.records:
        try:
            page = rows.records(cursor, min(PAGE, limit - checker.records))
        except Unreadable as error:
            places += 1
            checker.skip(error.again, str(error))
            if error.again is None or places == PLACES_MAX:
                return
            cursor = error.again
            continue
        if not page:
            return
        cursor = page[-1].offset
        for row in page:
            if after and row.stream not in checker.heads:
                known = rows.head(row.stream, offset=after)
                if known:
                    checker.heads[row.stream] = known[0]
                    checker.begun_before += 1
            checker.take(row)
            for watcher in watchers:
                watcher.take(row)


def check_run(rows: Rows, run_id: str, after: int, limit: int) -> Checker | None:
    """Check a run's records with a ``seq`` over ``after``; None when there is no such run."""
    stream = rows.number(run_id)
    if stream is None:
        return None
    known = rows.head(stream, seq=after) if after else None
    head, offset = known or (Reached(run_id, 0, GENESIS), 0)
    checker = Checker(whole=False, after=after, offset=offset, heads={stream: head})
    cursor: float = after or FIRST
    while limit > checker.records:
        try:
            page = rows.records_of(stream, cursor, min(PAGE, limit - checker.records))
        except Unreadable as error:
            checker.skip(None, str(error))
            break
        if not page:
            break
        cursor = page[-1].seq
        for row in page:
            checker.take(row)
    if not (after or checker.records or checker.findings.count):
        checker.find("stream", f"{run_id} has no record, which no run was ever without")
    return checker


def as_stored(record: Record, stream: int, began: str) -> Stored:
    """Return a record as a file would store it."""
    match = ERASED.fullmatch(record.data)
    return Stored(
        offset=record.offset,
        stream=stream,
        run_id=record.run_id,
        created_at=began,
        seq=record.seq,
        at=record.at,
        type=record.type,
        hash=bytes.fromhex(record.hash),
        erased=int(match is not None),
        data=bytes.fromhex(match[1].decode()) if match else record.data,
    )


def check_file(file: StoredFile, checker: Checker) -> None:
    """Check what a file holds beside records: what it was made with, its definitions, its indexes."""
    for fault in file.damage():
        is_index = "index" in fault
        checker.find("index" if is_index else "unreadable", f"SQLite's own check: {fault}")
    for name in file.changed_schema():
        checker.find("schema", f"{name} is missing, or is not as a journal has it")
    for name in file.unknown_triggers():
        checker.find("schema", f"{name} is a trigger that no journal has")
    meta = file.meta()
    if not matches(JOURNAL_ID, meta.get("id")):
        checker.find("meta", "the journal's id is none")
    if not matches(TIME, meta.get("created_at")):
        checker.find("meta", "the time at which the journal was made is none")


def check_streams(file: StoredFile, checker: Checker) -> None:
    """Check that no stream is without records: no run ever was."""
    for number, run_id in file.empty_streams(FINDINGS_MAX):
        checker.find("stream", f"stream {number} ({told(run_id)}) has no record: they are missing")


def check_erasing(file: StoredFile, checker: Checker, stream: int | None = None) -> None:
    """Check that erasing took all of a run up to there, and that a record behind it tells of it.

    Looked at where all else holds: what else was found says more.
    """
    if checker.findings.count:
        return
    for run_id, seq, kept in file.broken_erasures(FINDINGS_MAX, stream):
        told_of = (
            "no record behind it tells of that" if kept is None else f"{kept} before it is not"
        )
        checker.findings.add(
            Finding(
                why="erased", detail=f"it is erased, and {told_of}", run_id=told(run_id), seq=seq
            )
        )


def verdict(
    checker: Checker, journal_id: str, run_id: str | None, after: int, limit: int
) -> Verdict:
    """Return what a checker came to."""
    findings = checker.findings
    return Verdict(
        ok=not findings.count,
        journal=journal_id,
        run_id=run_id,
        records=checker.records,
        runs=len(checker.heads) - checker.begun_before,
        erased=checker.erased,
        after=after,
        sound=checker.cursor if checker.sound is None else checker.sound,
        next=checker.cursor if checker.records >= limit else None,
        faults=findings.count,
        findings=findings.kept,
    )
