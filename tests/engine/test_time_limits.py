"""Time limits: many of one length, and one timer of the loop for them all."""

from __future__ import annotations

from collections.abc import Callable

from stenograph.engine.executor.time_limits import TimeLimits
from tests.clocks import VirtualClock


class Late:
    """What notes who is late, and when."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.limits = TimeLimits(self.clock)
        self.began_us = self.clock.now_us()
        self.names: list[tuple[str, float]] = []

    def is_late(self, name: str) -> Callable[[], None]:
        return lambda: self.names.append((name, (self.clock.now_us() - self.began_us) / 1_000_000))


def test_each_is_late_when_its_own_time_is_up() -> None:
    late = Late()
    for name, seconds in (("a", 5), ("b", 2), ("c", 5)):
        late.limits.set(seconds, late.is_late(name))
        late.clock.advance(1)
    late.clock.advance(60)
    assert late.names == [("b", 3), ("a", 5), ("c", 7)]
    assert late.clock.timers == []


def test_those_of_one_length_take_one_timer_together() -> None:
    late = Late()
    for _ in range(100):
        late.limits.set(5, late.is_late("a"))
    assert len(late.clock.timers) == 1


def test_who_is_done_before_is_not_late() -> None:
    late = Late()
    done = late.limits.set(5, late.is_late("a"))
    late.limits.set(5, late.is_late("b"))
    done.cancel()
    done.cancel()
    late.clock.advance(60)
    assert late.names == [("b", 5)]


def test_without_a_limit_there_is_no_timer() -> None:
    late = Late()
    limits = [late.limits.set(5, late.is_late("a")) for _ in range(3)]
    for limit in limits:
        limit.cancel()
    assert late.clock.timers == []


def test_another_may_be_set_by_who_is_late() -> None:
    late = Late()

    def again() -> None:
        late.limits.set(5, late.is_late("again"))

    late.limits.set(5, again)
    late.clock.advance(60)
    assert late.names == [("again", 10)]


def test_nobody_is_late_once_they_are_closed() -> None:
    late = Late()
    late.limits.set(5, late.is_late("a"))
    late.limits.close()
    late.clock.advance(60)
    assert (late.names, late.clock.timers) == ([], [])
