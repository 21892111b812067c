"""Tails: everything after a cursor, once, in order, then live. The same for every journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import TypeAlias

import pytest

from stenograph.journal import (
    APPEND_MAX_RECORDS,
    PAGE_MAX,
    CursorUnknown,
    MemoryJournal,
    NewRecord,
    Record,
    SqliteJournal,
)

Opened: TypeAlias = Callable[[], AbstractAsyncContextManager[MemoryJournal | SqliteJournal]]
Tail: TypeAlias = AsyncGenerator[list[Record], None]

AT = "2026-11-20T22:55:01.123456Z"


def notes(count: int) -> list[NewRecord]:
    return [NewRecord("note", b'"a note"', AT)] * count


async def take(tail: Tail, count: int) -> list[Record]:
    """The next ``count`` records of a tail, however they are paged."""
    taken: list[Record] = []
    while len(taken) < count:
        page = await anext(tail)
        assert 0 < len(page) <= PAGE_MAX
        taken += page
    return taken


async def until_waiting(journal: MemoryJournal | SqliteJournal, followers: int = 1) -> None:
    """Return once so many tails have read all there is, and wait."""
    for _ in range(5):  # each waits behind what the tails still fetch by the same connection
        await journal.end()
        await asyncio.sleep(0)
    assert sum(map(len, journal.feed.followers.values())) == followers


@pytest.mark.parametrize("after", range(7))
async def test_a_tail_gives_the_past_after_its_cursor_then_what_comes(
    opened: Opened, after: int
) -> None:
    async with opened() as journal:
        await journal.append("a", notes(6), expected_seq=0)
        async with aclosing(journal.tail("a", after=after)) as tail:
            past = await take(tail, 6 - after)
            await journal.append("other", notes(1), expected_seq=0)
            await journal.append("a", notes(2), expected_seq=6)
            live = await take(tail, 2)
            assert past + live == await journal.read("a", after=after)


@pytest.mark.parametrize("after", range(7))
async def test_a_tail_of_all_streams_goes_by_offset(opened: Opened, after: int) -> None:
    async with opened() as journal:
        await journal.append("a", notes(3), expected_seq=0)
        await journal.append("b", notes(3), expected_seq=0)
        async with aclosing(journal.tail_all(after=after)) as tail:
            past = await take(tail, 6 - after)
            await journal.append("c", notes(1), expected_seq=0)
            live = await take(tail, 1)
            assert past + live == await journal.read_all(after=after)


async def test_a_waiting_tail_wakes_for_news(opened: Opened) -> None:
    async with opened() as journal:
        one = asyncio.create_task(take(journal.tail("a"), 2))
        all_ = asyncio.create_task(take(journal.tail_all(), 2))
        await until_waiting(journal, 2)
        records = await journal.append("a", notes(2), expected_seq=0)
        assert await one == await all_ == records


async def test_a_commit_wakes_only_who_follows_its_streams(opened: Opened) -> None:
    async with opened() as journal:
        feed = journal.feed
        with feed.following("a") as a, feed.following("b") as b, feed.following(None) as every:
            await journal.append("a", notes(1), expected_seq=0)
            assert (a.is_set(), b.is_set(), every.is_set()) == (True, False, True)


async def test_nothing_is_lost_between_past_and_live(opened: Opened) -> None:
    """Tails begin at any moment while two streams are written, and see each record once."""

    async def write(run_id: str) -> None:
        for seq in range(100):
            await journal.append(run_id, notes(1), expected_seq=seq)

    async with opened() as journal:
        writing = [asyncio.create_task(write(run_id)) for run_id in "ab"]
        tails = []
        for _ in range(10):
            await asyncio.sleep(0)
            tails.append(asyncio.create_task(take(journal.tail("a"), 100)))
            tails.append(asyncio.create_task(take(journal.tail_all(), 200)))
        await asyncio.gather(*writing)
        seen = await asyncio.gather(*tails)
        assert [record.seq for record in seen[0]] == list(range(1, 101))
        assert seen[2::2] == [seen[0]] * 9
        assert seen[1::2] == [await journal.read_all()] * 10


async def test_two_tails_see_the_same(opened: Opened) -> None:
    async with opened() as journal:
        tails = [asyncio.create_task(take(journal.tail("a"), 30)) for _ in range(2)]
        for seq in range(0, 30, 3):
            await journal.append("a", notes(3), expected_seq=seq)
        first, second = await asyncio.gather(*tails)
        assert first == second == await journal.read("a")


async def test_a_slow_reader_delays_nobody_and_misses_nothing(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", notes(1), expected_seq=0)
        async with aclosing(journal.tail("a")) as slow:
            assert len(await anext(slow)) == 1
            for seq in range(1, 101):
                await journal.append("a", notes(1), expected_seq=seq)
            assert [record.seq for record in await take(slow, 100)] == list(range(2, 102))


async def test_a_long_past_comes_in_pages(opened: Opened) -> None:
    async with opened() as journal:
        for n in range(3):
            await journal.append(
                "a", notes(APPEND_MAX_RECORDS), expected_seq=n * APPEND_MAX_RECORDS
            )
        total = 3 * APPEND_MAX_RECORDS
        one = await take(journal.tail("a"), total)
        every = await take(journal.tail_all(), total)
        assert [record.seq for record in one] == list(range(1, total + 1))
        assert one == every


async def test_what_comes_after_a_long_past_follows_it_without_a_gap(opened: Opened) -> None:
    async with opened() as journal:
        for n in range(3):
            await journal.append(
                "a", notes(APPEND_MAX_RECORDS), expected_seq=n * APPEND_MAX_RECORDS
            )
        last = 3 * APPEND_MAX_RECORDS + 1
        async with aclosing(journal.tail("a")) as tail:
            seen = [record.seq for record in await anext(tail)]
            await journal.append("a", notes(1), expected_seq=last - 1)
            while seen[-1] < last:
                seen += [record.seq for record in await anext(tail)]
        assert seen == list(range(1, last + 1))


async def test_a_cursor_beyond_the_head_is_refused(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", notes(2), expected_seq=0)
        await journal.append("b", notes(1), expected_seq=0)
        for tail, head in [
            (journal.tail("a", after=3), 2),
            (journal.tail("nobody", after=3), 0),
            (journal.tail_all(after=2**70), 3),
        ]:
            with pytest.raises(CursorUnknown) as unknown:
                await anext(tail)
            assert unknown.value.after >= 3
            assert unknown.value.head == head


async def test_a_cursor_at_the_head_waits_for_the_next(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", notes(2), expected_seq=0)
        task = asyncio.create_task(take(journal.tail("a", after=2), 1))
        await until_waiting(journal)
        assert await journal.append("a", notes(1), expected_seq=2) == await task


async def test_closing_the_journal_ends_all_tails(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", notes(1), expected_seq=0)
        one, other = journal.tail("a", after=1), journal.tail("a", after=1)
        tails = [one, other, journal.tail("b"), journal.tail_all(after=1)]
        tasks = [asyncio.create_task(anext(tail, None)) for tail in tails]
        await until_waiting(journal, 4)
    assert await asyncio.gather(*tasks) == [None] * 4
    assert journal.feed.followers == {}


async def test_a_tail_that_is_not_being_read_ends_at_its_next_page(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", notes(1), expected_seq=0)
        tail = journal.tail("a")
        await anext(tail)
    assert [page async for page in tail] == []


async def test_a_cancelled_tail_leaves_nothing_behind(opened: Opened) -> None:
    async with opened() as journal:
        tasks = [asyncio.create_task(anext(journal.tail("a"))) for _ in range(2)]
        await until_waiting(journal, 2)
        tasks[0].cancel()
        await asyncio.wait({tasks[0]})
        assert len(journal.feed.followers["a"]) == 1
        tasks[1].cancel()
        await asyncio.wait({tasks[1]})
        assert journal.feed.followers == {}


async def test_a_tail_that_is_closed_leaves_nothing_behind(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", notes(1), expected_seq=0)
        tail = journal.tail("a")
        await anext(tail)
        assert list(journal.feed.followers) == ["a"]
        await tail.aclose()
        assert journal.feed.followers == {}


async def test_what_the_ring_holds_at_closing_is_still_given() -> None:
    async with MemoryJournal() as journal:
        await journal.append("a", notes(1), expected_seq=0)
        tail = journal.tail("a")
        await anext(tail)
        late = await journal.append("a", notes(2), expected_seq=1)
    assert [page async for page in tail] == [late]
