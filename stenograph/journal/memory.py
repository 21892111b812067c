"""A journal in memory: the whole protocol, and nothing survives it."""

from __future__ import annotations

from asyncio import sleep
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from secrets import token_hex
from types import TracebackType
from typing import Self

from stenograph.journal.errors import JournalFailed, WrongExpectedSeq
from stenograph.journal.limits import check_append
from stenograph.journal.paging import bounded, page
from stenograph.journal.protocol import STREAMS_MAX, Stream
from stenograph.journal.reading import ReadableJournal
from stenograph.journal.record import NewRecord, Record
from stenograph.journal.ring import OFFSET
from stenograph.journal.sealing import Head, advanced, no_head, seal


class MemoryJournal(ReadableJournal):
    """A journal for tests and for runs that need not outlive the process; ``async with`` it."""

    def __init__(self) -> None:
        self.store = MemoryStorage()
        super().__init__(token_hex(8), self.store)
        self.failure: JournalFailed | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Refuse later appends and reads, and end all tails."""
        self.failure = JournalFailed("the journal is closed: open it again")
        self.feed.close()

    async def append(
        self,
        run_id: str,
        records: Sequence[NewRecord],
        *,
        expected_seq: int,
        labels: Mapping[str, str] | None = None,
        secrets: Mapping[str, bytes] | None = None,
        forget_secrets: bool = False,
    ) -> list[Record]:
        """Write all records or none; see ``Journal.append``."""
        labels = dict(labels or {})
        check_append(run_id, records, labels, secrets or {})
        if self.failure:
            raise JournalFailed(str(self.failure))
        sealed = self.store.add(run_id, records, expected_seq, labels)
        if forget_secrets:
            self.store.secrets.pop(run_id, None)
        if secrets:
            self.store.secrets.setdefault(run_id, {}).update(secrets)
        self.feed.publish(sealed)
        await sleep(0)  # as a commit would: nobody who only appends keeps the loop to himself
        return sealed

    async def secrets(self, run_id: str) -> dict[str, bytes]:
        """Return what is kept beside a stream; see ``Journal.secrets``."""
        if self.feed.closed:
            raise JournalFailed(str(self.failure))
        return dict(self.store.secrets.get(run_id, {}))


class MemoryStorage:
    """Records in lists."""

    def __init__(self) -> None:
        self.all: list[Record] = []
        self.by_stream: dict[str, list[Record]] = {}
        self.heads: dict[str, Head] = {}
        self.secrets: dict[str, dict[str, bytes]] = {}

    def add(
        self, run_id: str, records: Sequence[NewRecord], expected_seq: int, labels: dict[str, str]
    ) -> list[Record]:
        """Store all records or none; raise WrongExpectedSeq if the stream ends elsewhere."""
        head = self.heads.get(run_id) or no_head(len(self.heads) + 1)
        if head.seq != expected_seq:
            raise WrongExpectedSeq(run_id, expected=expected_seq, actual=head.seq)
        sealed = seal(run_id, head, len(self.all), records)
        self.heads[run_id] = advanced(head, sealed, labels)
        self.by_stream.setdefault(run_id, []).extend(sealed)
        self.all.extend(sealed)
        return sealed

    async def head(self, run_id: str) -> int:
        """Return the stream's last seq."""
        return len(self.by_stream.get(run_id, ()))

    async def end(self) -> int:
        """Return the last offset."""
        return len(self.all)

    async def read(self, run_id: str, after: int, limit: int) -> list[Record]:
        """Return a page of a stream."""
        return page(self.by_stream.get(run_id, ()), max(after, 0), limit)

    async def read_all(self, after: int, limit: int) -> list[Record]:
        """Return a page of all streams."""
        return page(self.all, bisect_right(self.all, after, key=OFFSET), limit)

    async def stream(self, run_id: str) -> Stream | None:
        """Return one stream, or None."""
        return self.shown(run_id) if run_id in self.heads else None

    async def streams(
        self, labels: Mapping[str, str], before: int | None, limit: int
    ) -> list[Stream]:
        """Return a page of the streams that carry ``labels``, newest first."""
        found: list[Stream] = []
        for run_id in reversed(self.heads):
            if len(found) == bounded(limit, STREAMS_MAX):
                break
            head = self.heads[run_id]
            is_older = before is None or head.number < before
            if is_older and labels.items() <= head.labels.items():
                found.append(self.shown(run_id))
        return found

    def shown(self, run_id: str) -> Stream:
        """Return a stream as a list shows it."""
        head, records = self.heads[run_id], self.by_stream[run_id]
        return Stream(
            number=head.number,
            run_id=run_id,
            head=head.seq,
            created_at=records[0].at,
            updated_at=records[-1].at,
            labels=dict(head.labels),
        )
