"""The disk that a journal lies on: how much room there is beside it."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from stenograph.journal import Journal


class Room(Struct, frozen=True):
    """The bytes that are free on a disk, and all that it has."""

    free: int
    total: int


def room_of(journal: Journal) -> Room | None:
    """Return the room that the journal's file may still take, or None for one in memory.

    The system answers from what it has at hand: nothing is read from the disk.
    """
    path: Path | None = getattr(journal, "path", None)
    if path is None:
        return None
    try:
        found = os.statvfs(path.parent)
    except OSError:
        return Room(0, 0)
    return Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)
