"""Labels, and the lists of streams that they make: the same for every journal."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import pytest

from stenograph.journal import (
    LABEL_MAX_BYTES,
    LABELS_MAX,
    STREAMS_MAX,
    AppendTooLarge,
    Journal,
    NewRecord,
    Stream,
    WrongExpectedSeq,
)

Opened: TypeAlias = Callable[[], AbstractAsyncContextManager[Journal]]


def note(second: int = 0) -> list[NewRecord]:
    return [NewRecord("note", b"1", f"2026-11-20T22:55:{second:02}.000000Z")]


def names(streams: list[Stream]) -> list[str]:
    return [stream.run_id for stream in streams]


async def add(journal: Journal, run_id: str, **labels: str) -> None:
    await journal.append(run_id, note(), expected_seq=await journal.head(run_id), labels=labels)


async def test_a_stream_tells_its_head_times_and_labels(opened: Opened) -> None:
    async with opened() as journal:
        await add(journal, "older")
        await journal.append("a", note(1), expected_seq=0, labels={"status": "running"})
        await journal.append("a", note(2) + note(3), expected_seq=1)
        assert await journal.stream("a") == Stream(
            number=2,
            run_id="a",
            head=3,
            created_at="2026-11-20T22:55:01.000000Z",
            updated_at="2026-11-20T22:55:03.000000Z",
            labels={"status": "running"},
        )


async def test_a_stream_without_records_is_none(opened: Opened) -> None:
    async with opened() as journal:
        assert await journal.stream("nobody") is None
        assert await journal.streams({}) == []


async def test_labels_not_named_stay(opened: Opened) -> None:
    async with opened() as journal:
        await add(journal, "a", status="running", graph="g")
        await add(journal, "a", status="completed")
        await add(journal, "a")
        assert await journal.streams({"status": "running"}) == []
        [stream] = await journal.streams({"status": "completed"})
        assert stream.labels == {"status": "completed", "graph": "g"}


async def test_a_label_may_change_back(opened: Opened) -> None:
    async with opened() as journal:
        for status in ("running", "paused", "running"):
            await add(journal, "a", status=status)
        assert names(await journal.streams({"status": "running"})) == ["a"]
        assert names(await journal.streams({"status": "paused"})) == []


async def test_a_refused_append_sets_no_label(opened: Opened) -> None:
    async with opened() as journal:
        await add(journal, "a", status="running")
        with pytest.raises(WrongExpectedSeq):
            await journal.append("a", note(), expected_seq=0, labels={"status": "failed"})
        assert names(await journal.streams({"status": "running"})) == ["a"]


async def test_streams_come_newest_first(opened: Opened) -> None:
    async with opened() as journal:
        for run_id in "abc":
            await add(journal, run_id)
        await add(journal, "a")
        assert names(await journal.streams({})) == ["c", "b", "a"]


async def test_a_stream_must_carry_all_labels_asked_for(opened: Opened) -> None:
    async with opened() as journal:
        await add(journal, "a", status="running", graph="g")
        await add(journal, "b", status="running", graph="h")
        await add(journal, "c", status="failed", graph="g")
        assert names(await journal.streams({"status": "running"})) == ["b", "a"]
        assert names(await journal.streams({"graph": "g", "status": "running"})) == ["a"]
        assert names(await journal.streams({"status": "running", "graph": "x"})) == []


@pytest.mark.parametrize("labels", [{}, {"kind": "run"}, {"kind": "run", "parity": "odd"}])
async def test_the_pages_of_a_list_join_without_gap(opened: Opened, labels: dict[str, str]) -> None:
    async with opened() as journal:
        for n in range(10):
            await add(journal, f"run-{n}", kind="run", parity="odd" if n % 2 else "even")
        whole = await journal.streams(labels)
        pages: list[Stream] = []
        before: int | None = None
        while page := await journal.streams(labels, before=before, limit=3):
            assert len(page) <= 3
            pages += page
            before = page[-1].number
        assert pages == whole
        assert len(whole) == (5 if "parity" in labels else 10)


@pytest.mark.parametrize("limit", [0, -1])
async def test_a_list_of_nothing_is_empty(opened: Opened, limit: int) -> None:
    async with opened() as journal:
        await add(journal, "a")
        assert await journal.streams({}, limit=limit) == []


async def test_no_list_is_longer_than_the_longest(opened: Opened) -> None:
    async with opened() as journal:
        for n in range(STREAMS_MAX + 1):
            await journal.append(f"run-{n}", note(), expected_seq=0)
        assert len(await journal.streams({}, limit=10_000)) == STREAMS_MAX


async def test_a_cursor_past_all_numbers_begins_at_the_newest(opened: Opened) -> None:
    async with opened() as journal:
        await add(journal, "a")
        assert names(await journal.streams({}, before=2**70)) == ["a"]


async def test_any_text_can_be_a_label(opened: Opened) -> None:
    labels = {"": "", 'quo"te': "\x00\n\\", "ключ": "🗝", "%_": "'; DROP TABLE record; --"}
    async with opened() as journal:
        await journal.append("a", note(), expected_seq=0, labels=labels)
        [stream] = await journal.streams(labels)
        assert stream.labels == labels


async def test_too_many_or_too_long_labels_are_refused(opened: Opened) -> None:
    many = {str(n): "" for n in range(LABELS_MAX + 1)}
    long = {"key": "x" * (LABEL_MAX_BYTES + 1)}
    async with opened() as journal:
        for labels in (many, long):
            with pytest.raises(AppendTooLarge):
                await journal.append("a", note(), expected_seq=0, labels=labels)
            with pytest.raises(AppendTooLarge):
                await journal.streams(labels)
        assert await journal.end() == 0


async def test_half_a_character_is_no_label(opened: Opened) -> None:
    async with opened() as journal:
        with pytest.raises(ValueError, match="surrogates not allowed"):
            await journal.append("a", note(), expected_seq=0, labels={"key": "\ud800"})
        await add(journal, "a")
