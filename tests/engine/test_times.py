"""Times as records write them, and the clocks that tell them."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph.engine.clock import SystemClock
from stenograph.engine.times import to_text, to_us
from tests.clocks import START_US, VirtualClock

YEAR_9999_US = 253_402_300_799_999_999
YEAR_1_US = -62_135_596_800_000_000


def test_a_time_is_written_in_utc_to_the_microsecond() -> None:
    assert to_text(0) == "1970-01-01T00:00:00.000000Z"
    assert to_text(1_795_215_301_123_456) == "2026-11-20T22:55:01.123456Z"
    assert to_text(YEAR_1_US) == "0001-01-01T00:00:00.000000Z"


@given(st.integers(YEAR_1_US, YEAR_9999_US))
def test_a_time_is_read_as_it_was_written(at_us: int) -> None:
    text = to_text(at_us)
    assert to_us(text) == at_us
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text)
    assert datetime.fromisoformat(text).tzinfo is UTC


@given(st.integers(YEAR_1_US, YEAR_9999_US), st.integers(YEAR_1_US, YEAR_9999_US))
def test_times_sort_as_texts(one: int, other: int) -> None:
    assert (to_text(one) < to_text(other)) is (one < other)


def test_another_zone_is_the_same_moment() -> None:
    assert to_us("2026-11-20T23:55:01.123456+01:00") == to_us("2026-11-20T22:55:01.123456Z")


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01T00:00:00Z"])
def test_what_is_no_time_raises_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|month"):
        to_us(text)


def test_a_time_without_a_zone_raises_one_too() -> None:
    with pytest.raises(ValueError, match="'2026-01-01T00:00:00' has no zone; end it with Z"):
        to_us("2026-01-01T00:00:00")


async def test_the_system_clock_tells_the_time_and_calls_later() -> None:
    clock, called, cancelled = SystemClock(), asyncio.Event(), asyncio.Event()
    now = datetime.now(UTC)
    assert abs(to_us(now.isoformat()) - clock.now_us()) < 60_000_000
    before = clock.monotonic_us()
    clock.call_later(0.001, called.set)
    clock.call_later(0.001, cancelled.set).cancel()
    await asyncio.wait_for(called.wait(), 30)
    await asyncio.sleep(0.005)
    assert not cancelled.is_set()
    assert clock.monotonic_us() > before


def test_a_virtual_clock_moves_when_it_is_moved() -> None:
    clock, order = VirtualClock(), list[tuple[str, int]]()

    def note(what: str) -> None:
        order.append((what, clock.now_us() - START_US))

    def add() -> None:
        clock.call_later(0.5, lambda: note("added"))

    clock.call_later(2, lambda: note("second"))
    clock.call_later(1, add)
    clock.call_later(1, lambda: note("first"))
    gone = clock.call_later(1, lambda: note("never"))
    gone.cancel()
    gone.cancel()
    clock.advance(0.5)
    assert order == []
    clock.advance(2.5)
    assert order == [("first", 1_000_000), ("added", 1_500_000), ("second", 2_000_000)]
    assert clock.now_us() - START_US == 3_000_000


def test_setting_a_virtual_clock_back_brings_no_timer_nearer() -> None:
    clock, order = VirtualClock(), list[str]()
    clock.call_later(1, lambda: order.append("due"))
    clock.step(-3600)
    assert clock.now_us() == START_US - 3_600_000_000
    clock.advance(0.9)
    assert order == []
    clock.advance(0.1)
    assert order == ["due"]


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_time_that_utc_has_no_year_for_raises_one_as_well(text: str) -> None:
    with pytest.raises(ValueError, match="is not in the years 1 to 9999 of UTC"):
        to_us(text)
