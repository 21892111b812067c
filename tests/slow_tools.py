"""Tools that take a moment, so that a server can be killed while they run."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import stenograph as st


@st.tool
async def work(state: dict[str, Any], ctx: st.Context) -> dict[str, Any]:
    ctx.log("working", n=state["n"])
    await asyncio.sleep(0.004)
    return {"n": state["n"] + 1}


@st.tool
def work_in_a_thread(state: dict[str, Any]) -> None:
    time.sleep(0.004)
    state["seen"].append(state["n"])


GRAPH = {
    "id": "slow",
    "start": "work",
    "nodes": {
        "work": {"tool": "work", "next": "note"},
        "note": {"tool": "work_in_a_thread", "next": [{"to": "work", "until": "n >= 12"}]},
    },
}
"""24 steps: at their end ``n`` is 12 and ``seen`` counts from 1 to 12."""
