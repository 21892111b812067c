"""How records are read from SQLite: the questions, and a connection that can only ask them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import aiosqlite

from stenograph.journal.apart import apart
from stenograph.journal.errors import JournalUnreadable
from stenograph.journal.files import BUSY_TIMEOUT_S, explained
from stenograph.journal.inspection import inspect_file
from stenograph.journal.paging import bounded
from stenograph.journal.protocol import PAGE_MAX_BYTES, STREAMS_MAX, Snapshot, Stream
from stenograph.journal.record import Record
from stenograph.journal.verifying import Verdict
from stenograph.journal.writer import PADDING

INTEGER_MAX: Final = 2**63 - 1
PRAGMAS: Final = ("query_only=1", "wal_autocheckpoint=0", "cache_size=-16000", "mmap_size=0")
AT_ONCE: Final = 16
"""So many rows are fetched in one call: what comes with the last of a page is few records too much."""
RARE: Final = 1000
"""Up to so many streams are counted to find the rarest of several labels."""

ID = "SELECT value FROM meta WHERE key = 'id'"
END = "SELECT coalesce(max(offset), 0) FROM record"
HEAD = """
    SELECT coalesce(max(seq), 0) FROM record
    WHERE stream = (SELECT number FROM stream WHERE run_id = ?)
"""
DATA = """
    CASE erased WHEN 0 THEN data ELSE CAST('{"$erased":"' || lower(hex(data)) || '"}' AS BLOB) END
"""
"""What readers get of a record's data, as ``erased_data`` has it: each column less is a tenth less."""
READ = f"""
    SELECT offset, seq, at, type, hash, {DATA} FROM record
    WHERE stream = (SELECT number FROM stream WHERE run_id = ?) AND seq > ?
    ORDER BY seq LIMIT ?
"""
READ_ALL = f"""
    SELECT offset, run_id, seq, at, type, hash, {DATA}
    FROM record CROSS JOIN stream ON stream.number = record.stream
    WHERE offset > ? ORDER BY offset LIMIT ?
"""
HAS_SNAPSHOTS = "SELECT 1 FROM sqlite_master WHERE name = 'snapshot'"
SNAPSHOT = """
    SELECT seq, data FROM snapshot
    WHERE stream = (SELECT number FROM stream WHERE run_id = ?) AND version = ? AND seq <= ?
    ORDER BY seq DESC LIMIT 1
"""
STREAMS = """
    SELECT stream.number, stream.run_id, last.seq, stream.created_at, last.at,
        (SELECT json_group_object(key, value) FROM label WHERE label.stream = stream.number)
    FROM {first} CROSS JOIN record AS last ON last.stream = stream.number
        AND last.seq = (SELECT max(seq) FROM record WHERE record.stream = stream.number)
    WHERE {condition} ORDER BY {number} DESC LIMIT ?
"""
ANY = "stream"
LABELLED = "label AS rarest CROSS JOIN stream ON stream.number = rarest.stream"
HAS_LABEL = """
    EXISTS (SELECT 1 FROM label WHERE label.stream = stream.number AND key = ? AND value = ?)
"""
COUNT_VALUES = """
    SELECT (SELECT coalesce(max(offset), 0) FROM record), value, count(*)
    FROM label WHERE key = ? GROUP BY value
"""
COUNT = "SELECT count(*) FROM (SELECT 1 FROM label WHERE key = ? AND value = ? LIMIT ?)"

DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Reader:
    """The storage of a journal in a file, read through a connection of its own."""

    def __init__(self, db: aiosqlite.Connection, path: Path) -> None:
        self.db, self.path = db, path
        self.damage: JournalUnreadable | None = None
        """The last damage that was met; it does not go away."""
        self._inspecting = asyncio.Lock()  # whoever asks more than once waits, and costs a thread

    async def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return a page of rows: one trip to the thread, and no cursor left open behind it."""
        try:
            return list(await self.db.execute_fetchall(sql, parameters))  # type: ignore[arg-type]
        except sqlite3.Error as error:
            unreadable = JournalUnreadable(f"{self.path}: cannot be read: {error}")
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED:
                self.damage = unreadable
            raise unreadable from error

    async def id(self) -> str:
        """Return the journal's id."""
        [(journal_id,)] = await self.rows(ID)
        return str(journal_id)

    async def end(self) -> int:
        """Return the last offset."""
        [(end,)] = await self.rows(END)
        return int(end)

    async def data_version(self) -> int:
        """Return a number that changes with every commit of another connection."""
        [(version,)] = await self.rows("PRAGMA data_version")
        return int(version)

    async def head(self, run_id: str) -> int:
        """Return the stream's last seq."""
        [(head,)] = await self.rows(HEAD, bindable(run_id))
        return int(head)

    async def read(self, run_id: str, after: int, limit: int) -> list[Record]:
        """Return a page of a stream."""
        name = bindable(run_id)
        rows = await self.rows(READ, name, min(after, INTEGER_MAX), bounded(limit))
        return [
            Record(offset, run_id, seq, at, type_, data, digest.hex())
            for offset, seq, at, type_, digest, data in rows
        ]

    async def read_all(self, after: int, limit: int) -> list[Record]:
        """Return a page of all streams."""
        rows = await self.rows(READ_ALL, min(after, INTEGER_MAX), bounded(limit))
        return [
            Record(offset, run_id, seq, at, type_, data, digest.hex())
            for offset, run_id, seq, at, type_, digest, data in rows
        ]

    async def snapshot(self, run_id: str, version: int, at: int) -> Snapshot | None:
        """Return the latest snapshot of a version up to a seq, or None: as in files without any."""
        if not await self.rows(HAS_SNAPSHOTS):
            return None
        rows = await self.rows(SNAPSHOT, bindable(run_id), version, min(at, INTEGER_MAX))
        return next((Snapshot(seq, data.removeprefix(PADDING)) for seq, data in rows), None)

    async def inspect(self, run_id: str | None, after: int, limit: int) -> Verdict | None:
        """Verify a run, or all, or a part of it, through a connection of its own."""
        async with self._inspecting:
            return await apart(partial(inspect_file, self.path, run_id, after=after, limit=limit))

    async def count(self, label: str) -> tuple[int, dict[str, int]]:
        """Return the last offset, and how many streams carried each value of a label at it."""
        rows = await self.rows(COUNT_VALUES, label)
        return max((end for end, _, _ in rows), default=0), {each: n for _, each, n in rows}

    async def stream(self, run_id: str) -> Stream | None:
        """Return one stream, or None."""
        sql = STREAMS.format(first=ANY, condition="stream.run_id = ?", number="stream.number")
        return next(map(listed, await self.rows(sql, bindable(run_id), 1)), None)

    async def streams(
        self, labels: Mapping[str, str], before: int | None, limit: int
    ) -> list[Stream]:
        """Return a page of the streams that carry ``labels``, newest first."""
        older = INTEGER_MAX if before is None else min(before, INTEGER_MAX)
        most = bounded(limit, STREAMS_MAX)
        pairs = await self.rarest_first(list(labels.items()))
        if not pairs:
            sql = STREAMS.format(first=ANY, condition="number < ?", number="stream.number")
            return [listed(row) for row in await self.rows(sql, older, most)]
        rare = "rarest.key = ? AND rarest.value = ? AND rarest.stream < ?"
        condition = " AND ".join([rare, *[HAS_LABEL] * (len(pairs) - 1)])
        sql = STREAMS.format(first=LABELLED, condition=condition, number="rarest.stream")
        first, *others = pairs
        values = [text for pair in others for text in pair]
        return [listed(row) for row in await self.rows(sql, *first, older, *values, most)]

    async def rarest_first(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the labels with the one in front that leaves the fewest streams to look at."""
        if len(pairs) < 2:
            return list(pairs)
        counts = {pair: (await self.rows(COUNT, *pair, RARE))[0][0] for pair in pairs}
        return sorted(pairs, key=counts.__getitem__)


class ReadConnection(sqlite3.Connection):
    """A connection whose pages end at a number of bytes, too."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run one statement on a cursor that ends its pages."""
        return self.cursor(PageCursor).execute(sql, parameters)


class PageCursor(sqlite3.Cursor):
    """A cursor that stops after a page's bytes. A record's data is the last column, if any is."""

    def fetchall(self) -> list[Any]:
        """Return a page of rows, and finish the statement."""
        rows: list[Any] = []
        room = PAGE_MAX_BYTES
        while room > 0 and (some := self.fetchmany(AT_ONCE)):
            sizes = [len(row[-1]) for row in some if type(row[-1]) is bytes]
            size = sum(sizes)
            if size >= room:  # what comes after the one that fills the page is too much
                some = some[: bisect_left(list(accumulate(sizes)), room) + 1]
            rows += some
            room -= size
        self.close()  # an unfinished statement would hold its snapshot, and with it the WAL
        return rows


@asynccontextmanager
async def connect_reader(path: Path) -> AsyncIterator[Reader]:
    """Open a connection that can do nothing but read; raises CannotOpen."""
    # as_uri() writes `?`, `#` and `%` in the file's name as %3F, %23 and %25.
    uri = f"{path.as_uri()}?mode=ro"
    async with AsyncExitStack() as stack:
        with explained(path):
            db = await stack.enter_async_context(
                aiosqlite.connect(
                    uri,
                    uri=True,
                    isolation_level=None,
                    factory=ReadConnection,
                    timeout=BUSY_TIMEOUT_S,
                )
            )
            for pragma in PRAGMAS:
                await db.execute_fetchall(f"PRAGMA {pragma}")
        yield Reader(db, path)


def bindable(run_id: str) -> str:
    """Return a name that SQLite takes; half a character, which is in no run id, becomes a `?`."""
    return run_id.encode(errors="replace").decode()


def listed(row: Iterable[Any]) -> Stream:
    """Return a row as the stream it tells of."""
    number, run_id, head, created_at, updated_at, labels = row
    return Stream(
        number=number,
        run_id=run_id,
        head=head,
        created_at=created_at,
        updated_at=updated_at,
        labels=json.loads(labels),
    )
