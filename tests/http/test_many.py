"""Many subscribers that drop and resume over a restart, and slow ones beside others: by the benchmark."""

from __future__ import annotations

from benchmarks.many import Asked, beside, follow, slow_asked
from tests.figures import Figure
from tests.http.raw import more_files


def test_many_subscribers_that_drop_and_resume_miss_nothing_over_a_restart(figure: Figure) -> None:
    more_files(2_000)
    told = follow(Asked(many=300, runs=20, seconds=3.0, hold_s=3.0))
    figure(f"300 subscribers: {told}")
    assert (told.lost, told.doubled, told.behind, told.misplaced) == (0, 0, 0, 0)
    assert told.resumed > 300
    assert told.restarted > 100
    assert told.events > 300


def test_a_hundred_that_never_read_cost_a_hundred_that_do_nothing(figure: Figure) -> None:
    more_files(2_000)
    told = beside(slow_asked(100, 4.0))
    figure(str(told))
    assert (told.lost, told.doubled, told.behind, told.misplaced) == (0, 0, 0, 0)
    assert (told.stuck, told.ended, told.slow, told.closed_1013) == (100, 100, 100, 100)
    assert told.rss_kib_each < 1024
