"""Sealing: new records get their place in the stream and the journal, and their hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from stenograph.journal.record import GENESIS, NewRecord, Record, chain_hash


class Head(Struct, frozen=True):
    """Where a stream ends: what the next append to it must know."""

    number: int
    seq: int
    hash: str
    labels: Mapping[str, str]


def no_head(number: int) -> Head:
    """Return the head of a stream that has no record yet."""
    return Head(number=number, seq=0, hash=GENESIS, labels={})


def seal(run_id: str, head: Head, end: int, records: Sequence[NewRecord]) -> list[Record]:
    """Return the records as they follow ``head`` in their stream and ``end`` in the journal."""
    sealed: list[Record] = []
    seq, offset, previous = head.seq, end, head.hash
    for new in records:
        seq, offset = seq + 1, offset + 1
        previous = chain_hash(run_id, seq, previous, new.at, new.type, new.data)
        sealed.append(Record(offset, run_id, seq, new.at, new.type, new.data, previous))
    return sealed


def advanced(head: Head, sealed: Sequence[Record], labels: Mapping[str, str]) -> Head:
    """Return the head of a stream once ``sealed`` and ``labels`` are committed."""
    last = sealed[-1]
    merged = {**head.labels, **labels} if labels else head.labels
    return Head(number=head.number, seq=last.seq, hash=last.hash, labels=merged)
