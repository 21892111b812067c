"""Sample graphs that together use what a graph can do, each with its tools and a first state."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

from msgspec import Struct

import stenograph as st


class Sample(Struct, frozen=True):
    """A graph, a first state, and what people do while it runs, whenever it is there to be done."""

    graph: dict[str, Any]
    state: dict[str, Any] = {}
    graphs: tuple[dict[str, Any], ...] = ()
    signals: dict[str, Any] = {}
    early: bool = False
    pauses: bool = False
    retries: bool = False
    migrates: bool = False
    result: dict[str, Any] | None = None
    options: dict[str, Any] = {}


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


@st.tool
async def double(state: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(0.0005 * (5 - state["index"] % 5))  # later ones often end sooner
    return {"doubled": state["item"] * 2, "seen": [state["index"]]}


@st.tool
async def write(state: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    return dict(config)


@st.tool
async def fail_on_odd(state: dict[str, Any]) -> dict[str, Any]:
    if state["item"] % 2:
        raise ValueError(f"{state['item']} is odd")
    return {"even": state["item"]}


@st.tool
async def fail_until_retried(state: dict[str, Any], ctx: st.Context) -> dict[str, Any]:
    if ctx.attempt < 2:
        raise ConnectionError("not yet")
    return {"tried": state.get("tried", 0) + 1}


@st.tool(effects="once")
async def charge(state: dict[str, Any]) -> dict[str, Any]:
    return {"charged": True}


@st.tool(process=True)
def square(state: dict[str, Any]) -> dict[str, Any]:
    return {"n": state["n"] ** 2}


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
    double,
    write,
    fail_on_odd,
    fail_until_retried,
    charge,
    square,
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


def with_more(graph: dict[str, Any]) -> dict[str, Any]:
    """Return a graph with one more node, which nothing leads to."""
    return {**graph, "nodes": {**graph["nodes"], "more": {}}}


def one(tool: str, **node: Any) -> dict[str, Any]:
    """Return a graph of one node ``work``, and a node ``after`` to go to."""
    nodes = {"work": {"tool": tool, **node}, "after": {"tool": "note"}}
    return {"start": "work", "nodes": nodes}


def fork(branches: dict[str, dict[str, Any]], **edge: Any) -> dict[str, Any]:
    """Return a graph that forks to nodes that each write something, and joins."""
    nodes = {
        name: {"tool": "write", "config": config, "next": "after"}
        for name, config in branches.items()
    }
    split = {"next": {"to": list(branches), "join": "after", **edge}}
    return {"start": "split", "nodes": {"split": split, **nodes, "after": {"tool": "note"}}}


def mapped(tool: str, **edge: Any) -> dict[str, Any]:
    """Return a graph that maps a tool over ``items``."""
    join = edge.pop("join", "after")
    return {
        "start": "split",
        "nodes": {
            "split": {"next": {"each": "items", "to": "work", "join": join, **edge}},
            "work": {"tool": tool},
            "after": {"tool": "note"},
        },
        "state": {
            "doubled": {"reducer": "append"},
            "seen": {"reducer": "concat"},
            "even": {"reducer": "add"},
            "tried": {"reducer": "add"},
        },
    }


def calling(graph: str, **node: Any) -> dict[str, Any]:
    """Return a graph that runs another."""
    call = {"graph": graph, "next": "after", **node}
    return {"start": "call", "nodes": {"call": call, "after": {"tool": "note"}}}


def waiting(wait: dict[str, Any], on: str = "ok") -> dict[str, Any]:
    """Return a graph that counts, waits and counts."""
    nodes = {
        "before": {"tool": "count", "next": "wait"},
        "wait": {"wait": wait, "next": [{"to": "after", "on": on}]},
        "after": {"tool": "count"},
    }
    return {"start": "before", "nodes": nodes}


COUNTING = {
    "id": "child",
    "start": "first",
    "nodes": {"first": {"tool": "count", "next": "second"}, "second": {"tool": "count"}},
}
RETRY = {"attempts": 4, "delay_s": 0.001, "jitter": False}

SAMPLES = {
    "sequence": Sample(chain("count", "note", "count", "note")),
    "threads": Sample(chain("count_in_a_thread", "count_in_a_thread", "count_in_a_thread")),
    "branch": Sample(
        one("count", next=[{"to": "after", "when": "n == 1"}, {"to": "$fail"}]),
    ),
    "bounded loop": Sample(one("count", next=[{"to": "work", "max": 6}, {"to": "after"}])),
    "pure loop": Sample(
        one("count", effects="pure", next=[{"to": "work", "max": 6}, {"to": "after"}])
    ),
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
    "fork": Sample(
        fork({"a": {"x": 1}, "b": {"y": 2}, "c": {"z": 3}}),
    ),
    "fork of one key": Sample(
        {
            **fork({"a": {"log": ["a"]}, "b": {"log": ["b"]}, "c": {"log": ["c"]}}),
            "state": {"log": {"reducer": "concat"}},
        },
        {"log": ["first"]},
    ),
    "fork of a tool": Sample(
        {
            "start": "split",
            "nodes": {
                "split": {"tool": "count", "next": {"to": ["a", "b"], "join": "after"}},
                "a": {"tool": "count", "next": "after"},
                "b": {"tool": "count", "next": "after"},
                "after": {"tool": "note"},
            },
            "state": {"n": {"reducer": "add"}},
        }
    ),
    "merge conflict": Sample(fork({"a": {"x": 1}, "b": {"x": 2}})),
    "longer branches": Sample(
        {
            "start": "split",
            "nodes": {
                "split": {"next": {"to": ["a", "b"], "join": "after"}},
                "a": {"tool": "write", "config": {"x": 1}, "next": "a2"},
                "a2": {"tool": "write", "config": {"x2": 2}, "next": "a3"},
                "a3": {"tool": "write", "config": {"x3": 3}, "next": "after"},
                "b": {"tool": "count", "next": [{"to": "b", "until": "n >= 3"}, {"to": "after"}]},
                "after": {"tool": "note"},
            },
        }
    ),
    "branch ends early": Sample(
        {
            "start": "split",
            "nodes": {
                "split": {"next": {"to": ["a", "b"], "join": "after"}},
                "a": {"tool": "write", "config": {"x": 1}, "next": "$end"},
                "b": {"tool": "write", "config": {"y": 1}},
                "after": {"tool": "note"},
            },
        }
    ),
    "race": Sample(
        {
            "start": "split",
            "nodes": {
                "split": {"next": {"to": ["quick", "slow"], "join": "after", "need": 1}},
                "quick": {"tool": "write", "config": {"x": 1}, "next": "after"},
                "slow": {"tool": "hang", "next": "after"},
                "after": {"tool": "note"},
            },
        }
    ),
    "quorum with a failure": Sample(
        {
            "start": "split",
            "nodes": {
                "split": {"next": {"to": ["a", "b", "c"], "join": "after", "need": 2}},
                "a": {"tool": "write", "config": {"x": 1}, "next": "after"},
                "b": {"tool": "always_fail", "next": "after"},
                "c": {"tool": "write", "config": {"z": 1}, "next": "after"},
                "after": {"tool": "note"},
            },
        }
    ),
    "map": Sample(mapped("double"), {"items": [1, 2, 3, 4, 5, 6, 7, 8]}),
    "map with a width": Sample(mapped("double", width=2), {"items": [1, 2, 3, 4, 5, 6]}),
    "map over nothing": Sample(mapped("double"), {"items": []}),
    "map over no list": Sample(mapped("double"), {"items": "text"}),
    "map that fails": Sample(mapped("fail_on_odd", width=1), {"items": [2, 3, 4]}),
    "map that collects": Sample(mapped("fail_on_odd", on_error="collect"), {"items": [1, 2, 3, 4]}),
    "map to its end": Sample(mapped("double", join="$end"), {"items": [1, 2, 3]}),
    "map that is retried": Sample(mapped("fail_until_retried"), {"items": [1, 2, 3]}, retries=True),
    "nested forks": Sample(
        {
            "start": "outer",
            "nodes": {
                "outer": {"next": {"each": "rows", "as": "row", "to": "inner", "join": "after"}},
                "inner": {"next": {"each": "row", "to": "cell", "join": "sum"}},
                "cell": {"tool": "double", "next": "sum"},
                "sum": {"tool": "note", "next": "after"},
                "after": {"tool": "note"},
            },
            "state": {
                "doubled": {"reducer": "add"},
                "seen": {"reducer": "concat"},
                "notes": {"reducer": "concat"},
            },
        },
        {"rows": [[1, 2], [3], [4, 5, 6]]},
    ),
    "sub-graph": Sample(calling("child", **{"in": {"n": "m"}}, out=["n"]), {"m": 4}, (COUNTING,)),
    "sub-graph of all": Sample(calling("child"), {"n": 1}, (COUNTING,)),
    "sub-graph in a map": Sample(
        {
            "start": "split",
            "nodes": {
                "split": {"next": {"each": "items", "to": "call", "join": "after"}},
                "call": {"graph": "child", "in": {"n": "item"}, "out": ["n"], "next": "after"},
                "after": {"tool": "note"},
            },
            "state": {"n": {"reducer": "add"}},
        },
        {"items": [1, 10, 100]},
        (COUNTING,),
    ),
    "sub-graph that fails": Sample(
        calling("child", next=[{"to": "after", "on": "error"}]),
        graphs=({"id": "child", **one("always_fail")},),
    ),
    "sub-graph that is tried again": Sample(
        calling("child", retry={**RETRY, "attempts": 2}, next=[{"to": "after", "on": "error"}]),
        graphs=({"id": "child", **one("always_fail")},),
    ),
    "graph that calls itself": Sample(
        {"id": "self", "start": "again", "nodes": {"again": {"graph": "self"}}}
    ),
    "timer": Sample(waiting({"for_s": 0.004})),
    "a time that has come": Sample(waiting({"at": "due"}), {"due": "2026-01-01T00:00:00Z"}),
    "no time": Sample(waiting({"at": "due"}, on="error"), {"due": "soon"}),
    "signal": Sample(waiting({"signal": "go", "schema": {"type": "integer"}}), signals={"go": 7}),
    "early signal": Sample(waiting({"signal": "go"}), signals={"go": {"ok": True}}, early=True),
    "signal too late": Sample(waiting({"signal": "go", "timeout_s": 0.004}, on="timeout")),
    "signals in branches": Sample(
        {
            "start": "split",
            "nodes": {
                "split": {"next": {"each": "people", "as": "who", "to": "ask", "join": "after"}},
                "ask": {"wait": {"signal": "vote"}, "next": "after"},
                "after": {"tool": "note"},
            },
            "state": {"vote": {"reducer": "append"}},
        },
        {"people": ["ann", "bob", "cid"]},
        signals={"vote": "yes"},
    ),
    "pause": Sample(chain("count", "count", "count", "count"), pauses=True),
    "paused map": Sample(mapped("double", width=2), {"items": [1, 2, 3, 4]}, pauses=True),
    "failure that is retried": Sample(chain("count", "fail_until_retried", "note"), retries=True),
    "effects once": Sample(chain("count", "charge", "note"), result={"charged": True}),
    "delay": Sample(chain("count", "note"), options={"delay_s": 0.004}),
    "reducers": Sample(
        {
            **one(
                "write",
                config={"total": 2, "tags": ["b"], "best": 4},
                next=[{"to": "work", "max": 3}],
            ),
            "state": {
                "total": {"reducer": "add"},
                "tags": {"reducer": "union"},
                "best": {"reducer": "max"},
            },
        },
        {"total": 1, "tags": ["a"], "best": 3},
    ),
    "schema": Sample(
        {
            **one("count", next=[{"to": "work", "max": 5}, {"to": "after", "on": "error"}]),
            "state": {"n": {"schema": {"type": "integer", "maximum": 3}}},
        }
    ),
}


def looped(times: int, **nodes: dict[str, Any]) -> dict[str, Any]:
    """Return a graph whose nodes follow one another, round and round."""
    names = list(nodes)
    for name, after in pairwise(names):
        nodes[name].setdefault("next", after)
    nodes[names[-1]]["next"] = [{"to": names[0], "max": times - 1}, {"to": "$end"}]
    return {"start": names[0], "nodes": nodes}


WIDE = list(range(55))
LARGER = {
    "long loop": Sample(looped(100, work={"tool": "count"})),
    "long loop in threads": Sample(looped(60, work={"tool": "count_in_a_thread"})),
    "long list": Sample(looped(80, work={"tool": "note"})),
    "long reduction": Sample(
        {
            **looped(80, work={"tool": "write", "config": {"total": 1, "tags": ["a"]}}),
            "state": {"total": {"reducer": "add"}, "tags": {"reducer": "concat"}},
        }
    ),
    "errors caught in a loop": Sample(
        {
            "start": "try",
            "nodes": {
                "try": {"tool": "always_fail", "next": [{"to": "count", "on": "error"}]},
                "count": {"tool": "count", "next": [{"to": "try", "max": 40}]},
            },
        }
    ),
    "wide map": Sample(mapped("double"), {"items": WIDE}),
    "wide map with a width": Sample(mapped("double", width=7), {"items": WIDE}),
    "wide map of chains": Sample(
        {
            "start": "split",
            "nodes": {
                "split": {"next": {"each": "items", "to": "a", "join": "after", "width": 9}},
                "a": {"tool": "double", "next": "b"},
                "b": {"tool": "count", "next": "c"},
                "c": {"tool": "note", "next": "after"},
                "after": {"tool": "forget", "config": {"keys": ["seen"]}},
            },
            "state": {
                "doubled": {"reducer": "append"},
                "seen": {"reducer": "concat"},
                "n": {"reducer": "add"},
                "notes": {"reducer": "concat"},
            },
        },
        {"items": list(range(40)), "n": 0, "notes": []},
    ),
    "wide map that collects": Sample(mapped("fail_on_odd", on_error="collect"), {"items": WIDE}),
    "wide map in threads": Sample(
        {**mapped("count_in_a_thread"), "state": {"n": {"reducer": "add"}}}, {"items": WIDE}
    ),
    "wide map that is paused": Sample(mapped("double", width=3), {"items": WIDE}, pauses=True),
    "wide map with retries": Sample(
        {
            "start": "split",
            "nodes": {
                "split": {"next": {"each": "items", "to": "work", "join": "after"}},
                "work": {"tool": "fail_until_third_try", "retry": RETRY, "next": "after"},
                "after": {"tool": "note"},
            },
        },
        {"items": list(range(20))},
    ),
    "wide map of sub-graphs": Sample(
        {
            "start": "split",
            "nodes": {
                "split": {"next": {"each": "items", "to": "call", "join": "after"}},
                "call": {"graph": "child", "in": {"n": "item"}, "out": ["n"], "next": "after"},
                "after": {"tool": "note"},
            },
            "state": {"n": {"reducer": "add"}},
        },
        {"items": list(range(25))},
        (COUNTING,),
    ),
    "wide map of maps": Sample(
        SAMPLES["nested forks"].graph, {"rows": [list(range(7)) for _ in range(7)]}
    ),
    "a vote of many": Sample(
        SAMPLES["signals in branches"].graph,
        {"people": [f"p{number}" for number in range(35)]},
        signals={"vote": "yes"},
    ),
    "sub-graph in a loop": Sample(
        looped(20, call={"graph": "child"}, work={"tool": "note"}), {"n": 0}, (COUNTING,)
    ),
    "fork in a loop": Sample(
        {
            "start": "split",
            "nodes": {
                "split": {"next": {"to": ["a", "b", "c"], "join": "after"}},
                "a": {"tool": "write", "config": {"log": ["a"]}, "next": "after"},
                "b": {"tool": "write", "config": {"log": ["b"]}, "next": "after"},
                "c": {"tool": "write", "config": {"log": ["c"]}, "next": "after"},
                "after": {"tool": "count", "next": [{"to": "split", "max": 14}]},
            },
            "state": {"log": {"reducer": "concat"}},
        },
        {"log": []},
    ),
    "race in a loop": Sample(
        {
            "start": "split",
            "nodes": {
                "split": {"next": {"to": ["quick", "slow"], "join": "after", "need": 1}},
                "quick": {"tool": "count", "next": "after"},
                "slow": {"tool": "hang", "next": "after"},
                "after": {"tool": "note", "next": [{"to": "split", "max": 14}]},
            },
        }
    ),
    "signals in a loop": Sample(
        looped(15, ask={"wait": {"signal": "go"}}, work={"tool": "count"}), signals={"go": 1}
    ),
    "timers in a loop": Sample(looped(10, rest={"wait": {"for_s": 0.001}}, work={"tool": "count"})),
    "secret in a loop": Sample(
        {**looped(25, work={"tool": "count"}), "state": {"token": {"secret": True}}},
        {"token": "open sesame"},
    ),
    "schema in a loop": Sample(
        {
            **looped(25, work={"tool": "count"}),
            "state": {"n": {"schema": {"type": "integer", "minimum": 0}}},
        }
    ),
    "in a process": Sample(one("square", next="after"), {"n": 12}),
}
"""Graphs of the same kinds that go on for longer; for when there is time."""
