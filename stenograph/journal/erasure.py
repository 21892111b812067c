"""What is left of an erased record: the SHA-256 of its data, by which the chain still verifies."""

from __future__ import annotations

import re
from typing import Final

from stenograph.journal.record import Record, chain_hash, chain_link

ERASED: Final = re.compile(rb'\{"\$erased":"([0-9a-f]{64})"\}')


def erased_data(digest: bytes) -> bytes:
    """Return what readers get in place of erased data, from the data's SHA-256 (32 bytes)."""
    return b'{"$erased":"%b"}' % digest.hex().encode()


def is_erased(record: Record) -> bool:
    """Tell whether a record's data was erased, and only the stand-in is left."""
    return record.data.startswith(b'{"$erased":') and ERASED.fullmatch(record.data) is not None


def expected_hash(record: Record, previous: str) -> str:
    """Return the hash that ``record`` must have after ``previous``, erased or not.

    A forger gains nothing by writing the stand-in himself: it verifies only with the SHA-256 of
    the data that was there.
    """
    if match := ERASED.fullmatch(record.data):
        digest = match[1].decode()
        return chain_link(record.run_id, record.seq, previous, record.at, record.type, digest)
    return chain_hash(record.run_id, record.seq, previous, record.at, record.type, record.data)
