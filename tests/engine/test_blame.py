"""Who last wrote each part of a state."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as hy
from msgspec import Raw

import stenograph as st
from stenograph.engine.audit.blame_trees import SOURCES_MAX, Mark, Writer, joined, same
from stenograph.engine.audit.blame_view import ENTRIES_MAX
from stenograph.engine.core.events import (
    BranchEnded,
    Event,
    NodeEntered,
    NodeExited,
    Payload,
    RunCreated,
    RunLimits,
    StatePatched,
)
from stenograph.engine.state.patch import patch_key
from tests.audited import NAMES, blame, history, nodes, ran, states
from tests.graphs import SAMPLES, Sample, calling, chain, mapped, one

ABSENT = object()
ALONE = b'{"start":"a","nodes":{"a":{}}}'
values = hy.recursive(
    hy.none() | hy.booleans() | hy.integers(0, 2) | hy.sampled_from(["x", 1.0]),
    lambda inner: (
        hy.lists(inner, max_size=4) | hy.dictionaries(hy.sampled_from("abc/~"), inner, max_size=3)
    ),
    max_leaves=8,
)
state_values = hy.dictionaries(hy.sampled_from(["k", "l", "m/n"]), values, max_size=3)


def at_path(state: Any, path: str) -> Any:
    for key in (each.replace("~1", "/").replace("~0", "~") for each in path.split("/")[1:]):
        if isinstance(state, list) and key.isdigit() and int(key) < len(state):
            state = state[int(key)]
        elif isinstance(state, dict) and key in state:
            state = state[key]
        else:
            return ABSENT
    return state


def check_blame(events: list[Event]) -> None:
    """Each writer has written what is there, and it was not there before."""
    then = states(events)
    found = blame(events)
    assert {each.path for each in found.items if each.path.count("/") == 1} >= {
        "/" + key.replace("~", "~0").replace("/", "~1") for key in then[-1] or {}
    }
    for each in found.items:
        value = at_path(then[-1], each.path)
        assert same(at_path(then[each.by.seq], each.path), value), each
        before = at_path(then[each.by.seq - 1], each.path)
        assert before is ABSENT or not same(before, value), each
        assert all(source.seq < each.by.seq for source in each.sources)


@pytest.mark.parametrize("name", NAMES)
async def test_a_writer_wrote_what_is_there_and_was_not_before(name: str) -> None:
    events = await history(SAMPLES[name])
    for seq in {1, len(events) // 3, len(events) // 2, len(events)} - {0}:
        check_blame(events[:seq])


def written(history: Sequence[dict[str, Any]]) -> list[Event]:
    """Return the events of a run whose one node leaves each of these states in turn."""
    first = msgspec.json.encode(history[0])
    created = RunCreated(
        graph_id="g",
        version="v",
        graph=Raw(ALONE),
        state=Raw(first),
        limits=RunLimits(9),
        actor="me",
    )
    payloads: list[Payload] = [created]
    for visit, (old, new) in enumerate(pairwise(history), 1):
        place: dict[str, Any] = {"scope": "/", "node": "a", "visit": visit, "attempt": 1}
        payloads += [NodeEntered(**place), NodeExited(**place, outcome="ok", duration_ms=0)]
        patch = [
            op
            for key in dict.fromkeys([*old, *new])
            for op in patch_key(
                key, *(msgspec.json.encode(s[key]) if key in s else None for s in (old, new))
            )
        ]
        if patch:
            payloads.append(StatePatched(**place, patch=tuple(patch)))
    return [
        Event(seq, "r", seq, "", type(data).TYPE, data, "") for seq, data in enumerate(payloads, 1)
    ]


@given(hy.lists(state_values, min_size=1, max_size=8))
def test_whatever_states_follow_one_another_the_writers_are_found(
    history: list[dict[str, Any]],
) -> None:
    check_blame(written(history))


def lines(events: list[Event], path: str = "", scope: str = "/") -> dict[str, Any]:
    """Return the last writer of each path, as node and seq of this state and of the first makers."""
    return {
        each.path: (each.by.seq, [(w.scope, w.node or w.actor) for w in each.sources])
        for each in blame(events, path, scope).items
    }


def test_what_did_not_change_in_an_object_that_was_replaced_keeps_its_writer() -> None:
    events = written([{"a": {"x": 1, "y": [1, 2]}}, {"a": {"x": 2, "y": [1, 2]}}])
    assert lines(events) == {"/a": (4, []), "/a/y": (1, [])}
    assert lines(events, "/a/y") == {"/a/y": (1, [])}
    assert lines(events, "/a/y/1") == {"/a/y/1": (1, [])}
    assert lines(events, "/a/x") == {"/a/x": (4, [])}


def test_each_item_of_a_list_that_grew_has_its_writer() -> None:
    events = written([{"l": [0]}, {"l": [0, 1]}, {"l": [0, 1, 2]}])
    assert lines(events) == {"/l": (7, []), "/l/0": (1, []), "/l/1": (4, [])}


def test_a_state_that_a_run_begins_with_is_its_starters() -> None:
    [entry] = blame(written([{"a": 1}])).items
    assert (entry.by.type, entry.by.actor, entry.value) == ("run.created", "me", 1)


REDUCED: list[tuple[str | None, Any, Any, Any, dict[str, Any]]] = [
    (None, ABSENT, 5, 5, {"/k": ["a", "b"]}),
    ("replace", 0, 5, 6, {"/k": ["b"]}),
    ("add", 1, 5, 6, {"/k": ["a", "b"]}),
    ("max", 1, 5, 6, {"/k": ["b"]}),
    ("min", 9, 5, 6, {"/k": ["a"]}),
    ("append", [0], 5, 6, {"/k": ["a", "b"], "/k/0": [], "/k/1": ["a"], "/k/2": ["b"]}),
    ("concat", [0], [5], [6], {"/k": ["a", "b"], "/k/0": [], "/k/1": ["a"], "/k/2": ["b"]}),
    ("concat", ABSENT, [5], [6], {"/k": ["a", "b"], "/k/0": ["a"], "/k/1": ["b"]}),
    ("union", [0], [5], [0, 6], {"/k": ["a", "b"], "/k/0": [], "/k/1": ["a"], "/k/2": ["b"]}),
    ("union", [0, 0], [5], [5], {"/k": ["a", "b"], "/k/0": []}),
    ("merge", {"o": 1}, {"x": 1}, {"y": 1},
     {"/k": ["a", "b"], "/k/o": [], "/k/x": ["a"], "/k/y": ["b"]}),
    ("merge", {"o": 1}, {"x": {"z": 1}}, {"x": {"y": 1}},
     {"/k": ["a", "b"], "/k/o": [], "/k/x/z": ["a"], "/k/x/y": ["b"]}),
]  # fmt: skip


@pytest.mark.parametrize(("reducer", "old", "one", "other", "expected"), REDUCED)
async def test_what_branches_bring_is_traced_to_them(
    reducer: str | None, old: Any, one: Any, other: Any, expected: dict[str, Any]
) -> None:
    keys = {} if reducer is None else {"state": {"k": {"reducer": reducer}}}
    graph = nodes("a", "b", a={"k": one}, b={"k": other}, **keys)
    events = await ran(graph, {} if old is ABSENT else {"k": old})
    check_blame(events)
    found = {path: [node for _, node in first] for path, (_, first) in lines(events).items()}
    assert found == expected


async def test_a_removal_by_all_branches_leaves_nothing_to_blame() -> None:
    graph = nodes("a", "b", a={}, b={})
    for name in "ab":
        graph["nodes"][name] = {"tool": "forget", "config": {"keys": ["k"]}}
    assert lines(await ran(graph, {"k": 1, "l": 2})) == {"/l": (1, [])}


async def test_what_a_collecting_fork_says_of_failures_is_by_those_who_failed() -> None:
    found = lines(await history(SAMPLES["map that collects"]), "/errors")
    assert found["/errors"][1] == [("/split#1[0]/", "work"), ("/split#1[2]/", "work")]


async def test_an_item_of_a_map_is_by_who_wrote_the_list() -> None:
    events = await history(SAMPLES["map"])
    inside = next(each.seq for each in events if each.type == "branch.ended") - 1
    ended = events[inside].data
    assert isinstance(ended, BranchEnded)
    found = blame(events[:inside], scope=ended.scope)
    by = {each.path: each.by.type for each in found.items}
    assert by["/item"] == "run.created"
    assert by["/index"] == "fork.opened"
    assert by["/doubled"] == "state.patched"


SUBGRAPHS: list[tuple[dict[str, Any], dict[str, Any], dict[str, list[str]]]] = [
    ({"l": [1, 2]}, {}, {"/l": ["work"], "/l/0": []}),
    ({"l": [3]}, {"in": {}, "state": {"l": {"reducer": "concat"}}}, {"/l": ["work"], "/l/0": []}),
    ({"l": 3}, {"in": {}, "state": {"l": {"reducer": "append"}}}, {"/l": ["work"], "/l/0": []}),
    ({"l": [3]}, {"in": {}, "state": {"l": {"reducer": "append"}}}, {"/l": ["work"], "/l/0": []}),
    ({"l": [7]}, {"state": {"l": {"reducer": "concat"}}}, {"/l": ["work"]}),
]


@pytest.mark.parametrize(("wrote", "options", "expected"), SUBGRAPHS)
async def test_what_a_sub_graph_brings_is_traced_into_it(
    wrote: dict[str, Any], options: dict[str, Any], expected: dict[str, list[str]]
) -> None:
    options = dict(options)
    keys = {"state": options.pop("state")} if "state" in options else {}
    child = {"id": "child", **one("write", config=wrote)}
    events = await history(Sample({**calling("child", **options), **keys}, {"l": [1]}, (child,)))
    check_blame(events)
    found = lines(events, "/l")
    assert {path: [node for _, node in first] for path, (_, first) in found.items()} == expected


async def test_parts_that_a_sub_graph_made_by_and_by_are_traced_one_by_one() -> None:
    writes = [{"o": {"a": 1, "b": 1}, "l": [[1]]}, {"o": {"a": 1, "b": 2}, "l": [[1, 2]]}]
    child = {"id": "child", **chain("write", "write")}
    for name, wrote in zip(child["nodes"], writes, strict=True):
        child["nodes"][name]["config"] = wrote
    events = await history(Sample(calling("child", **{"in": {}}), {}, (child,)))
    check_blame(events)
    found = {path: [node for _, node in first] for path, (_, first) in lines(events).items()}
    assert (found["/o"], found["/o/a"]) == (["write-1"], ["write-0"])
    assert (found["/l"], found["/l/0/0"]) == (["write-1"], ["write-0"])


async def test_a_branch_that_put_back_what_was_there_wrote_nothing() -> None:
    graph = nodes("a", "b", a={"k": 5}, b={"k": 1})
    graph["nodes"]["a"]["next"] = "back"
    graph["nodes"]["back"] = {"tool": "write", "config": {"k": 0}}
    events = await ran(graph, {"k": 0})
    assert lines(events)["/k"][1] == [("/split#1[1]/", "b")]


async def test_what_was_done_in_a_branch_that_failed_is_nobodys() -> None:
    graph = mapped("double", on_error="collect")
    graph["nodes"]["work"] = {"graph": "child"}
    child = {"id": "child", **chain("count", "always_fail")}
    events = await history(Sample(graph, {"items": [1, 2]}, (child,)))
    check_blame(events)
    assert {path for path in lines(events) if path.count("/") == 1} == {
        "/items",
        "/errors",
        "/notes",
    }


async def test_a_sub_graph_is_given_the_blame_of_what_it_is_given() -> None:
    child = {"id": "child", **chain("count", "count")}
    graph = calling("child", **{"in": {"n": "deep.m", "whole": "a.b"}})
    state = {"deep": {"m": 4}, "a.b": 1}
    events = await history(Sample(graph, state, (child,)))
    inside = next(each.seq for each in events if each.type == "node.entered" and each.seq > 2)
    assert lines(events[:inside], scope="/call#1/") == {"/n": (1, []), "/whole": (1, [])}


async def test_what_a_signal_brought_is_by_who_gave_it() -> None:
    found = lines(await history(SAMPLES["signal"]), "/go")
    assert found["/go"][1] == [("", "engine")]


async def test_what_was_said_to_have_happened_is_by_who_said_so() -> None:
    from tests.stage import Stage

    stage = Stage()
    await stage.open()
    await stage.engine.start(chain("once"), run_id="r")
    await stage.settle()
    await stage.restart(crash=True)
    await stage.engine.resume("r", result={"charged": True}, actor="ann")
    await stage.settle()
    found = await stage.engine.blame("r", "/charged")
    await stage.close()
    [entry] = found.items
    assert (entry.by.node, [each.actor for each in entry.sources]) == ("once-0", ["ann"])


def test_many_first_makers_are_counted() -> None:
    writers = [Writer(run_id="r", seq=seq, type="t", at="") for seq in range(1, 151)]
    mark = joined(Mark(writers[-1]), map(Mark, writers))
    assert (len(mark.sources), mark.more) == (SOURCES_MAX, 50)
    assert joined(mark, [mark, mark]).more == 100


def test_many_entries_are_counted() -> None:
    state = {f"k{number}": number for number in range(ENTRIES_MAX + 7)}
    found = blame(written([state]))
    assert (len(found.items), found.more) == (ENTRIES_MAX, 7)


@pytest.mark.parametrize(
    "path", ["/nothing", "/l/9", "/l/x", "/l/-", "/l/00", "/a/nothing", "/n/deeper", "a"]
)
async def test_a_path_to_nothing_is_refused(path: str) -> None:
    with pytest.raises(st.PathNotFound, match="has nothing at"):
        blame(written([{"a": {}, "l": [1], "n": 1}]), path)


async def test_a_scope_that_is_not_open_is_refused() -> None:
    with pytest.raises(st.ScopeNotFound, match="no scope '/split#1"):
        blame(await history(SAMPLES["map"]), "", "/split#1[0]/")
