"""The journal in one SQLite file: appends wait together for the one commit that carries them."""

from __future__ import annotations

import asyncio
import sqlite3
from asyncio import CancelledError, Future, Task, TimerHandle
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Final, get_args

import aiosqlite

from stenograph.journal.checkpoints import Checkpoints, left_behind
from stenograph.journal.errors import JournalBusy, JournalError, JournalFailed, JournalFull
from stenograph.journal.files import TOUCH, Durability, connect_writer, place
from stenograph.journal.handover import Handover, Waiting
from stenograph.journal.label_counts import LabelCounts
from stenograph.journal.limits import check_append, check_run_id
from stenograph.journal.lock import locked
from stenograph.journal.protocol import SNAPSHOT_MAX_BYTES, Snapshot
from stenograph.journal.reader import Reader, bindable, connect_reader
from stenograph.journal.reading import ReadableJournal
from stenograph.journal.record import NewRecord, Record
from stenograph.journal.writer import GROUP_COMMIT, PADDING, Append, is_busy, is_full

TRUNCATE_AGAIN_S: Final = 5.0
"""How long after a reader kept forgotten secrets in the log the writer tries again by itself."""
OBSTACLE_AGAIN_S: Final = 1.0
"""How long after nothing could be written the writer looks by itself whether something can be."""

SECRETS = """
    SELECT substr(value, ? + 1), name FROM secret
    WHERE stream = (SELECT number FROM stream WHERE run_id = ?)
"""


@asynccontextmanager
async def open_journal(
    path: str | PathLike[str], *, durability: Durability = "full"
) -> AsyncIterator[SqliteJournal]:
    """Open the journal in a file for writing, making it where there is none.

    Raises JournalInUse while another engine holds it, NotAJournal for what is something else,
    CannotOpen for a file that cannot be used.
    """
    if durability not in get_args(Durability):
        raise ValueError(f"durability {durability!r}: must be one of {get_args(Durability)}")
    file = place(path)
    with locked(file):
        log_pages = left_behind(file)
        # The last connection to close checkpoints, which is the writer's business: it closes last.
        async with connect_writer(file, durability) as writer, connect_reader(file) as reader:
            checkpoints = Checkpoints(writer, log_pages)
            journal = SqliteJournal(await reader.id(), file, writer, reader, checkpoints)
            try:
                if checkpoints.must_truncate:
                    journal._begin_to_flush()
                yield journal
            finally:
                await journal.close()


class SqliteJournal(ReadableJournal):
    """A journal in a file that this process holds; made by ``open_journal``."""

    def __init__(
        self,
        journal_id: str,
        path: Path,
        writer: aiosqlite.Connection,
        reader: Reader,
        checkpoints: Checkpoints,
    ) -> None:
        super().__init__(journal_id, reader)
        self.path = path
        self._log = path.with_name(f"{path.name}-wal")
        self.failure: JournalFailed | None = None
        self.obstacle: JournalBusy | JournalFull | None = None
        self.commits = 0
        """How many transactions have been committed: far fewer than appends, under load."""
        self._writer = writer
        self._reader = reader
        self._checkpoints = checkpoints
        self._handover = Handover(checkpoints, self._acknowledge, self.stats)
        self._counted: dict[str, LabelCounts] = {}
        self._flushing: Task[None] | None = None
        self._again: TimerHandle | None = None

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
        """Write all records or none, and return once they are durable; see ``Journal.append``."""
        labels, secrets = dict(labels or {}), dict(secrets or {})
        records = tuple(records)
        size = check_append(run_id, records, labels, secrets)
        return await self._put(
            Append(run_id, records, expected_seq, labels, size, secrets, forget_secrets, erase)
        )

    async def adopt(
        self,
        run_id: str,
        records: Sequence[NewRecord],
        *,
        labels: Mapping[str, str],
        snapshots: Sequence[Snapshot] = (),
        version: int = 0,
    ) -> list[Record]:
        """Write a whole stream, and return once it is durable; see ``Journal.adopt``."""
        labels, records = dict(labels), tuple(records)
        size = check_append(run_id, records, labels, {}, whole=True)
        own = [
            (version, PADDING + each.data, run_id, each.seq)
            for each in snapshots
            if len(each.data) <= SNAPSHOT_MAX_BYTES
        ]
        return await self._put(Append(run_id, records, 0, labels, size, own_snapshots=own))

    def _put(self, append: Append) -> Future[list[Record]]:
        if self.failure:
            raise JournalFailed(str(self.failure))
        answer = self._handover.put(append)
        self._begin_to_flush()
        return answer

    def keep_snapshot(self, run_id: str, snapshot: Snapshot, *, version: int) -> None:
        """Keep a snapshot with a later commit; see ``Journal.keep_snapshot``."""
        check_run_id(run_id)
        is_small = len(snapshot.data) <= SNAPSHOT_MAX_BYTES
        row = (version, PADDING + snapshot.data, run_id, snapshot.seq) if is_small else None
        self._handover.keep(run_id, row)

    async def secrets(self, run_id: str) -> dict[str, bytes]:
        """Return what is kept beside a stream; see ``Journal.secrets``."""
        if self.feed.closed:
            raise JournalFailed(str(self.failure))
        rows = await self._reader.rows(SECRETS, len(PADDING), bindable(run_id))
        return {name: value for value, name in rows}  # bytes in the last column end a page early

    async def count_labels(self, label: str) -> dict[str, int]:
        """Return how many streams carry each value of a label; see ``Journal.count_labels``."""
        counts = self._counted.get(label)
        if counts is None:
            counts = self._counted[label] = LabelCounts(partial(self._reader.count, label))
        return await counts.now()

    @property
    def wal_bytes(self) -> int:
        """How large the write-ahead log is."""
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def trouble(self) -> JournalError | None:
        """What ails it: a failure, an obstacle, or damage that a reader has met; see ``Journal``."""
        return self.failure or self.obstacle or self._reader.damage

    async def close(self) -> None:
        """Refuse later appends, wait for those under way, end all tails."""
        if self.failure is None:
            self.failure = JournalFailed("the journal is closed: open it again")
        self._handover.call_back()
        while self._flushing:
            await asyncio.wait({self._flushing})
        if self._again:
            self._again.cancel()
        self.feed.close()

    def _begin_to_flush(self) -> None:
        """Begin a task of the journal's own: an appender who is cancelled disturbs nobody."""
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
            self._flushing.add_done_callback(self._has_flushed)

    def _has_flushed(self, _: Task[None]) -> None:
        """Begin anew for who came as it ended, or where it was cancelled before it had begun."""
        self._flushing = None
        if self._handover.is_under_way:
            self._begin_to_flush()

    async def _flush(self) -> None:
        """Have the writer's thread commit batch by batch, until there has been none for a while."""
        try:
            if self.obstacle and not self._handover.is_under_way:
                await self._touch()
            await self._checkpoint()
            while self._handover.is_under_way:
                await self._commit()
                await self._checkpoint()
            if self.obstacle:
                self._try_again_later(OBSTACLE_AGAIN_S)
            elif self._checkpoints.must_truncate:
                self._try_again_later(TRUNCATE_AGAIN_S)
        except BaseException as error:
            if isinstance(error, CancelledError) and not self._handover.is_under_way:
                self._handover.call_back()  # nobody is harmed: whoever appends next begins anew
                raise
            await self._stop(error)
            if not isinstance(error, Exception):
                raise

    async def _commit(self) -> None:
        """Lend the thread to the writer, until it has to come back."""
        try:
            await self._writer.executemany(GROUP_COMMIT, self._handover)
        except sqlite3.Error as error:
            self._handover.refuse_last(self._hindered(error))
        else:
            self._handover.acknowledge()

    async def _checkpoint(self) -> None:
        """Checkpoint if it is due; where the file finds no room to grow, the log keeps it all."""
        try:
            await self._checkpoints.run_if_due()
        except sqlite3.Error as error:
            self._hindered(error)

    async def _touch(self) -> None:
        """Write what changes nothing, to see whether that is possible again, also if nobody appends."""
        try:
            await self._writer.execute_fetchall(TOUCH)
        except sqlite3.Error as error:
            self._hindered(error)
        else:
            self.obstacle = None

    def _hindered(self, error: sqlite3.Error) -> JournalBusy | JournalFull:
        """Take down why nothing was written and nothing has failed; raises what is no such error."""
        if is_full(error):
            self._checkpoints.must_truncate = True  # the log itself may be what takes up the room
            self.obstacle = JournalFull(
                f"{self.path}: the disk is full, so nothing is written; reading goes on, and so "
                "does writing by itself once there is room"
            )
        elif is_busy(error):
            busy = f"{self.path}: another program is writing: try again later"
            self.obstacle = JournalBusy(busy)
        else:
            raise error
        return self.obstacle

    def _try_again_later(self, after_s: float) -> None:
        """Come back, also if nobody appends: to an obstacle, or to a log that a reader has kept from
        being emptied."""
        if self._again is None:
            loop = asyncio.get_running_loop()
            self._again = loop.call_later(after_s, self._try_again)

    def _try_again(self) -> None:
        self._again = None
        if self.failure is None:
            self._begin_to_flush()

    def _acknowledge(self, batch: list[Waiting]) -> None:
        """Tell all whom it concerns of a batch that is durable by now."""
        self.commits += 1
        self.obstacle = None
        self.feed.publish([record for append, _ in batch for record in append.sealed])
        if any(append.erase for append, _ in batch):
            self.feed.ring.clear()  # what it holds may be what is erased
        for label, counts in self._counted.items():
            for append, _ in batch:
                if append.sealed and (append.labels or append.erase):
                    count_change(counts, label, append)
        for append, answer in batch:
            if answer.done():  # its appender has been cancelled
                continue
            if append.refused:
                answer.set_exception(append.refused)
            else:
                answer.set_result(append.sealed)

    async def _stop(self, error: BaseException) -> None:
        """Acknowledge nothing any more: what is on the disk is known only once it is read anew.

        The connection is closed at once. It is not the last one, so it does not checkpoint, and
        no second fsync can claim what the first one lost.
        """
        self.failure = JournalFailed(
            f"{self.path}: writing failed ({error!r}), so nothing more is acknowledged; "
            "reading goes on: mend the cause and start again"
        )
        self._handover.refuse_all(self.failure)
        self._handover.call_back()
        with suppress(sqlite3.Error):
            await self._writer.close()
        self._handover.refuse_all(self.failure)  # what the thread was taking when told to end


def count_change(counts: LabelCounts, label: str, append: Append) -> None:
    """Count what an append has made of a label of its stream."""
    before = append.labels_before.get(label)
    after = append.labels.get(label, None if append.erase else before)
    counts.moved(append.sealed[-1].offset, before, after)
