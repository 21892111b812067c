"""Graphs in the shapes of other engines: what each spelling becomes, and what is told of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stenograph.engine.bounds import BOUNDS
from stenograph.engine.errors import Fault, GraphInvalid
from stenograph.engine.graphs.dialects import translate
from stenograph.engine.graphs.parse import graph_refs
from stenograph.engine.values import clip
from tests.engine.dialect_graphs import (
    ABC,
    THREE,
    faults,
    from_a,
    inline,
    listed,
    nodes,
    parse,
    warnings,
    ways,
)
from tests.json_values import JSON

# Which graphs are of another shape


@pytest.mark.parametrize(
    "data",
    [
        {"start": "a", "nodes": {"a": {"tool": "t"}}},
        {"start": "a", "nodes": {"a": {"next": [{"to": "$end", "when": "x"}]}}, "name": "n"},
        {"start": "a", "nodes": {"a": {"tol": "t"}}},
        {"start": "a", "nodes": {}, "start_nod": "a"},
        {"start": "a", "nodes": []},
        {},
        [],
        None,
    ],
)
def test_a_canonical_graph_is_left_exactly_alone(data: Any) -> None:
    given = translate(data, ["ready"])
    assert (given.data is data, given.place("/x"), given.warnings) == (True, "/x", [])


def test_a_field_unknown_to_a_canonical_graph_stays_a_fault() -> None:
    assert faults({"start": "a", "nodes": {"a": {"tol": "t"}}}) == {
        "/nodes/a/tol": "is no field of a node; did you mean 'tool'?"
    }


def test_each_mark_makes_a_graph_one_of_another_shape() -> None:
    plain: dict[str, Any] = {"start": "a", "nodes": {"a": {}}}
    for name in ("edges", "loops", "start_node", "entry_point"):
        assert translate({**plain, name: None}).data is not plain
    names = ["func", "callable", "fn", "function", "action", "loop_condition", "loop_while"]
    for name in [*names, "branches"]:
        data = {"start": "a", "nodes": {"a": {name: None}}}
        assert translate(data).data is not data


def test_a_slip_in_a_canonical_graph_does_not_make_it_another() -> None:
    assert faults({"start": "a", "nodes": {"a": {"tool": "t", "timeout": 5}}}) == {
        "/nodes/a/timeout": "is no field of a node; did you mean 'timeout_s'?"
    }


def test_an_unknown_field_of_another_shape_is_ignored_with_a_warning() -> None:
    data = listed(from_a(weight=3, loop={"max_iterations": 1, "x": 1}), theme="dark")
    data["nodes"] = [{**THREE[0], "icon": "x", "metadata": {}, "description": "d"}, *THREE[1:]]
    found = warnings({**data, "metadata": {}, "description": "d", "extra": None})
    ignored = {path for path, detail in found.items() if detail.startswith("is ignored")}
    assert ignored == {"/nodes/0/icon", "/edges/0/weight", "/edges/0/loop/x", "/theme"}


# Nodes


@pytest.mark.parametrize(
    "three",
    [
        THREE,
        tuple(THREE),
        [{"name": node["id"], "callable": node["func"]} for node in THREE],
        [{**node, "name": "A title"} for node in THREE],
        {node["id"]: {"fn": node["func"]} for node in THREE},
        {node["id"]: {"name": "A title", "function": node["func"]} for node in THREE},
        {node["id"]: node["func"] for node in THREE},
        {f"key {node['id']}": node for node in THREE},
        [{"id": node["id"], "tool": node["func"], "action": node["func"]} for node in THREE],
    ],
)
def test_a_node_is_called_by_its_id_its_name_or_its_key(three: Any) -> None:
    assert nodes({"start_node": "a", "nodes": three}) == ABC


def test_a_list_of_names_is_one_of_tools() -> None:
    data = {"start": "t", "nodes": ["t", "u"], "edges": {"t": "u"}}
    assert json.loads(parse(data).data)["nodes"] == {
        "t": {"tool": "t", "next": [{"to": "u"}]},
        "u": {"tool": "u"},
    }


@pytest.mark.parametrize("name", ["start", "start_node", "entry_point"])
def test_the_start_has_three_names(name: str) -> None:
    assert nodes({name: "a", "nodes": THREE}) == ABC


def test_without_a_start_it_is_the_first_node() -> None:
    data = {"nodes": THREE}
    assert nodes(data) == ABC
    assert warnings(data)[""] == "does not say where to start; it is 'a', the first"


def test_what_other_engines_say_of_a_graph_is_kept() -> None:
    data = {"id": "g", "name": "G", "limits": {"steps": 9}, "state": {"k": {"reducer": "add"}}}
    parsed = parse({**data, **listed(), "on_no_match": "fail"})
    plain = {**data, "start": "a", "nodes": ABC}
    assert (parsed.id, parsed.version) == ("g", parse(plain).version)


def test_what_a_node_has_anyway_is_kept() -> None:
    node = {"id": "a", "func": "t", "config": {"k": [1]}, "effects": "once", "wait": None}
    others = [{"id": "b", "graph": "stored", "in": {"x": "y"}, "out": ["z"]}]
    data = {"start": "a", "nodes": [node, *others]}
    assert nodes(data) == {
        "a": {"tool": "t", "config": {"k": [1]}, "effects": "once"},
        "b": {"graph": "stored", "in": {"x": "y"}, "out": ["z"]},
    }
    assert graph_refs(data) == ["stored"]


@pytest.mark.parametrize("name", ["timeout", "timeout_s", "timeout_seconds"])
def test_a_timeout_is_in_seconds(name: str) -> None:
    assert nodes(inline(**{name: 5}))["a"] == {"tool": "t", "timeout_s": 5.0}


@pytest.mark.parametrize("name", ["retries", "max_retries", "retry"])
def test_retries_are_attempts_after_the_first(name: str) -> None:
    data = inline(**{name: 3})
    assert nodes(data)["a"]["retry"] == {"attempts": 4}
    assert warnings(data)[f"/nodes/a/{name}"].startswith(
        "is 4 attempts, the second after about 1 s"
    )
    assert "retry" not in nodes(inline(**{name: 0}))["a"]


def test_a_delay_between_retries_is_the_same_each_time() -> None:
    for name in ("retry_delay", "retry_delay_s", "delay"):
        assert nodes(inline(retries=1, **{name: 2}))["a"]["retry"] == {
            "attempts": 2,
            "delay_s": 2.0,
            "factor": 1.0,
            "jitter": False,
        }


def test_a_delay_of_nothing_is_ignored() -> None:
    assert list(warnings(inline(delay=3))) == ["/nodes/a/delay", "/nodes/b", "/nodes/c"]


def test_a_retry_that_is_canonical_is_kept() -> None:
    assert nodes(inline(retry={"attempts": 5, "delay_s": 9}))["a"]["retry"] == {
        "attempts": 5,
        "delay_s": 9.0,
    }


def test_the_type_of_a_node_says_nothing_that_its_edges_do_not() -> None:
    data = {"start": "a", "nodes": [{**THREE[0], "type": "standard"}, {**THREE[1], "type": "loop"}]}
    found = [path for path in warnings(data) if path.endswith("/type")]
    assert found == ["/nodes/1/type"]


# Edges


@pytest.mark.parametrize(
    "data",
    [
        listed({"from": "a", "to": "b"}, {"from": "b", "to": "c"}),
        listed({"from_node": "a", "to_node": "b"}, {"source": "b", "target": "c"}),
        listed(from_a(type="sequential"), {"from": "b", "to": "c", "condition": None}),
        listed(from_a(), {"from": "b", "to": "c", "loop": False, "type": None}),
        {"start_node": "a", "nodes": THREE, "edges": {"a": "b", "b": "c", "c": None}},
        {"start_node": "a", "nodes": THREE, "edges": {"a": ["b"], "b": [{"to": "c"}]}},
        {"start_node": "a", "nodes": THREE, "edges": {"a": {"target": "b"}, "b": ("c",)}},
        {"start": "a", "nodes": {"a": {"fn": "t", "next": "b"}, "b": {"fn": "u", "next": ["c"]},
                                 "c": {"fn": "v", "next": None}}},
        {"start": "a", "nodes": THREE, "edges": {"a": {"default_next": "b"},
                                                 "b": {"default_next": "c", "branches": []}}},
        {"start": "a", "nodes": [{**THREE[0], "next": "b"}, *THREE[1:]],
         "edges": {"a": "b", "b": "c", "c": []}},
    ],
)  # fmt: skip
def test_a_sequence_has_many_spellings(data: Any) -> None:
    assert nodes(data) == {
        "a": {"tool": "t", "next": [{"to": "b"}]},
        "b": {"tool": "u", "next": [{"to": "c"}]},
        "c": {"tool": "v"},
    }
    assert parse(data).warnings == ()


BRANCHES = [{"when": "x > 1", "to": "b"}, {"to": "c"}]


@pytest.mark.parametrize(
    "data",
    [
        listed(from_a(condition="x > 1"), from_a(to="c")),
        listed(from_a(to="c"), from_a(when="x > 1")),
        listed(from_a(to="c"), from_a(type="branch", condition={"expression": "x > 1"})),
        {"start": "a", "nodes": THREE, "edges": {"a": BRANCHES}},
        {"start": "a", "nodes": THREE, "edges": {"a": {"branches": BRANCHES}}},
        {"start": "a", "nodes": THREE, "edges": {"a": {"default_next": "c",
                                                       "branches": {"x > 1": "b"}}}},
        inline(branches={"x > 1": "b"}, next="c"),
        inline(branches=[{"condition": "x > 1", "next": "b"}], next="c"),
        inline(branches=[{"expression": "x > 1", "target": "b"}, {"next": "c"}]),
        inline(branches=({"when": "x > 1", "to": "b"}, "c")),
        inline(branches={"else": "c", "x > 1": "b"}),
        inline(branches={"default": "c", "x > 1": "b"}),
        inline(next={"branches": BRANCHES}),
        inline(next={"x > 1": "b", "else": "c"}),
    ],
)  # fmt: skip
def test_branches_come_before_the_default(data: Any) -> None:
    assert ways(data) == [{"to": "b", "when": "x > 1"}, {"to": "c"}]


def test_branches_loops_and_others_are_asked_in_this_order_each_in_theirs() -> None:
    edges = [
        from_a(to="c"),
        from_a(to="a", type="loop", loop={"max_iterations": 2}),
        from_a(condition="x"),
        from_a(to="$end"),
        from_a(condition="y"),
    ]
    found = [(each["to"], each.get("when")) for each in ways(listed(*edges))]
    assert found == [
        ("b", "x"), ("b", "y"), ("a", None), ("$fail", None), ("c", None), ("$end", None),
    ]  # fmt: skip


@pytest.mark.parametrize("word", ["END", "end", "__end__"])
def test_a_word_for_the_end_is_the_end_where_no_node_is_called_so(word: str) -> None:
    data = listed(from_a(to=word))
    assert ways(data) == [{"to": "$end"}]
    assert "/edges/0" in warnings(data)
    called = {"start": "a", "nodes": [*THREE, word], "edges": {"a": word}}
    assert faults(called) == {f"/nodes/3": f"there is no tool {word!r}; there is t, u, v"}  # noqa: F541


def test_an_edge_to_null_is_one_to_the_end() -> None:
    assert ways(listed(from_a(to=None, condition="x"))) == [{"to": "$end", "when": "x"}]
    assert ways(inline(branches={"x": None})) == [{"to": "$end", "when": "x"}]


def test_what_a_canonical_edge_says_may_stand_in_a_list_of_edges() -> None:
    edge = {"on": "error", "label": "broken", "max": 2, "until": "x"}
    assert ways(listed(from_a(**edge))) == [{"to": "b", **edge}]
    fork = {"to": ["b", "c"], "join": "$end", "width": 1}
    assert ways(listed(from_a(**fork))) == [fork]


def test_next_and_edges_are_merged_with_a_warning() -> None:
    data = {**inline(next="b"), "edges": [from_a(to="c", condition="x"), from_a()]}
    assert ways(data) == [{"to": "c", "when": "x"}, {"to": "b"}]
    assert warnings(data)["/nodes/a/next"].startswith("says where 'a' leads, and so do edges")


def test_a_branch_without_a_condition_is_the_default() -> None:
    data = listed(from_a(type="branch"), from_a(to="c", type="sequential", condition="x"))
    assert ways(data) == [{"to": "c", "when": "x"}, {"to": "b"}]
    assert warnings(data) == {
        "/edges/0": "is a branch without a condition; it is taken when no other edge is",
        "/edges/1": "is a branch, as it has a condition",
    }


def test_a_type_of_edge_that_is_unknown_is_ignored() -> None:
    for kind, shown in (("odd", "'odd'"), ([], "a list")):
        detail = f"is ignored: {shown} is none of sequential, branch, loop"
        assert warnings(listed(from_a(type=kind)))["/edges/0/type"] == detail


def test_a_node_where_no_edge_may_match_is_told_once() -> None:
    data = listed(*({"from": each, "to": "c", "condition": "x"} for each in "abc"))
    data["edges"] += [{"from": "d", "to": "a", "when": "x"}]
    data["nodes"] = [*THREE, {"id": "d"}]
    detail = (
        "a run ends at 'a', 'b', 'c', … when no edge matches; with on_no_match: fail it would fail"
    )
    assert warnings(data)[""] == detail
    assert "" not in warnings({**data, "on_no_match": "end"})


# Pointers into what was given


def test_all_faults_are_told_at_once_and_point_into_what_was_given() -> None:
    data = {
        "entry_point": "z",
        "nodes": [
            {"id": "a", "callable": "tt", "config": {"k": {1}}, "timeout": -1, "retries": 1,
             "retry_delay": "soon"},
            {"id": "a", "func": "t"},
            {"func": "t"},
            {"id": 5},
            7,
            {"id": "b", "func": "t", "action": "u", "retries": -1},
            {"id": "$c"},
        ],
        "edges": [
            {"from": "a", "to": "bb", "condition": {"expression": "x =="}},
            {"from": "a", "to": "b", "loop": {"max_iterations": 0, "until_expression": "y =="}},
            {"from": "q", "to": "b"},
            {"from": "a"},
            {"to": "b"},
            "a",
            {"from": "a", "to": "b", "loop": 5},
            {"from": "a", "to": "b", "condition": {"field": "f", "op": "~", "value": {1}}},
            {"from": "a", "to": "b", "condition": {"expression": "x", "language": "cel"}},
            {"from": "a", "to": "b", "condition": 5},
            {"from": ["a"], "to": "b"},
            {"from": "a", "to": 5, "on": "oops"},
        ],
    }  # fmt: skip
    assert set(faults(data)) == {
        "/entry_point",
        "/nodes/0/callable", "/nodes/0/config/k", "/nodes/0/timeout", "/nodes/0/retry_delay",
        "/nodes/1/id", "/nodes/2", "/nodes/3/id", "/nodes/4", "/nodes/5/action", "/nodes/5/retries",
        "/nodes/6",
        "/edges/0/to", "/edges/0/condition/expression",
        "/edges/1/loop/max_iterations", "/edges/1/loop/until_expression",
        "/edges/2/from", "/edges/3", "/edges/4", "/edges/5", "/edges/6/loop",
        "/edges/7/condition/op", "/edges/7/condition/value",
        "/edges/8/condition/language", "/edges/9/condition", "/edges/10/from",
        "/edges/11/to", "/edges/11/on",
    }  # fmt: skip


def test_a_fault_comes_with_the_warnings_there_are() -> None:
    with pytest.raises(GraphInvalid) as caught:
        parse(listed(from_a(to="x"), theme="dark"))
    assert [each.pointer for each in caught.value.warnings] == ["/theme"]


def test_a_fault_of_a_map_points_into_the_map() -> None:
    data = {"start": "a", "nodes": {"a": {"fn": "tt", "branches": {"x ==": "b/c"}}, "b": 5},
            "edges": {"zz": "a", "a": [5, {"when": "x"}], "b": 7}}  # fmt: skip
    assert set(faults(data)) == {
        "/nodes/a/fn", "/nodes/a/branches/x ==", "/nodes/b", "/edges/zz", "/edges/a/0",
        "/edges/a/1", "/edges/b",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"nodes": 5, "edges": {}}, {"/start": "is missing", "/nodes": "is an object that gives"}),
        ({"edges": {}}, {"/start": "is missing", "/nodes": "is missing"}),
        ({"nodes": {}, "edges": {}}, {"/start": "is missing", "/nodes": "is empty"}),
        ({"nodes": ["t"], "edges": 5}, {"/edges": "is a list of edges, or where each node leads"}),
        (inline(branches=5), {"/nodes/a/branches": "is a list of branches, or a node for each"}),
        (inline(next=5), {"/nodes/a/next": "is the name of a node, an edge, or a list of edges"}),
        (
            {"start": "a", "entry_point": "b", "nodes": THREE},
            {"/start": "differs from entry_point"},
        ),
        (listed({"from": "a", "source": "b", "to": "c"}), {"/edges/0/source": "differs from from"}),
    ],
)
def test_what_has_no_known_shape_is_told_as_such(data: Any, expected: dict[str, str]) -> None:
    found = faults(data)
    assert found.keys() == expected.keys()
    assert all(found[path].startswith(detail) for path, detail in expected.items()), found


def test_doubts_point_into_what_was_given() -> None:
    found = warnings(listed(from_a(), from_a(to="c"), {"from": "b", "to": "a"}))
    assert found["/edges/1"] == "is never taken: an edge before it always is"
    assert "/nodes/0" in found


def test_what_is_wrong_with_a_fork_points_at_its_edge() -> None:
    data = listed({"from": "b", "to": ["a", "c"], "join": "$end"}, from_a())
    assert list(faults(data)) == ["/edges/0"]


# Too much, and the hostile


def test_a_graph_of_another_shape_is_bounded_too() -> None:
    many = [{"id": f"n{index}"} for index in range(BOUNDS.nodes + 1)]
    assert faults({"nodes": many}) == {"/nodes": "has 1,001 nodes; a graph may have 1,000"}
    with pytest.raises(GraphInvalid):
        graph_refs({"nodes": many})
    edges = [from_a()] * (BOUNDS.nodes * BOUNDS.edges + 1)
    assert faults(listed(*edges)) == {"/edges": "has 100,001 edges; a graph may have 100,000"}
    assert faults(listed(*[from_a(condition="x")] * 101)) == {
        "/nodes/0": "has 101 edges; a node may have 100"
    }
    wide = {f"x == {index}": "b" for index in range(101)}
    for node in ({"branches": ["b"] * 101}, {"branches": wide}):
        assert faults(inline(**node)) == {"/nodes/a/branches": "has 101 edges; a node may have 100"}


def test_of_many_warnings_some_are_told() -> None:
    found = parse(listed(**{f"x{index}": 1 for index in range(1500)})).warnings
    assert len(found) == 1001 + len("bc")  # which no edge leads to
    assert found[1000].detail == "and 500 more"


NAMES = some.sampled_from(
    [
        "a",
        "b",
        "c",
        "t",
        "u",
        "END",
        "end",
        "default",
        "next",
        "to",
        "from",
        "from_node",
        "to_node",
        "source",
        "target",
        "id",
        "name",
        "func",
        "fn",
        "callable",
        "tool",
        "function",
        "action",
        "type",
        "branch",
        "loop",
        "sequential",
        "condition",
        "when",
        "until",
        "expression",
        "language",
        "callable",
        "field",
        "key",
        "operator",
        "op",
        "value",
        "max",
        "max_iterations",
        "until_expression",
        "branches",
        "default_next",
        "loop_condition",
        "loop_while",
        "retries",
        "timeout",
        "delay",
        "node",
        "on",
        "join",
        "each",
        "start",
        "start_node",
        "entry_point",
        "nodes",
        "edges",
        "loops",
        "config",
        "ready",
        "state",
        "limits",
        "wait",
        "graph",
    ]
)
ODD = JSON | NAMES | some.integers(0, 3) | some.sampled_from([{1}, 10**400, "\ud800", "x > 1"])
KEYS = NAMES | some.integers(0, 3) | some.sampled_from(["", "/", "~1", "\ud800"])
TREES = some.recursive(
    ODD,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(KEYS, inner, max_size=5),
    max_leaves=30,
)
GRAPHS = some.fixed_dictionaries(
    {"nodes": some.lists(TREES, max_size=4) | some.dictionaries(NAMES, TREES, max_size=4)},
    optional={
        "edges": some.lists(TREES, max_size=4) | TREES,
        "loops": some.lists(TREES, max_size=3) | TREES,
        "start_node": TREES,
        "start": TREES,
        "entry_point": TREES,
        "theme": TREES,
    },
)
NODES = some.fixed_dictionaries(
    {"id": some.sampled_from("abc")},
    optional={
        "fn": some.just("t"),
        "next": some.sampled_from("abc") | TREES,
        "loop_condition": some.sampled_from(["ready", "x > 1", "y"]) | TREES,
        "loop_while": some.sampled_from(["ready", "x > 1"]),
        "max_iterations": some.integers(1, 3),
        "branches": TREES,
        "retries": some.integers(0, 2) | TREES,
        "timeout": TREES,
    },
)
EDGES = some.fixed_dictionaries(
    {"from": some.sampled_from("abc"), "to": some.sampled_from(["a", "b", "c", "END", None])},
    optional={
        "type": some.sampled_from(["sequential", "branch", "loop"]),
        "condition": some.sampled_from(["ready", "x > 1", {"callable": "y"}]) | TREES,
        "loop": some.fixed_dictionaries(
            {}, optional={"max_iterations": some.integers(1, 3), "until": some.just("y")}
        ),
    },
)
LOOPS = some.fixed_dictionaries(
    {"node": some.sampled_from("abc")},
    optional={
        "condition": some.just({"field": "f", "operator": "<", "value": 5}) | TREES,
        "max_iterations": some.integers(1, 3) | TREES,
    },
)
LIKELY = some.fixed_dictionaries(
    {"nodes": some.lists(NODES, min_size=1, max_size=3, unique_by=lambda node: str(node["id"]))},
    optional={"edges": some.lists(EDGES, max_size=5), "loops": some.lists(LOOPS, max_size=2)},
)


def told(data: Any) -> list[Fault]:
    """The faults and warnings of what is a graph, or refused as none."""
    try:
        parsed = parse(data)
    except GraphInvalid as error:
        return error.faults + error.warnings
    assert parse(json.loads(parsed.data)).version == parsed.version
    return list(parsed.warnings)


@given(data=GRAPHS | LIKELY | TREES)
def test_whatever_is_given_is_a_graph_or_graph_invalid(data: Any) -> None:
    for fault in told(data):
        json.dumps([fault.pointer, fault.detail]).encode()
    assert isinstance(graph_refs(data), list)


@given(data=GRAPHS | LIKELY)
def test_what_was_translated_is_canonical(data: Any) -> None:
    once = translate(data, ["ready"])
    again = translate(once.data, ["ready"])
    assert again.data is once.data
    assert again.warnings == again.faults == []


@given(data=LIKELY)
def test_faults_and_warnings_point_at_something_that_was_given(data: Any) -> None:
    for fault in told(data):
        value: Any = data
        for key in fault.pointer.split("/")[1:]:
            key = key.replace("~1", "/").replace("~0", "~")
            if isinstance(value, list):
                value = value[int(key)]
            elif isinstance(value, dict):
                value = next(item for name, item in value.items() if clip(str(name)) == key)
            else:
                raise AssertionError(f"{fault} points at nothing")


def test_what_nests_without_end_is_no_trouble() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = {"expression": deep, "to": deep, "fn": deep, "config": deep}
    assert faults(inline(retries=10**5000))
    for data in (listed(deep), inline(branches=deep, next=deep, loop_condition=deep, config=deep)):
        assert faults(data)


def test_a_node_that_names_no_tool_calls_nothing_which_is_said() -> None:
    silent = [{"id": "a", "function_name": "t"}, {"id": "b", "type": "conditional"}]
    data = {"start_node": "a", "nodes": silent, "edges": {"a": "b"}}
    assert warnings(data) == {
        "/nodes/0/function_name": "is ignored; it means nothing here",
        "/nodes/0": "calls nothing, as it names no tool; it only leads on",
        "/nodes/1/type": "is ignored: the edges of a node say whether it branches or loops",
    }


@pytest.mark.parametrize("key", ["when", "condition"])
@pytest.mark.parametrize("word", ["default", "else"])
def test_a_branch_for_when_no_other_is_taken_comes_last(key: str, word: str) -> None:
    data = listed(from_a(to="c", **{key: word}), from_a(condition="x"))
    assert ways(data) == [{"to": "b", "when": "x"}, {"to": "c"}]
    assert warnings(data)[f"/edges/0/{key}"] == (
        "is read as the way that is taken when no condition is true"
    )


def test_else_beside_a_condition_is_where_it_goes_otherwise() -> None:
    graph = listed(from_a(**{"condition": "n > 3", "else": "c"}))
    assert ways(graph) == [{"to": "b", "when": "n > 3"}, {"to": "c"}]
