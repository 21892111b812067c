"""Sealing: new records get their place in the stream and the journal, and their hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from msgspec import Struct

from stenograph.journal.record import GENESIS, NewRecord, Record, link_digest


class Head(Struct, frozen=True):
    """Where a stream ends: what the next append to it must know."""

    number: int
    seq: int
    hash: str
    labels: Mapping[str, str]


def no_head(number: int) -> Head:
    """Return the head of a stream that has no record yet."""
    return Head(number=number, seq=0, hash=GENESIS, labels={})


def seal(
    run_id: str, head: Head, end: int, records: Sequence[NewRecord]
) -> tuple[list[Record], list[object]]:
    """Return the records as they follow ``head`` in their stream and ``end`` in the journal.

    Beside them stand their values as a file's rows have them, one row's after the other's:
    offset, the stream's number, seq, at, type, hash as bytes, data.
    """
    sealed: list[Record] = []
    values: list[object] = []
    number, seq, offset, previous = head.number, head.seq, end, head.hash
    for new in records:
        seq, offset = seq + 1, offset + 1
        at, type_, data = new.at, new.type, new.data
        digest = link_digest(run_id, seq, previous, at, type_, sha256(data).hexdigest())
        previous = digest.hex()
        sealed.append(Record(offset, run_id, seq, at, type_, data, previous))
        values += (offset, number, seq, at, type_, digest, data)
    return sealed, values


def advanced(head: Head, sealed: Sequence[Record], labels: Mapping[str, str]) -> Head:
    """Return the head of a stream once ``sealed`` and ``labels`` are committed."""
    last = sealed[-1]
    merged = {**head.labels, **labels} if labels else head.labels
    return Head(number=head.number, seq=last.seq, hash=last.hash, labels=merged)
