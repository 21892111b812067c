"""Alarms: one timer for all runs that have something due."""

from __future__ import annotations

from stenograph.engine.executor.alarms import Alarms
from stenograph.engine.times import to_text
from tests.clocks import VirtualClock


def test_an_earlier_alarm_that_is_set_later_rings_first() -> None:
    clock, rung = VirtualClock(), list[str]()
    alarms = Alarms(clock, rung.append)
    for name, seconds in (("late", 9), ("early", 3), ("gone", 4)):
        alarms.set(name, to_text(clock.now_us() + seconds * 1_000_000))
        assert len(clock.timers) == 1
    alarms.clear("gone")
    clock.advance(5)
    assert rung == ["early"]
    clock.advance(5)
    assert (rung, clock.timers) == (["early", "late"], [])
