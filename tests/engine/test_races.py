"""Cancel, time-out, completion and join racing each other: in every order the run ends once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from itertools import permutations
from typing import Any

import pytest

from stenograph.engine import Limits, RunFinished
from stenograph.engine.core.events import TERMINAL, BranchEnded, NodeExited
from tests.stage import Stage, held, staged

Move = Callable[[Stage], None]
TIMEOUT_S = 60


def returns(branch: str) -> Move:
    """Have the tool of a branch return, if it is still under way."""

    def move(stage: Stage) -> None:
        for name, future in stage.held.items():
            if name.endswith(f"/{branch}#1.1") and not future.done():
                future.set_result({branch: 1})

    return move


def raises(branch: str) -> Move:
    """Have the tool of a branch raise, if it is still under way."""

    def move(stage: Stage) -> None:
        for name, future in stage.held.items():
            if name.endswith(f"/{branch}#1.1") and not future.done():
                future.set_exception(OSError("it broke"))

    return move


def time_passes(stage: Stage) -> None:
    """Have every time-out and timer come due."""
    stage.clock.advance(TIMEOUT_S + 1)


def asks(verb: str, *args: Any) -> Move:
    """Ask something of the run; that it has ended by then is no fault."""

    def move(stage: Stage) -> None:
        async def ask() -> None:
            with suppress(RunFinished):
                await getattr(stage.engine, verb)("run", *args)

        stage.asking.append(asyncio.ensure_future(ask()))

    return move


def split(need: int, **nodes: dict[str, Any]) -> dict[str, Any]:
    """Return a graph that forks to nodes, and joins when so many have arrived."""
    fork = {"next": {"to": list(nodes), "join": "after", "need": need}}
    return {"start": "split", "nodes": {"split": fork, **nodes, "after": {}}}


async def race(graph: dict[str, Any], moves: tuple[Move, ...], ticks: int) -> Stage:
    """Run a graph through moves, so many ticks of the loop apart, and check how it ended."""
    async with staged() as stage:
        await stage.engine.start(graph, run_id="run")
        await stage.settle()
        for move in moves:
            move(stage)
            for _ in range(ticks):
                await asyncio.sleep(0)
        await stage.settle()
        await asyncio.gather(*stage.asking)
        await check(stage)
        return stage


async def check(stage: Stage) -> None:
    """See that the run ended once, that nothing followed, and that nothing runs or rings any more."""
    events = await stage.events()
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.seq for event in events if event.type in TERMINAL] == [len(events)]
    ends = [event.data.scope for event in events if isinstance(event.data, BranchEnded)]
    assert len(ends) == len(set(ends))
    exits = [
        (event.data.scope, event.data.node, event.data.visit)
        for event in events
        if isinstance(event.data, NodeExited)
    ]
    assert len(exits) == len(set(exits))
    assert (stage.held, stage.doubled) == ({}, [])  # what did not come back was stopped
    stage.clock.advance(1_000_000_000)  # what keeps the time of tools finds none
    assert (stage.engine._actors.active, stage.clock.timers) == ({}, [])


RACES: dict[str, tuple[dict[str, Any], dict[str, Move]]] = {
    "one node": (
        {"start": "a", "nodes": {"a": held(timeout_s=TIMEOUT_S)}},
        {"return": returns("a"), "time": time_passes, "cancel": asks("cancel")},
    ),
    "first of three": (
        split(1, a=held(timeout_s=TIMEOUT_S), b=held(), c=held()),
        {"a": returns("a"), "b": returns("b"), "time": time_passes, "cancel": asks("cancel")},
    ),
    "two of three": (
        split(2, a=held(), b=held(), c=held(timeout_s=TIMEOUT_S)),
        {"a": returns("a"), "b": raises("b"), "c": returns("c"), "cancel": asks("cancel")},
    ),
    "all of three": (
        split(3, a=held(), b=held(timeout_s=TIMEOUT_S), c=held()),
        {"a": returns("a"), "b": returns("b"), "c": raises("c"), "time": time_passes},
    ),
    "a wait among tools": (
        split(1, a=held(), w={"wait": {"signal": "go", "timeout_s": TIMEOUT_S}}),
        {"a": returns("a"), "signal": asks("signal", "go"), "time": time_passes,
         "cancel": asks("cancel")},
    ),
    "a fork within a fork": (
        {
            "start": "split",
            "nodes": {
                "split": {"next": {"to": ["inner", "b"], "join": "after", "need": 1}},
                "inner": {"next": {"to": ["a", "c"], "join": "sum", "need": 2}},
                "a": held(timeout_s=TIMEOUT_S),
                "c": held(),
                "sum": {},
                "b": held(),
                "after": {},
            },
        },
        {"a": returns("a"), "b": returns("b"), "c": returns("c"), "cancel": asks("cancel")},
    ),
}  # fmt: skip
ORDERS = [
    pytest.param(name, order, id=f"{name}: {', '.join(order)}")
    for name, (_, moves) in RACES.items()
    for order in permutations(moves)
]


@pytest.mark.parametrize("ticks", [0, 1, 2, 3, 5, 9])
@pytest.mark.parametrize(("name", "order"), ORDERS)
async def test_a_run_ends_once_whatever_comes_first(
    name: str, order: tuple[str, ...], ticks: int
) -> None:
    graph, moves = RACES[name]
    await race(graph, tuple(moves[each] for each in order), ticks)


@pytest.mark.parametrize("order", list(permutations("abc")))
async def test_the_first_to_arrive_stops_the_others(order: tuple[str, ...]) -> None:
    async with staged() as stage:
        await stage.engine.start(split(1, a=held(), b=held(), c=held()), run_id="run")
        await stage.settle()
        first, *rest = order
        returns(first)(stage)
        await stage.settle()
        await check(stage)
        assert {name[-5] for name in stage.stopped} == set(rest)
        assert (await stage.engine.get("run")).state == {first: 1}


@pytest.mark.parametrize("order", list(permutations("abc")))
async def test_a_branch_that_fails_stops_the_others(order: tuple[str, ...]) -> None:
    async with staged() as stage:
        await stage.engine.start(split(3, a=held(), b=held(), c=held()), run_id="run")
        await stage.settle()
        first, second, third = order
        returns(first)(stage)
        await stage.settle()
        raises(second)(stage)
        await stage.settle()
        await check(stage)
        assert {name[-5] for name in stage.stopped} == {third}
        assert await stage.status() == "failed"


@pytest.mark.parametrize("order", list(permutations(range(4))))
async def test_pause_retry_and_cancel_race_a_result(order: tuple[int, ...]) -> None:
    moves = (returns("a"), asks("pause"), asks("cancel"), raises("b"))
    async with staged() as stage:
        await stage.engine.start(split(2, a=held(), b=held()), run_id="run")
        await stage.settle()
        for index in order:
            moves[index](stage)
        await stage.settle()
        await asyncio.gather(*stage.asking)
        await check(stage)


async def test_a_sub_graph_that_failed_in_a_branch_is_not_timed_out_later() -> None:
    async with staged() as stage:
        await stage.engine.create_graph({"id": "child", "start": "x", "nodes": {"x": held()}})
        call = {"graph": "child", "timeout_s": TIMEOUT_S}
        await stage.engine.start(split(1, call=call, other=held()), run_id="run")
        await stage.settle()
        await stage.fail("run/split#1[0]/call#1/x#1.1")
        await stage.pass_time(2 * TIMEOUT_S)
        assert "timer.fired" not in await stage.types()
        returns("other")(stage)
        await stage.settle()
        await check(stage)
        assert await stage.status() == "completed"


async def test_a_retried_sub_graph_has_its_time_and_its_tries_anew() -> None:
    retry = {"attempts": 2, "delay_s": 0, "jitter": False}
    call = {"graph": "child", "timeout_s": TIMEOUT_S, "retry": retry}
    async with staged() as stage:
        await stage.engine.create_graph({"id": "child", "start": "x", "nodes": {"x": held()}})
        await stage.engine.start({"start": "call", "nodes": {"call": call}}, run_id="run")
        await stage.settle()
        for _ in range(2):
            await stage.fail(next(iter(stage.held)))
        assert await stage.status() == "failed"
        await stage.pass_time(2 * TIMEOUT_S)
        await stage.engine.retry("run")
        await stage.settle()
        assert await stage.status() == "running"
        await stage.fail(next(iter(stage.held)))
        assert await stage.status() == "running"
        await stage.pass_time(TIMEOUT_S - 1)
        await stage.finish(next(iter(stage.held)))
        assert await stage.status() == "completed"


@pytest.mark.parametrize("interruption", ["pause", "time"])
async def test_an_effect_that_may_have_been_is_never_had_twice_unasked(interruption: str) -> None:
    limits = {"time_s": 5} if interruption == "time" else {}
    graph = {"start": "a", "nodes": {"a": held(tool="once")}, "limits": limits}
    async with staged() as stage:
        await stage.engine.start(graph, run_id="run")
        await stage.settle()
        if interruption == "pause":
            await stage.engine.pause("run")
            await stage.restart(crash=True)
        else:
            await stage.pass_time(6)
        await stage.engine.resume("run", limits=Limits(time_s=100))
        await stage.settle()
        view = await stage.engine.get("run")
        assert (view.status, view.reason) == ("parked", "effects-once")
        assert stage.begun == ["run/a#1.1"]
        await stage.engine.resume("run", result={"done": True})
        await stage.settle()
        assert (await stage.engine.get("run")).state == {"done": True}


async def test_each_effect_that_may_have_been_is_judged_by_itself() -> None:
    async with staged() as stage:
        nodes = {name: held(tool="once") for name in "ab"}
        await stage.engine.start(split(2, **nodes), run_id="run")
        await stage.settle()
        await stage.restart(crash=True)
        for name in "ab":
            assert (await stage.engine.get("run")).reason == "effects-once"
            await stage.engine.resume("run", result={name: 1})
            await stage.settle()
        view = await stage.engine.get("run")
        assert (view.status, view.state) == ("completed", {"a": 1, "b": 1})
        assert len(stage.begun) == 2
