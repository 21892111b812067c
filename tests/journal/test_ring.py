"""The ring of recent records: bounded, and never silent about what it no longer holds."""

from __future__ import annotations

import pytest

from stenograph.journal import Record
from stenograph.journal.ring import PAGES_MAX, Ring


def record(offset: int, run_id: str, seq: int, *, data: bytes = b"1") -> Record:
    return Record(offset, run_id, seq, "2026-11-20T22:55:01.123456Z", "note", data, "0" * 64)


A_AND_B = [record(1, "a", 1), record(2, "b", 1), record(5, "a", 2), record(6, "b", 2)]


def offsets(records: list[Record] | None) -> list[int] | None:
    return None if records is None else [each.offset for each in records]


def test_an_empty_ring_knows_of_nothing() -> None:
    assert Ring().recent(None, 0, 10) is None
    assert Ring().recent("a", 0, 10) is None


@pytest.mark.parametrize(
    ("after", "found"), [(0, [1, 2, 5, 6]), (1, [2, 5, 6]), (3, [5, 6]), (6, []), (9, [])]
)
def test_offsets_may_have_gaps(after: int, found: list[int]) -> None:
    ring = Ring()
    ring.add(A_AND_B)
    assert offsets(ring.recent(None, after, 10)) == found


def test_a_stream_is_found_among_the_others() -> None:
    ring = Ring()
    ring.add(A_AND_B)
    assert offsets(ring.recent("a", 0, 10)) == [1, 5]
    assert offsets(ring.recent("b", 1, 10)) == [6]
    assert offsets(ring.recent("b", 0, 1)) == [2]
    assert offsets(ring.recent("b", 2, 10)) == []


def test_the_oldest_go_first_and_are_not_claimed_to_be_there() -> None:
    ring = Ring(max_records=2)
    ring.add(A_AND_B)
    assert offsets(ring.recent(None, 4, 10)) == [5, 6]
    assert offsets(ring.recent(None, 3, 10)) is None
    assert offsets(ring.recent("a", 1, 10)) == [5]
    assert offsets(ring.recent("a", 0, 10)) is None


def test_a_stream_with_nothing_left_is_forgotten() -> None:
    ring = Ring(max_records=1)
    ring.add(A_AND_B)
    assert ring.recent("a", 2, 10) is None
    assert list(ring.streams) == ["b"]


def test_bytes_are_bounded_too() -> None:
    ring = Ring(max_bytes=10)
    ring.add(record(n, "a", n, data=b"x" * 4) for n in range(1, 6))
    assert offsets(ring.recent("a", 3, 10)) == [4, 5]
    assert offsets(ring.recent("a", 2, 10)) is None
    assert ring.bytes == 8


def test_a_record_larger_than_the_ring_is_not_kept() -> None:
    ring = Ring(max_bytes=10)
    ring.add([record(1, "a", 1, data=b"x" * 11)])
    assert (ring.recent("a", 0, 10), ring.bytes, ring.streams) == (None, 0, {})


def test_what_is_not_shown_yet_is_read_but_not_followed() -> None:
    ring = Ring()
    ring.add(A_AND_B[:3])
    ring.show()
    ring.add(A_AND_B[3:])
    assert offsets(ring.recent(None, 1, 10)) == [2, 5, 6]
    assert offsets(ring.shown_after(None, 1)) == [2, 5]
    assert offsets(ring.shown_after("b", 1)) == []
    ring.show()
    assert offsets(ring.shown_after(None, 1)) == [2, 5, 6]
    assert offsets(ring.shown_after("b", 1)) == [6]


def test_who_asks_from_one_cursor_gets_one_list() -> None:
    ring = Ring()
    ring.add(A_AND_B)
    ring.show()
    assert ring.shown_after("a", 0) is ring.shown_after("a", 0)


def test_only_so_many_pages_are_kept() -> None:
    ring = Ring()
    ring.add(record(n, "a", n) for n in range(1, 3 * PAGES_MAX))
    ring.show()
    for after in range(2 * PAGES_MAX):
        ring.shown_after("a", after)
    assert len(ring._pages) <= PAGES_MAX


def test_what_is_let_go_of_is_not_shown_any_more() -> None:
    ring = Ring()
    ring.add(A_AND_B)
    ring.show()
    ring.shown_after("a", 0)
    ring.clear()
    ring.show()
    assert ring.shown_after("a", 0) is None
