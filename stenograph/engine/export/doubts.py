"""Doubts: what goes wrong with a history that came in a file is told as that file's fault.

An import refuses what cannot have been as far as it can tell; who goes on from the run reads it more
closely than any check.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from stenograph.engine.errors import EngineError, Fault
from stenograph.engine.executor.recordings import RERUN_OF
from stenograph.engine.stored.imported import IMPORTED
from stenograph.journal import Journal, JournalError

_log: Final = logging.getLogger("stenograph.engine")


@asynccontextmanager
async def doubting(
    journal: Journal, run_id: str, refused: Callable[[str, list[Fault]], EngineError]
) -> AsyncIterator[None]:
    """Raise what ``refused`` makes of it where an imported run leads to what nobody expected."""
    try:
        yield
    except (EngineError, JournalError):
        raise
    except Exception as error:
        if not await _came_in_a_file(journal, run_id):
            raise
        _log.warning("run %s tells of what cannot have been", run_id, exc_info=error)
        told = "what its file tells of cannot have happened so; it can be read and no more"
        raise refused(run_id, [Fault("", told)]) from error


async def _came_in_a_file(journal: Journal, run_id: str) -> bool:
    """Tell whether a run was imported, or one was that it goes on from or is a rerun of."""
    seen = set[str]()
    while run_id and run_id not in seen:
        seen.add(run_id)
        stream = await journal.stream(run_id)
        labels = {} if stream is None else stream.labels
        if IMPORTED in labels:
            return True
        run_id = labels.get("origin") or labels.get(f"tag:{RERUN_OF}", "")
    return False
