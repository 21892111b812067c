"""Opening an engine: the one place that decides which journal it stands on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from os import PathLike

from stenograph.engine import Bounds, Engine, Source, open_data_folder
from stenograph.journal import Durability, MemoryJournal, open_journal


@asynccontextmanager
async def open(  # noqa: A001
    path: str | PathLike[str] = "steno.db",
    *,
    tools: Iterable[Source] = (),
    durability: Durability = "full",
    recover: bool = True,
    data: str | PathLike[str] | None = None,
    bounds: Bounds | None = None,
    traced: bool = False,
    hidden: Iterable[str | PathLike[str]] = (),
) -> AsyncIterator[Engine]:
    """Open an engine on a journal file, or on ``":memory:"``, and take up what is unfinished.

    ``tools``: functions, tools, predicates, or modules that hold some. ``durability``: ``full``
    outlives a loss of power, ``normal`` only that of the process. ``recover=False`` leaves
    unfinished runs where they are. ``data`` is the folder whose files tools may read by a path
    (``ctx.data``), but for those of the journal, and of ``hidden``: files that are not for tools, with
    all that stands beside them under a longer name. ``bounds`` is how much the engine takes;
    ``traced``: spans are made of its runs (see ``Engine``). Raises CannotOpen, ToolRefused,
    DataRefused.
    """
    folder = None if data is None else open_data_folder(data, hidden=[path, *hidden])
    journal = MemoryJournal() if path == ":memory:" else open_journal(path, durability=durability)
    async with (
        journal as opened,
        Engine(
            opened, tools=tools, recover=recover, data=folder, bounds=bounds, traced=traced
        ) as engine,
    ):
        yield engine
