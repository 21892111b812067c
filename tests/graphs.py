"""Sample graphs that together use what a graph can do, each with its tools and a first state."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import Struct

import stenograph as st


class Sample(Struct, frozen=True):
    graph: dict[str, Any]
    state: dict[str, Any] = {}


@st.tool
async def count(state: dict[str, Any]) -> dict[str, Any]:
    return {"n": state.get("n", 0) + 1}


@st.tool
def count_in_a_thread(state: dict[str, Any]) -> None:
    state["n"] = state.get("n", 0) + 1


@st.tool
async def note(state: dict[str, Any], config: dict[str, Any]) -> None:
    state.setdefault("notes", []).append(config.get("text", "seen"))


@st.tool
async def forget(state: dict[str, Any], config: dict[str, Any]) -> None:
    for key in config["keys"]:
        state.pop(key, None)


@st.tool
async def fail_until_third_try(state: dict[str, Any], ctx: st.Context) -> dict[str, Any]:
    if ctx.attempt < 3:
        raise ConnectionError("not yet")
    return {"tried": True}


@st.tool
async def always_fail(state: dict[str, Any]) -> None:
    raise LookupError("nothing there")


@st.tool
async def hang(state: dict[str, Any]) -> None:
    await asyncio.sleep(3600)


@st.tool
async def say(state: dict[str, Any], ctx: st.Context) -> dict[str, Any]:
    for number in range(3):
        ctx.log("saying", number=number)
    return {"said": 3}


@st.tool
async def choose(state: dict[str, Any]) -> st.Goto:
    return st.Goto("right" if state.get("n", 0) else "left", {"chosen": True})


@st.tool
async def choose_as_text(state: dict[str, Any]) -> dict[str, Any]:
    return {"__next_node__": "right", "chosen": True}


@st.tool
async def return_no_json(state: dict[str, Any]) -> dict[str, Any]:
    return {"bad": float("nan")}


@st.predicate
def enough(state: dict[str, Any]) -> bool:
    return bool(state["n"] >= 3)


TOOLS = (
    count,
    count_in_a_thread,
    note,
    forget,
    fail_until_third_try,
    always_fail,
    hang,
    say,
    choose,
    choose_as_text,
    return_no_json,
    enough,
)


def chain(*tools: str) -> dict[str, Any]:
    """Return a graph that calls tools one after the other."""
    names = [f"{tool}-{place}" for place, tool in enumerate(tools)]
    return {
        "start": names[0],
        "nodes": {
            name: {"tool": tool, **({"next": after} if after else {})}
            for name, tool, after in zip(names, tools, [*names[1:], None], strict=True)
        },
    }


def one(tool: str, **node: Any) -> dict[str, Any]:
    """Return a graph of one node ``work``, and a node ``after`` to go to."""
    nodes = {"work": {"tool": tool, **node}, "after": {"tool": "note"}}
    return {"start": "work", "nodes": nodes}


RETRY = {"attempts": 4, "delay_s": 0.001, "jitter": False}

SAMPLES = {
    "sequence": Sample(chain("count", "note", "count", "note")),
    "threads": Sample(chain("count_in_a_thread", "count_in_a_thread", "count_in_a_thread")),
    "branch": Sample(
        one("count", next=[{"to": "after", "when": "n == 1"}, {"to": "$fail"}]),
    ),
    "bounded loop": Sample(one("count", next=[{"to": "work", "max": 6}, {"to": "after"}])),
    "loop until": Sample(one("count", next=[{"to": "work", "until": "n >= 5", "max": 9}])),
    "loop to its cap": Sample(one("count", next=[{"to": "work", "until": "n > 99", "max": 4}])),
    "predicate": Sample(
        one("count", next=[{"to": "after", "when": {"fn": "enough"}}, {"to": "work"}])
    ),
    "field": Sample(
        one(
            "count",
            next=[
                {"to": "after", "when": {"field": "n", "operator": ">=", "value": 3}},
                {"to": "work"},
            ],
        )
    ),
    "growing list": Sample(one("note", next=[{"to": "work", "max": 7}])),
    "removal": Sample(
        one("forget", config={"keys": ["a", "b"]}, next="after"), {"a": 1, "b": [1], "c": {}}
    ),
    "retry": Sample(one("fail_until_third_try", retry=RETRY, next="after")),
    "retries used up": Sample(
        one("always_fail", retry={**RETRY, "attempts": 2}, next=[{"to": "after", "on": "error"}])
    ),
    "caught by type": Sample(
        one(
            "always_fail",
            next=[{"to": "after", "on": "error", "when": "error.type == 'LookupError'"}],
        )
    ),
    "failure": Sample(chain("count", "always_fail", "note")),
    "timeout": Sample(one("hang", timeout_s=0.01, next=[{"to": "after", "on": "timeout"}])),
    "logs": Sample(chain("say", "say", "count")),
    "goto": Sample(
        {
            "start": "choose",
            "nodes": {
                "choose": {"tool": "choose"},
                "left": {"tool": "count", "next": "choose"},
                "right": {"tool": "note"},
            },
        }
    ),
    "goto as text": Sample(
        {
            "start": "choose",
            "nodes": {"choose": {"tool": "choose_as_text"}, "right": {"tool": "note"}},
        }
    ),
    "router": Sample(
        {
            "start": "which",
            "nodes": {
                "which": {"next": [{"to": "few", "when": "n < 5"}, {"to": "many"}]},
                "few": {"tool": "count", "next": "which"},
                "many": {"tool": "note"},
            },
        },
        {"n": 2},
    ),
    "no JSON": Sample(one("return_no_json", next=[{"to": "after", "on": "error"}])),
    "no edge": Sample(one("count", next=[{"to": "after", "when": "n > 5"}])),
    "bad expression": Sample(one("count", next=[{"to": "after", "when": "m > 5"}])),
    "step limit": Sample({**one("count", next="work"), "limits": {"steps": 5}}),
}
