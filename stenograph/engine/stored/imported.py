"""Which runs were imported: these are read and forked, and never executed."""

from __future__ import annotations

from typing import Final

from stenograph.journal import Journal

IMPORTED: Final = "imported"
"""The label of a run that was imported: it lies at rest, whatever its status."""


async def is_imported(journal: Journal, run_id: str) -> bool:
    """Tell whether a run was imported."""
    stream = await journal.stream(run_id)
    return stream is not None and IMPORTED in stream.labels
