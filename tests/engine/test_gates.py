"""Gates: so many at once, so many in a time, in the order of their coming, by the clock alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stenograph.engine.executor.gates import Gates, Leave
from stenograph.engine.tools.tools import Tool, tool
from tests.clocks import VirtualClock


def work(state: dict[str, Any]) -> None: ...


class Crowd:
    """Those who want to pass; ``inside`` are the numbers of those who were let in, in order."""

    def __init__(self, **flow: Any) -> None:
        self.clock = VirtualClock()
        self.gates = Gates(self.clock)
        self.tool: Tool = tool(name="work", **flow)(work)
        self.inside: list[int] = []
        self.leave: list[Leave] = []

    def come(self, count: int = 1) -> None:
        for _ in range(count):
            number = len(self.leave)
            self.leave.append(self.gates.enter(self.tool, self.letting_in(number)))

    def letting_in(self, number: int) -> Callable[[], None]:
        return lambda: self.inside.append(number)


def test_a_tool_without_a_limit_has_no_gate() -> None:
    assert not Crowd().tool.is_gated
    assert Crowd(limit=1).tool.is_gated
    assert Crowd(rate=(1, 1)).tool.is_gated


def test_no_more_than_the_limit_are_inside_and_who_leaves_lets_the_next_in() -> None:
    crowd = Crowd(limit=2)
    crowd.come(5)
    assert crowd.inside == [0, 1]
    crowd.leave[1]()
    assert crowd.inside == [0, 1, 2]
    crowd.leave[0]()
    crowd.leave[2]()
    assert crowd.inside == [0, 1, 2, 3, 4]


def test_leaving_twice_makes_room_once() -> None:
    crowd = Crowd(limit=1)
    crowd.come(3)
    crowd.leave[0]()
    crowd.leave[0]()
    assert crowd.inside == [0, 1]


def test_who_gives_up_waiting_leaves_the_queue() -> None:
    crowd = Crowd(limit=1)
    crowd.come(3)
    crowd.leave[1]()
    assert crowd.inside == [0]
    crowd.leave[0]()
    assert crowd.inside == [0, 2]


def test_each_tool_has_a_gate_of_its_own() -> None:
    crowd = Crowd(limit=1)
    crowd.come()
    passed: list[str] = []
    other = tool(name="other", limit=1)(work)
    crowd.gates.enter(other, lambda: passed.append("other"))
    assert passed == ["other"]
    again = tool(name="work", limit=1)(work)
    crowd.gates.enter(again, lambda: passed.append("again"))
    assert passed == ["other"]


def test_a_rate_lets_so_many_start_in_a_time_however_soon_they_end() -> None:
    crowd = Crowd(rate=(2, 60))
    crowd.come()
    crowd.clock.advance(20)
    crowd.come(4)
    for leave in crowd.leave[:2]:
        leave()
    assert crowd.inside == [0, 1]
    crowd.clock.advance(39.999)
    assert crowd.inside == [0, 1]
    crowd.clock.advance(0.001)
    assert crowd.inside == [0, 1, 2]
    crowd.clock.advance(20)
    assert crowd.inside == [0, 1, 2, 3]
    crowd.clock.advance(40)
    assert crowd.inside == [0, 1, 2, 3, 4]
    assert crowd.clock.timers == []


def test_a_rate_and_a_limit_hold_both() -> None:
    crowd = Crowd(limit=1, rate=(1, 10))
    crowd.come(3)
    crowd.clock.advance(60)
    assert crowd.inside == [0]
    crowd.leave[0]()
    assert crowd.inside == [0, 1]
    crowd.leave[1]()
    assert crowd.inside == [0, 1]
    crowd.clock.advance(10)
    assert crowd.inside == [0, 1, 2]


def test_a_timer_that_comes_too_early_waits_on() -> None:
    crowd = Crowd(rate=(1, 10))
    crowd.come(2)
    (timer,) = crowd.clock.timers
    timer.fire()
    assert crowd.inside == [0]
    crowd.clock.advance(10)
    assert crowd.inside == [0, 1]


def test_setting_the_clock_on_lets_nobody_in() -> None:
    crowd = Crowd(rate=(1, 10))
    crowd.come(2)
    crowd.clock.step(3600)
    crowd.come()
    assert crowd.inside == [0]


def test_when_the_last_who_waits_gives_up_no_timer_is_left() -> None:
    crowd = Crowd(rate=(1, 10))
    crowd.come(2)
    assert len(crowd.clock.timers) == 1
    crowd.leave[1]()
    assert crowd.clock.timers == []
    crowd.clock.advance(60)
    assert crowd.inside == [0]


@given(
    limit=some.integers(1, 3),
    rate=some.tuples(some.integers(1, 3), some.integers(1, 5)),
    steps=some.lists(some.sampled_from(["come", "wait", "leave"]), max_size=60),
)
def test_limit_and_rate_hold_and_whoever_may_go_goes_in_order(
    limit: int, rate: tuple[int, int], steps: list[str]
) -> None:
    crowd = Crowd(limit=limit, rate=rate)
    starts: list[int] = []
    gone: set[int] = set()
    for step in steps:
        if step == "come":
            crowd.come()
        elif step == "wait":
            crowd.clock.advance(1)
        elif inside := [each for each in crowd.inside if each not in gone]:
            gone.add(inside[0])
            crowd.leave[inside[0]]()
        now = crowd.clock.monotonic_us()
        starts += [now] * (len(crowd.inside) - len(starts))
        in_time = [each for each in starts if each > now - rate[1] * 1_000_000]
        inside_now = len(crowd.inside) - len(gone)
        assert inside_now <= limit
        assert len(in_time) <= rate[0]
        waiting = len(crowd.leave) - len(crowd.inside)
        assert not waiting or inside_now == limit or len(in_time) == rate[0]
    assert crowd.inside == list(range(len(crowd.inside)))


@pytest.mark.parametrize("seconds", [0.1, 1 / 3, 1e-6, 2_000_000.7])
def test_a_time_is_never_cut_short(seconds: float) -> None:
    crowd = Crowd(rate=(1, seconds))
    crowd.come(2)
    crowd.clock.advance(seconds - 1e-6)
    assert crowd.inside == [0]
    crowd.clock.advance(2e-6)
    assert crowd.inside == [0, 1]
