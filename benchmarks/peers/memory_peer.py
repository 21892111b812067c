"""The engine in memory (in_memory.py) on the peers' workloads: for the memory it takes."""

from __future__ import annotations

import asyncio

from benchmarks.in_memory import COUNT, execute, new_run
from benchmarks.peers.workloads import Work, asked, run_all


async def main(work: Work) -> None:
    """Do what is asked."""

    async def run(number: int) -> int:
        run = await execute(new_run("count", {"n": 0, "limit": work.steps}), COUNT)
        return int(run.state["n"])

    await run_all(work, run)


if __name__ == "__main__":
    asyncio.run(main(asked()))
