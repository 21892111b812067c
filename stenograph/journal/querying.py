"""SQL over a journal's file, read-only: each query in a process of its own, bounded in every way."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from stenograph.journal import asking
from stenograph.journal.errors import JournalError
from stenograph.journal.files import place, script

TIME_S: Final = 5.0
TIME_MAX_S: Final = 30.0
ROWS: Final = 1000
ROWS_MAX: Final = 10_000
ANSWER_MAX_BYTES: Final = 4 * 1024 * 1024
GRACE_S: Final = 1.0
"""How long a query that does not look at the clock lives on after its time."""

Params: TypeAlias = Sequence[Any] | Mapping[str, Any]


class QueryRefused(JournalError):
    """A query that was not answered: it is no SELECT over the views, or needs too much."""


class Table(Struct, frozen=True):
    """The answer of a query; ``truncated`` when there was more than an answer may hold.

    Blobs are text in hexadecimal digits.
    """

    columns: list[str]
    rows: list[list[Any]]
    truncated: bool


class _Said(Struct):
    """What the process says: a table, or why not."""

    columns: list[str] = []
    rows: list[list[Any]] = []
    truncated: bool = False
    refused: str | None = None


async def query(
    path: str | PathLike[str],
    sql: str,
    params: Params = (),
    *,
    time_s: float = TIME_S,
    rows_max: int = ROWS,
) -> Table:
    """Return what one SELECT over the views of a journal's file finds; see docs/sql.md for these.

    At most 30 seconds, 10,000 rows, 4 MiB of answer and 256 MiB of memory. Who is cancelled ends the
    query. Raises QueryRefused, CannotOpen.
    """
    time_s, rows_max = min(time_s, TIME_MAX_S), min(rows_max, ROWS_MAX)
    asked = {
        "uri": f"{place(path).as_uri()}?mode=ro",
        "views": script("views.sql"),
        "sql": sql,
        "params": params if isinstance(params, Mapping) else list(params),
        "time_s": time_s,
        "rows_max": rows_max,
        "bytes_max": ANSWER_MAX_BYTES,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", str(Path(asking.__file__))),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
    )
    try:
        async with asyncio.timeout(time_s + GRACE_S):
            out, _ = await process.communicate(json.dumps(asked).encode())
    except TimeoutError:
        raise QueryRefused(asking.too_slow(time_s)) from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return _table(out)


def _table(out: bytes) -> Table:
    try:
        said = msgspec.json.decode(out, type=_Said)
    except msgspec.MsgspecError:
        raise QueryRefused("the query ended the process that was to answer it") from None
    if said.refused is not None:
        raise QueryRefused(said.refused)
    return Table(said.columns, said.rows, said.truncated)
