"""Burr with its SQLite persister, as it comes."""

from __future__ import annotations

import asyncio
from typing import Any

from burr.core import ApplicationBuilder, State, action, default, expr
from burr.integrations.persisters.b_aiosqlite import AsyncSQLitePersister

from benchmarks.peers.workloads import Work, asked, run_all


@action(reads=["n"], writes=["n"])
async def count(state: State) -> State:
    """Change one small key."""
    return state.update(n=state["n"] + 1)


@action(reads=[], writes=[])
async def done(state: State) -> State:
    """Be the end."""
    return state


async def application(persister: Any, app_id: str, steps: int) -> Any:
    """Return an application that counts so far."""
    return await (
        ApplicationBuilder()
        .with_actions(count=count, done=done)
        .with_transitions(("count", "done", expr(f"n >= {steps}")), ("count", "count", default))
        .with_state(n=0)
        .with_entrypoint("count")
        .with_identifiers(app_id=app_id)
        .with_state_persister(persister)
        .abuild()
    )


async def main(work: Work) -> None:
    """Do what is asked."""
    persister = await AsyncSQLitePersister.from_values(db_path=str(work.folder / "burr.db"))
    await persister.initialize()
    apps = [
        await application(persister, f"run-{number}", work.steps) for number in range(work.runs)
    ]

    async def run(number: int) -> int:
        _, _, state = await apps[number].arun(halt_after=["done"])
        return int(state["n"])

    await run_all(work, run)
    await persister.cleanup()


if __name__ == "__main__":
    asyncio.run(main(asked()))
