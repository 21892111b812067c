"""Reading graphs: every fault at once with its pointer, and one canonical form for one graph."""

from __future__ import annotations

import copy
import json
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as hs

import stenograph as st
from stenograph.engine import Predicate, Registry
from stenograph.engine.bounds import BOUNDS
from stenograph.engine.errors import Fault, GraphInvalid, ToolRefused
from stenograph.engine.graphs.graph import (
    Concurrency,
    Edge,
    StateKey,
    Wait,
    as_data,
    edges_of,
    functions_of,
    subgraphs_of,
)
from stenograph.engine.graphs.parse import (
    FAULTS_MAX,
    HINTS_MAX,
    ParsedGraph,
    did_you_mean,
    duplicate_keys,
    parse_graph,
)
from stenograph.engine.tools.tools import Rate
from stenograph.engine.values import VALUE_MAX_DEPTH
from tests.graphs import SAMPLES, TOOLS
from tests.json_values import JSON

MIB = 1024 * 1024

parse = partial(parse_graph, tools=["lint", "fix", "review"], predicates=["is_short"])

REVIEW: dict[str, Any] = {
    "id": "review",
    "name": "Code review",
    "start": "lint",
    "limits": {"steps": 50, "time_s": 60},
    "on_no_match": "end",
    "nodes": {
        "lint": {
            "tool": "lint",
            "config": {"rules": ["E", "F"], "max": 3},
            "timeout_s": 10,
            "retry": {"attempts": 4, "on": ["TimeoutError"]},
            "next": [
                {"to": "review", "when": "issues == 0", "label": "clean"},
                {"to": "fix", "when": {"field": "fixable", "operator": ">", "value": 0}},
                {"to": "$fail", "on": "error"},
                {"to": "$end"},
            ],
        },
        "fix": {"tool": "fix", "effects": "once", "next": {"to": "lint", "max": 3}},
        "review": {"tool": "review", "next": [{"to": "$end", "until": {"fn": "is_short"}}]},
    },
}


def faults(data: Any) -> dict[str, str]:
    """What is wrong with a graph, by pointer."""
    with pytest.raises(GraphInvalid) as caught:
        parse(data)
    assert len(caught.value.faults) == len({fault.pointer for fault in caught.value.faults})
    return {fault.pointer: fault.detail for fault in caught.value.faults}


def node(**fields: Any) -> dict[str, Any]:
    return {"start": "a", "nodes": {"a": fields}}


def canonical(data: Any) -> Any:
    return json.loads(parse(data).data)


def test_a_sound_graph_is_read_without_its_id() -> None:
    parsed = parse(REVIEW)
    assert (parsed.id, parsed.warnings, len(parsed.version)) == ("review", (), 64)
    graph = msgspec.json.decode(parsed.data, type=st.Graph)
    assert list(graph.nodes) == ["fix", "lint", "review"]
    assert graph.nodes["lint"].retry == st.Retry(attempts=4, on=("TimeoutError",))
    assert [edge.to for edge in edges_of(graph.nodes["lint"])] == [
        "review",
        "fix",
        "$fail",
        "$end",
    ]
    assert edges_of(st.Node()) == []


def test_all_faults_are_told_at_once_each_with_its_pointer() -> None:
    data = {
        "start": "begin",
        "limits": {"steps": 0, "speed": 1},
        "on_no_match": "stop",
        "id": "no id!",
        "nodez": {},
        "nodes": {
            "lint": {
                "tool": "lnit",
                "timeout_s": -1,
                "retry": {"attempts": "3", "delay_s": -1, "delai_s": 1, "on": ["", "E", 5]},
                "effects": "never",
                "next": [
                    {"to": "reviw"},
                    {"when": "issues =="},
                    {"to": "review", "when": {"fn": "is_shrot"}},
                    {"to": "review", "when": "a", "until": "b", "max": 0, "on": "maybe"},
                    {"to": "review", "when": {"field": "a", "operator": "~", "value": 1}},
                    {"to": "review", "whne": "x"},
                    "review",
                    5,
                    "end",
                ],
            },
            "a/b~c": {"tool": 5, "config": {"n": [2**70]}, "next": 7},
            "$x": {},
            "review": {"tool": "review", "next": "lint"},
        },
    }
    assert faults(data) == {
        "/start": "there is no node 'begin'; there is $x, a/b~c, lint, review",
        "/limits/steps": "expected `int` >= 1",
        "/limits/speed": "is no field of limits; there is steps, time_s",
        "/on_no_match": "invalid enum value 'stop'",
        "/id": "'no id!' is no id: use letters, digits and . _ : -",
        "/nodez": "is no field of a graph; did you mean 'nodes'?",
        "/nodes/lint/tool": "there is no tool 'lnit'; did you mean 'lint'?",
        "/nodes/lint/timeout_s": "expected `float` > 0.0",
        "/nodes/lint/retry/attempts": "expected `int`, got `str`",
        "/nodes/lint/retry/delay_s": "expected `float` >= 0.0",
        "/nodes/lint/retry/delai_s": "is no field of a retry; did you mean 'delay_s'?",
        "/nodes/lint/retry/on/0": "expected `str` of length >= 1",
        "/nodes/lint/retry/on/2": "expected `str`, got `int`",
        "/nodes/lint/effects": "invalid enum value 'never'",
        "/nodes/lint/next/0/to": "there is no node 'reviw'; did you mean 'review'?",
        "/nodes/lint/next/1/to": "is missing",
        "/nodes/lint/next/1/when": "at column 9: the condition ends too early; a value is missing",
        "/nodes/lint/next/2/when/fn": "there is no predicate 'is_shrot'; did you mean 'is_short'?",
        "/nodes/lint/next/3": "has both when and until; say it in one condition",
        "/nodes/lint/next/3/max": "expected `int` >= 1",
        "/nodes/lint/next/3/on": "invalid enum value 'maybe'",
        "/nodes/lint/next/4/when/operator": ("'~' is no operator; use == != > < >= <= in not_in"),
        "/nodes/lint/next/5/whne": "is no field of an edge; did you mean 'when'?",
        "/nodes/lint/next/7": "is an object, not a number",
        "/nodes/lint/next/8": "there is no node 'end'; did you mean '$end'?",
        "/nodes/a~1b~0c/tool": "is the name of a tool, as text, not a number",
        "/nodes/a~1b~0c/config/n/0": "is an integer beyond ±2^63; keep it as text",
        "/nodes/a~1b~0c/next": "is the name of a node, an edge, or a list of edges",
        "/nodes/$x": "is no name for a node: 1 to 128 characters, no control ones, no $ first",
    }


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([], {"": "is an object, not a list"}),
        ("lint", {"": "is an object, not text"}),
        (None, {"": "is an object, not null"}),
        (True, {"": "is an object, not true or false"}),
        (1.5, {"": "is an object, not a number"}),
        (b"{}", {"": "is an object, not bytes"}),
        ({}, {"/start": "is missing", "/nodes": "is missing"}),
        (
            {"start": 1, "nodes": []},
            {
                "/start": "expected `str`, got `int`",
                "/nodes": "is an object that gives each node by its name",
            },
        ),
        (
            {"start": "", "nodes": {}},
            {
                "/start": "expected `str` of length >= 1",
                "/nodes": "is empty; a graph has a node at least",
            },
        ),
        ({"start": "a", "nodes": {"a": []}}, {"/nodes/a": "is an object, not a list"}),
        (node(next={}), {"/nodes/a/next/to": "is missing"}),
        (node(next=[[]]), {"/nodes/a/next/0": "is an object, not a list"}),
        (node(next="b"), {"/nodes/a/next": "there is no node 'b'; there is $end, $fail, a"}),
        (
            node(next={"to": 5}),
            {"/nodes/a/next/to": "is the name of a node, as text, not a number"},
        ),
        (node(tool={}), {"/nodes/a/tool": "is the name of a tool, as text, not an object"}),
        (node(config=[]), {"/nodes/a/config": "is an object, not a list"}),
        (node(config=None), {"/nodes/a/config": "is an object, not null"}),
        (node(retry=[]), {"/nodes/a/retry": "is an object, not a list"}),
        (
            node(retry={"on": ["E" * 129]}),
            {"/nodes/a/retry/on/0": "expected `str` of length <= 128"},
        ),
        (node(retry={"on": "Error"}), {"/nodes/a/retry/on": "expected `array`, got `str`"}),
        ({**node(), "start": "$end"}, {"/start": "there is no node '$end'; there is a"}),
    ],
)
def test_what_has_the_wrong_shape_is_told_as_such(data: Any, expected: dict[str, str]) -> None:
    assert faults(data) == expected


def limit(name: str, value: Any) -> dict[str, Any]:
    return {**node(), "limits": {name: value}}


def retry(name: str, value: Any) -> dict[str, Any]:
    return node(retry={name: value})


def edge(name: str, value: Any) -> dict[str, Any]:
    return node(next=[{"to": "a", name: value}])


def of_node(name: str, value: Any) -> dict[str, Any]:
    return node(**{name: value})


def of_graph(name: str, value: Any) -> dict[str, Any]:
    return {**node(), name: value}


RANGES: list[tuple[Any, str, str, list[Any], list[Any]]] = [
    (limit, "/limits", "steps", [1, 10**9], [0, -1, 10**9 + 1, 10**400, 1.5, "1", True, None]),
    (limit, "/limits", "time_s", [0.001, 31 * 86_400, None], [0, -1, 31 * 86_400 + 1, 10**400, "1"]),
    (retry, "/nodes/a/retry", "attempts", [1, 1000], [0, 1001, "3", None]),
    (retry, "/nodes/a/retry", "delay_s", [0, 86_400], [-0.1, 86_401, "1", None]),
    (retry, "/nodes/a/retry", "factor", [1, 100], [0.9, 101, None]),
    (retry, "/nodes/a/retry", "max_delay_s", [0, 86_400], [-1, 86_401, None]),
    (retry, "/nodes/a/retry", "jitter", [True, False], [0, "yes", None]),
    (retry, "/nodes/a/retry", "on", [[], ["E"], ["E" * 128]], ["E", None, {}]),
    (edge, "/nodes/a/next/0", "max", [1, 10**9, None], [0, 10**9 + 1, 1.5, "3"]),
    (edge, "/nodes/a/next/0", "on", ["ok", "error", "timeout"], ["Error", None, 1]),
    (edge, "/nodes/a/next/0", "label", ["", "x" * 200, None], ["x" * 201, 5]),
    (of_node, "/nodes/a", "timeout_s", [0.001, 3660 * 86_400, None], [0, 3660 * 86_400 + 1, "5"]),
    (of_node, "/nodes/a", "effects", ["once", "repeatable", "pure", None], ["twice", 1]),
    (of_graph, "", "name", ["", "x" * 200, None], ["x" * 201, 5]),
    (of_graph, "", "id", ["a", "A.b_c:d-1", "a" * 128, None], ["", ".a", "a/b", "a" * 129, "ä", 5]),
    (of_graph, "", "on_no_match", ["fail", "end"], ["stop", None]),
    (of_graph, "", "limits", [{}], [[], 5, None]),
]  # fmt: skip


@pytest.mark.parametrize("case", RANGES, ids=lambda case: f"{case[1]}/{case[2]}")
def test_a_field_has_a_range_and_a_pointer(case: Any) -> None:
    make, path, name, sound, refused = case
    for value in sound:
        parse(make(name, value))
    for value in refused:
        assert list(faults(make(name, value))) == [f"{path}/{name}"], value


def test_numbers_that_are_none_are_out_of_range() -> None:
    for value in (float("nan"), float("inf"), -float("inf")):
        assert list(faults(limit("time_s", value))) == ["/limits/time_s"]
        assert list(faults(of_node("timeout_s", value))) == ["/nodes/a/timeout_s"]


@pytest.mark.parametrize("name", ["a/b", "~", "a b", "ä", "end", "x" * 128, "a$", "0"])
def test_a_node_may_have_almost_any_name(name: str) -> None:
    assert canonical({"start": name, "nodes": {name: {}}}) == {"start": name, "nodes": {name: {}}}


@pytest.mark.parametrize("name", ["", "$end", "a\n", "\x7f", "\ud800", None, 5, ("a",)])
def test_a_node_has_a_name_that_can_be_shown(name: Any) -> None:
    assert "no name for a node" in str(faults({"start": "a", "nodes": {name: {}, "a": {}}}))


def test_a_long_name_is_a_short_pointer() -> None:
    assert all(
        len(each) < 1100 for each in faults({"start": "a", "nodes": {"x" * MIB: {}, "a": {}}})
    )
    assert all(len(each) < 1100 for each in faults({**node(), "x" * MIB: 1}))
    assert len(str(faults({**node(), "id": "x" * MIB}))) < 3000


def test_a_lone_surrogate_is_a_fault_wherever_it_stands() -> None:
    bad = "\ud800"
    for data, path in [
        (of_graph("name", bad), "/name"),
        (edge("label", bad), "/nodes/a/next/0/label"),
        (node(next={"to": "$end", "label": bad}), "/nodes/a/next/label"),
        (node(config={"a": [bad]}), "/nodes/a/config/a/0"),
        (retry("on", [bad]), "/nodes/a/retry/on/0"),
    ]:
        assert faults(data) == {path: "is text with a lone surrogate, which UTF-8 cannot write"}
    for told in (faults({**node(), bad: 1}), faults(node(tool=bad)), faults(node(next=bad))):
        json.dumps(told, ensure_ascii=False).encode()


def test_a_config_may_nest_as_deep_as_there_is_room_for_it() -> None:
    def nested(depth: int) -> dict[str, Any]:
        config: dict[str, Any] = {}
        for _ in range(depth - 1):
            config = {"c": config}
        return node(config=config)

    room = VALUE_MAX_DEPTH - len(("graph", "nodes", "node"))
    parse(nested(room))
    for depth in (room + 1, VALUE_MAX_DEPTH + 1):
        ((path, detail),) = faults(nested(depth)).items()
        assert path.startswith("/nodes/a/config/c/c")
        assert "nests deeper than 64" in detail


def test_a_graph_has_a_bounded_number_of_nodes_and_a_node_of_edges() -> None:
    def wide(nodes: int, edges: int) -> dict[str, Any]:
        last: dict[str, Any] = {f"n{number}": {} for number in range(nodes - 1)}
        return {"start": "a", "nodes": {"a": {"next": ["$end"] * edges}, **last}}

    parse(wide(BOUNDS.nodes, BOUNDS.edges))
    assert faults(wide(BOUNDS.nodes + 1, 0)) == {
        "/nodes": "has 1,001 nodes; a graph may have 1,000"
    }
    assert faults(wide(1, BOUNDS.edges + 1)) == {
        "/nodes/a/next": "has 101 edges; a node may have 100"
    }


def test_of_very_many_faults_the_rest_is_counted() -> None:
    data = {"start": "a", "nodes": {f"n{n}": {"next": ["x"] * 100} for n in range(100)}}
    with pytest.raises(GraphInvalid) as caught:
        parse(data)
    told = caught.value.faults
    assert len(told) == FAULTS_MAX + 1
    assert told[-1] == Fault("", "and 9,001 more")
    assert "did you mean" not in told[HINTS_MAX].detail
    assert str(caught.value).endswith("and 998 more")


def test_nobody_pays_for_hints_with_time() -> None:
    """Comparing each wrong name with a thousand that are nearly like it would take minutes."""
    names = [f"{'ab' * 18}{n:04}" for n in range(BOUNDS.nodes)]
    nodes = {name: {"next": [f"{'ba' * 18}{n:03}!" for n in range(90)]} for name in names}
    with pytest.raises(GraphInvalid) as caught:
        parse({"start": "a", "nodes": nodes})
    assert len(caught.value.faults) == FAULTS_MAX + 1


def test_a_hint_is_the_nearest_name_or_what_there_is() -> None:
    assert did_you_mean("reviw", ["review", "lint"]) == "; did you mean 'review'?"
    assert did_you_mean("xyz", ["review", "lint"]) == "; there is lint, review"
    assert did_you_mean("xyz", map(str, range(13))) == ""
    assert did_you_mean("xyz", []) == ""
    assert did_you_mean("xyz", [None, 5]) == ""  # type: ignore[list-item]


SPELLINGS: list[list[Any]] = [
    [None, []],
    ["$end", ["$end"], {"to": "$end"}, [{"to": "$end"}], ({"to": "$end"},)],
    [
        {"to": "$end", "max": 2},
        [{"to": "$end", "on": "ok", "when": None, "until": None, "max": 2, "label": None}],
    ],
]


@pytest.mark.parametrize("spellings", SPELLINGS, ids=["none", "one", "with defaults"])
def test_spellings_of_the_way_on_are_one_graph(spellings: list[Any]) -> None:
    parsed = [parse(node(next=each)) for each in spellings]
    if None in spellings:
        parsed.append(parse(node()))
    assert len({each.data for each in parsed}) == 1
    assert len({each.version for each in parsed}) == 1


def test_defaults_are_left_out_of_the_canonical_form() -> None:
    spelled = {
        "id": None,
        "name": None,
        "start": "a",
        "limits": {"steps": 10_000, "time_s": None},
        "on_no_match": "fail",
        "nodes": {
            "a": {
                "tool": None,
                "config": {},
                "retry": {
                    "attempts": 3,
                    "delay_s": 1,
                    "factor": 2,
                    "max_delay_s": 60,
                    "jitter": True,
                    "on": [],
                },
                "timeout_s": 300,
                "effects": None,
                "next": [{"to": "a", "on": "ok", "when": "n < 3", "max": None}],
            }
        },
    }
    bare = {"retry": {}, "next": [{"to": "a", "when": "n < 3"}]}
    assert canonical(spelled) == {"start": "a", "nodes": {"a": bare}}
    assert canonical({"start": "a", "nodes": {"a": bare}, "limits": {}}) == canonical(spelled)


def test_what_is_not_a_default_is_kept() -> None:
    assert canonical(REVIEW) == {
        **{key: value for key, value in REVIEW.items() if key != "id"},
        "nodes": {
            **REVIEW["nodes"],
            "fix": {**REVIEW["nodes"]["fix"], "next": [{"to": "lint", "max": 3}]},
        },
    }


def shuffled(value: Any) -> Any:
    """The same, with the keys of every object the other way round."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


def test_the_order_of_keys_does_not_matter_to_the_version() -> None:
    assert list(shuffled(REVIEW)) == list(reversed(REVIEW))
    assert parse(shuffled(REVIEW)) == parse(REVIEW)


def test_the_id_does_not_matter_to_the_version_and_anything_else_does() -> None:
    assert parse({**REVIEW, "id": "other"}).version == parse(REVIEW).version
    other = copy.deepcopy(REVIEW)
    other["nodes"]["lint"]["config"]["rules"].reverse()
    assert parse(other).version != parse(REVIEW).version
    other = copy.deepcopy(REVIEW)
    other["nodes"]["lint"]["next"].reverse()
    assert parse(other).version != parse(REVIEW).version


def test_the_canonical_form_is_its_own_canonical_form() -> None:
    parsed = parse(REVIEW)
    assert parse(msgspec.json.decode(parsed.data)).data == parsed.data


@pytest.mark.parametrize("name", SAMPLES)
def test_the_canonical_form_of_a_sample_is_its_own(name: str) -> None:
    known = Registry(TOOLS)

    def read(graph: Any) -> ParsedGraph:
        return parse_graph(
            graph, tools=known.tools, predicates=known.predicates, graphs=["child", "self"]
        )

    parsed = read(SAMPLES[name].graph)
    again = read(msgspec.json.decode(parsed.data))
    assert (again.data, again.version) == (parsed.data, parsed.version)


def test_a_version_is_for_ever() -> None:
    """Runs are pinned to it, so no later release may compute another."""
    assert parse(REVIEW).version == (
        "163c8043b44665371556c7d6556675c273f738ba1a4312bf0391e3697212771c"
    )


@st.tool
def lint(state: dict[str, Any]) -> None: ...


@st.tool(effects="once")
async def fix(state: dict[str, Any]) -> None: ...


def review(state: dict[str, Any]) -> None: ...


@st.predicate
def is_short(state: dict[str, Any]) -> bool:
    return True


def test_a_graph_in_python_is_the_graph_that_its_json_is() -> None:
    graph = st.Graph(
        id="review",
        name="Code review",
        start="lint",
        limits=st.Limits(steps=50, time_s=60),
        on_no_match="end",
        nodes={
            "lint": st.Node(
                tool=lint,
                config={"rules": ["E", "F"], "max": 3},
                timeout_s=10,
                retry=st.Retry(attempts=4, on=("TimeoutError",)),
                next=[
                    st.Edge(to="review", when="issues == 0", label="clean"),
                    st.Edge(to="fix", when={"field": "fixable", "operator": ">", "value": 0}),
                    st.Edge(to="$fail", on="error"),
                    st.Edge(to="$end"),
                ],
            ),
            "fix": st.Node(tool="fix", effects="once", next=st.Edge(to="lint", max=3)),
            "review": st.Node(tool=review, next=(st.Edge(to="$end", until=is_short),)),
        },
    )
    assert parse(as_data(graph)) == parse(REVIEW)
    assert functions_of(graph) == [lint, review, is_short]


def test_a_plain_function_on_an_edge_is_a_predicate() -> None:
    def is_short(state: dict[str, Any]) -> bool:
        return True

    graph = st.Graph(
        start="a",
        nodes={"a": st.Node(next=[st.Edge(to="$end", when=is_short), "$fail"])},  # type: ignore[list-item]
    )
    (found,) = functions_of(graph)
    assert isinstance(found, Predicate)
    assert found.function is is_short
    assert canonical(as_data(graph))["nodes"]["a"]["next"] == [
        {"to": "$end", "when": {"fn": "is_short"}},
        {"to": "$fail"},
    ]


def test_a_function_that_cannot_be_what_it_stands_for_is_refused() -> None:
    async def ask(state: dict[str, Any]) -> bool:
        return True

    with pytest.raises(ToolRefused, match="predicate 'ask' is async"):
        functions_of(st.Graph(start="a", nodes={"a": st.Node(next=st.Edge(to="$end", when=ask))}))
    with pytest.raises(ToolRefused, match="a lambda has no name"):
        as_data(st.Graph(start="a", nodes={"a": st.Node(tool=lambda state: None)}))


def test_forks_waits_keys_and_flow_in_python_are_what_their_json_is() -> None:
    graph = st.Graph(
        start="a",
        state={"n": StateKey(reducer="add"), "token": StateKey(secret=True)},
        concurrency=Concurrency(limit=2, key="user", rate=Rate(limit=5, per_s=60)),
        nodes={
            "a": st.Node(next=Edge(to=("b", "c"), join="d", need=1)),
            "b": st.Node(wait=Wait(signal="ok", timeout_s=60)),
            "c": st.Node(graph="other", in_={"x": "y.z"}, out=("v",)),
            "d": st.Node(next=[Edge(to="e", each="items", as_="one", join="$end", width=2)]),
            "e": st.Node(),
        },
    )
    data = {
        "start": "a",
        "state": {"n": {"reducer": "add"}, "token": {"secret": True}},
        "concurrency": {"limit": 2, "key": "user", "rate": {"limit": 5, "per_s": 60.0}},
        "nodes": {
            "a": {"next": {"to": ["b", "c"], "join": "d", "need": 1}},
            "b": {"wait": {"signal": "ok", "timeout_s": 60}},
            "c": {"graph": "other", "in": {"x": "y.z"}, "out": ["v"]},
            "d": {"next": {"to": "e", "each": "items", "as": "one", "join": "$end", "width": 2}},
            "e": {},
        },
    }
    read = parse(as_data(graph), graphs=["other"])
    assert read == parse(data, graphs=["other"])
    json.dumps(as_data(graph))


def test_where_a_fork_leads_is_a_tuple() -> None:
    fork = {"to": ["a", "b"], "join": "c"}
    data = parse(
        {"start": "a", "nodes": {"a": {}, "b": {}, "c": {"next": "d"}, "d": {"next": fork}}}
    )
    nodes = msgspec.json.decode(data.data, type=st.Graph).nodes
    (forked,), (plain,) = edges_of(nodes["d"]), edges_of(nodes["c"])
    assert forked == Edge(to=("a", "b"), join="c")
    assert hash(forked) == hash(Edge(to=("a", "b"), join="c"))
    assert (forked.is_fork, forked.targets, forked.onward) == (True, ("a", "b"), "c")
    assert (plain.is_fork, plain.targets, plain.onward) == (False, ("d",), "d")


def over(graph: Any, **fields: Any) -> st.Graph:
    return st.Graph(start="a", nodes={"a": st.Node(graph=graph), "b": st.Node()}, **fields)


def test_graphs_within_a_graph_are_found_inner_ones_first_and_named_by_id() -> None:
    leaf = st.Graph(id="leaf", start="a", nodes={"a": st.Node()})
    mid = over(leaf, id="mid")
    top = st.Graph(
        start="a",
        nodes={"a": st.Node(graph=mid), "b": st.Node(graph=leaf), "c": st.Node(graph="stored")},
    )
    assert [each.id for each in subgraphs_of(top)] == ["leaf", "mid"]
    assert [node["graph"] for node in as_data(top)["nodes"].values()] == ["mid", "leaf", "stored"]
    assert subgraphs_of(leaf) == subgraphs_of(st.Graph(start="a", nodes=[])) == []  # type: ignore[arg-type]


def test_a_graph_that_several_nodes_or_graphs_name_comes_before_all_of_them() -> None:
    leaf = over(None, id="leaf")
    left, right = over(leaf, id="left"), over(leaf, id="right")
    top = st.Graph(start="a", nodes={"a": st.Node(graph=left), "b": st.Node(graph=right)})
    assert [each.id for each in subgraphs_of(top)] == ["leaf", "left", "right"]


def test_a_graph_may_contain_itself() -> None:
    own = over(None, id="own")
    own.nodes["b"] = st.Node(graph=own)
    assert subgraphs_of(own) == []
    assert canonical(as_data(own))["nodes"]["b"] == {"graph": "own"}


def test_graphs_within_each_other_very_deep_are_found() -> None:
    graph = over(None, id="g0")
    for number in range(1, 3000):
        graph = over(graph, id=f"g{number}")
    assert [each.id for each in subgraphs_of(graph)] == [f"g{n}" for n in range(2999)]


def test_graphs_within_a_graph_each_have_an_id_of_their_own() -> None:
    nameless, leaf = over(None), over(None, id="leaf")
    top = st.Graph(
        id="top",
        start="a",
        nodes={
            "a": st.Node(graph=over(nameless, id="mid")),
            "b": st.Node(graph=leaf),
            "c": st.Node(graph=over(None, id="leaf")),
            "d": st.Node(graph=over("stored", id="leaf")),
            "e": st.Node(graph=over(None, id="top")),
        },
    )
    with pytest.raises(GraphInvalid) as caught:
        subgraphs_of(top)
    assert {fault.pointer: fault.detail for fault in caught.value.faults} == {
        "/nodes/a/graph/nodes/a/graph": "is a graph without an id, by which it could be stored",
        "/nodes/d/graph": "is another graph of the id 'leaf'; give each its own",
        "/nodes/e/graph": "is another graph of the id 'top'; give each its own",
    }
    assert faults(as_data(over(nameless))) == {
        "/nodes/a/graph": "is the id of a graph, or id@version, not Graph"
    }


def test_a_graph_in_python_that_is_no_graph_is_told_as_one_in_json() -> None:
    made: list[tuple[Any, dict[str, str]]] = [
        (
            st.Graph(start=5, nodes=[]),  # type: ignore[arg-type]
            {
                "/start": "expected `str`, got `int`",
                "/nodes": "is an object that gives each node by its name",
            },
        ),
        (
            st.Graph(start="a", nodes={"a": st.Node()}, state=5),  # type: ignore[arg-type]
            {"/state": "is an object, not a number"},
        ),
        (
            st.Graph(start="a", nodes={"a": {"tool": lint}}),  # type: ignore[dict-item]
            {"/nodes/a/tool": "is the name of a tool, as text, not Tool"},
        ),
        (
            st.Graph(start="a", nodes={"a": st.Node(next=5, retry=[])}),  # type: ignore[arg-type]
            {
                "/nodes/a/next": "is the name of a node, an edge, or a list of edges",
                "/nodes/a/retry": "is an object, not a list",
            },
        ),
        (
            st.Graph(start="a", nodes={"a": st.Node(config={"s": {1}})}, limits=None),  # type: ignore[arg-type]
            {
                "/nodes/a/config/s": "is of type set; a state holds JSON values only",
                "/limits": "is an object, not null",
            },
        ),
    ]
    for graph, expected in made:
        assert functions_of(graph) == []
        assert faults(as_data(graph)) == expected


def test_text_subclasses_are_text() -> None:
    class Loud(str):
        def __str__(self) -> str:
            return self.upper()

    loud = {"start": Loud("a"), "nodes": {Loud("a"): {"tool": Loud("lint"), "next": Loud("a")}}}
    plain = {"start": "a", "nodes": {"a": {"tool": "lint", "next": "a"}}}
    assert parse(loud) == parse(plain)


NAMES = hs.sampled_from(["a", "b", "lint", "$end", "$x", "", "start", "nodes", "to", "when", "fn"])
ANYTHING = hs.recursive(
    JSON
    | NAMES
    | hs.floats()
    | hs.integers()
    | hs.binary(max_size=2)
    | hs.text(hs.characters(), max_size=3),
    lambda inner: (
        hs.lists(inner, max_size=3)
        | hs.dictionaries(
            NAMES | hs.none() | hs.integers() | hs.text(max_size=2), inner, max_size=3
        )
        | hs.tuples(inner)
        | hs.just({1})
    ),
    max_leaves=10,
)


def is_read_or_told_why_not(data: Any) -> bool:
    """Whether a graph came of it, or sound reasons why not; anything else raises."""
    try:
        return bool(parse(data).data)
    except GraphInvalid as invalid:
        return bool(invalid.faults) and bool(msgspec.json.encode(invalid.faults))


@given(ANYTHING)
def test_anything_at_all_is_a_graph_or_is_told_why_not(data: Any) -> None:
    assert is_read_or_told_why_not(data)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a value with each of its keys."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    inner = [value[key] for key in keys if isinstance(value[key], dict | list)]
    return [*((value, key) for key in keys), *(place for each in inner for place in places(each))]


@given(hs.data())
def test_a_graph_in_which_anything_is_replaced_is_told_what_is_wrong_there(
    data: hs.DataObject,
) -> None:
    graph = copy.deepcopy(REVIEW)
    for _ in range(data.draw(hs.integers(1, 3))):
        container, key = data.draw(hs.sampled_from(places(graph)))
        match data.draw(hs.sampled_from(["replace", "remove", "add"])):
            case "replace":
                container[key] = data.draw(ANYTHING)
            case "remove":
                del container[key]
            case _ if isinstance(container, dict):
                container[data.draw(NAMES | hs.none() | hs.integers())] = data.draw(ANYTHING)
            case _:
                container.append(data.draw(ANYTHING))
        if not isinstance(graph, dict) or not places(graph):
            break
    assert is_read_or_told_why_not(graph)


def test_a_name_that_stands_twice_in_an_object_is_told_with_its_place() -> None:
    text = b"""{
        "start": "a", "start": "b",
        "nodes": {
            "a/b": {"next": [{"to": "x"}, {"to": "y", "to": "z", "to": "$end"}]},
            "a/b": {"config": {"c": {"n": 1, "n": 2}}},
            "c": {"tool": "t"}
        },
        "other": [[{"": 1, "": 2}]]
    }"""
    twice = "stands twice in one object; give each its own"
    assert duplicate_keys(text) == [
        Fault("/start", f"the name 'start' {twice}"),
        Fault("/nodes/a~1b", f"the name 'a/b' {twice}"),
        Fault("/nodes/a~1b/next/1/to", f"the name 'to' {twice}"),
        Fault("/nodes/a~1b/config/c/n", f"the name 'n' {twice}"),
        Fault("/other/0/0/", f"the name '' {twice}"),
    ]


@given(JSON)
def test_what_was_an_object_before_has_no_name_twice(value: Any) -> None:
    assert duplicate_keys(json.dumps(value).encode()) == []


def test_names_that_stand_twice_are_counted_no_further_than_faults_are() -> None:
    pairs = ",".join(f'"{n}":1,"{n}":2' for n in range(FAULTS_MAX + 500))
    assert len(duplicate_keys(f"{{{pairs}}}".encode())) == FAULTS_MAX


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b'{"a":}'])
def test_looking_for_names_in_what_is_no_json_raises_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"Expecting|decode"):
        duplicate_keys(text)
