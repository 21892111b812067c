"""What is doubtful in a graph is said, with its place, and keeps nobody from running it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stenograph.engine.bounds import BOUNDS
from stenograph.engine.graphs.parse import parse_graph

BOUND = "has no bound, so only limits.steps stops it; give an edge of it max, until or when"
HIDDEN = "is never taken: an edge before it always is"
UNREACHABLE = "no edge leads here; only a tool's own goto can"


def doubts(start: str = "a", **nodes: Any) -> dict[str, str]:
    """The warnings of a graph whose nodes have these ways on."""
    data = {"start": start, "nodes": {name: {"next": next_} for name, next_ in nodes.items()}}
    warnings = parse_graph(data, tools=(), predicates=["p"]).warnings
    return {each.pointer: each.detail for each in warnings}


def to(name: str, **fields: Any) -> dict[str, Any]:
    return {"to": name, **fields}


def test_a_graph_without_doubts_has_none() -> None:
    assert doubts(a="b", b=[to("a", max=3), to("c", on="error"), "$end"], c=None) == {}


def test_a_node_that_no_edge_leads_to_is_unreachable() -> None:
    assert doubts(a=None, b="c", c=None) == {"/nodes/b": UNREACHABLE, "/nodes/c": UNREACHABLE}
    assert doubts(a=to("b", on="error"), b=to("c", when="x"), c=None) == {}
    data = {"start": "a/b", "nodes": {"a/b": {}, "~": {}}}
    assert [each.pointer for each in parse_graph(data, tools=()).warnings] == ["/nodes/~0"]


def test_what_only_leads_to_itself_is_unreachable_as_well() -> None:
    assert doubts(a=None, b=to("b", max=2)) == {"/nodes/b": UNREACHABLE}


def test_an_edge_behind_one_that_is_always_taken_is_hidden() -> None:
    assert doubts(a=["b", "$end", to("$fail", when="x")], b=None) == {
        "/nodes/a/next/1": HIDDEN,
        "/nodes/a/next/2": HIDDEN,
    }


def test_an_edge_is_hidden_only_behind_one_for_the_same_outcome() -> None:
    error, timeout = to("$end", on="error"), to("$end", on="timeout")
    assert doubts(a=["$end", error, timeout]) == {}
    assert doubts(a=["$end", error, timeout, error]) == {"/nodes/a/next/3": HIDDEN}


def test_an_edge_is_not_hidden_behind_one_that_may_not_be_taken() -> None:
    for first in (to("$end", when="x"), to("$end", until="x"), to("$end", max=1)):
        assert doubts(a=[first, "$fail"]) == {}


def test_a_cycle_without_a_bound_is_named() -> None:
    assert doubts(a="b", b="c", c="a") == {"/nodes/a": f"the cycle a → b → c → a {BOUND}"}


def test_a_loop_of_one_node_is_a_cycle() -> None:
    assert doubts(a="a") == {"/nodes/a": f"the cycle a → a {BOUND}"}


def test_a_way_into_a_cycle_is_not_part_of_it() -> None:
    assert doubts(a="b", b="c", c="b") == {"/nodes/b": f"the cycle b → c → b {BOUND}"}


def test_each_cycle_is_named_once() -> None:
    assert doubts(a=[to("b", when="x"), "c"], b="b", c=[to("a", max=2), "d"], d="c") == {
        "/nodes/b": f"the cycle b → b {BOUND}",
        "/nodes/c": f"the cycle c → d → c {BOUND}",
    }


def test_a_cycle_with_a_condition_that_leads_out_is_bounded() -> None:
    for out in (to("$end", when="x"), to("$end", until="x"), to("$fail", when={"fn": "p"})):
        assert doubts(a=[out, "b"], b="a") == {}
    assert doubts(a=[to("c", when="x"), "b"], b="a", c=None) == {}


def test_a_cycle_whose_last_edge_is_used_up_or_not_taken_is_bounded() -> None:
    for back in (to("a", max=3), to("a", until="x"), to("a", when="x")):
        assert doubts(a="b", b=[back]) == {}
        assert doubts(a=[back]) == {}


def test_a_condition_that_leads_nowhere_out_is_no_bound() -> None:
    assert doubts(a=[to("b", when="x"), "c"], b="a", c="a") == {
        "/nodes/a": f"the cycle a → c → a {BOUND}"
    }


def test_an_edge_that_is_hidden_leads_nowhere() -> None:
    assert doubts(a=["a", "$end"])["/nodes/a"] == f"the cycle a → a {BOUND}"


def test_an_error_edge_first_hides_no_cycle_and_makes_none() -> None:
    error = to("$end", on="error")
    assert doubts(a=[error, "a"]) == {"/nodes/a": f"the cycle a → a {BOUND}"}
    assert doubts(a=[error, to("a", when="x")]) == {}
    assert doubts(a=[to("a", on="error")]) == {}


def test_a_large_graph_is_checked_once_over() -> None:
    """Taking one node a round out of a long chain would take a round a node."""
    last = BOUNDS.nodes - 1
    chain: dict[str, Any] = {f"n{n}": [f"n{n + 1}"] for n in range(last)}
    chain |= {
        f"n{n}": [*(to(f"n{n + 1}", max=9) for _ in range(90)), f"n{n + 1}"] for n in range(50)
    }
    assert doubts("n0", **chain, **{f"n{last}": None}) == {}
    ring = doubts("n0", **chain, **{f"n{last}": "n0"})
    assert list(ring) == ["/nodes/n0"]


@given(
    st.dictionaries(
        st.sampled_from("abcd"),
        st.lists(
            st.tuples(st.sampled_from(["a", "b", "c", "d", "$end"]), st.booleans()), max_size=3
        ),
        min_size=4,
    )
)
def test_no_bound_is_said_to_be_missing_exactly_when_no_walk_can_end(
    ways: dict[str, list[tuple[str, bool]]],
) -> None:
    """A walk takes any edge with a condition, or the first without one; it ends where there is none."""
    nodes: dict[str, Any] = {
        name: [to(target, when="x") if asked else to(target) for target, asked in edges]
        for name, edges in ways.items()
    }

    def steps(name: str) -> set[str]:
        found = set()
        for target, asked in ways[name]:
            found.add(target)
            if not asked:
                return found
        return {*found, "$end"}

    def can_end(name: str) -> bool:
        seen, waiting = set(), [name]
        while waiting:
            now = waiting.pop()
            if now == "$end":
                return True
            if now not in seen:
                seen.add(now)
                waiting += steps(now)
        return False

    warned = any("has no bound" in detail for detail in doubts(**nodes).values())
    assert warned is not all(can_end(name) for name in ways)


def fork(*targets: str, join: str) -> dict[str, Any]:
    return {"to": list(targets), "join": join}


def test_a_fork_leads_to_its_branches_and_to_its_join() -> None:
    assert doubts(a=fork("b", "c", join="d"), b="$end", c=None, d=None) == {}
    assert doubts(a=fork("b", join="d"), b=None, c=None, d=None) == {"/nodes/c": UNREACHABLE}


def test_an_edge_behind_a_fork_that_is_always_taken_is_hidden() -> None:
    forked = [fork("b", join="d"), "d"]
    assert doubts(a=forked, b="d", d=None) == {"/nodes/a/next/1": HIDDEN}


def test_a_cycle_through_a_fork_goes_by_its_join() -> None:
    assert doubts(a=fork("b", join="d"), b="d", d="a") == {
        "/nodes/a": f"the cycle a → d → a {BOUND}"
    }
    assert doubts(a=fork("b", join="d"), b="d", d=[to("a", max=3)]) == {}


def test_a_cycle_within_a_branch_is_named() -> None:
    branch = [to("d", when="x"), to("c")]
    assert doubts(a=fork("b", join="d"), b=branch, c="c", d=None) == {
        "/nodes/c": f"the cycle c → c {BOUND}"
    }


def test_a_cycle_within_a_branch_that_leads_out_to_the_join_is_bounded() -> None:
    """Also where what comes behind the join never ends: that is no matter of the branch."""
    branch = [to("d", when="x"), to("b")]
    assert doubts(a=fork("b", join="d"), b=branch, d="a") == {
        "/nodes/a": f"the cycle a → d → a {BOUND}"
    }
