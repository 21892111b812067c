"""The laws of a journal, over any history: nothing lost, nothing twice, one chain a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stenograph.journal import (
    GENESIS,
    Journal,
    MemoryJournal,
    NewRecord,
    Record,
    envelope,
    expected_hash,
    open_journal,
    open_journal_readonly,
)

AT = "2026-11-20T22:55:01.123456Z"

appends = st.tuples(
    st.sampled_from(["a", "b", "graph/a"]),
    st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5),
    st.dictionaries(st.sampled_from(["status", "tag"]), st.text(max_size=3), max_size=2),
)
histories = st.lists(st.lists(appends, min_size=1, max_size=5), max_size=6)
"""Rounds of appends; those of one round are made together."""


async def write(
    journal: Journal, history: list[list[tuple[str, list[bytes], dict[str, str]]]]
) -> dict[str, list[bytes]]:
    """Append it all; return what each stream must then hold."""
    wanted: dict[str, list[bytes]] = {}
    for together in history:
        waiting = []
        for run_id, data, labels in together:
            stream = wanted.setdefault(run_id, [])
            new = [NewRecord("note", each, AT) for each in data]
            waiting.append(journal.append(run_id, new, expected_seq=len(stream), labels=labels))
            stream += data
        await asyncio.gather(*waiting)
    return wanted


def assert_chained(records: list[Record]) -> None:
    previous = GENESIS
    for seq, record in enumerate(records, start=1):
        assert record.seq == seq
        assert record.hash == expected_hash(record, previous)
        previous = record.hash


async def read_whole(journal: Journal) -> list[Record]:
    whole: list[Record] = []
    while page := await journal.read_all(after=whole[-1].offset if whole else 0, limit=3):
        whole += page
    return whole


@asynccontextmanager
async def opened(kind: str, path: Path) -> AsyncIterator[Journal]:
    async with MemoryJournal() if kind == "memory" else open_journal(path) as journal:
        yield journal


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@given(history=histories)
@settings(max_examples=40, deadline=None)
def test_what_is_read_is_what_was_appended(
    kind: str, history: list[list[tuple[str, list[bytes], dict[str, str]]]]
) -> None:
    async def law(path: Path) -> None:
        async with opened(kind, path) as journal:
            wanted = await write(journal, history)
            for run_id, data in wanted.items():
                records = await journal.read(run_id)
                assert [record.data for record in records] == data
                assert_chained(records)
            whole = await read_whole(journal)
            assert len(whole) == sum(map(len, wanted.values()))
            assert all(one.offset < other.offset for one, other in pairwise(whole))

    with TemporaryDirectory() as folder:
        asyncio.run(law(Path(folder) / "test.db"))


@given(history=histories)
@settings(max_examples=40, deadline=None)
def test_every_journal_tells_the_same_history_in_the_same_bytes(
    history: list[list[tuple[str, list[bytes], dict[str, str]]]],
) -> None:
    async def law(path: Path) -> None:
        async with MemoryJournal() as memory, open_journal(path) as file:
            await write(memory, history)
            await write(file, history)
            told = [envelope(record) for record in await read_whole(memory)]
            streams = await memory.streams({})
            assert [envelope(record) for record in await read_whole(file)] == told
            assert await file.streams({}) == streams
        async with open_journal(path) as again:
            assert [envelope(record) for record in await read_whole(again)] == told
        async with open_journal_readonly(path) as beside:
            assert await beside.streams({}) == streams

    with TemporaryDirectory() as folder:
        asyncio.run(law(Path(folder) / "test.db"))
