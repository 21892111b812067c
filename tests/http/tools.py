"""Tools and graphs for the tests of the HTTP room: small, each with one habit."""

from __future__ import annotations

import asyncio
from typing import Any

import stenograph as st

State = dict[str, Any]
Graph = dict[str, Any]


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
async def stubborn(state: State, ctx: st.Context) -> None:
    """Take no notice of being told to stop."""
    ctx.log("begun")
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(5)


@st.tool
async def fail(state: State) -> None:
    """Raise."""
    raise ValueError("no luck")


@st.tool
async def tidy(state: State) -> None:
    """Remove a key, replace another, and add one whose name must be escaped."""
    del state["n"]
    state["seen"] = []
    state["a/b~c"] = True


@st.tool
async def swell(state: State, config: State) -> State:
    """Write a text of `size`."""
    turn = state.get("turn", 0) + 1
    return {"turn": turn, "text": str(turn).ljust(config["size"], "x")}


@st.predicate
def enough(state: State) -> bool:
    """Tell whether `n` has reached `to`."""
    return bool(state["n"] >= state["to"])


TOOLS = (count, hang, stubborn, fail, tidy, swell, enough)


def of_one(tool: str, **more: Any) -> Graph:
    """A graph of one node, called as its tool is."""
    return {"id": tool, "start": tool, "nodes": {tool: {"tool": tool}}, **more}


def looping(tool: str, times: int, **config: Any) -> Graph:
    """A graph that calls a tool so many times."""
    node = {"tool": tool, "config": config, "next": {"to": tool, "max": times - 1}}
    return {"id": tool, "start": tool, "nodes": {tool: node}}


COUNT: Graph = {
    "id": "count",
    "name": "Count up",
    "start": "count",
    "nodes": {
        "count": {"tool": "count", "next": {"to": "count", "until": {"fn": "enough"}, "max": 50}}
    },
}
HANG = of_one("hang")
FAIL = of_one("fail")
