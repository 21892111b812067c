"""What has just been committed: the ring of recent records, and whom to wake for which stream."""

from __future__ import annotations

from asyncio import Event, Handle, get_running_loop
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Final

from stenograph.journal.errors import CursorUnknown
from stenograph.journal.record import Record
from stenograph.journal.ring import Ring
from stenograph.journal.stats import Stats

TICK_S: Final = 0.02
"""Least time between the end of a round of wake-ups and the next one: what is committed meanwhile
goes out together. The first commit after a quiet time is told at once."""
REST: Final = 9
"""How many times as long as a round took nobody is woken again: a tenth of the time goes into it."""
EVERY_S: Final = 0.07
"""But a round begins that soon after the last one began, for what is live must not be late."""
SHARD: Final = 16
"""How many are woken in one turn of the loop; then whoever else waits for a turn has one."""


class Follower(Event):
    """Who follows: set when there is news. ``after`` is the cursor, of what has been taken.

    ``is_live``: all that there was had been taken once, so that what is behind has come since.
    """

    after = 0
    is_live = False


class Feed:
    """Tells followers of news. A wake-up is only a hint: who wakes reads on from a cursor.

    They are woken in rounds, and all in a round see the ring up to the same record: so they have
    one cursor, and what is built for the first of them serves the others.
    """

    def __init__(self) -> None:
        self.ring = Ring()
        self.stats = Stats()
        self.followers: dict[str | None, set[Follower]] = {}
        self.closed = False
        self.rounds = 0
        """How many rounds there were: far fewer than commits, under load."""
        self._news: set[str] = set()
        self._next: Handle | None = None

    def publish(self, records: Sequence[Record]) -> None:
        """Take in committed records; wake who follows their streams, or all streams, when due."""
        self.ring.add(records)
        counts, news = self.stats.events, self._news
        for record in records:
            counts[record.type] += (
                1  # Counter.update takes a microsecond to find out what it is given
            )
            news.add(record.run_id)
        if self._next is None:
            self._begin_round()

    def wake_all(self) -> None:
        """Wake everybody: something may have happened, somewhere."""
        for events in self.followers.values():
            for event in events:
                event.set()

    @property
    def subscribers(self) -> int:
        """How many follow a stream or the journal now."""
        return sum(map(len, self.followers.values()))

    def lag(self) -> int:
        """Return how many events the slowest of those who are live is behind; at least, if it is far.

        Who was woken and has not looked yet is behind, also where the ring no longer tells by how much.
        """
        behind = 0
        for run_id, followers in self.followers.items():
            live = [each for each in followers if each.is_live]
            if live:
                slowest = min(each.after for each in live)
                woken = any(each.is_set() for each in live)
                behind = max(behind, self.ring.count_after(run_id, slowest), woken)
        return behind

    def close(self) -> None:
        """End what follows, once it has taken what the ring still holds for it."""
        self.closed = True
        if self._next is not None:
            self._next.cancel()
        self.ring.show()
        self.wake_all()

    def _begin_round(self) -> None:
        """Show what is new, and wake the first of those who follow it."""
        self.ring.show()
        who = [event for run_id in self._news for event in self.followers.get(run_id, ())]
        who += self.followers.get(None, ()) if self._news else ()
        self._news.clear()
        self._next = None
        if who:
            self.rounds += 1
            self._wake(iter(who), get_running_loop().time())

    def _wake(self, who: Iterator[Event], began: float) -> None:
        """Wake a shard, and the next one in the next turn of the loop; then let all rest."""
        shard = list(islice(who, SHARD))
        for event in shard:
            event.set()
        loop = get_running_loop()
        if shard:
            self._next = loop.call_soon(self._wake, who, began)
        else:
            took = loop.time() - began
            rest = max(TICK_S, min(REST * took, EVERY_S - took))
            self._next = loop.call_later(rest, self._begin_round)

    @contextmanager
    def following(self, run_id: str | None) -> Iterator[Follower]:
        """Give an event that each later commit to the stream (None: to any) will set."""
        event = Follower()
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
            news.after = after
            while True:
                news.clear()  # before looking: a commit from here on sets it again
                page = self.ring.shown_after(run_id, after)
                if page is None and not self.closed:
                    page = await fetch(after)
                if page:
                    yield page
                    after = news.after = cursor(page[-1])
                elif self.closed:
                    return
                else:
                    news.is_live = True
                    await news.wait()
