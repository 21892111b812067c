"""Tools and graphs for the tests of the HTTP room: small, and each with one habit."""

from __future__ import annotations

import asyncio
from typing import Any

import stenograph as st

State = dict[str, Any]


@st.tool
async def count(state: State, ctx: st.Context) -> State:
    """Add one to `n`, and say so."""
    n = state.get("n", 0) + 1
    ctx.log(f"counted to {n}")
    state.setdefault("seen", []).append(n)
    return {"n": n}


@st.tool
async def hang(state: State) -> None:
    """Never return by itself."""
    await asyncio.Event().wait()


@st.tool
async def stubborn(state: State) -> None:
    """Take its time to stop when it is told to."""
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(3600)


@st.tool
async def fail(state: State) -> None:
    """Raise."""
    raise ValueError("no luck")


@st.tool
async def drop(state: State) -> None:
    """Remove `n`, and replace `seen`."""
    del state["n"]
    state["seen"] = []


@st.tool
async def swell(state: State, config: dict[str, Any]) -> State:
    """Write a large text."""
    return {
        "text": "x" * config["size"] + str(state.get("turn", 0)),
        "turn": state.get("turn", 0) + 1,
    }


@st.predicate
def enough(state: State) -> bool:
    """Tell whether `n` has reached `to`."""
    return bool(state["n"] >= state["to"])


TOOLS = (count, hang, stubborn, fail, drop, swell, enough)

COUNT: dict[str, Any] = {
    "id": "count",
    "name": "Count up",
    "start": "count",
    "nodes": {
        "count": {"tool": "count", "next": {"to": "count", "until": {"fn": "enough"}, "max": 10000}}
    },
}
ONCE: dict[str, Any] = {"id": "once", "start": "count", "nodes": {"count": {"tool": "count"}}}
HANG: dict[str, Any] = {"id": "hang", "start": "hang", "nodes": {"hang": {"tool": "hang"}}}
FAIL: dict[str, Any] = {"id": "fail", "start": "fail", "nodes": {"fail": {"tool": "fail"}}}
