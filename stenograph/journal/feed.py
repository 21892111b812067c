"""What has just been committed: the ring of recent records, and whom to wake for which stream."""

from __future__ import annotations

from asyncio import Event
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from stenograph.journal.errors import CursorUnknown
from stenograph.journal.protocol import PAGE_MAX
from stenograph.journal.record import Record
from stenograph.journal.ring import Ring


class Feed:
    """Tells followers of news. A wake-up is only a hint: who wakes reads on from a cursor."""

    def __init__(self) -> None:
        self.ring = Ring()
        self.followers: dict[str | None, set[Event]] = {}
        self.closed = False

    def publish(self, records: Sequence[Record]) -> None:
        """Take in committed records; wake who follows their streams, or all streams."""
        self.ring.add(records)
        if self.followers:
            for run_id in {record.run_id for record in records}:
                self.wake(run_id)
            self.wake(None)

    def wake(self, run_id: str | None) -> None:
        """Wake who follows one stream, or (None) who follows all."""
        for event in self.followers.get(run_id, ()):
            event.set()

    def wake_all(self) -> None:
        """Wake everybody: something may have happened, somewhere."""
        for run_id in self.followers:
            self.wake(run_id)

    def close(self) -> None:
        """End what follows, once it has taken what the ring still holds for it."""
        self.closed = True
        self.wake_all()

    @contextmanager
    def following(self, run_id: str | None) -> Iterator[Event]:
        """Give an event that each later commit to the stream (None: to any) will set."""
        event = Event()
        self.followers.setdefault(run_id, set()).add(event)
        try:
            yield event
        finally:
            self.followers[run_id].remove(event)
            if not self.followers[run_id]:
                del self.followers[run_id]

    async def follow(
        self,
        run_id: str | None,
        after: int,
        *,
        head: Callable[[], Awaitable[int]],
        fetch: Callable[[int], Awaitable[list[Record]]],
        cursor: Callable[[Record], int],
    ) -> AsyncGenerator[list[Record], None]:
        """Yield what follows ``after`` page by page: from the ring, or by ``fetch`` from storage.

        ``cursor`` tells a record's place: its ``seq``, or its ``offset`` when ``run_id`` is None.
        Raises CursorUnknown when ``after`` is beyond ``head``.
        """
        last = await head()
        if after > last:
            raise CursorUnknown(after=after, head=last)
        with self.following(run_id) as news:
            while True:
                news.clear()  # before looking: a commit from here on sets it again
                page = self.ring.recent(run_id, after, PAGE_MAX)
                if page is None and not self.closed:
                    page = await fetch(after)
                if page:
                    yield page
                    after = cursor(page[-1])
                elif self.closed:
                    return
                else:
                    await news.wait()
