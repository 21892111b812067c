"""The tally: one hash over all records of a journal, in the order of their offsets.

A run's chain binds its own records. This one binds what they leave open: the offsets, the order of
runs among each other, which runs there are, and where the journal ends. It goes on from any point,
so that bringing it up to date costs what is new, however many runs there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

import msgspec

from stenograph.journal.record import GENESIS
from stenograph.journal.verifying import Stored

TALLY: Final = "stenograph-journal/1"


class Tally:
    """Counts records and binds each to all before it."""

    def __init__(self, digest: str = GENESIS, records: int = 0, offset: int = 0) -> None:
        self.digest, self.records, self.offset = digest, records, offset

    def take(self, row: Stored) -> None:
        """Take in the next record."""
        self.digest = tally_link(self.digest, row)
        self.records += 1
        self.offset = row.offset

    def take_all(self, rows: Iterable[Stored]) -> None:
        """Take in the next records."""
        for row in rows:
            self.take(row)


def tally_link(previous: str, row: Stored) -> str:
    """Return the hash after one more record.

    SHA-256 over the UTF-8 JSON array of the tally's name, the hash before, and the record's offset,
    run id, seq and hash (hex). A row whose fields are not of that form hashes as something else.
    """
    if not (isinstance(row.run_id, str) and isinstance(row.hash, bytes)):
        return sha256(repr((previous, row)).encode(errors="replace")).hexdigest()
    name = row.run_id.encode(errors="replace").decode()
    link = msgspec.json.encode((TALLY, previous, row.offset, name, row.seq, row.hash.hex()))
    return sha256(link).hexdigest()
