"""What every journal promises, but for tails and labels, which have files of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import pytest
from msgspec.structs import replace

from stenograph.journal import (
    ADOPT_MAX_RECORDS,
    APPEND_MAX_RECORDS,
    GENESIS,
    PAGE_MAX,
    RECORD_MAX_BYTES,
    SNAPSHOT_MAX_BYTES,
    AppendTooLarge,
    Journal,
    JournalFailed,
    MemoryJournal,
    NewRecord,
    Snapshot,
    WrongExpectedSeq,
    chain_hash,
)

Opened: TypeAlias = Callable[[], AbstractAsyncContextManager[Journal]]

AT = "2026-11-20T22:55:01.123456Z"


def notes(count: int, *, data: bytes = b'"a note"', at: str = AT) -> list[NewRecord]:
    return [NewRecord(type="note", data=data, at=at)] * count


async def test_an_append_returns_its_records_as_committed(opened: Opened) -> None:
    async with opened() as journal:
        [record] = await journal.append("run-1", [NewRecord("a.b_1", b"{}", AT)], expected_seq=0)
        assert (record.offset, record.run_id, record.seq) == (1, "run-1", 1)
        assert (record.type, record.data, record.at) == ("a.b_1", b"{}", AT)


async def test_seq_counts_the_stream_and_offset_the_journal(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", notes(2), expected_seq=0)
        await journal.append("b", notes(1), expected_seq=0)
        [record] = await journal.append("a", notes(1), expected_seq=2)
        assert (record.seq, record.offset) == (3, 4)


async def test_a_stream_without_records_ends_at_0(opened: Opened) -> None:
    async with opened() as journal:
        assert (await journal.head("nobody"), await journal.end()) == (0, 0)
        assert await journal.read("nobody") == await journal.read_all() == []


@pytest.mark.parametrize("name", ["", "a b", "\x00", "é", "\udcff"])
async def test_what_can_be_no_run_id_is_a_stream_without_records(opened: Opened, name: str) -> None:
    async with opened() as journal:
        await journal.append("a", notes(1), expected_seq=0)
        assert await journal.head(name) == 0
        assert await journal.read(name) == []
        assert await journal.stream(name) is None


async def test_head_and_end_tell_the_last_seq_and_offset(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", notes(3), expected_seq=0)
        await journal.append("b", notes(2), expected_seq=0)
        assert (await journal.head("a"), await journal.head("b"), await journal.end()) == (3, 2, 5)


async def test_each_hash_binds_the_record_to_all_before_it_in_the_stream(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", notes(2), expected_seq=0)
        await journal.append("b", notes(1), expected_seq=0)
        await journal.append("a", notes(1, data=b"[]"), expected_seq=2)
        previous = GENESIS
        for record in await journal.read("a"):
            previous = chain_hash("a", record.seq, previous, AT, "note", record.data)
            assert record.hash == previous


async def test_what_is_read_is_what_was_appended(opened: Opened) -> None:
    async with opened() as journal:
        first = await journal.append("a", notes(3), expected_seq=0)
        other = await journal.append("graph/a", notes(2), expected_seq=0)
        second = await journal.append("a", notes(2), expected_seq=3)
        assert await journal.read("a") == first + second
        assert await journal.read("graph/a") == other
        assert await journal.read_all() == first + other + second


# --- expected_seq ---------------------------------------------------------------------------


@pytest.mark.parametrize("expected_seq", [0, 1, 3, -1])
async def test_an_append_to_a_stream_that_has_moved_on_is_refused(
    opened: Opened, expected_seq: int
) -> None:
    async with opened() as journal:
        await journal.append("a", notes(2), expected_seq=0)
        with pytest.raises(WrongExpectedSeq) as refused:
            await journal.append("a", notes(1), expected_seq=expected_seq)
        error = refused.value
        assert (error.run_id, error.expected, error.actual) == ("a", expected_seq, 2)
        assert await journal.head("a") == 2


async def test_of_racing_appends_exactly_one_wins(opened: Opened) -> None:
    async with opened() as journal:
        for expected_seq in range(3):
            racing = [journal.append("a", notes(1), expected_seq=expected_seq) for _ in range(20)]
            outcomes = await asyncio.gather(*racing, return_exceptions=True)
            assert sum(isinstance(each, WrongExpectedSeq) for each in outcomes) == 19
        assert await journal.head("a") == 3


async def test_appends_that_wait_together_count_each_other(opened: Opened) -> None:
    async with opened() as journal:
        chained = [journal.append("a", notes(2), expected_seq=seq) for seq in range(0, 20, 2)]
        pages = await asyncio.gather(*chained)
        assert [record.seq for page in pages for record in page] == list(range(1, 21))


async def test_a_refused_append_fails_alone(opened: Opened) -> None:
    async with opened() as journal:
        outcomes = await asyncio.gather(
            journal.append("a", notes(1), expected_seq=0),
            journal.append("b", notes(1), expected_seq=7),
            journal.append("c", notes(1), expected_seq=0),
            return_exceptions=True,
        )
        assert isinstance(outcomes[1], WrongExpectedSeq)
        assert [record.run_id for record in await journal.read_all()] == ["a", "c"]
        assert [record.offset for record in await journal.read_all()] == [1, 2]


async def test_who_only_appends_lets_others_run(opened: Opened) -> None:
    async with opened() as journal:
        other = asyncio.create_task(asyncio.sleep(0))
        await journal.append("a", notes(1), expected_seq=0)
        await journal.append("a", notes(1), expected_seq=1)
        assert other.done()


# --- limits ---------------------------------------------------------------------------------


async def test_the_largest_append_fits(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", notes(APPEND_MAX_RECORDS), expected_seq=0)
        await journal.append("b", notes(2, data=b"1" * RECORD_MAX_BYTES), expected_seq=0)
        assert await journal.end() == APPEND_MAX_RECORDS + 2


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (notes(APPEND_MAX_RECORDS + 1), "1025 records in one append; at most 1024"),
        (
            notes(1, data=b"1" * (RECORD_MAX_BYTES + 1)),
            "a record of 2097153 bytes; at most 2097152",
        ),
        (notes(3, data=b"1" * RECORD_MAX_BYTES), "6291456 bytes in one append; at most 4194304"),
    ],
)
async def test_an_append_over_a_limit_is_refused(
    opened: Opened, records: list[NewRecord], reason: str
) -> None:
    async with opened() as journal:
        with pytest.raises(AppendTooLarge, match=reason):
            await journal.append("a", records, expected_seq=0)
        assert await journal.end() == 0


async def test_an_append_holds_at_least_one_record(opened: Opened) -> None:
    async with opened() as journal:
        with pytest.raises(ValueError, match="at least one record"):
            await journal.append("a", [], expected_seq=0)


@pytest.mark.parametrize(
    "run_id", ["a", "A.b_c:d-9", "0" * 128, "graph/review", "graph/" + "g" * 128]
)
async def test_run_ids_and_graph_streams_are_names(opened: Opened, run_id: str) -> None:
    async with opened() as journal:
        await journal.append(run_id, notes(1), expected_seq=0)
        assert await journal.head(run_id) == 1


@pytest.mark.parametrize(
    "run_id", ["", ".a", "a b", "a/b", "graph/", "graph/graph/a", 'a"', "é", "0" * 129, "a\n"]
)
async def test_what_is_no_run_id_is_refused(opened: Opened, run_id: str) -> None:
    async with opened() as journal:
        with pytest.raises(ValueError, match="run id"):
            await journal.append(run_id, notes(1), expected_seq=0)


@pytest.mark.parametrize("type_", ["", "Note", "1a", "a-b", 'a"', "a\n", "a" * 129])
async def test_what_is_no_type_is_refused(opened: Opened, type_: str) -> None:
    async with opened() as journal:
        with pytest.raises(ValueError, match=f"type '{type_[:3]}".replace("\n", "")):
            await journal.append("a", [NewRecord(type_, b"1", AT)], expected_seq=0)


@pytest.mark.parametrize(
    "at", ["", "now", AT[:-1], AT + "\n", "٢" + AT[1:], '2026-11-20T22:55:01"Z']
)
async def test_what_is_no_time_in_utc_with_microseconds_is_refused(opened: Opened, at: str) -> None:
    async with opened() as journal:
        with pytest.raises(ValueError, match="must look like 2026"):
            await journal.append("a", notes(1, at=at), expected_seq=0)


async def test_data_is_bytes(opened: Opened) -> None:
    text: Any = "text"
    async with opened() as journal:
        with pytest.raises(TypeError, match="data must be bytes, not str"):
            await journal.append("a", notes(1, data=text), expected_seq=0)


# --- pages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [-5, 0, 1, 4, 6, 7, 100, 2**70])
@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_a_page_holds_what_follows_the_cursor(opened: Opened, after: int, limit: int) -> None:
    async with opened() as journal:
        wanted = [seq for seq in range(1, 7) if seq > after][:limit]
        await journal.append("a", notes(6), expected_seq=0)
        page = await journal.read("a", after=after, limit=limit)
        assert [record.seq for record in page] == wanted
        page = await journal.read_all(after=after, limit=limit)
        assert [record.offset for record in page] == wanted


@pytest.mark.parametrize("limit", [0, -1])
async def test_a_page_of_nothing_is_empty(opened: Opened, limit: int) -> None:
    async with opened() as journal:
        await journal.append("a", notes(6), expected_seq=0)
        assert await journal.read("a", limit=limit) == []
        assert await journal.read_all(limit=limit) == []


async def test_no_page_is_longer_than_the_longest(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", notes(APPEND_MAX_RECORDS), expected_seq=0)
        assert len(await journal.read("a", limit=10_000)) == PAGE_MAX
        assert len(await journal.read_all(limit=10_000)) == PAGE_MAX


async def test_large_records_make_a_page_short(opened: Opened) -> None:
    async with opened() as journal:
        for seq in range(3):
            large = notes(1, data=b"1" * RECORD_MAX_BYTES)
            await journal.append("a", large, expected_seq=seq)
        assert [record.seq for record in await journal.read("a")] == [1, 2]
        assert [record.seq for record in await journal.read("a", after=2)] == [3]
        assert [record.offset for record in await journal.read_all()] == [1, 2]


# --- cancelling and closing -----------------------------------------------------------------


async def test_a_cancelled_appender_disturbs_nobody(opened: Opened) -> None:
    async with opened() as journal:
        tasks = [
            asyncio.create_task(journal.append(f"run-{n}", notes(2), expected_seq=0))
            for n in range(20)
        ]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each) for each in outcomes[1::2]] == [list] * 10
        for n in range(20):
            assert await journal.head(f"run-{n}") in ({0, 2} if n % 2 == 0 else {2})
        assert len(await journal.read_all()) == await journal.end()


async def test_an_append_is_taken_as_it_was_when_made(opened: Opened) -> None:
    async with opened() as journal:
        records, labels = notes(2), {"status": "running"}
        task = asyncio.create_task(journal.append("a", records, expected_seq=0, labels=labels))
        await asyncio.sleep(0)
        records.clear()
        labels.clear()
        assert len(await task) == 2
        assert len(await journal.streams({"status": "running"})) == 1


async def test_closing_waits_for_the_appends_under_way(opened: Opened) -> None:
    async with opened() as journal:
        tasks = [
            asyncio.create_task(journal.append(f"run-{n}", notes(1), expected_seq=0))
            for n in range(20)
        ]
        await asyncio.sleep(0)
    assert [len(await task) for task in tasks] == [1] * 20


async def test_a_closed_journal_takes_nothing_and_tells_nothing(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", notes(1), expected_seq=0)
        assert journal.failure is None
    assert isinstance(journal.failure, JournalFailed)
    with pytest.raises(JournalFailed, match="closed"):
        await journal.append("a", notes(1), expected_seq=1)
    with pytest.raises(JournalFailed, match="closed"):
        await journal.read("a")
    with pytest.raises(JournalFailed, match="closed"):
        await anext(journal.tail_all())


async def test_every_journal_has_an_id_of_its_own(opened: Opened) -> None:
    async with opened() as journal:
        assert len(journal.id) == 16
        assert int(journal.id, 16) >= 0


# --- adopting -------------------------------------------------------------------------------


async def test_an_adopted_stream_is_the_one_that_it_was_elsewhere(opened: Opened) -> None:
    async with MemoryJournal() as elsewhere, opened() as journal:
        await elsewhere.append("other", notes(7), expected_seq=0)
        await elsewhere.append("a", notes(2), expected_seq=0)
        await elsewhere.append("a", notes(1, data=b"[]"), expected_seq=2)
        there = await elsewhere.read("a")
        await journal.append("b", notes(4), expected_seq=0)
        news = [NewRecord(each.type, each.data, each.at) for each in there]
        here = await journal.adopt("a", news, labels={"kind": "run"})
        assert [each.offset for each in here] == [5, 6, 7]
        assert [replace(each, offset=0) for each in here] == [
            replace(each, offset=0) for each in there
        ]
        assert await journal.read("a") == here
        assert (await journal.head("a"), await journal.end()) == (3, 7)
        verdict = await journal.verify("a")
        assert verdict is not None
        assert verdict.ok


async def test_an_adopted_stream_may_be_longer_than_any_append(opened: Opened) -> None:
    async with opened() as journal:
        many = notes(3 * APPEND_MAX_RECORDS)
        assert len(await journal.adopt("a", many, labels={})) == len(many)
        large = notes(5, data=b"1" * RECORD_MAX_BYTES)
        assert len(await journal.adopt("b", large, labels={})) == 5
        assert await journal.end() == len(many) + 5
        [after] = await journal.append("a", notes(1), expected_seq=len(many))
        assert after.seq == len(many) + 1


async def test_a_stream_is_adopted_only_where_there_is_none(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", notes(1), expected_seq=0, labels={"status": "running"})
        outcomes = await asyncio.gather(
            journal.adopt("a", notes(3), labels={"status": "completed"}),
            journal.adopt("b", notes(2), labels={}),
            journal.adopt("b", notes(2), labels={}),
            return_exceptions=True,
        )
        refused = [each for each in outcomes if isinstance(each, WrongExpectedSeq)]
        assert [(each.run_id, each.actual) for each in refused] == [("a", 1), ("b", 2)]
        assert (await journal.head("a"), await journal.head("b")) == (1, 2)
        assert len(await journal.streams({"status": "completed"})) == 0


async def test_an_adopted_stream_has_its_labels_and_no_secrets(opened: Opened) -> None:
    async with opened() as journal:
        labels = {"kind": "run", "imported": "yes"}
        await journal.adopt("a", notes(2), labels=labels)
        [stream] = await journal.streams({"imported": "yes"})
        assert (stream.run_id, stream.head, stream.labels) == ("a", 2, labels)
        assert await journal.secrets("a") == {}


async def test_snapshots_of_an_adopted_stream_are_kept_if_it_is_adopted(opened: Opened) -> None:
    made = [Snapshot(1, b"one"), Snapshot(2, b"two"), Snapshot(2, b"x" * (SNAPSHOT_MAX_BYTES + 1))]
    async with opened() as journal:
        await journal.append("b", notes(2), expected_seq=0)
        await journal.adopt("a", notes(2), labels={}, snapshots=made, version=3)
        with pytest.raises(WrongExpectedSeq):
            await journal.adopt("b", notes(2), labels={}, snapshots=made, version=3)
        assert await journal.snapshot("a", version=3) == made[1]
        assert await journal.snapshot("a", version=3, at=1) == made[0]
        assert await journal.snapshot("b", version=3) is None


async def test_who_follows_is_woken_by_an_adopted_stream(opened: Opened) -> None:
    async with opened() as journal:
        tails = [journal.tail("a"), journal.tail_all()]
        waiting = [asyncio.ensure_future(anext(tail)) for tail in tails]
        await asyncio.sleep(0)
        here = await journal.adopt("a", notes(2), labels={})
        assert [await each for each in waiting] == [here, here]
        for tail in tails:
            await tail.aclose()


@pytest.mark.parametrize(
    ("run_id", "records", "labels", "reason"),
    [
        ("a b", notes(1), {}, "run id"),
        ("", notes(1), {}, "run id"),
        ("a", [], {}, "at least one record"),
        ("a", [*notes(1), *notes(1, at="now")], {}, "must look like 2026"),
        ("a", [*notes(1), NewRecord("Note", b"1", AT)], {}, "type 'Note'"),
        ("a", notes(1, data=b"1" * (RECORD_MAX_BYTES + 1)), {}, "a record of 2097153 bytes"),
        ("a", notes(33, data=b"1" * RECORD_MAX_BYTES), {}, "at most 67108864"),
        ("a", notes(ADOPT_MAX_RECORDS + 1), {}, "500001 records in one append"),
        ("a", notes(1), {"tag": "x" * 1025}, "at most 1024 bytes"),
    ],
)
async def test_what_cannot_be_adopted_leaves_nothing(
    opened: Opened, run_id: str, records: list[NewRecord], labels: dict[str, str], reason: str
) -> None:
    async with opened() as journal:
        with pytest.raises((AppendTooLarge, ValueError), match=reason):
            await journal.adopt(run_id, records, labels=labels)
        assert await journal.end() == 0
        assert await journal.streams({}) == []


async def test_a_closed_journal_adopts_nothing(opened: Opened) -> None:
    async with opened() as journal:
        pass
    with pytest.raises(JournalFailed, match="closed"):
        await journal.adopt("a", notes(1), labels={})
