"""A journal's file as a version wrote it, kept for ever: ``python -m tests.golden_journal VERSION``.

It is written once for the version that first writes it so, and never changed again.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import stenograph as st
from stenograph.engine import decode, fold
from stenograph.journal import Record, open_journal_readonly
from tests.golden_histories import GOLDEN, end_of, written

RUNS = ("completed", "forked", "failed", "waiting", "secretive")
ERASED = "erased"

LOOP = {"start": "a", "nodes": {"a": {"tool": "count", "next": {"to": "a", "until": "n >= 3"}}}}
FORK = {
    "start": "split",
    "nodes": {
        "split": {"next": {"each": "items", "as": "item", "to": "work", "join": "end"}},
        "work": {"tool": "count"},
        "end": {},
    },
    "state": {"n": {"reducer": "add"}, "seen": {"reducer": "concat"}},
}
FAIL = {"start": "stop", "nodes": {"stop": {"next": "$fail"}}}
WAIT = {"start": "ask", "nodes": {"ask": {"wait": {"signal": "go"}}}}
SECRET = {"start": "use", "nodes": {"use": {"tool": "use"}}, "state": {"token": {"secret": True}}}


@st.tool(version="1")
def count(state: dict[str, Any]) -> dict[str, Any]:
    state["n"] += 1
    return {"seen": ["é", state["n"]]}


@st.tool(version="1")
def use(state: dict[str, Any]) -> dict[str, Any]:
    return {"length": len(state["token"])}


async def write(path: Path) -> None:
    """Write a journal with a run of each kind."""
    async with st.open(path, tools=[count, use]) as engine:
        await engine.run(LOOP, {"n": 0}, run_id="completed", tags={"team": "blue"})
        await engine.run(FORK, {"n": 0, "seen": [], "items": [1, 2, 3]}, run_id="forked")
        await engine.run(FAIL, {}, run_id="failed")
        await engine.run(WAIT, {}, run_id="waiting")
        await engine.run(SECRET, {"token": "of nobody"}, run_id="secretive")
        await engine.run(LOOP, {"n": 1}, run_id=ERASED)
        await engine.erase(ERASED, reason="so that one is")
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


async def records_of(path: Path, run_id: str) -> list[Record]:
    async with open_journal_readonly(path) as journal:
        return await journal.read(run_id)


async def ends_of(path: Path) -> dict[str, Any]:
    """Return what each run of a journal folds to."""
    return {run_id: end_of(fold(map(decode, await records_of(path, run_id)))) for run_id in RUNS}


def main(version: str) -> None:
    path = GOLDEN / version / "journal.sqlite"
    path.parent.mkdir(exist_ok=True)
    assert not path.exists(), "what a version wrote is never written again"
    asyncio.run(write(path))
    for rest in ("-wal", "-shm", ".lock"):
        path.with_name(path.name + rest).unlink(missing_ok=True)
    path.with_suffix(".ends").write_bytes(written(asyncio.run(ends_of(path))))
    for rest in ("-wal", "-shm"):
        path.with_name(path.name + rest).unlink(missing_ok=True)


if __name__ == "__main__":
    main(sys.argv[1])
