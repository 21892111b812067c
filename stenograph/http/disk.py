"""The disk that a journal lies on: how much room there is beside it."""

from __future__ import annotations

import os
from pathlib import Path

from stenograph.journal import Journal


def free_bytes(journal: Journal) -> int | None:
    """Return the room that the journal's file may still take, or None for one in memory.

    The system answers from what it has at hand: nothing is read from the disk.
    """
    path: Path | None = getattr(journal, "path", None)
    if path is None:
        return None
    try:
        found = os.statvfs(path.parent)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize
