"""The recent records of a journal, shared by all who follow it, bounded in number and bytes."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from operator import attrgetter
from typing import Final

from stenograph.journal.paging import page
from stenograph.journal.protocol import PAGE_MAX
from stenograph.journal.record import Record

RING_MAX_RECORDS: Final = 8192
RING_MAX_BYTES: Final = 16 * 1024 * 1024

PAGES_MAX: Final = 64
"""How many pages are kept for who asks next; they that follow at one pace need a few."""

OFFSET: Final = attrgetter("offset")


class Ring:
    """The last records in the order of their offsets, and each stream's among them."""

    def __init__(
        self, *, max_records: int = RING_MAX_RECORDS, max_bytes: int = RING_MAX_BYTES
    ) -> None:
        self.max_records, self.max_bytes = max_records, max_bytes
        self.all: deque[Record] = deque()
        self.streams: dict[str, deque[Record]] = {}
        self.bytes = 0
        self.shown = 0
        self._pages: dict[tuple[str | None, int], list[Record]] = {}

    def add(self, records: Iterable[Record]) -> None:
        """Take in what was committed, in order, and let go of the oldest."""
        for record in records:
            self.all.append(record)
            self.bytes += len(record.data)
            stream = self.streams.get(record.run_id)
            if stream is None:
                self.streams[record.run_id] = deque((record,))
            else:
                stream.append(record)
        while len(self.all) > self.max_records or self.bytes > self.max_bytes:
            self.drop_oldest()

    def recent(self, run_id: str | None, after: int, limit: int) -> list[Record] | None:
        """Return up to ``limit`` records after a cursor, or None where the ring does not reach.

        The cursor is a ``seq`` of the stream, or an ``offset`` when ``run_id`` is None. An empty
        list says that nothing follows the cursor.
        """
        records = self.all if run_id is None else self.streams.get(run_id)
        if not records:
            return None
        if run_id is None:
            first = records[0].offset
            start = bisect_right(records, after, key=OFFSET)
        else:
            first = records[0].seq
            start = after + 1 - first  # a stream has no gaps
        # The record just before the first may have been dropped, but no later one.
        return None if after < first - 1 else page(records, start, limit)

    def count_after(self, run_id: str | None, after: int) -> int:
        """Return how many records follow a cursor, as far as the ring can tell.

        Of the whole journal these are at least those it holds; of a stream it holds nothing of, 0.
        """
        records = self.all if run_id is None else self.streams.get(run_id)
        if not records:
            return 0
        if run_id is None:
            return len(records) - bisect_right(records, after, key=OFFSET)
        return max(records[-1].seq - after, 0)

    def show(self) -> None:
        """Let followers see all that was taken in up to now."""
        if self.all:
            self.shown = self.all[-1].offset
        self._pages.clear()

    def shown_after(self, run_id: str | None, after: int) -> list[Record] | None:
        """Return a page as ``recent`` does, of what is shown alone: the same list for all who ask.

        So those who follow at one pace keep one cursor among them, whenever each has its turn.
        """
        known = self._pages.get((run_id, after))
        if known is None:
            found = self.recent(run_id, after, PAGE_MAX)
            if found is None:
                return None
            known = found[: bisect_right(found, self.shown, key=OFFSET)]
            if len(self._pages) >= PAGES_MAX:
                self._pages.clear()
            self._pages[run_id, after] = known
        return known

    def clear(self) -> None:
        """Let go of all records: readers turn to where they are stored."""
        self.all.clear()
        self.streams.clear()
        self._pages.clear()
        self.bytes = 0

    def drop_oldest(self) -> None:
        """Let go of the oldest record, and of its stream when that was the last."""
        record = self.all.popleft()
        self.bytes -= len(record.data)
        stream = self.streams[record.run_id]
        stream.popleft()
        if not stream:
            del self.streams[record.run_id]
