"""How often one may ask: so many at once, so many a second, and in bounded memory."""

from __future__ import annotations

import pytest

from stenograph.http.door.rate import Buckets


def test_so_many_come_at_once_and_then_one_after_the_other() -> None:
    buckets = Buckets(2, 3)
    assert [buckets.draw("ann", 0) for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    assert [buckets.draw("ann", 0.5), buckets.draw("ann", 0.5)] == [0, 0.5]


def test_what_is_refused_is_not_counted() -> None:
    buckets = Buckets(1, 1)
    assert [buckets.draw("ann", at) for at in (0, 0.25, 0.5, 1)] == [0, 0.75, 0.5, 0]


def test_a_bucket_is_never_fuller_than_full() -> None:
    buckets = Buckets(10, 2)
    buckets.draw("ann", 0)
    assert [buckets.draw("ann", 1000) for _ in range(3)] == [0, 0, pytest.approx(0.1)]


def test_nobody_pays_for_another() -> None:
    buckets = Buckets(1, 1)
    assert [buckets.draw(who, 0) for who in ("ann", "ben", "ann")] == [0, 0, 1]


def test_fractions_do_not_add_up_to_a_refusal() -> None:
    buckets = Buckets(3, 1)
    assert {buckets.draw("ann", n / 3) for n in range(1000)} == {0}


def test_whoever_asked_longest_ago_is_forgotten_first() -> None:
    buckets = Buckets(1, 1, most=2)
    for who in ("ann", "ben", "ann", "cas"):
        buckets.draw(who, 0)
    assert len(buckets) == 2
    assert buckets.draw("ann", 0) == 1
    assert buckets.draw("ben", 0) == 0
