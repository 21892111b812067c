"""What comes of a fork does not depend on which branch is done first."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from stenograph.engine.core.events import Event, encode_payload
from tests.stage import held, staged

Choose = Callable[[list[str]], str]
REDUCERS = {"log": "concat", "seen": "append", "total": "add", "go": "append"}


class Fork(Struct, frozen=True):
    """A graph that forks, its first state, and what each of its tools returns, by its place."""

    nodes: dict[str, Any]
    state: dict[str, Any] = {}
    graphs: tuple[dict[str, Any], ...] = ()
    answer: Callable[[str], Mapping[str, Any] | Exception] = lambda name: {"log": [name]}
    status: str = "completed"


class Told(Struct, frozen=True):
    """What came of a run: its state, and scope by scope what happened there."""

    status: str
    state: bytes
    joined: list[bytes]
    scopes: dict[str, list[bytes]]


def split(*names: str, **edge: Any) -> dict[str, Any]:
    """Return a router that forks to nodes, or maps its one over ``items``."""
    to: dict[str, Any] = {"to": list(names)}
    if len(names) == 1:
        to = {"to": names[0], "each": "items"}
    return {"next": {**to, "join": "after", **edge}}


def by_item(name: str) -> Mapping[str, Any]:
    """Return what differs by place, for every reducer."""
    number = sum(map(ord, name)) % 7
    return {"log": [name, number], "seen": name, "total": number}


def one_fails(name: str) -> Mapping[str, Any] | Exception:
    """Fail in the second branch, and return what differs by place in the others."""
    return ValueError("the second") if "[1]" in name else by_item(name)


ITEMS = {"items": [3, 1, 2, 0]}
BEGUN = {"log": ["first"], "seen": [0], "total": 10}
CHILD = {"id": "child", "start": "x", "nodes": {"x": held(next="y"), "y": held()},
         "state": {key: {"reducer": reducer} for key, reducer in REDUCERS.items()}}  # fmt: skip
ROWS = {"rows": [[1, 2], [3], [4, 5, 6]]}

FORKS = {
    "static": Fork({"s": split("a", "b", "c"), "a": held(), "b": held(), "c": held()}, BEGUN,
                   answer=by_item),
    "static, from nothing": Fork({"s": split("a", "b"), "a": held(), "b": held()}, answer=by_item),
    "own keys": Fork({"s": split("a", "b", "c"), "a": held(), "b": held(), "c": held()},
                     answer=lambda name: {f"of-{name[-5]}": [1], f"too-{name[-5]}": 2}),
    "equal values": Fork({"s": split("a", "b"), "a": held(), "b": held()},
                         answer=lambda name: {"same": {"x": [1]}}),
    "longer branches": Fork({"s": split("a", "b"), "a": held(next="a2"), "a2": held(), "b": held()},
                            BEGUN, answer=by_item),
    "map": Fork({"s": split("a"), "a": held()}, {**ITEMS, **BEGUN}, answer=by_item),
    "map to two nodes": Fork({"s": split("a"), "a": held(next="b"), "b": held()}, ITEMS,
                             answer=by_item),
    "collect": Fork({"s": split("a", on_error="collect"), "a": held()}, {**ITEMS, **BEGUN},
                    answer=one_fails),
    "collect statically": Fork({"s": split("a", "b", "c", on_error="collect"), "a": held(),
                                "b": held(), "c": held()}, answer=one_fails),
    "nested": Fork(
        {
            "s": {"next": {"each": "rows", "as": "row", "to": "t", "join": "after"}},
            "t": {"next": {"each": "row", "to": "a", "join": "sum"}},
            "a": held(),
            "sum": held(),
        },
        {**ROWS, **BEGUN},
        answer=by_item,
    ),
    "sub-graphs": Fork({"s": split("a"), "a": {"graph": "child"}}, {**ITEMS, **BEGUN}, (CHILD,),
                       answer=by_item),
    "sub-graphs of some keys": Fork(
        {"s": split("a"), "a": {"graph": "child", "in": {"log": "log"}, "out": ["log", "total"]}},
        {**ITEMS, **BEGUN}, (CHILD,), answer=by_item),
    "conflict": Fork({"s": split("a", "b"), "a": held(), "b": held()},
                     answer=lambda name: {"x": name}, status="failed"),
}  # fmt: skip


async def told(fork: Fork, choose: Choose) -> Told:
    """Run a fork, letting its tools go one by one as chosen of those under way."""
    graph = {
        "id": "g",
        "start": "s",
        "nodes": {**fork.nodes, "after": held()},
        "state": {key: {"reducer": reducer} for key, reducer in REDUCERS.items()},
    }
    async with staged() as stage:
        for each in (*fork.graphs, graph):
            await stage.engine.create_graph(each)
        await stage.engine.start("g", fork.state, run_id="run")
        await stage.settle()
        while stage.held:
            name = choose(sorted(stage.held, key=natural))
            answer = fork.answer(name)
            if isinstance(answer, Exception):
                await stage.fail(name, answer)
            else:
                await stage.finish(name, answer)
        view = await stage.engine.get("run")
        events = await stage.events()
        scopes: dict[str, list[bytes]] = {}
        for event in events:
            scopes.setdefault(scope_of(event), []).append(line_of(event))
        joined = [line_of(each) for each in events if each.type == "fork.joined"]
        return Told(view.status, view.state_json, sorted(joined), scopes)


def natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers by their value."""
    parts = name.replace("[", " ").replace("]", " ").split()
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def scope_of(event: Event) -> str:
    return getattr(event.data, "scope", "/")


def line_of(event: Event) -> bytes:
    """Return what happened, but for where in the history it stands."""
    return re.sub(rb"\(event \d+\)", b"", event.type.encode() + encode_payload(event.data))


def first(names: list[str]) -> str:
    return names[0]


def last(names: list[str]) -> str:
    return names[-1]


@pytest.mark.parametrize("name", FORKS)
async def test_branches_that_end_in_reverse_tell_the_same(name: str) -> None:
    fork = FORKS[name]
    in_order = await told(fork, first)
    assert in_order.status == fork.status
    assert in_order.scopes.keys() > {"/"}
    assert await told(fork, last) == in_order


@pytest.mark.parametrize("name", FORKS)
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1 << 30))
async def test_branches_that_end_in_any_order_tell_the_same(name: str, seed: int) -> None:
    fork = FORKS[name]
    assert await told(fork, random.Random(seed).choice) == await told(fork, first)


@pytest.mark.parametrize("width", [1, 2, 3])
async def test_a_width_changes_no_result(width: int) -> None:
    wide, narrow = FORKS["map"], {"s": split("a", width=width), "a": held()}
    kept = Fork(narrow, wide.state, answer=wide.answer)
    for choose in (first, last):
        assert (await told(kept, choose)).state == (await told(wide, first)).state


@pytest.mark.parametrize("need", [1, 2, 3])
@pytest.mark.parametrize("choose", [first, last])
async def test_those_who_arrived_are_joined_in_the_order_of_branches(
    need: int, choose: Choose
) -> None:
    fork = Fork({"s": split("a", need=need), "a": held()}, ITEMS)
    ended = await told(fork, choose)
    arrived = range(need) if choose is first else range(4 - need, 4)
    names = [f'"run/s#1[{index}]/a#1.1"' for index in arrived]
    assert f'"log":[{",".join(names)},"run/after#1.1"]' in ended.state.decode()


async def test_branches_begin_in_their_order() -> None:
    async with staged() as stage:
        graph = {"start": "s", "nodes": {"s": split("a"), "a": held(), "after": {}}}
        await stage.engine.start(graph, {"items": list(range(12))}, run_id="run")
        await stage.settle()
        assert stage.begun == [f"run/s#1[{index}]/a#1.1" for index in range(12)]
