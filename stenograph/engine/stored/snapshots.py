"""Snapshots: when a run is worth keeping whole, and how it is found again; a cache and no more.

Nothing depends on one: what is missing, damaged or of another format is folded from events instead.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from stenograph.engine.core.run import Run
from stenograph.engine.core.run_data import FORMAT, DataTooLarge, UnknownData, from_bytes, to_bytes
from stenograph.journal import (
    SNAPSHOT_MAX_BYTES,
    Journal,
    JournalUnreadable,
    NewRecord,
    Record,
    Snapshot,
    run_briefly,
)

AT_ONCE_SCOPES: Final = 200
AT_ONCE_SIZE: Final = 256 * 1024
"""A run of so many scopes and bytes is made a snapshot of in about a millisecond."""
_DIGEST_BYTES: Final = 32

_log: Final = logging.getLogger("stenograph.engine")


class Snapshots:
    """Takes the snapshots of one run, as its events come: together about as large as the events.

    ``keep`` is given each.
    """

    def __init__(self, run: Run, keep: Callable[[Snapshot], None]) -> None:
        self._run, self._keep = run, keep

    def count(self, records: Sequence[NewRecord | Record]) -> bool:
        """Take in that the run has grown by these; returns whether a snapshot of it is worth it now.

        Where more of the last step is to come, ``take`` it later.
        """
        self._run.growth.count(records)
        return self._run.growth.is_worth_it

    def take(self) -> None:
        """Keep a snapshot now."""
        self._kept(self._made())

    async def take_beside(self) -> None:
        """Keep a snapshot, made beside the loop if it is large; the run must not change meanwhile."""
        run = self._run
        is_small = len(run.scopes) <= AT_ONCE_SCOPES and run.growth.worth <= AT_ONCE_SIZE
        self._kept(await run_briefly(self._made, at_once=is_small))

    def _made(self) -> bytes | float:
        """Return the run as data, or how large it would have to grow before this is tried again."""
        try:
            return sealed(self._run)
        except DataTooLarge as error:
            return error.size
        except Exception:  # whatever it is, the run itself goes on
            _log.exception("run %s: no snapshot can be taken", self._run.id)
            return math.inf

    def _kept(self, made: bytes | float) -> None:
        growth = self._run.growth
        if isinstance(made, bytes):
            growth.kept(len(made))
            self._keep(Snapshot(self._run.seq, made))
        else:
            growth.kept(made)


async def last_snapshot(journal: Journal, run_id: str, at: int | None = None) -> Run:
    """Return a run as its latest sound snapshot has it, up to event ``at``; else an empty one."""
    try:
        while found := await journal.snapshot(run_id, version=FORMAT, at=at):
            if run := unsealed(found.data, run_id, found.seq):
                run.growth.kept(len(found.data))
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
