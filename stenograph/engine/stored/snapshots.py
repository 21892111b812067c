"""Snapshots: when a run is worth keeping whole, and how it is found again; a cache and no more.

Nothing depends on one: what is missing, damaged or of another format is folded from events instead.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final

from stenograph.engine.core.events import RunCreated
from stenograph.engine.core.run import Run
from stenograph.engine.core.run_data import FORMAT, DataTooLarge, UnknownData, from_bytes, to_bytes
from stenograph.journal import (
    SNAPSHOT_MAX_BYTES,
    Journal,
    JournalUnreadable,
    NewRecord,
    Record,
    Snapshot,
)

SNAPSHOT_MIN_BYTES: Final = 64 * 1024
"""So many bytes of events at least lie between two snapshots, and no fewer than the first has.

The event that begins a run is one by itself: it has all of the state, and what a fork has inherited.
"""
_DIGEST_BYTES: Final = 32

_log: Final = logging.getLogger("stenograph.engine")


class Snapshots:
    """Takes the snapshots of one run, as its events come: together about as large as the events.

    ``keep`` is given each.
    """

    def __init__(self, run: Run, keep: Callable[[Snapshot], None]) -> None:
        self._run, self._keep = run, keep
        self._since = 0
        self._worth: float = SNAPSHOT_MIN_BYTES
        self._knows_last = run.seq == 0
        """Of a run that is taken up, the last one may have been as large as one would be now."""

    def count(self, records: Iterable[NewRecord | Record], *, whole: bool = True) -> None:
        """Take in that the run has grown by these; keep a snapshot of it when that is worth it.

        Not where more of the last step is to come (not ``whole``): then ``take`` it later.
        """
        for record in records:
            if record.type == RunCreated.TYPE:
                self._since, self._worth = 0, max(SNAPSHOT_MIN_BYTES, len(record.data))
            else:
                self._since += len(record.data)
        if whole and self.is_worth_it:
            self.take()

    @property
    def is_worth_it(self) -> bool:
        """Whether so much has happened since the last one that another is to be taken."""
        return self._since >= self._worth

    def take(self) -> None:
        """Keep a snapshot now, or when so much has happened as it is large."""
        since, self._since = self._since, 0
        try:
            data = sealed(self._run)
        except DataTooLarge as error:
            self._worth = error.size
        except Exception:  # whatever it is, the run itself goes on
            _log.exception("run %s: no snapshot can be taken", self._run.id)
            self._worth = math.inf
        else:
            self._worth = max(SNAPSHOT_MIN_BYTES, len(data))
            if self._knows_last or since >= len(data):
                self._keep(Snapshot(self._run.seq, data))
            else:
                self._since = since
            self._knows_last = True


async def last_snapshot(journal: Journal, run_id: str, at: int | None = None) -> Run:
    """Return a run as its latest sound snapshot has it, up to event ``at``; else an empty one."""
    try:
        while found := await journal.snapshot(run_id, version=FORMAT, at=at):
            if run := unsealed(found.data, run_id, found.seq):
                return run
            at = found.seq - 1
    except JournalUnreadable:
        _log.warning("run %s: its snapshots cannot be read, so it is folded anew", run_id)
    return Run(id=run_id)


def sealed(run: Run) -> bytes:
    """Return a run as a snapshot's data: its digest, and the run; raises DataTooLarge."""
    data = to_bytes(run, SNAPSHOT_MAX_BYTES)
    return sha256(data).digest() + data


def unsealed(data: bytes, run_id: str, seq: int) -> Run | None:
    """Return the run in a snapshot's data, or None when that is damaged or of another run or event."""
    digest, data = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    if digest != sha256(data).digest():
        return None
    try:
        run = from_bytes(data)
    except UnknownData:
        return None
    return run if (run.id, run.seq) == (run_id, seq) else None
