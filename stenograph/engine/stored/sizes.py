"""Sizes: what an event may have that holds what somebody gave."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Raw, Struct

from stenograph.engine.core.events import GraphCreated, RunCreated, SignalReceived
from stenograph.journal import AppendTooLarge, NewRecord

GIVEN: Final = frozenset({GraphCreated.TYPE, RunCreated.TYPE, SignalReceived.TYPE})
"""What a step changes is bounded by the state that takes it, all else by what it tells of. A commit
that has one of these begins with one."""


class _Taken(Struct, frozen=True):
    """What of a run's beginning may have been taken before, perhaps when more was taken."""

    graph: Raw
    graphs: Raw = Raw()
    state: Raw = Raw()
    inherited: Raw = Raw()
    origin: Raw = Raw()
    rerun: Raw = Raw()


_TAKEN: Final = msgspec.json.Decoder(_Taken)


def check_sizes(records: Iterable[NewRecord], most: int) -> None:
    """Raise AppendTooLarge for an event that is given more than ``most`` bytes."""
    for record in records:
        if len(record.data) > most and record.type in GIVEN and (size := given_in(record)) > most:
            what = f"{record.type} would be given {size:,} bytes"
            raise AppendTooLarge(f"{what}; an event may have {most:,}")


def given_in(record: NewRecord) -> int:
    """Return how many bytes of an event are given with it, and were not stored before."""
    size = len(record.data)
    if record.type != RunCreated.TYPE:
        return size
    taken = _TAKEN.decode(record.data)
    size -= len(bytes(taken.graph)) + len(bytes(taken.graphs)) + len(bytes(taken.inherited))
    is_of_another = bytes(taken.origin) or bytes(taken.rerun)
    return size - len(bytes(taken.state)) if is_of_another else size
