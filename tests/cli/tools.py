"""Tools and graphs for the tests of the command line."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import stenograph as st

State = dict[str, Any]


@st.tool
async def count(state: State, ctx: st.Context) -> State:
    """Add one to `n`, and say so."""
    n = state.get("n", 0) + 1
    ctx.log(f"counted to {n}", n=n)
    return {"n": n, "seen": [*state.get("seen", []), n]}


@st.tool
async def wait(state: State) -> State:
    """Return as soon as the file that `gate` names is there."""
    while not Path(state["gate"]).exists():  # noqa: ASYNC110, ASYNC240 - another process makes it
        await asyncio.sleep(0.01)
    return {"n": state.get("n", 0) + 1}


@st.tool
async def flaky(state: State, ctx: st.Context) -> State:
    """Fail at the first try."""
    if ctx.attempt == 1:
        raise ConnectionError("nobody answers")
    return {"tried": ctx.attempt}


@st.tool
async def boom(state: State) -> None:
    """Raise, with what a terminal must not get to see."""
    raise ValueError("the fuse\nblew \x1b[31mred")


COUNT: State = {
    "id": "count",
    "start": "count",
    "nodes": {"count": {"tool": "count", "next": {"to": "count", "until": "n >= to", "max": 99}}},
}
WAIT: State = {
    "id": "wait",
    "start": "wait",
    "nodes": {"wait": {"tool": "wait", "next": "count"}, "count": {"tool": "count"}},
}
GATED: State = {
    "id": "gated",
    "start": "count",
    "nodes": {
        "count": {"tool": "count", "next": "approval"},
        "approval": {
            "wait": {
                "signal": "approval",
                "schema": {
                    "type": "object",
                    "properties": {"ok": {"type": "boolean"}, "why": {"type": "string"}},
                    "required": ["ok"],
                },
            },
            "next": [{"to": "count", "when": "approval['ok']"}, {"to": "$end"}],
        },
    },
}
VOTES: State = {
    "id": "votes",
    "start": "split",
    "nodes": {
        "split": {"next": {"each": "people", "as": "who", "to": "ask", "join": "done"}},
        "ask": {"wait": {"signal": "vote"}, "next": "done"},
        "done": {"tool": "count"},
    },
    "state": {"vote": {"reducer": "append"}},
}
FLAKY: State = {
    "id": "flaky",
    "start": "flaky",
    "nodes": {"flaky": {"tool": "flaky", "next": "count"}, "count": {"tool": "count"}},
}
BOOM: State = {
    "id": "boom",
    "start": "boom",
    "nodes": {"boom": {"tool": "boom", "retry": {"attempts": 2, "delay_s": 0}}},
}
