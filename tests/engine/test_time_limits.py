"""Time limits: many of one length, and one timer of the loop for them all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

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
    done = late.is_late("a")
    line = late.limits.set(5, done)
    late.limits.set(5, late.is_late("b"))
    line.lift(done)
    line.lift(done)
    late.clock.advance(60)
    assert late.names == [("b", 5)]


def test_however_many_come_and_go_one_timer_is_set_and_it_ends_when_it_finds_none() -> None:
    late = Late()
    for _ in range(100):
        is_late = late.is_late("a")
        late.limits.set(5, is_late).lift(is_late)
    assert len(late.clock.timers) == 1
    late.clock.advance(5)
    assert (late.names, late.clock.timers) == ([], [])


def test_of_many_lengths_without_limits_one_keeps_its_timer() -> None:
    late = Late()
    for seconds in (*range(1, 100), *range(1, 100)):
        is_late = late.is_late("a")
        late.limits.set(seconds, is_late).lift(is_late)
    assert len(late.clock.timers) == 1


def test_a_length_that_is_in_use_again_keeps_its_timer() -> None:
    late = Late()
    done = late.is_late("a")
    late.limits.set(5, done).lift(done)
    late.limits.set(5, late.is_late("b"))
    late.limits.set(9, done).lift(done)
    late.clock.advance(60)
    assert (late.names, late.clock.timers) == ([("b", 5)], [])


def test_a_length_whose_timer_found_none_begins_anew() -> None:
    late = Late()
    done = late.is_late("a")
    late.limits.set(5, done).lift(done)
    late.clock.advance(5)
    late.limits.set(5, late.is_late("b"))
    late.limits.set(9, done).lift(done)
    late.limits.set(5, late.is_late("c"))
    late.clock.advance(60)
    assert (late.names, late.clock.timers) == ([("b", 10), ("c", 10)], [])


def test_one_that_is_set_after_the_last_was_lifted_has_its_whole_time() -> None:
    late = Late()
    done = late.is_late("a")
    late.limits.set(5, done).lift(done)
    late.clock.advance(3)
    late.limits.set(5, late.is_late("b"))
    late.clock.advance(60)
    assert (late.names, late.clock.timers) == ([("b", 8)], [])


def test_another_may_be_set_by_who_is_late() -> None:
    late = Late()

    def again() -> None:
        late.limits.set(5, late.is_late("again"))

    late.limits.set(5, again)
    late.clock.advance(60)
    assert late.names == [("again", 10)]


def test_the_time_of_others_counts_on_when_who_is_late_raises(
    caplog: pytest.LogCaptureFixture,
) -> None:
    late = Late()

    def fail() -> None:
        raise RuntimeError("cannot stop")

    late.limits.set(5, fail)
    late.limits.set(5, late.is_late("a"))
    late.clock.advance(3)
    late.limits.set(5, late.is_late("b"))
    late.clock.advance(60)
    assert (late.names, late.clock.timers) == ([("a", 5), ("b", 8)], [])
    assert "cannot stop" in caplog.text


def test_who_is_late_may_close_them() -> None:
    late = Late()
    late.limits.set(5, late.limits.close)
    late.limits.set(5, late.is_late("a"))
    late.clock.advance(60)
    assert (late.names, late.clock.timers) == ([], [])


def test_nobody_is_late_once_they_are_closed() -> None:
    late = Late()
    late.limits.set(5, late.is_late("a"))
    late.limits.close()
    late.clock.advance(60)
    assert (late.names, late.clock.timers) == ([], [])
