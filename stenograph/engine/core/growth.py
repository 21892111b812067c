"""Growth: how much has happened to a run since it was last kept whole, and how much is worth it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from stenograph.engine.core.events import RunCreated
from stenograph.journal import NewRecord, Record

SNAPSHOT_MIN_BYTES: Final = 64 * 1024
"""So many bytes of events at least lie between two snapshots, and no fewer than the first has.

The event that begins a run is one by itself: it has all of the state, and what a fork has inherited.
"""


class Growth(Struct, gc=False):
    """The bytes of a run's events ``since`` its last snapshot; when they are ``worth`` one more.

    It goes with the run from one who owns it to the next, and from one start of the engine to the
    next: a run that rests after each step would otherwise have no snapshot, or one each time.
    """

    since: int = 0
    worth: float = SNAPSHOT_MIN_BYTES

    def count(self, records: Sequence[NewRecord | Record]) -> None:
        """Take in that a run has grown by these."""
        if records[0].type == RunCreated.TYPE:
            self.kept(len(records[0].data))
            records = records[1:]
        self.since += sum([len(record.data) for record in records])

    def kept(self, size: float) -> None:
        """Begin anew: a run is kept whole, and takes so many bytes."""
        self.since, self.worth = 0, max(SNAPSHOT_MIN_BYTES, size)

    @property
    def is_worth_it(self) -> bool:
        """Whether so much has happened since the last snapshot that another is to be taken."""
        return self.since >= self.worth
