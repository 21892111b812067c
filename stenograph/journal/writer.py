"""Group commit: a batch of waiting appends becomes one transaction, on whichever thread calls.

Nothing here knows of asyncio. Read ``CommitConnection`` for how it gets onto aiosqlite's thread.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any, Final, Protocol, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from stenograph.journal.errors import WrongExpectedSeq
from stenograph.journal.inserting import ROWS_MAX, Table, insert
from stenograph.journal.record import NewRecord, Record
from stenograph.journal.sealing import Head, advanced, no_head, seal

GROUP_COMMIT: Final = "group commit"
"""What `executemany` is called with: the statements are the writer's own."""

HEADS_MAX: Final = 16_384
"""How many streams' heads are kept at hand."""

SnapshotRow: TypeAlias = tuple[int, bytes, str, int]
"""As ``KEEP_SNAPSHOT`` takes it: version, data (padded), run id and seq."""

HEAD = """
    SELECT stream.number, record.seq, record.hash
    FROM stream JOIN record ON record.stream = stream.number
    WHERE stream.run_id = ? ORDER BY record.seq DESC LIMIT 1
"""
LABELS = "SELECT key, value FROM label WHERE stream = ?"
ERASE = """
    UPDATE record SET erased = 1, data = sha256(data)
    WHERE stream = ? AND seq <= ? AND NOT erased AND length(data) >= ?
"""
DIGEST_BYTES: Final = 32
FORGET_LABELS = "DELETE FROM label WHERE stream = ?"
WRITE_LABELS_ANEW: Final = (
    "CREATE TABLE label_anew (stream, key, value, PRIMARY KEY (stream, key)) WITHOUT ROWID",
    "INSERT INTO label_anew SELECT stream, key, value FROM label",
    "DELETE FROM label",
    "INSERT INTO label SELECT stream, key, value FROM label_anew",
    "DROP TABLE label_anew",
)
"""Leaves no copy of a label that was forgotten; see ``PADDING`` for how there comes to be one."""
FORGET_SECRETS = "DELETE FROM secret WHERE stream = ?"
KEEP_SECRET = """
    INSERT INTO secret (stream, name, value) VALUES (?, ?, ?)
    ON CONFLICT (stream, name) DO UPDATE SET value = excluded.value
"""
KEEP_SNAPSHOT = """
    INSERT INTO snapshot (stream, seq, version, data)
    SELECT record.stream, record.seq, ?, ? FROM record JOIN stream ON stream.number = record.stream
    WHERE stream.run_id = ? AND record.seq = ? AND record.erased = 0
    ON CONFLICT (stream, version, seq) DO UPDATE SET data = excluded.data
"""
PADDING: Final = bytes(4096)
"""Stands before a secret and a snapshot, so that these lie in pages which are their row's alone.

SQLite zeroes such pages when it frees them (``secure_delete``). In a page that rows share it may
leave behind a copy of a row that it has moved while balancing its tree.
"""


STREAM: Final = Table("stream", ("number", "run_id", "created_at"))
LABEL: Final = Table(
    "label",
    ("stream", "key", "value"),
    "ON CONFLICT (stream, key) DO UPDATE SET value = excluded.value",
)
RECORD: Final = Table("record", ("offset", "stream", "seq", "at", "type", "hash", "data"))


class Append(Struct):
    """One append on its way, and what became of it: sealed records, or a refusal."""

    run_id: str
    records: Sequence[NewRecord]
    expected_seq: int
    labels: Mapping[str, str]
    size: int
    secrets: Mapping[str, bytes] = {}
    forget_secrets: bool = False
    erase: bool = False
    sealed: list[Record] = []
    refused: WrongExpectedSeq | None = None
    snapshots: Sequence[SnapshotRow] = ()
    """What else goes with the commit, also where the append is refused."""
    own_snapshots: Sequence[SnapshotRow] = ()
    """What was made of its own records, and goes with them alone."""
    labels_before: Mapping[str, str] = {}
    """What its stream was labelled with until then."""
    has_forgotten: bool = False
    """Whether something was forgotten or erased, which is now in older pages of the log alone."""

    def __repr__(self) -> str:  # whoever logs it shows neither data nor secrets
        return f"<append of {len(self.records)} to {self.run_id}>"


class Source(Protocol):
    """Where the writer's thread gets its batches."""

    def take(self) -> list[Append]:
        """Return what is to be committed together next; nothing, to end here.

        By asking, all that was given before is known to be committed.
        """

    def drafted(self) -> None:
        """Hear that a batch is on its way to SQLite: others may have the interpreter."""


class Writer:
    """The one who gives out seq, offset and hash, by its own heads.

    Nobody else writes: the file is locked. Should somebody all the same, what is unique in it
    refuses the whole transaction.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.heads: OrderedDict[str, Head] = OrderedDict()
        self.end: int | None = None
        self.last_stream = 0

    def commit_all(self, source: Source) -> None:
        """Commit batch after batch, until the source has none left."""
        for appends in iter(source.take, []):
            self.commit(appends, drafted=source.drafted)

    def commit(
        self, appends: Iterable[Append], *, drafted: Callable[[], None] | None = None
    ) -> None:
        """Commit every append that its stream's head allows, and mark the others refused.

        ``drafted`` is called when SQLite has the next word: others then have the interpreter.
        Raises what SQLite raises; then nothing was committed, as far as SQLite knows, and what
        is marked on the appends means nothing.
        """
        draft = Draft(self)
        for append in appends:
            draft.take(append)
        if drafted:
            drafted()
        try:
            draft.commit(self.db)
        except BaseException:
            with suppress(sqlite3.Error):  # nothing was begun, or SQLite has rolled back itself
                self.db.execute("ROLLBACK")
            if self.db.in_transaction:  # or the next INSERT would be part of it, and not a commit
                raise sqlite3.OperationalError("a transaction cannot be rolled back") from None
            raise
        self.adopt(draft)

    def adopt(self, draft: Draft) -> None:
        """Take over what a committed draft has changed."""
        self.end, self.last_stream = draft.end, draft.last_stream
        self.heads.update(draft.heads)
        for run_id in draft.heads:
            self.heads.move_to_end(run_id)
        while len(self.heads) > HEADS_MAX:
            self.heads.popitem(last=False)

    def position(self) -> tuple[int, int]:
        """Return the last offset and the last stream's number; asked of the file only once."""
        if self.end is None:
            [self.end] = self.db.execute("SELECT coalesce(max(offset), 0) FROM record").fetchone()
            [self.last_stream] = self.db.execute(
                "SELECT coalesce(max(number), 0) FROM stream"
            ).fetchone()
        assert self.end is not None
        return self.end, self.last_stream

    def head(self, run_id: str) -> Head | None:
        """Return where a stream ends, or None when it has no record."""
        if known := self.heads.get(run_id):
            return known
        found = self.db.execute(HEAD, (run_id,)).fetchone()
        if found is None:
            return None
        number, seq, digest = found
        labels = dict(self.db.execute(LABELS, (number,)).fetchall())
        return Head(number=number, seq=seq, hash=digest.hex(), labels=labels)


class Draft:
    """What one transaction would write: the heads in it count the appends before."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.end, self.last_stream = writer.position()
        self.heads: dict[str, Head] = {}
        self.streams: list[object] = []
        self.records: list[object] = []
        self.labels: list[object] = []
        """The values of the rows that are written, one row's after the other's."""
        self.erasing: list[tuple[int, int]] = []
        self.forgets_labels = False
        self.secretive: list[tuple[int, Append]] = []
        self.snapshots: list[SnapshotRow] = []

    def take(self, append: Append) -> None:
        """Seal the append, or refuse it because its stream ends elsewhere."""
        self.snapshots += append.snapshots
        known = self.heads.get(append.run_id) or self.writer.head(append.run_id)
        head = known or no_head(self.last_stream + 1)
        if head.seq != append.expected_seq:
            append.refused = WrongExpectedSeq(
                append.run_id, expected=append.expected_seq, actual=head.seq
            )
            return
        if known is None:
            self.last_stream = head.number
            self.streams += (head.number, append.run_id, append.records[0].at)
        append.labels_before = head.labels
        if append.erase:
            append.has_forgotten = True
            head = self.erase(head, append.labels)
        self.snapshots += append.own_snapshots
        append.sealed, values = seal(append.run_id, head, self.end, append.records)
        self.records += values
        self.end += len(append.sealed)
        self.heads[append.run_id] = advanced(head, append.sealed, append.labels)
        if append.labels:
            self.label(head, append.labels)
        if append.secrets or append.forget_secrets:
            self.secretive.append((head.number, append))

    def label(self, head: Head, labels: Mapping[str, str]) -> None:
        """Have a stream labelled, where its labels change."""
        had = head.labels
        for key, value in labels.items():
            if had.get(key) != value:
                self.labels += (head.number, key, value)

    def erase(self, head: Head, kept: Mapping[str, str]) -> Head:
        """Have a stream erased up to its head, and return that without its labels."""
        self.erasing.append((head.number, head.seq))
        self.forgets_labels |= not head.labels.items() <= kept.items()
        self.drop_labels(head.number)
        return replace(head, labels={})

    def drop_labels(self, stream: int) -> None:
        """Have nothing written of what an append before has labelled a stream."""
        rows = zip(*[iter(self.labels)] * len(LABEL.columns), strict=True)
        self.labels = [value for row in rows if row[0] != stream for value in row]

    def commit(self, db: sqlite3.Connection) -> None:
        """Write down what was drafted, and commit it."""
        if self.is_one_statement():
            insert(db, RECORD, self.records)
        else:
            db.execute("BEGIN IMMEDIATE")
            self.write(db)
            db.execute("COMMIT")

    def is_one_statement(self) -> bool:
        """Tell whether one INSERT says it all, which then is a transaction by itself.

        So it is with steps that only go on. The thread gives the interpreter lock away for all of
        the commit, and asks for it once, however busy the loop keeps it.
        """
        others = (self.streams, self.labels, self.erasing, self.secretive, self.snapshots)
        return 0 < len(self.records) <= ROWS_MAX * len(RECORD.columns) and not any(others)

    def write(self, db: sqlite3.Connection) -> None:
        """Write down what was drafted."""
        insert(db, STREAM, self.streams)
        insert(db, RECORD, self.records)
        for stream, seq in self.erasing:
            # What grows comes last: SQLite may then move rows and leave copies, of hashes by now.
            for at_least in (DIGEST_BYTES, 0):
                db.execute(ERASE, (stream, seq, at_least))
            db.execute(FORGET_LABELS, (stream,))
            db.execute(FORGET_SECRETS, (stream,))
        if self.forgets_labels:
            for statement in WRITE_LABELS_ANEW:
                db.execute(statement)
        insert(db, LABEL, self.labels)
        for stream, append in self.secretive:
            write_secrets(db, stream, append)
        for snapshot in self.snapshots:
            db.execute(KEEP_SNAPSHOT, snapshot)


class CommitConnection(sqlite3.Connection):
    """A connection whose ``executemany`` takes batches of appends and is the whole group commit.

    aiosqlite runs each call on its thread and answers by a trip through the event loop; this way
    a commit of any size is one call, through public names alone.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.create_function("sha256", 1, digest, deterministic=True)
        self.writer = Writer(self)

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        """Commit the batches of appends given as ``parameters``, each in a transaction of its own."""
        assert sql == GROUP_COMMIT
        self.writer.commit_all(parameters)
        return self.cursor()


def write_secrets(db: sqlite3.Connection, stream: int, append: Append) -> None:
    """Forget a stream's secrets, keep new ones, or both, as the append says."""
    if append.forget_secrets:
        append.has_forgotten |= db.execute(FORGET_SECRETS, (stream,)).rowcount > 0
    for name, value in append.secrets.items():
        db.execute(KEEP_SECRET, (stream, name, PADDING + value))


def digest(data: bytes) -> bytes:
    """Return the SHA-256 of the data: what SQL calls ``sha256``."""
    return sha256(data).digest()


def is_full(error: BaseException) -> bool:
    """Tell whether SQLite found no room, and has taken back what it had begun.

    It says so of ENOSPC from a write alone, before the commit is whole. A full disk that comes to
    light in a sync, a quota and a limit of files are I/O errors.
    """
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    return code == sqlite3.SQLITE_FULL


def is_busy(error: Exception) -> bool:
    """Tell whether SQLite gave way to another connection, having done nothing."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
