"""Forks, waits, graphs within graphs, keys of the state and flow: how they are read and refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stenograph.engine.bounds import BOUNDS
from stenograph.engine.errors import GraphInvalid
from stenograph.engine.graphs.parse import graph_refs, parse_graph

NO_FORK = "is for a fork; this edge has no each, and its to is no list"
SECRET = {"state": {"token": {"secret": True}}}


def graph(edge: Any = None, **fields: Any) -> dict[str, Any]:
    """A graph that begins with one edge, beside three nodes to go to."""
    nodes = {"a": {"next": edge}, "b": {}, "c": {}, "d": {}}
    return {"start": "a", "nodes": nodes, **fields}


def node(**fields: Any) -> dict[str, Any]:
    return {"start": "a", "id": "own", "nodes": {"a": fields}}


def faults(data: Any) -> dict[str, str]:
    with pytest.raises(GraphInvalid) as caught:
        parse_graph(data, tools=["t"], predicates=["p"], graphs=["stored"])
    return {fault.pointer: fault.detail for fault in caught.value.faults}


def canonical(data: Any) -> Any:
    parsed = parse_graph(data, tools=["t"], predicates=["p"], graphs=["stored"])
    read = json.loads(parsed.data)
    assert parse_graph(read, tools=["t"], graphs=["stored", "own"]).data == parsed.data
    return read


def at_edge(edge: dict[str, Any], **fields: Any) -> dict[str, str]:
    """The faults of an edge, by their place in it."""
    told = faults(graph([edge], **fields))
    assert all(path.startswith("/nodes/a/next/0") for path in told), told
    return {path.removeprefix("/nodes/a/next/0"): detail for path, detail in told.items()}


def at_node(**fields: Any) -> dict[str, str]:
    """The faults of a node, by their place in it."""
    return {path.removeprefix("/nodes/a"): text for path, text in faults(node(**fields)).items()}


def test_a_fork_is_kept_as_it_is_spelled() -> None:
    static = {"to": ["b", "c"], "join": "d", "need": 1, "width": 2, "on_error": "collect"}
    mapped = {"to": "b", "each": "items.new", "as": "chunk", "join": "$end"}
    for edge in (static, mapped):
        assert canonical(graph(edge))["nodes"]["a"]["next"] == [edge]


def test_defaults_of_a_fork_are_left_out() -> None:
    bare = {"to": ["b"], "each": None, "join": "d"}
    spelled = {**bare, "to": ("b",), "as": "item", "need": None, "width": None, "on_error": "fail"}
    assert canonical(graph(spelled)) == canonical(graph(bare))
    plain = {"to": "b", "each": None, "join": None, "as": "item", "on_error": "fail"}
    assert canonical(graph(plain)) == canonical(graph("b"))


def test_a_fork_has_a_join() -> None:
    for edge in ({"to": ["b", "c"]}, {"to": "b", "each": "x"}, {"to": ["b"], "join": None}):
        assert at_edge(edge) == {
            "": "is a fork without a join; name in join where its branches meet"
        }


def test_what_belongs_to_a_fork_stands_on_no_other_edge() -> None:
    edge = {"to": "b", "join": "d", "as": "x", "need": 1, "width": 1, "on_error": "collect"}
    assert at_edge(edge) == {
        f"/{name}": NO_FORK for name in ("as", "join", "need", "width", "on_error")
    }


@pytest.mark.parametrize(
    ("edge", "expected"),
    [
        ({"to": ["b", "$end"]}, {"/to/1": "is $end; the branches of a fork begin at a node"}),
        ({"to": ["$fail"]}, {"/to/0": "is $fail; the branches of a fork begin at a node"}),
        (
            {"to": "$end", "each": "x"},
            {"/to": "is $end; the branches of a fork begin at a node"},
        ),
        ({"to": []}, {"/to": "has 0 names; a fork leads to 1 to 1,000 nodes"}),
        (
            {"to": ["b"] * (BOUNDS.nodes + 1)},
            {"/to": "has 1,001 names; a fork leads to 1 to 1,000 nodes"},
        ),
        ({"to": ["b", "b", "c"]}, {"/to": "names 'b' twice; name each node once"}),
        (
            {"to": ["e", 5]},
            {
                "/to/0": "there is no node 'e'; there is $end, $fail, a, b, c, d",
                "/to/1": "is the name of a node, as text, not a number",
            },
        ),
        ({"to": ["b"], "each": "x"}, {"/each": "leads to one node for every item, but to is a list"}),
        ({"to": ["b", "c"], "need": 3}, {"/need": "is more than the fork has branches; it has 2"}),
        ({"to": ["b", "c"], "need": 0}, {"/need": "expected `int` >= 1"}),
        ({"to": ["b", "c"], "width": 0}, {"/width": "expected `int` >= 1"}),
        ({"to": ["b"], "as": "x"}, {"/as": "names an item, but the edge has no each"}),
        ({"to": ["b"], "on_error": "x"}, {"/on_error": "invalid enum value 'x'"}),
        (
            {"to": "b", "each": "x..y"},
            {"/each": "'x..y' is no path: write keys with single dots between them"},
        ),
        ({"to": "b", "each": "x", "as": "$x"}, {"/as": "is no key of a state: __next_node__ and names with a $ first have a meaning"}),
    ],
)  # fmt: skip
def test_a_fork_that_cannot_be_is_refused_at_its_place(
    edge: dict[str, Any], expected: dict[str, str]
) -> None:
    assert at_edge({"join": "d", **edge}) == expected


@pytest.mark.parametrize(
    ("join", "detail"),
    [
        ("e", "there is no node 'e'; there is $end, $fail, a, b, c, d"),
        ("$fail", "is $fail; branches meet at a node or at $end"),
        ("b", "is 'b', where a branch begins; join at a node behind the branches"),
        (5, "expected `str | null`, got `int`"),
    ],
)
def test_a_join_is_a_node_behind_the_branches_or_an_end(join: Any, detail: str) -> None:
    assert at_edge({"to": ["b", "c"], "join": join}) == {"/join": detail}
    assert at_edge({"to": "b", "each": "x", "join": join}) == {"/join": detail}


@pytest.mark.parametrize("name", ["index", "state", "context", "error", "visit"])
def test_an_item_is_not_called_what_means_something_else(name: str) -> None:
    assert at_edge({"to": "b", "each": "x", "join": "d", "as": name}) == {
        "/as": f"is '{name}', which means something else in conditions; choose another"
    }


def test_a_fork_may_have_conditions() -> None:
    for key in ("when", "until"):
        edge = {"to": ["b"], "join": "d", key: "x > 1"}
        assert canonical(graph(edge))["nodes"]["a"]["next"] == [edge]


WAITS: list[dict[str, Any]] = [
    {"signal": "approval", "schema": {"type": "object"}, "timeout_s": 86_400},
    {"for_s": 300},
    {"at": "due.at"},
    {"at": "2026-11-20T22:55:01.5Z"},
    {"at": "2026-11-20 22:55:01+01:00"},
]


@pytest.mark.parametrize("wait", WAITS, ids=str)
def test_a_wait_is_for_a_signal_or_a_time(wait: dict[str, Any]) -> None:
    assert canonical(node(wait=wait))["nodes"]["a"] == {"wait": wait}


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        ({}, {"/wait": "waits for exactly one of signal, for_s and at"}),
        ({"signal": "s", "for_s": 1}, {"/wait": "waits for exactly one of signal, for_s and at"}),
        (
            {"for_s": 1, "schema": True, "timeout_s": 1},
            {
                "/wait/schema": "is for a signal; this waits for a time",
                "/wait/timeout_s": "is for a signal; this waits for a time",
            },
        ),
        ({"for_s": 0}, {"/wait/for_s": "expected `float` > 0.0"}),
        ([], {"/wait": "is an object, not a list"}),
        ({"seconds": 5}, {
            "/wait/seconds": "is no field of a wait; there is at, for_s, schema, signal, timeout_s",
            "/wait": "waits for exactly one of signal, for_s and at",
        }),
        ({"signal": "$x"}, {"/wait/signal": "is no key of a state: __next_node__ and names with a $ first have a meaning"}),
        ({"at": ".x"}, {"/wait/at": "'.x' is no path: write keys with single dots between them"}),
        ({"at": "2026-11-20T22:55:01"}, {"/wait/at": "'2026-11-20T22:55:01' is no time; write it like 2026-11-20T22:55:01Z, with its zone"}),
        ({"at": "2026-13-20"}, {"/wait/at": "'2026-13-20' is no time; write it like 2026-11-20T22:55:01Z, with its zone"}),
    ],
)  # fmt: skip
def test_a_wait_that_cannot_be_is_refused_at_its_place(wait: Any, expected: dict[str, str]) -> None:
    assert at_node(wait=wait) == expected


def test_what_a_signal_brings_has_a_sound_schema() -> None:
    assert list(at_node(wait={"signal": "s", "schema": 5})) == ["/wait/schema"]
    assert list(at_node(wait={"signal": "s", "schema": {"const": {1}}})) == ["/wait/schema/const"]


def test_a_node_does_one_thing() -> None:
    for work in ({"tool": "t", "graph": "own"}, {"tool": "t", "wait": {"for_s": 1}}):
        names = " and ".join(work)
        assert at_node(**work) == {"": f"has {names}; a node does one thing, so split it"}


def test_what_belongs_to_a_tool_or_a_graph_stands_on_no_other_node() -> None:
    assert at_node(wait={"for_s": 1}, config={"x": 1}, effects="once", retry={}, timeout_s=5) == {
        "/config": "is for a tool; this node has a wait",
        "/effects": "is for a tool; this node has a wait",
        "/retry": "is for what can fail; this node waits",
        "/timeout_s": "is for a tool or a graph; a wait has its own, beside its signal",
    }
    assert at_node(graph="own", config={"x": 1}, effects="pure") == {
        "/config": "is for a tool; this node has a graph",
        "/effects": "is for a tool; this node has a graph",
    }
    inputs: dict[str, Any] = {"in": {"x": "y"}, "out": ["z"]}
    for work in ({"tool": "t"}, {"wait": {"for_s": 1}}, {}):
        assert at_node(**work, **inputs) == {
            f"/{each}": "is for a node with a graph; this one has none" for each in inputs
        }


def test_even_300_seconds_are_too_long_for_a_wait_of_its_own() -> None:
    assert list(at_node(wait={"for_s": 1}, timeout_s=300)) == ["/timeout_s"]


def test_300_seconds_are_said_of_a_graph_and_go_without_saying_for_a_tool() -> None:
    assert canonical(node(graph="own", timeout_s=300))["nodes"]["a"]["timeout_s"] == 300
    for work in ({"tool": "t"}, {}):
        assert canonical(node(**work, timeout_s=300)) == canonical(node(**work))
        assert canonical(node(**work, timeout_s=301)) != canonical(node(**work))


@pytest.mark.parametrize("ref", ["own", "own@0", "stored", "stored@0123abc", "stored@" + "f" * 64])
def test_a_node_may_run_a_stored_graph_a_version_of_one_or_its_own(ref: str) -> None:
    assert canonical(node(graph=ref))["nodes"]["a"] == {"graph": ref}


def test_a_graph_takes_and_gives_keys() -> None:
    fields = {"graph": "stored", "in": {"code": "files.new"}, "out": ["verdict"], "retry": {}}
    assert canonical(node(**fields))["nodes"]["a"] == fields
    empty = {"graph": "stored", "in": {}, "out": []}
    assert canonical(node(**empty))["nodes"]["a"] == empty


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"graph": "sored"}, {"/graph": "there is no graph 'sored'; did you mean 'stored'?"}),
        ({"graph": "stored@"}, {"/graph": "is the id of a graph, or id@version, not 'stored@'"}),
        ({"graph": "a/b"}, {"/graph": "is the id of a graph, or id@version, not 'a/b'"}),
        ({"graph": 5}, {"/graph": "is the id of a graph, or id@version, not a number"}),
        (
            {"graph": "own", "in": {"": "x", "y": "", "z": "a.", "u": 5}},
            {
                "/in/": "expected `str` of length >= 1",
                "/in/y": "expected `str` of length >= 1",
                "/in/u": "expected `str`, got `int`",
            },
        ),
        (
            {"graph": "own", "in": {"z": "a."}},
            {"/in/z": "'a.' is no path: write keys with single dots between them"},
        ),
        ({"graph": "own", "in": []}, {"/in": "expected `object | null`, got `array`"}),
        ({"graph": "own", "out": ["x", ""]}, {"/out/1": "expected `str` of length >= 1"}),
        ({"graph": "own", "out": "x"}, {"/out": "expected `array | null`, got `str`"}),
    ],
)
def test_a_graph_that_cannot_be_run_is_refused_at_its_place(
    fields: dict[str, Any], expected: dict[str, str]
) -> None:
    assert at_node(**fields) == expected


def test_the_graphs_that_plain_data_names_are_found_each_once() -> None:
    nodes = {"a": {"graph": "x"}, "b": {"graph": "y@12"}, "c": {"graph": "x"}, "d": {"tool": "t"}}
    assert graph_refs({"nodes": nodes}) == ["x", "y@12"]
    odd: list[Any] = [None, [], {}, {"nodes": []}, {"nodes": {1: None, "a": {"graph": []}}}]
    assert [graph_refs(each) for each in odd] == [[]] * len(odd)
    assert graph_refs({"nodes": {"a": {"graph": "a/b"}, "b": {"graph": "x\n"}}}) == []


def test_keys_of_the_state_are_declared() -> None:
    state = {
        "n": {"reducer": "add", "schema": {"type": "integer"}},
        "token": {"secret": True},
        "bare": {},
        "k" * 256: {"schema": {}},
    }
    assert canonical(graph(state=state))["state"] == state
    spelled = {"reducer": None, "schema": None, "secret": False}
    assert canonical(graph(state={"bare": spelled}))["state"] == {"bare": {}}
    assert canonical(graph(state={})) == canonical(graph())


@pytest.mark.parametrize("name", ["", "k" * 257, "$x", "__next_node__", "\ud800", 5, None])
def test_a_key_of_the_state_has_a_name_that_can_be_one(name: Any) -> None:
    ((path, detail),) = faults(graph(state={name: {}})).items()
    assert path.startswith("/state/")
    assert "is no key of a state" in detail


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ([], {"/state": "is an object, not a list"}),
        ({"n": 5}, {"/state/n": "is an object, not a number"}),
        ({"n": {"reducer": "sum"}}, {"/state/n/reducer": "invalid enum value 'sum'"}),
        (
            {"n": {"reduce": "add"}},
            {"/state/n/reduce": "is no field of a key of the state; did you mean 'reducer'?"},
        ),
        ({"n": {"secret": 1}}, {"/state/n/secret": "expected `bool`, got `int`"}),
        (
            {"n": {"secret": True, "reducer": "add"}},
            {
                "/state/n/reducer": "is on a secret, which is kept elsewhere and only replaced; "
                "leave it out"
            },
        ),
    ],
)
def test_a_declaration_that_cannot_be_is_refused_at_its_place(
    state: Any, expected: dict[str, str]
) -> None:
    assert faults(graph(state=state)) == expected


def test_the_schema_of_a_key_is_a_schema() -> None:
    assert "/state/n/schema" in faults(graph(state={"n": {"schema": 5}}))


@pytest.mark.parametrize(
    "condition",
    [
        "token == 'x'",
        "state['token'] == 'x'",
        "n == 1 and token.length > 3",
        {"field": "token", "operator": "==", "value": 1},
        {"field": "token.x", "operator": "==", "value": 1},
    ],
)
def test_no_condition_reads_a_secret(condition: Any) -> None:
    told = "reads 'token', which is secret; what conditions read is recorded"
    for key in ("when", "until"):
        assert at_edge({"to": "b", key: condition}, **SECRET) == {f"/{key}": told}


@pytest.mark.parametrize(
    "condition", ["n.token == 1", {"field": "n.token", "operator": "==", "value": 1}, {"fn": "p"}]
)
def test_a_condition_beside_secrets_is_sound(condition: Any) -> None:
    data = graph({"to": "b", "when": condition}, **SECRET)
    assert parse_graph(data, tools=(), predicates=["p"]).data


def test_no_way_leads_to_a_secret() -> None:
    told = "leads to 'token', which is secret; use another key"
    for path in ("token", "token.x"):
        assert at_edge({"to": "b", "each": path, "join": "d"}, **SECRET) == {"/each": told}
        assert faults(node(wait={"at": path}) | SECRET) == {"/nodes/a/wait/at": told}
        flow = {"limit": 1, "key": path}
        assert faults(graph(concurrency=flow, **SECRET)) == {"/concurrency/key": told}
    dotted = {"state": {"token.x": {"secret": True}}}
    assert "/each" in at_edge({"to": "b", "each": "token.x", "join": "d"}, **dotted)


@pytest.mark.parametrize(
    "flow",
    [
        {"limit": 2, "key": "user.id", "policy": "reject"},
        {"rate": {"limit": 10, "per_s": 60}},
        {"limit": 1, "rate": {"limit": 1}},
    ],
)
def test_concurrency_is_limited_by_number_rate_or_both(flow: dict[str, Any]) -> None:
    assert canonical(graph(concurrency=flow))["concurrency"] == flow


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        ({}, {"": "limits nothing; give it a limit, a rate, or both"}),
        ({"key": "x"}, {"": "limits nothing; give it a limit, a rate, or both"}),
        ([], {"": "is an object, not a list"}),
        ({"limit": 0}, {"/limit": "expected `int` >= 1"}),
        ({"limit": 1, "policy": "wait"}, {"/policy": "invalid enum value 'wait'"}),
        ({"rate": {"per_s": 5}}, {"/rate/limit": "is missing"}),
        ({"rate": {"limit": 1, "per_s": 0}}, {"/rate/per_s": "expected `float` > 0.0"}),
        (
            {"limit": 1, "key": "x."},
            {"/key": "'x.' is no path: write keys with single dots between them"},
        ),
    ],
)
def test_concurrency_that_cannot_be_is_refused_at_its_place(
    flow: Any, expected: dict[str, str]
) -> None:
    told = faults(graph(concurrency=flow))
    assert told == {f"/concurrency{path}": detail for path, detail in expected.items()}
