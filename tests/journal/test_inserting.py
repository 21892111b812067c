"""Rows that go into a table by few statements."""

from __future__ import annotations

from stenograph.journal.inserting import ROWS_MAX, rounded_up


def test_few_statements_are_prepared_for_any_number_of_rows() -> None:
    rooms = {count: rounded_up(count) for count in range(1, ROWS_MAX + 1)}
    assert all(count <= room <= min(count * 5 / 4, ROWS_MAX) for count, room in rooms.items())
    assert len(set(rooms.values())) == 36
