"""Graphs drawn at random: forks, maps, sub-graphs, loops and waits within one another, to any depth.

Their tools give the same for the same state, so that a run that is done again comes to the same.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import stenograph as st
from stenograph.engine import Engine, RunView
from tests.graphs import TOOLS

STATE = {
    "total": {"reducer": "add"},
    "log": {"reducer": "concat"},
    "go": {"reducer": "replace"},
    "said": {"reducer": "max"},
    "shelf": {"reducer": "merge"},
}
FIRST = {"total": 0, "log": [], "items": [1, "a", {"z": 1}], "few": ["p", "q"], "n": 0, "said": 0}
RETRY = {"attempts": 4, "delay_s": 0.0005, "jitter": False}


@st.tool
async def raise_total(state: dict[str, Any]) -> dict[str, Any]:
    return {"total": state["total"] + 1 + len(state["log"])}


@st.tool
async def put_on_shelf(state: dict[str, Any]) -> dict[str, Any]:
    shelf = dict(state.get("shelf") or {})
    shelf["abc"[len(shelf) % 3]] = {"of": len(shelf), "all": [1, {"n": state["total"]}]}
    return {"shelf": shelf}


@st.tool
async def change_in_place(state: dict[str, Any]) -> None:
    boxes = state.setdefault("boxes", [{"full": 0}])
    boxes[0]["full"] += 1
    boxes.append({"full": len(boxes)})


@st.tool
async def tell(state: dict[str, Any], config: dict[str, Any]) -> None:
    state["log"].append([config["name"], state.get("index"), state.get("item")])


@st.tool
async def clear(state: dict[str, Any]) -> None:
    state.pop("boxes", None)


DRAWN_TOOLS = (*TOOLS, raise_total, put_on_shelf, change_in_place, tell, clear)
ALONE = ("put_on_shelf", "change_in_place", "clear")
"""Tools whose changes branches could not bring together."""


class Drawing:
    """Draws one graph, and those that it calls."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._names = 0
        self.graphs: list[dict[str, Any]] = []
        nodes: dict[str, Any] = {}
        start = self._block(3, "$end", nodes, alone=True)
        self.graph = {"start": start, "nodes": nodes, "state": STATE}

    def _name(self) -> str:
        self._names += 1
        return f"n{self._names}"

    def _block(self, depth: int, after: str, nodes: dict[str, Any], *, alone: bool) -> str:
        """Draw nodes that lead to ``after``; returns the first of them."""
        kinds = ["tool"] * 5 + ["caught", "tried", "either", "rest", "ask"]
        kinds += ["row", "row", "fork", "fork", "map", "map", "call", "loop"] * (depth > 0)
        kind = self._random.choice(kinds)
        if kind == "row":
            for _ in range(self._random.randint(2, 3)):
                after = self._block(depth - 1, after, nodes, alone=alone)
            return after
        name = self._name()
        if kind in ("fork", "map"):
            own = {"tool": "tell", "config": {"name": name}} if kind == "fork" else {}
            nodes[name] = {**own, "next": self._split(kind, name, depth, nodes)}
            nodes[f"{name}-join"] = {"tool": "tell", "config": {"name": name}, "next": after}
        elif kind == "loop":
            body = self._block(depth - 1, name, nodes, alone=alone)
            nodes[name] = {"next": [{"to": body, "max": 2}, {"to": after}]}
        elif kind == "either":
            one, other = (self._block(0, after, nodes, alone=alone) for _ in range(2))
            nodes[name] = {"next": [{"to": one, "when": "total % 2 == 0"}, {"to": other}]}
        elif kind == "call":
            nodes[name] = {**self._call(name, depth, alone=alone), "next": after}
        else:
            nodes[name] = self._leaf(kind, name, after, alone=alone)
        return name

    def _split(self, kind: str, name: str, depth: int, nodes: dict[str, Any]) -> dict[str, Any]:
        join = f"{name}-join"
        ways = 1 if kind == "map" else self._random.randint(2, 3)
        heads = [self._block(depth - 1, join, nodes, alone=False) for _ in range(ways)]
        if kind == "fork":
            return {"to": heads, "join": join}
        width = {"width": 2} if self._random.random() < 0.4 else {}
        each = self._random.choice(["items", "few"])
        return {"each": each, "to": heads[0], "join": join, **width}

    def _call(self, name: str, depth: int, *, alone: bool) -> dict[str, Any]:
        nodes: dict[str, Any] = {}
        start = self._block(depth - 1, "$end", nodes, alone=alone)
        self.graphs.append({"id": f"of-{name}", "start": start, "nodes": nodes, "state": STATE})
        out = {"out": ["total", "log"]} if self._random.random() < 0.5 else {}
        return {"graph": f"of-{name}", **out}

    def _leaf(self, kind: str, name: str, after: str, *, alone: bool) -> dict[str, Any]:
        if kind == "caught":
            return {"tool": "always_fail", "next": [{"to": after, "on": "error"}]}
        if kind == "tried":
            return {"tool": "fail_until_third_try", "retry": RETRY, "next": after}
        if kind == "rest":
            return {"wait": {"for_s": 0.0005}, "next": after}
        if kind == "ask":
            return {"wait": {"signal": "go"}, "next": after}
        tool = self._random.choice(["raise_total", "tell", "say", *(ALONE if alone else ())])
        config = {"config": {"name": name}} if tool == "tell" else {}
        return {"tool": tool, **config, "next": after}


async def finish(engine: Engine, run_id: str) -> RunView:
    """Return a run once it has ended; what it asks for is given."""
    while not (run := await engine.wait(run_id, 0.003)).done:
        if any(each.kind == "signal" for each in run.waits):
            run = await engine.signal(run_id, "go", {"n": 1})
        await asyncio.sleep(0.0005)
    return run
