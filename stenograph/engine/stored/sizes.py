"""Sizes: what an event may have that holds what somebody gave."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from stenograph.engine.core.events import GraphCreated, RunCreated, RunMigrated, SignalReceived
from stenograph.journal import AppendTooLarge, NewRecord

_GIVEN: Final = frozenset(
    {GraphCreated.TYPE, RunCreated.TYPE, RunMigrated.TYPE, SignalReceived.TYPE}
)
"""What a step changes is bounded by the state that takes it, all else by what it tells of."""


def check_sizes(records: Iterable[NewRecord], most: int) -> None:
    """Raise AppendTooLarge for an event that is given more than ``most`` bytes."""
    for record in records:
        if len(record.data) > most and record.type in _GIVEN:
            what = f"{record.type} would have {len(record.data):,} bytes"
            raise AppendTooLarge(f"{what}; an event may have {most:,}")
