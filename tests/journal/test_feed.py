"""The feed: a wake-up between looking and waiting is not lost."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from stenograph.journal import Record
from stenograph.journal.feed import Feed

RECORD = Record(1, "a", 1, "2026-11-20T22:55:01.123456Z", "note", b"1", "0" * 64)


async def test_a_commit_while_a_tail_looks_is_not_missed() -> None:
    feed = Feed()

    async def head() -> int:
        return 0

    async def looked_a_moment_too_early(after: int) -> list[Record]:
        feed.publish([RECORD])
        return []

    tail = feed.follow(
        "a", 0, head=head, fetch=looked_a_moment_too_early, cursor=lambda record: record.seq
    )
    async with asyncio.timeout(5), aclosing(tail):
        assert await anext(tail) == [RECORD]
