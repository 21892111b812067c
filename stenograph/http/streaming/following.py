"""Following a run to its end, and on from there when somebody reopens it meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from stenograph.engine import TERMINAL, Engine, EngineClosed, RunGone, RunView
from stenograph.journal import Record


async def to_its_end(
    engine: Engine, run_id: str, after: int
) -> AsyncGenerator[list[Record] | RunView, None]:
    """Yield pages of a run's records with ``seq > after``, then live, and last the ended run.

    Its ``seq`` is that of the last record. Raises UnknownRun, CursorUnknown, and EngineClosed when
    the journal is closed before the end.
    """
    while True:
        last: Record | None = None
        async with aclosing(engine.follow(run_id, after=after)) as pages:
            async for page in pages:
                yield page
                last, after = page[-1], page[-1].seq
        try:
            run = await engine.get(run_id)
        except RunGone:
            run = await engine.left_of(run_id)
        if run.done and run.seq == after:
            yield run
            return
        if last is None or last.type not in TERMINAL:
            raise EngineClosed
