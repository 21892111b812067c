"""DBOS Transact on its SQLite system database, with async workflows and steps, in WAL mode.

The mode is set by hand: as DBOS comes, SQLite keeps a rollback journal, which is slower.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import Any

from dbos import DBOS

from benchmarks.peers.workloads import Work, asked, run_all


@DBOS.step()
async def count(n: int) -> int:
    """Count."""
    return n + 1


@DBOS.workflow()
async def counting(steps: int) -> int:
    """Make so many steps."""
    n = 0
    while n < steps:
        n = await count(n)
    return n


@DBOS.step()
async def double(n: int) -> int:
    """Double."""
    return n * 2


@DBOS.step()
async def less(n: int) -> int:
    """Take one away."""
    return n - 1


@DBOS.workflow()
async def three(n: int) -> dict[str, int]:
    """Make three steps."""
    a = await count(n)
    b = await double(a)
    return {"n": n, "a": a, "b": b, "c": await less(b)}


async def main(work: Work) -> None:
    """Do what is asked."""

    async def run(number: int) -> int:
        return int(await counting(work.steps))

    await run_all(work, run)


def serve(work: Work) -> None:
    """Serve the workflow of three steps behind FastAPI."""
    import uvicorn
    from fastapi import Body, FastAPI

    app = FastAPI()

    @app.post("/graph/run")
    async def run(body: dict[str, Any] = Body(...)) -> dict[str, Any]:  # noqa: B008
        return {"status": "completed", "state": await three(body["initial_state"]["n"])}

    uvicorn.run(app, port=work.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    work = asked()
    database = work.folder / "dbos.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")  # the file keeps it
    DBOS(
        config={
            "name": "bench",
            "system_database_url": f"sqlite:///{database}",
            "run_admin_server": False,
            "log_level": "ERROR",
            "enable_otlp": False,
        }
    )
    DBOS.launch()
    if work.name == "serve":
        serve(work)
    else:
        asyncio.run(main(work))
    DBOS.destroy()
