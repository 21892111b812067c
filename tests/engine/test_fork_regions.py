"""Forks nest like brackets: every branch can arrive, none forks again, no two forks cross."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph.engine.errors import GraphInvalid
from stenograph.engine.graphs.fork_regions import FORKS_MAX, ForkRegions, Ways
from stenograph.engine.graphs.graph import END, Edge
from stenograph.engine.graphs.parse import parse_graph


def faults(**nodes: Any) -> dict[str, str]:
    """What is wrong with a graph whose nodes have these ways on."""
    data = {"start": next(iter(nodes)), "nodes": {k: {"next": v} for k, v in nodes.items()}}
    try:
        parse_graph(data, tools=())
    except GraphInvalid as invalid:
        return {fault.pointer: fault.detail for fault in invalid.faults}
    return {}


def fork(*to: str, join: str, **fields: Any) -> dict[str, Any]:
    return {"to": list(to), "join": join, **fields}


def test_branches_that_arrive_at_the_join_or_at_an_end_are_sound() -> None:
    arriving = [{"to": "d", "when": "x"}, {"to": "$end"}]
    assert faults(a=fork("b", "c", join="d"), b="d", c=arriving, d=None) == {}
    assert faults(a=fork("b", "c", join="d"), b=None, c="$fail", d=None) == {}
    assert faults(a=fork("b", "c", join="$end"), b=None, c="$end") == {}


def test_a_branch_that_reaches_neither_the_join_nor_an_end_is_refused() -> None:
    told = faults(a=[fork("b", "c", join="d")], b="b", c="d", d=None)
    assert told == {
        "/nodes/a/next/0": (
            "can never join: from 'b' a branch reaches neither 'd' nor an end; lead it to one"
        )
    }
    assert "neither '$end' nor an end" in str(faults(a=fork("b", join="$end"), b="b"))


def test_an_edge_alone_is_named_without_a_number() -> None:
    assert list(faults(a=fork("b", join="d"), b="b", d=None)) == ["/nodes/a/next"]


def test_a_way_out_of_a_branch_may_be_conditional_used_up_or_for_errors() -> None:
    for out in ({"to": "b", "until": "x"}, {"to": "b", "max": 2}, {"to": "b", "when": "x"}):
        assert faults(a=fork("b", join="d"), b=out, d=None) == {}
    assert faults(a=fork("b", join="d"), b=["b", {"to": "d", "on": "error"}], d=None) == {}
    assert faults(a=fork("b", join="d"), b=["b", {"to": "$end", "on": "error"}], d=None) == {}
    assert faults(a=fork("b", join="d"), b=[{"to": "b", "on": "error"}], d=None) == {}


def test_a_branch_that_reaches_a_join_which_never_ends_has_arrived() -> None:
    assert faults(a=fork("b", join="d"), b="d", d="a") == {}


def test_a_branch_that_leads_back_to_its_fork_is_refused() -> None:
    told = faults(a=fork("b", join="d"), b=["a", {"to": "d", "on": "error"}], d=None)
    assert told == {
        "/nodes/a/next": (
            "forks within its own branches, as one leads back to 'a'; "
            "lead the branches to 'd' first, and go back from there"
        )
    }


def test_forks_that_open_each_other_for_ever_are_refused_also_where_they_share_a_join() -> None:
    for join in ("d", "$end"):
        told = faults(a=fork("b", join=join), b=fork("c", join=join), c=["a"], d=None)
        assert list(told) == ["/nodes/a/next", "/nodes/b/next"]


def test_a_loop_may_come_back_to_a_fork_from_its_join_or_join_at_it() -> None:
    back = [{"to": "a", "until": "x", "max": 3}]
    assert faults(a=fork("b", "c", join="d"), b="d", c="d", d=back) == {}
    assert faults(a=[fork("b", "c", join="a", max=3)], b="a", c="a") == {}


def test_forks_may_nest_follow_each_other_and_share_a_join() -> None:
    inner = fork("c", "e", join="f")
    assert faults(a=fork("b", join="g"), b=inner, c="f", e="f", f="g", g=None) == {}
    assert faults(a=fork("b", join="g"), b=fork("c", join="g"), c="g", g=None) == {}
    assert faults(a=fork("b", join="c"), b="c", c=fork("d", join="e"), d="e", e=None) == {}


def test_a_fork_that_reaches_the_join_around_it_before_its_own_is_refused() -> None:
    way = [{"to": "g", "when": "x"}, {"to": "f"}]
    told = faults(a=fork("b", join="g"), b=[fork("c", join="f")], c=way, f="g", g=None)
    assert told == {
        "/nodes/b/next/0": (
            "crosses another fork: its branches reach 'g', where that one joins, before they join "
            "at 'f'; join the inner fork first, as brackets close"
        )
    }


def test_a_fork_may_cross_none_of_the_forks_around_it() -> None:
    nodes = {"a": fork("b", join="g"), "b": fork("c", join="f"), "c": fork("d", join="e")}
    told = faults(**nodes, d=[{"to": "g", "when": "x"}, {"to": "e"}], e="f", f="g", g=None)
    assert list(told) == ["/nodes/c/next"]


def test_nodes_may_be_used_inside_a_fork_and_outside() -> None:
    log = {"to": "log", "on": "error"}
    assert faults(a=[fork("b", join="d"), log], b=["d", log], d=["$end", log], log=None) == {}


def test_a_map_is_a_fork() -> None:
    each = {"each": "items", "to": "b", "join": "d"}
    assert faults(a=each, b="d", d=None) == {}
    assert "can never join" in faults(a=each, b="b", d=None)["/nodes/a/next"]


def test_a_graph_has_a_bounded_number_of_forks() -> None:
    forks = [fork("b", join="d", when=f"x == {n}") for n in range(100)]
    nodes = {f"n{n}": forks for n in range(FORKS_MAX // 100)}
    assert faults(**nodes, b="d", d=None) == {}
    assert faults(**nodes, m=fork("b", join="d"), b="d", d=None) == {
        "/nodes": f"have {FORKS_MAX + 1} edges that fork; a graph may have {FORKS_MAX}"
    }


def test_forks_nested_very_deep_are_looked_at_without_recursion() -> None:
    nodes: dict[str, Any] = {"f300": "j299", "j0": None}
    for n in range(300):
        nodes[f"f{n}"] = fork(f"f{n + 1}", f"x{n}", join=f"j{n}")
        nodes[f"x{n}"] = f"j{n}"
        nodes.setdefault(f"j{n}", f"j{n - 1}")
    assert (
        faults(f0=nodes["f0"], **{name: way for name, way in nodes.items() if name != "f0"}) == {}
    )
    nodes["x299"] = [{"to": "j0", "when": "x"}, {"to": "j299"}]
    assert list(faults(**nodes)) == ["/nodes/f299/next"]


def test_many_tangled_forks_are_looked_at_each_once() -> None:
    """The regions of all are nearly the whole graph, so this is the most work that there can be."""
    names = [f"n{n}" for n in range(1000)]
    plain = {
        name: [Edge(to=names[(n * 7 + k * 13) % 1000]) for k in range(99)]
        for n, name in enumerate(names)
    }
    forks = {n: Edge(to=(names[n * 3 % 1000],), join=names[n - 1]) for n in range(FORKS_MAX)}
    ways = {name: [*plain[name], *[forks[n]][: n < FORKS_MAX]] if n < FORKS_MAX else plain[name]
            for n, name in enumerate(names)}  # fmt: skip
    told = list(ForkRegions(ways).faults())
    assert len({(each.node, each.edge) for each in told}) == FORKS_MAX


# A walk with a stack of the forks it is within, which is what a run does.

NAMES = "abcde"
TO = st.sampled_from([*NAMES, "$end"])
EDGES = st.builds(
    lambda to, when: Edge(to=to, when="x" if when else None), TO, st.booleans()
) | st.builds(
    lambda to, join: Edge(to=tuple(sorted(to - {join})) or ("a",), join=join),
    st.sets(st.sampled_from(NAMES), min_size=1, max_size=2),
    TO,
)
WAYS = st.fixed_dictionaries({name: st.lists(EDGES, max_size=2) for name in NAMES})
Place = tuple[str, tuple[Edge, ...]]


def walk(ways: Ways, node: str, outer: Edge) -> set[str]:
    """What a branch of a fork meets: ``again`` its own fork, ``crossed`` a join around its own."""
    met: set[str] = set()
    seen: set[Place] = set()
    waiting: list[Place] = [(node, (outer,))]
    while waiting:
        name, stack = waiting.pop()
        own = stack[-1].join
        if name in (END, own) or (name, stack) in seen:
            continue
        if any(each.join == name for each in stack):
            met.add("crossed")
            continue
        seen.add((name, stack))
        for edge in ways[name]:
            if any(edge is each for each in stack):
                met.add("again")
            elif edge.is_fork:
                waiting += [(target, (*stack, edge)) for target in edge.targets]
            waiting.append((edge.onward, stack))
    return met


def arrives(ways: Ways, node: str, join: str | None) -> bool:
    """Whether a scope that begins at a node can come to a join, or to an end."""
    seen: set[str] = set()
    waiting = [node]
    while waiting:
        name = waiting.pop()
        if name in (join, END):
            return True
        if name not in seen:
            seen.add(name)
            if not any(edge.is_always_taken for edge in ways[name]):
                return True
            waiting += [edge.onward for edge in ways[name]]
    return False


@given(WAYS)
def test_forks_are_refused_exactly_when_a_walk_with_a_stack_goes_wrong(ways: Ways) -> None:
    told = list(ForkRegions(ways).faults())
    # Edges that are equal are told apart by being objects of their own.
    forks = [(name, edge) for name, edges in ways.items() for edge in edges if edge.is_fork]
    met = [walk(ways, target, edge) for _, edge in forks for target in edge.targets]
    wrong = {each.detail.split(" ")[0] for each in told} - {"can"}
    assert bool(wrong) is any(met)
    lost = {name for name, edge in forks if not all(arrives(ways, t, edge.join) for t in edge.targets)}  # fmt: skip
    assert {each.node for each in told if each.detail.startswith("can never join")} == lost


Block = Any
BLOCKS: st.SearchStrategy[Block] = st.recursive(
    st.just("step"),
    lambda inner: st.tuples(
        st.sampled_from(["one after the other", "fork", "map", "race"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=12,
)


def built(block: Block, after: str, nodes: dict[str, Any]) -> str:
    """Add the nodes of a block that goes on at ``after``; return where it begins."""
    name = f"n{len(nodes)}"
    nodes[name] = {}
    if block == "step":
        nodes[name]["next"] = after
        return name
    kind, blocks = block
    if kind == "one after the other":
        for each in reversed(blocks):
            after = built(each, after, nodes)
        nodes[name]["next"] = [after]
        return name
    join = f"n{len(nodes)}"
    nodes[join] = {"next": [after]}
    starts = [built(each, join, nodes) for each in blocks]
    branches: dict[str, Any] = {"to": starts, "width": 2}
    if kind == "map":
        branches = {"to": starts[0], "each": "a.b", "as": "x", "on_error": "collect"}
    if kind == "race":
        branches["need"] = 1
    nodes[name]["next"] = branches | {"join": join}
    return name


@given(BLOCKS)
def test_forks_built_within_each_other_are_sound_and_canonical_once_and_for_all(
    block: Block,
) -> None:
    nodes: dict[str, Any] = {}
    start = built(block, "$end", nodes)
    parsed = parse_graph({"start": start, "nodes": nodes}, tools=())
    again = parse_graph(json.loads(parsed.data), tools=())
    assert (again.data, again.version) == (parsed.data, parsed.version)


@pytest.mark.parametrize("ways", [{"a": []}, {"a": [Edge(to="a")]}])
def test_a_graph_without_forks_has_nothing_wrong_with_them(ways: Ways) -> None:
    regions = ForkRegions(ways)
    assert (list(regions.faults()), regions.arrivals()) == ([], set())
