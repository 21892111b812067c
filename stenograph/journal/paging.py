"""A page of records: bounded in number and in bytes, so that a slow reader costs one page."""

from __future__ import annotations

from collections.abc import Sequence

from stenograph.journal.protocol import PAGE_MAX, PAGE_MAX_BYTES
from stenograph.journal.record import Record


def page(records: Sequence[Record], start: int, limit: int) -> list[Record]:
    """Return the page that begins at index ``start``; it has a record if there is one."""
    found: list[Record] = []
    size = 0
    for index in range(start, min(start + bounded(limit), len(records))):
        found.append(records[index])
        size += len(records[index].data)
        if size >= PAGE_MAX_BYTES:
            break
    return found


def bounded(limit: int, most: int = PAGE_MAX) -> int:
    """Return ``limit``, but not below 0 (which SQLite takes for no limit) nor above ``most``."""
    return max(0, min(limit, most))
