"""The tools and graphs that benchmarks run; a server loads them by ``--tools benchmarks.tools``."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

import stenograph as st

TIMES: list[float] = []
"""When ``timed`` and ``grown`` ran."""


@st.tool
async def count(state: dict[str, Any]) -> dict[str, Any]:
    """Change one small key."""
    return {"n": state.get("n", 0) + 1}


@st.tool
async def timed(state: dict[str, Any]) -> dict[str, Any]:
    """Change one small key, and take down when."""
    TIMES.append(perf_counter())
    return {"n": state["n"] + 1}


@st.tool
async def grown(state: dict[str, Any]) -> dict[str, Any]:
    """Add one item to a list, through its reducer, and take down when."""
    TIMES.append(perf_counter())
    return {"items": {"id": 1, "text": "one more"}}


@st.tool
async def first(state: dict[str, Any]) -> dict[str, Any]:
    """Be the first of three nodes."""
    return {"a": state["n"] + 1}


@st.tool
async def second(state: dict[str, Any]) -> dict[str, Any]:
    """Be the second of three nodes."""
    return {"b": state["a"] * 2}


@st.tool
async def third(state: dict[str, Any]) -> dict[str, Any]:
    """Be the last of three nodes."""
    return {"c": state["b"] - 1}


@st.tool
async def spin(state: dict[str, Any]) -> dict[str, Any]:
    """Keep the loop busy: compute for ``spin_s``, give way once, and again for ``seconds``."""
    until = perf_counter() + state["seconds"]
    while (now := perf_counter()) < until:
        while perf_counter() - now < state["spin_s"]:
            pass
        await asyncio.sleep(0)
    return {}


def work(size: int) -> int:
    """Compute something in Python itself."""
    total = 0
    for each in range(size):
        total = (total * 31 + each) % 1_000_003
    return total


@st.tool
def compute(state: dict[str, Any]) -> dict[str, Any]:
    """Compute in a thread of the engine's process."""
    return {"total": work(state["size"])}


@st.tool(process=True)
def compute_apart(state: dict[str, Any]) -> dict[str, Any]:
    """Compute in a process of its own."""
    return {"total": work(state["size"])}


def loop(tool: str, steps: int, **more: Any) -> dict[str, Any]:
    """Return the graph of one node that runs so many times, and what more it is to hold."""
    node = {"tool": tool, "next": [{"to": "work", "max": steps - 1}]}
    return {"start": "work", "nodes": {"work": node}, "limits": {"steps": steps}, **more}


def once(tool: str) -> dict[str, Any]:
    """Return the graph of one node that runs once."""
    return {"start": "work", "nodes": {"work": {"tool": tool}}}


THREE: dict[str, Any] = {
    "id": "three",
    "start": "first",
    "nodes": {
        "first": {"tool": "first", "next": "second"},
        "second": {"tool": "second", "next": "third"},
        "third": {"tool": "third"},
    },
}
WAITING: dict[str, Any] = {"start": "hold", "nodes": {"hold": {"wait": {"signal": "go"}}}}
