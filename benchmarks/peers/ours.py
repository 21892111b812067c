"""Stenograph on the peers' workloads, as they run it: in a process of its own, durability full."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import stenograph as st
from benchmarks.disk import grow
from benchmarks.peers.workloads import CONSTANT, Work, asked, run_all
from benchmarks.tools import count


def looping(tool: str, steps: int, **more: Any) -> dict[str, Any]:
    """Return the graph of one node that runs until ``n`` has come so far."""
    node = {"tool": tool, "next": [{"to": "work", "until": f"n >= {steps}"}]}
    return {"start": "work", "nodes": {"work": node}, **more}


async def main(work: Work) -> None:
    """Do what is asked."""
    async with st.open(work.folder / "ours.db", tools=[count, grow]) as engine:
        if work.name == "w3":
            graph = looping("grow", work.steps, state={"items": {"reducer": "append"}})
            state: dict[str, Any] = {"n": 0, "blob": CONSTANT, "items": []}
        else:
            graph, state = looping("count", work.steps), {"n": 0}
        graph_id = (await engine.create_graph(graph)).graph_id

        async def run(number: int) -> int:
            ended = await engine.run(graph_id, state, run_id=f"run-{number}", wait_s=600)
            assert ended.status == "completed", ended
            return int(ended.state["n"])

        await run_all(work, run)


if __name__ == "__main__":
    importlib.import_module("stenograph.http.app")  # as the engine in memory has its server's code
    asyncio.run(main(asked()))
