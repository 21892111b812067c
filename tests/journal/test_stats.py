"""What a journal counts of itself: by type, by commit, by label, and how far its readers are behind."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

from stenograph.journal import Histogram, MemoryJournal, NewRecord, open_journal
from stenograph.journal.label_counts import LabelCounts

AT = "2026-11-20T22:55:01.123456Z"


def note(kind: str = "note") -> NewRecord:
    return NewRecord(kind, b"{}", AT)


def test_a_histogram_counts_values_up_to_each_bound_and_above_all() -> None:
    histogram = Histogram((1, 2))
    for value in (0.5, 1, 1.5, 9):
        histogram.add(value)
    assert (histogram.counts, histogram.total) == ([2, 1, 1], 12)


async def test_events_are_counted_by_type_and_commits_by_size(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "test.db") as journal:
        for run_id in "ab":
            await journal.append(run_id, [note(), note("other")], expected_seq=0)
        assert journal.wal_bytes > 0
    assert journal.stats.events == {"note": 2, "other": 2}
    assert sum(journal.stats.batch.counts) == sum(journal.stats.commit_s.counts) == 2
    assert journal.stats.batch.total == 2
    assert journal.stats.commit_s.total > 0


async def test_a_closed_journal_has_no_log(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "test.db") as journal:
        pass
    assert journal.wal_bytes == 0


async def test_labels_are_counted_as_they_change(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "test.db") as journal:
        for run_id in "abc":
            await journal.append(run_id, [note()], expected_seq=0, labels={"status": "on"})
        assert await journal.count_labels("status") == {"on": 3}
        await journal.append("a", [note()], expected_seq=1, labels={"status": "off"})
        await journal.append("a", [note()], expected_seq=2, labels={"status": "off"})
        await journal.append("b", [note()], expected_seq=1, labels={"other": "x"})
        await journal.append("d", [note()], expected_seq=0)
        assert await journal.count_labels("status") == {"on": 2, "off": 1}
        await journal.append("a", [note()], expected_seq=3, erase=True)
        await journal.append("b", [note()], expected_seq=2, labels={"status": "off"}, erase=True)
        assert await journal.count_labels("status") == {"on": 1, "off": 1}
        async with asyncio.timeout(30):
            assert await journal.count_labels("nothing") == {}


async def test_what_is_committed_while_somebody_looks_is_counted_once() -> None:
    async def look() -> tuple[int, dict[str, int]]:
        counts.moved(7, None, "on")  # which is in what was found
        counts.moved(8, "on", "off")  # which is not
        counts.moved(9, None, "on")
        return 7, {"on": 1}

    counts = LabelCounts(look)
    counts.moved(6, None, "on")  # nobody asks yet
    assert await counts.now() == {"off": 1, "on": 1}


async def test_what_a_reader_saw_before_it_was_told_of_is_counted_once() -> None:
    async def look() -> tuple[int, dict[str, int]]:
        return 7, {"on": 1}

    counts = LabelCounts(look)
    assert await counts.now() == {"on": 1}
    counts.moved(7, None, "on")  # its commit is acknowledged only now
    counts.moved(8, None, "on")
    assert await counts.now() == {"on": 2}


async def test_a_journal_in_memory_counts_too() -> None:
    async with MemoryJournal() as journal:
        await journal.append("a", [note()], expected_seq=0, labels={"status": "on"})
        await journal.append("b", [note()], expected_seq=0)
        assert await journal.count_labels("status") == {"on": 1}
        assert (journal.wal_bytes, journal.stats.events["note"]) == (0, 2)


async def test_the_lag_is_that_of_the_slowest_who_is_live() -> None:
    async with MemoryJournal() as journal:
        await journal.append("a", [note()] * 5, expected_seq=0)
        assert (journal.subscribers, journal.lag) == (0, 0)
        async with aclosing(journal.tail("a")) as late, aclosing(journal.tail_all(after=5)) as live:
            await anext(late)  # has not caught up yet: it takes its time
            news = asyncio.ensure_future(anext(live))
            await asyncio.sleep(0)
            assert (journal.subscribers, journal.lag) == (2, 0)
            await journal.append("a", [note()] * 3, expected_seq=5)
            await news
            await journal.append("b", [note()] * 2, expected_seq=0)
            assert journal.lag == 5  # it holds a page of three, and has not asked for what follows
        assert (journal.subscribers, journal.lag) == (0, 0)


async def test_who_was_woken_is_behind_also_where_the_ring_cannot_tell() -> None:
    async with MemoryJournal() as journal:
        with journal.feed.following("a") as quiet, journal.feed.following("b") as behind:
            quiet.is_live = behind.is_live = True
            behind.set()
            assert journal.lag == 1
            await journal.append("a", [note()] * 4, expected_seq=0)
            assert journal.lag == 4
