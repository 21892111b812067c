"""Appends on their way: from the loop to the writer's thread, batch by batch, and back."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from typing import Final, TypeAlias

from stenograph.journal.checkpoints import Checkpoints
from stenograph.journal.errors import JournalError
from stenograph.journal.record import Record
from stenograph.journal.writer import Append, SnapshotRow

BATCH_MAX_RECORDS: Final = 4096
BATCH_MAX_BYTES: Final = 16 * 1024 * 1024
SNAPSHOTS_MAX: Final = 64
"""How many runs' snapshots wait for a commit to go with; others are lost."""

Waiting: TypeAlias = tuple[Append, Future[list[Record]]]


class Handover:
    """What waits for a commit: the loop puts it in, and the writer's thread takes it out.

    So the thread need not come back to the loop between two batches. While the loop still wakes
    those whose records are committed, the next ones are on their way to the disk. What both sides
    touch are queues alone, by calls that are each atomic.
    """

    def __init__(
        self, checkpoints: Checkpoints, acknowledge: Callable[[list[Waiting]], None]
    ) -> None:
        self.waiting: deque[Waiting] = deque()
        self._snapshots: OrderedDict[str, SnapshotRow] = OrderedDict()
        self._taken: deque[list[Waiting]] = deque()
        """What the thread has taken and nobody was told of: all committed but the last."""
        self._last: list[Append] = []
        self._checkpoints = checkpoints
        self._acknowledge = acknowledge
        self._loop = asyncio.get_running_loop()

    # --- on the loop --------------------------------------------------------------------------

    def put(self, append: Append) -> Future[list[Record]]:
        """Have an append wait, and return what its appender waits for."""
        answer: Future[list[Record]] = self._loop.create_future()
        self.waiting.append((append, answer))
        return answer

    def keep(self, run_id: str, snapshot: SnapshotRow | None) -> None:
        """Have a snapshot wait for a commit to go with, or (None) the run's one no longer."""
        self._snapshots.pop(run_id, None)
        if snapshot and len(self._snapshots) < SNAPSHOTS_MAX:
            self._snapshots[run_id] = snapshot

    def acknowledge_all(self) -> None:
        """Tell of what the thread has taken, all of which is committed."""
        while self._taken:
            self.acknowledge_one()

    def acknowledge_one(self) -> None:
        """Tell of the oldest batch that the thread has taken, which is committed."""
        if self._taken:  # or it was refused meanwhile, by who no longer waited for the thread
            self._acknowledge(self._taken.popleft())

    def refuse_last(self, error: JournalError) -> None:
        """Fail the batch that the thread could not commit, and tell of those before it."""
        failed = self._taken.pop()
        self.acknowledge_all()
        refuse(failed, error)

    def refuse_all(self, error: JournalError) -> None:
        """Fail all who still wait, be it to hear of a commit that there was."""
        refuse([*chain.from_iterable(self._taken), *self.waiting], error)
        self._taken.clear()
        self.waiting.clear()

    # --- on the writer's thread ---------------------------------------------------------------

    def take(self) -> list[Append]:
        """Return what goes into the next commit; nothing, for the thread to come back.

        Whoever asks has committed what he was given before.
        """
        if self._last:
            self._checkpoints.count(self._last)
            self._last = []
            if self._checkpoints.is_due:
                return []
        if batch := self._next_batch():
            self._taken.append(batch)
            self._last = [append for append, _ in batch]
            with suppress(KeyError):  # one a commit, which is so much the larger
                self._last[0].snapshots = [self._snapshots.popitem(last=False)[1]]
        return self._last

    def tell(self) -> None:
        """Have the loop acknowledge the oldest batch."""
        self._loop.call_soon_threadsafe(self.acknowledge_one)

    def _next_batch(self) -> list[Waiting]:
        batch: list[Waiting] = []
        records = size = 0
        waiting = self.waiting
        while waiting and records < BATCH_MAX_RECORDS and size < BATCH_MAX_BYTES:
            append, answer = one = waiting.popleft()
            if not answer.done():  # it may have been cancelled meanwhile
                batch.append(one)
                records += len(append.records)
                size += append.size
        return batch


def refuse(batch: list[Waiting], error: JournalError) -> None:
    """Fail all who still wait, each with an error of its own."""
    for _, answer in batch:
        if not answer.done():
            answer.set_exception(type(error)(str(error)))
