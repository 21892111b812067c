"""Appends on their way: from the loop to the writer's thread, batch by batch, and back."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Final, TypeAlias

from stenograph.journal.checkpoints import Checkpoints
from stenograph.journal.errors import JournalError
from stenograph.journal.giving_way import GivingWay
from stenograph.journal.record import Record
from stenograph.journal.stats import Stats
from stenograph.journal.writer import Append, SnapshotRow

BATCH_MAX_RECORDS: Final = 512
"""Beyond that a larger commit is hardly cheaper, and those it carries are idle for all of it: of many
appenders one half is better answered while the other half's records are written."""
BATCH_MAX_BYTES: Final = 16 * 1024 * 1024
IDLE_S: Final = 0.05
"""How long the thread waits for a batch: who forgets to close the journal can end all the same."""
SNAPSHOTS_MAX: Final = 64
"""How many runs' snapshots wait for a commit to go with; others are lost."""

Waiting: TypeAlias = tuple[Append, Future[list[Record]]]


class Handover:
    """What waits for a commit: the loop puts it in, and the writer's thread takes it out.

    The thread stays with it from batch to batch, and waits here for the next one: so a commit is
    one wake-up of the thread and one of the loop. While the loop still wakes those whose records
    are committed, the next ones are on their way to the disk. What both sides touch are queues and
    counters alone, by calls that are each atomic, and a counter has one who writes it.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        acknowledge: Callable[[list[Waiting]], None],
        stats: Stats | None = None,
    ) -> None:
        self._waiting: SimpleQueue[Waiting | None] = SimpleQueue()
        """None has the thread come back."""
        self._snapshots: OrderedDict[str, SnapshotRow] = OrderedDict()
        self._taken: deque[list[Waiting]] = deque()
        """What the thread has taken and nobody was told of: all committed but the last."""
        self._last: list[Append] = []
        self._put = self._seen = 0
        """Of appends, not of batches. What is not yet seen may be in the queue, or in the thread's
        hands, where nothing else tells of it."""
        self._drafted = self._committed = self._told = self._acknowledged = 0
        self._is_called_back = False
        self._stats = stats or Stats()
        self._began_s = 0.0
        self._checkpoints = checkpoints
        self._acknowledge = acknowledge
        self._loop = asyncio.get_running_loop()
        self._giving_way = GivingWay(self)

    # --- on the loop --------------------------------------------------------------------------

    def put(self, append: Append) -> Future[list[Record]]:
        """Have an append wait, and return what its appender waits for."""
        answer: Future[list[Record]] = self._loop.create_future()
        self._put += 1
        self._waiting.put((append, answer))
        self._giving_way.begin()
        return answer

    def keep(self, run_id: str, snapshot: SnapshotRow | None) -> None:
        """Have a snapshot wait for a commit to go with, or (None) the run's one no longer."""
        self._snapshots.pop(run_id, None)
        if snapshot and len(self._snapshots) < SNAPSHOTS_MAX:
            self._snapshots[run_id] = snapshot

    @property
    def is_under_way(self) -> bool:
        """Whether something waits for a commit, or for being told of."""
        return self._seen < self._put or bool(self._taken)

    @property
    def progress(self) -> int:
        """How far the thread is; of what it has committed is told at once."""
        self.acknowledge()
        return self._drafted + self._committed

    def call_back(self) -> None:
        """Have the thread come back once it has committed all that waits by now."""
        self._waiting.put(None)

    def acknowledge(self) -> None:
        """Tell of all that is committed by now."""
        while self._acknowledged < self._committed:
            self._acknowledged += 1
            if self._taken:  # or it was refused meanwhile, by who no longer waited for the thread
                self._acknowledge(self._taken.popleft())

    def refuse_last(self, error: JournalError) -> None:
        """Fail the batch that the thread has come back with, and tell of those before it."""
        failed, self._last = self._taken.pop(), []
        self.acknowledge()
        refuse(failed, error)

    def refuse_all(self, error: JournalError) -> None:
        """Fail all who wait, now and later, be it to hear of a commit that there was."""
        self._acknowledge = partial(refuse, error=error)  # the thread may still be at work
        with suppress(Empty):
            while True:
                if one := self._waiting.get_nowait():
                    self._put -= 1
                    refuse([one], error)
        while self._taken:  # which may come to be more meanwhile: nothing is left out
            refuse(self._taken.popleft(), error)

    # --- on the writer's thread ---------------------------------------------------------------

    def take(self) -> list[Append]:
        """Return what goes into the next commit; nothing, for the thread to come back.

        Whoever asks has committed what he was given before.
        """
        if self._last:
            self._stats.commit_s.add(perf_counter() - self._began_s)
            self._stats.batch.add(len(self._last))
            self._checkpoints.count(self._last)
            self._last = []
            self._committed += 1
            if self._checkpoints.is_due:
                return []
        batch = self._next_batch() or self._awaited()
        if batch:
            self._taken.append(batch)
            self._seen += len(batch)  # by now it is known to be under way
            self._last = [append for append, _ in batch]
            with suppress(KeyError):  # one a commit, which is so much the larger
                self._last[0].snapshots = [self._snapshots.popitem(last=False)[1]]
            self._began_s = perf_counter()
        else:
            self._is_called_back = False
        return self._last

    def drafted(self) -> None:
        """Have the loop told of the batch before, now that SQLite has the next word."""
        self._drafted += 1
        self._tell()

    def _tell(self) -> None:
        """Have the loop acknowledge what is committed, once."""
        if self._told < self._committed:
            self._told = self._committed
            self._loop.call_soon_threadsafe(self.acknowledge)

    def _awaited(self) -> list[Waiting]:
        """Tell of the batch before, and wait for the next: for a while, or until called back."""
        self._tell()
        batch: list[Waiting] = []
        while not batch and not self._is_called_back:
            try:
                one = self._waiting.get(timeout=IDLE_S)
            except Empty:
                break
            self._is_called_back = one is None
            batch = self._next_batch(one)
        return batch

    def _next_batch(self, one: Waiting | None = None) -> list[Waiting]:
        """Return what waits, beginning with the one that was waited for."""
        batch: list[Waiting] = []
        records = size = 0
        waiting = self._waiting
        while True:
            if one and one[1].done():  # it has been cancelled meanwhile
                self._seen += 1
            elif one:
                append, _ = one
                batch.append(one)
                records += len(append.records)
                size += append.size
            is_full = records >= BATCH_MAX_RECORDS or size >= BATCH_MAX_BYTES
            if is_full or self._is_called_back or waiting.empty():
                return batch
            one = waiting.get_nowait()
            self._is_called_back = one is None


def refuse(batch: list[Waiting], error: JournalError) -> None:
    """Fail all who still wait, each with an error of its own."""
    for _, answer in batch:
        if not answer.done():
            answer.set_exception(type(error)(str(error)))
