"""A journal in memory: the whole protocol, and nothing survives it."""

from __future__ import annotations

from asyncio import sleep
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import islice
from secrets import token_hex
from types import TracebackType
from typing import Final, Self

from msgspec.structs import replace

from stenograph.journal.erasure import erased_data, is_erased
from stenograph.journal.errors import (
    JournalBusy,
    JournalError,
    JournalFailed,
    JournalFull,
    WrongExpectedSeq,
)
from stenograph.journal.inspection import as_stored, inspect_rows
from stenograph.journal.limits import check_append, check_run_id
from stenograph.journal.paging import bounded, page
from stenograph.journal.protocol import SNAPSHOT_MAX_BYTES, STREAMS_MAX, Snapshot, Stream
from stenograph.journal.reading import ReadableJournal
from stenograph.journal.record import NewRecord, Record
from stenograph.journal.ring import OFFSET
from stenograph.journal.sealing import Head, advanced, no_head, seal
from stenograph.journal.stored import LAST
from stenograph.journal.verifying import Reached, Stored, Verdict

INSPECT_MAX: Final = 2000
"""Most records that are verified at once: the loop waits for it."""


class MemoryJournal(ReadableJournal):
    """A journal for tests and for runs that need not outlive the process; ``async with`` it."""

    def __init__(self) -> None:
        self.store = MemoryStorage(token_hex(8))
        super().__init__(self.store.id, self.store)
        self.failure: JournalFailed | None = None
        self.obstacle: JournalBusy | JournalFull | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def trouble(self) -> JournalError | None:
        """What ails it, or None."""
        return self.failure or self.obstacle

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
        erase: bool = False,
    ) -> list[Record]:
        """Write all records or none; see ``Journal.append``."""
        labels = dict(labels or {})
        check_append(run_id, records, labels, secrets or {})
        if self.failure:
            raise JournalFailed(str(self.failure))
        sealed = self.store.add(run_id, records, expected_seq, labels)
        if erase:
            self.store.erase(run_id, sealed[0].seq, labels)
            self.feed.ring.clear()
        if forget_secrets or erase:
            self.store.secrets.pop(run_id, None)
        if secrets:
            self.store.secrets.setdefault(run_id, {}).update(secrets)
        self.feed.publish(sealed)
        await sleep(0)  # as a commit would: nobody who only appends keeps the loop to himself
        return sealed

    async def adopt(
        self,
        run_id: str,
        records: Sequence[NewRecord],
        *,
        labels: Mapping[str, str],
        snapshots: Sequence[Snapshot] = (),
        version: int = 0,
    ) -> list[Record]:
        """Write a whole stream; see ``Journal.adopt``."""
        check_append(run_id, records, labels, {}, whole=True)
        if self.failure:
            raise JournalFailed(str(self.failure))
        sealed = self.store.add(run_id, records, 0, dict(labels))
        for snapshot in snapshots:
            self.keep_snapshot(run_id, snapshot, version=version)
        self.feed.publish(sealed)
        await sleep(0)
        return sealed

    def keep_snapshot(self, run_id: str, snapshot: Snapshot, *, version: int) -> None:
        """Keep a snapshot; see ``Journal.keep_snapshot``."""
        check_run_id(run_id)
        is_there = snapshot.seq <= len(self.store.by_stream.get(run_id, ()))
        if is_there and len(snapshot.data) <= SNAPSHOT_MAX_BYTES:
            self.store.snapshots.setdefault((run_id, version), {})[snapshot.seq] = snapshot

    async def secrets(self, run_id: str) -> dict[str, bytes]:
        """Return what is kept beside a stream; see ``Journal.secrets``."""
        if self.feed.closed:
            raise JournalFailed(str(self.failure))
        return dict(self.store.secrets.get(run_id, {}))


class MemoryStorage:
    """Records in lists."""

    def __init__(self, journal_id: str) -> None:
        self.id = journal_id
        self.all: list[Record] = []
        self.by_stream: dict[str, list[Record]] = {}
        self.heads: dict[str, Head] = {}
        self.secrets: dict[str, dict[str, bytes]] = {}
        self.snapshots: dict[tuple[str, int], dict[int, Snapshot]] = {}

    def add(
        self, run_id: str, records: Sequence[NewRecord], expected_seq: int, labels: dict[str, str]
    ) -> list[Record]:
        """Store all records or none; raise WrongExpectedSeq if the stream ends elsewhere."""
        head = self.heads.get(run_id) or no_head(len(self.heads) + 1)
        if head.seq != expected_seq:
            raise WrongExpectedSeq(run_id, expected=expected_seq, actual=head.seq)
        sealed, _ = seal(run_id, head, len(self.all), records)
        self.heads[run_id] = advanced(head, sealed, labels)
        self.by_stream.setdefault(run_id, []).extend(sealed)
        self.all.extend(sealed)
        return sealed

    def erase(self, run_id: str, before: int, labels: dict[str, str]) -> None:
        """Leave the hashes alone of what a stream had before a seq, and no other labels."""
        self.heads[run_id] = replace(self.heads[run_id], labels=labels)
        records = self.by_stream[run_id]
        for place, record in enumerate(records[: before - 1]):
            if not is_erased(record):
                stand_in = replace(record, data=erased_data(sha256(record.data).digest()))
                records[place] = self.all[record.offset - 1] = stand_in

    async def inspect(self, run_id: str | None, after: int, limit: int) -> Verdict | None:
        """Verify a run, or all, or a part of it."""
        most = min(limit, INSPECT_MAX)
        return inspect_rows(MemoryRows(self), self.id, run_id, after=after, limit=most)

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

    async def snapshot(self, run_id: str, version: int, at: int) -> Snapshot | None:
        """Return the latest snapshot of a version up to a seq, or None."""
        kept = self.snapshots.get((run_id, version), {})
        return kept[max(seqs)] if (seqs := [seq for seq in kept if seq <= at]) else None

    async def count(self, label: str) -> tuple[int, dict[str, int]]:
        """Return the last offset, and how many streams carry each value of a label."""
        values = (head.labels.get(label) for head in self.heads.values())
        return len(self.all), dict(Counter(each for each in values if each is not None))

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


class MemoryRows:
    """The same records, as a file would store them."""

    def __init__(self, store: MemoryStorage) -> None:
        self.store = store

    def records(self, after: float, limit: int) -> list[Stored]:
        """Return the next records of the journal."""
        start = bisect_right(self.store.all, after, key=OFFSET)
        return [self.stored(each) for each in page(self.store.all, start, limit)]

    def records_of(self, stream: int, after: float, limit: int) -> list[Stored]:
        """Return the next records of a stream."""
        records = self.store.by_stream[self.name(stream)]
        return [self.stored(each) for each in page(records, int(max(after, 0)), limit)]

    def number(self, run_id: str) -> int | None:
        """Return the number of a run's stream, or None when there is none."""
        head = self.store.heads.get(run_id)
        return None if head is None else head.number

    def head(
        self, stream: int, *, offset: int = LAST, seq: int = LAST
    ) -> tuple[Reached, int] | None:
        """Return where a stream stood at an offset or a seq, and that record's offset; or None."""
        run_id = self.name(stream)
        records = self.store.by_stream[run_id]
        last = min(seq, bisect_right(records, offset, key=OFFSET), len(records))
        if not last:
            return None
        return Reached(run_id, last, records[last - 1].hash), records[last - 1].offset

    def name(self, stream: int) -> str:
        """Return the run id of a stream by its number."""
        return next(islice(self.store.heads, stream - 1, None))

    def stored(self, record: Record) -> Stored:
        """Return a record as a file would store it."""
        began = self.store.by_stream[record.run_id][0].at
        return as_stored(record, self.store.heads[record.run_id].number, began)
