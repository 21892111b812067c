"""How every journal is read: from the ring where it reaches, else from where it is stored."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from functools import partial
from operator import attrgetter
from typing import Final, Protocol

from stenograph.journal.errors import JournalFailed
from stenograph.journal.feed import Feed
from stenograph.journal.limits import check_labels
from stenograph.journal.protocol import PAGE_MAX, VERIFY_MAX, Snapshot, Stream
from stenograph.journal.record import Record
from stenograph.journal.stored import LAST
from stenograph.journal.verifying import Verdict

SEQ_MAX: Final = 2**63 - 1


class Storage(Protocol):
    """Where the records lie. Each question is answered from one moment's committed state."""

    async def head(self, run_id: str) -> int:
        """Return the stream's last seq; 0 when it has no record."""

    async def end(self) -> int:
        """Return the last offset; 0 when there is no record."""

    async def read(self, run_id: str, after: int, limit: int) -> list[Record]:
        """Return a page of a stream."""

    async def read_all(self, after: int, limit: int) -> list[Record]:
        """Return a page of all streams."""

    async def snapshot(self, run_id: str, version: int, at: int) -> Snapshot | None:
        """Return the latest snapshot of a version up to a seq, or None."""

    async def count(self, label: str) -> tuple[int, dict[str, int]]:
        """Return the last offset, and how many streams carried each value of a label at it."""

    async def inspect(self, run_id: str | None, after: int, limit: int) -> Verdict | None:
        """Verify a run (None: there is no such run), or all, or a part of it."""

    async def stream(self, run_id: str) -> Stream | None:
        """Return one stream, or None."""

    async def streams(
        self, labels: Mapping[str, str], before: int | None, limit: int
    ) -> list[Stream]:
        """Return a page of the streams that carry ``labels``, newest first."""


class ReadableJournal:
    """The reading half of the journal's protocol, over any storage; see ``Journal``."""

    def __init__(self, journal_id: str, storage: Storage) -> None:
        self.id = journal_id
        self.feed = Feed()
        self.stats = self.feed.stats
        self._storage = storage

    @property
    def subscribers(self) -> int:
        """How many follow a stream or the whole journal now."""
        return self.feed.subscribers

    @property
    def lag(self) -> int:
        """How many events the slowest of those who are live is behind; see ``Feed.lag``."""
        return self.feed.lag()

    @property
    def wal_bytes(self) -> int:
        """How large the write-ahead log is: none here."""
        return 0

    @property
    def storage(self) -> Storage:
        """Where to read; raises JournalFailed once the journal is closed."""
        if self.feed.closed:
            raise JournalFailed("the journal is closed: open it again")
        return self._storage

    async def head(self, run_id: str) -> int:
        """Return the stream's last seq; 0 when it has no record."""
        return await self.storage.head(run_id)

    async def end(self) -> int:
        """Return the journal's last offset; 0 when it has no record."""
        return await self.storage.end()

    async def read(self, run_id: str, *, after: int = 0, limit: int = PAGE_MAX) -> list[Record]:
        """Return a page of a stream with ``seq > after``."""
        storage = self.storage
        page = self.feed.ring.recent(run_id, after, limit)
        return await storage.read(run_id, after, limit) if page is None else page

    async def read_all(self, *, after: int = 0, limit: int = PAGE_MAX) -> list[Record]:
        """Return a page of all streams with ``offset > after``."""
        storage = self.storage
        page = self.feed.ring.recent(None, after, limit)
        return await storage.read_all(after, limit) if page is None else page

    async def snapshot(
        self, run_id: str, *, version: int, at: int | None = None
    ) -> Snapshot | None:
        """Return the latest snapshot that is kept of a stream; see ``Journal.snapshot``."""
        return await self.storage.snapshot(run_id, version, SEQ_MAX if at is None else at)

    def tail(self, run_id: str, *, after: int = 0) -> AsyncGenerator[list[Record], None]:
        """Yield every record of a stream with ``seq > after``, then wait for more."""
        return self.feed.follow(
            run_id,
            after,
            head=partial(self.head, run_id),
            fetch=lambda cursor: self.storage.read(run_id, cursor, PAGE_MAX),
            cursor=attrgetter("seq"),
        )

    def tail_all(self, *, after: int = 0) -> AsyncGenerator[list[Record], None]:
        """Yield every record with ``offset > after``, then wait for more."""
        return self.feed.follow(
            None,
            after,
            head=self.end,
            fetch=lambda cursor: self.storage.read_all(cursor, PAGE_MAX),
            cursor=attrgetter("offset"),
        )

    async def verify(
        self, run_id: str | None = None, *, after: int = 0, limit: int = VERIFY_MAX
    ) -> Verdict | None:
        """Hold what is stored against its hashes; see ``Journal.verify``."""
        cursor, most = min(max(after, 0), LAST), max(1, min(limit, VERIFY_MAX))
        return await self.storage.inspect(run_id, cursor, most)

    async def count_labels(self, label: str) -> dict[str, int]:
        """Return how many streams carry each value of a label; see ``Journal.count_labels``."""
        _, counts = await self.storage.count(label)
        return counts

    async def stream(self, run_id: str) -> Stream | None:
        """Return one stream as a list shows it, or None."""
        return await self.storage.stream(run_id)

    async def streams(
        self, labels: Mapping[str, str], *, before: int | None = None, limit: int = 50
    ) -> list[Stream]:
        """Return a page of the streams that carry all of ``labels``, newest first."""
        check_labels(labels)
        return await self.storage.streams(labels, before, limit)
