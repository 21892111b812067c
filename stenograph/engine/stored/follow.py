"""Following a run: its records from a cursor, then live, up to its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from stenograph.engine.core.events import TERMINAL
from stenograph.journal import Journal, Record


async def follow(
    journal: Journal, run_id: str, *, after: int = 0
) -> AsyncGenerator[list[Record], None]:
    """Yield every record of a run with ``seq > after`` in pages, and stop once it has ended.

    Whoever joins after the end is told so by an end at once. Raises CursorUnknown.
    """
    if after and after == await journal.head(run_id):
        last = await journal.read(run_id, after=after - 1, limit=1)
        if last and last[0].type in TERMINAL:
            return
    pages = journal.tail(run_id, after=after)
    try:
        async for page in pages:
            yield page
            if page[-1].type in TERMINAL and page[-1].seq == await journal.head(run_id):
                return
    finally:
        await pages.aclose()
