"""The feed: no wake-up is lost, and under load there are few, which serve many at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing

from stenograph.journal import Record
from stenograph.journal.feed import SHARD, Feed


def record(seq: int) -> Record:
    return Record(seq, "a", seq, "2026-11-20T22:55:01.123456Z", "note", b"1", "0" * 64)


def tail_of(feed: Feed) -> AsyncGenerator[list[Record], None]:
    """A tail of what the ring holds."""

    async def head() -> int:
        return 0

    async def nothing_yet(after: int) -> list[Record]:
        return []

    return feed.follow("a", 0, head=head, fetch=nothing_yet, cursor=lambda each: each.seq)


async def test_a_commit_while_a_tail_looks_is_not_missed() -> None:
    feed = Feed()

    async def head() -> int:
        return 0

    async def looked_a_moment_too_early(after: int) -> list[Record]:
        feed.publish([record(1)])
        return []

    tail = feed.follow(
        "a", 0, head=head, fetch=looked_a_moment_too_early, cursor=lambda each: each.seq
    )
    async with asyncio.timeout(5), aclosing(tail):
        assert await anext(tail) == [record(1)]


async def test_what_is_committed_while_all_rest_goes_out_together() -> None:
    feed = Feed()
    with feed.following("a") as news:
        for seq in range(1, 101):
            feed.publish([record(seq)])
        assert (news.is_set(), feed.rounds) == (True, 1)
        news.clear()
        await asyncio.wait_for(news.wait(), 5)
        assert feed.rounds == 2
        assert feed.ring.shown_after("a", 1) == [record(seq) for seq in range(2, 101)]


async def test_nobody_is_waited_for_when_nobody_follows() -> None:
    feed = Feed()
    for seq in (1, 2):
        feed.publish([record(seq)])
        assert (feed.ring.shown, feed.rounds) == (seq, 0)


async def test_they_are_woken_a_shard_a_turn() -> None:
    feed = Feed()
    with ExitStack() as stack:
        news = [stack.enter_context(feed.following("a")) for _ in range(2 * SHARD + 1)]
        feed.publish([record(1)])
        woken = []
        for _ in range(3):
            woken.append(sum(each.is_set() for each in news))
            await asyncio.sleep(0)
    assert woken == [SHARD, 2 * SHARD, 2 * SHARD + 1]


async def test_all_of_a_round_get_the_same_page_whatever_is_committed_meanwhile() -> None:
    feed = Feed()
    tails = [tail_of(feed) for _ in range(2 * SHARD)]
    waiting = [asyncio.ensure_future(anext(tail)) for tail in tails]
    await asyncio.sleep(0)
    seq = 0
    while not all(each.done() for each in waiting):
        feed.publish([record(seq := seq + 1)])
        await asyncio.sleep(0)
    pages = await asyncio.gather(*waiting)
    assert seq > 1
    assert pages == [[record(1)]] * len(tails)
    assert len(set(map(id, pages))) == 1
    later = await asyncio.gather(*map(anext, tails))
    assert len(set(map(id, later))) == 1
    for tail in tails:
        await tail.aclose()


async def test_a_feed_that_is_closed_tells_what_it_still_holds() -> None:
    feed = Feed()
    async with aclosing(tail_of(feed)) as tail:
        first = asyncio.ensure_future(anext(tail))
        await asyncio.sleep(0)
        for seq in (1, 2, 3):
            feed.publish([record(seq)])
        feed.close()
        assert [*await first, *[each async for page in tail for each in page]] == [
            record(seq) for seq in (1, 2, 3)
        ]
