"""Burr with its SQLite persisters, in WAL mode; ``w1-sync`` is its API without asyncio.

The mode is set by hand: as the persisters come, SQLite keeps a rollback journal, which is slower.
"""

from __future__ import annotations

import asyncio
from typing import Any

from burr.core import ApplicationBuilder, State, action, default, expr
from burr.core.persistence import SQLitePersister
from burr.integrations.persisters.b_aiosqlite import AsyncSQLitePersister

from benchmarks.peers.workloads import Work, asked, run_all, run_one

WAL = "PRAGMA journal_mode = WAL"
UNTIL_DONE: dict[str, Any] = {"halt_before": ["done"]}


@action(reads=["n"], writes=["n"])
async def count(state: State) -> State:
    """Change one small key."""
    return state.update(n=state["n"] + 1)


@action(reads=["n"], writes=["n"])
def count_sync(state: State) -> State:
    """Change one small key."""
    return state.update(n=state["n"] + 1)


@action(reads=[], writes=[])
async def done(state: State) -> State:
    """Be the end; never runs."""
    return state


def application(persister: Any, app_id: str, steps: int, work: Any) -> Any:
    """Return the builder of an application that counts so far."""
    return (
        ApplicationBuilder()
        .with_actions(count=work, done=done)
        .with_transitions(("count", "done", expr(f"n >= {steps}")), ("count", "count", default))
        .with_state(n=0)
        .with_entrypoint("count")
        .with_identifiers(app_id=app_id)
        .with_state_persister(persister)
    )


async def main(work: Work) -> None:
    """Do what is asked."""
    persister = await AsyncSQLitePersister.from_values(db_path=str(work.folder / "burr.db"))
    await persister.connection.execute(WAL)
    await persister.initialize()
    apps = [
        await application(persister, f"run-{number}", work.steps, count).abuild()
        for number in range(work.runs + 1)
    ]

    async def run(number: int) -> int:
        _, _, state = await apps[number].arun(**UNTIL_DONE)
        return int(state["n"])

    await run_all(work, run)
    await persister.cleanup()


def main_sync(work: Work) -> None:
    """Do what is asked, one run."""
    persister = SQLitePersister.from_values(db_path=str(work.folder / "burr.db"))
    persister.connection.execute(WAL)
    persister.initialize()
    apps = [
        application(persister, f"run-{number}", work.steps, count_sync).build()
        for number in range(2)
    ]

    def run(number: int) -> int:
        _, _, state = apps[number].run(**UNTIL_DONE)
        return int(state["n"])

    run_one(work, run)
    persister.cleanup()


if __name__ == "__main__":
    if (work := asked()).name == "w1-sync":
        main_sync(work)
    else:
        asyncio.run(main(work))
