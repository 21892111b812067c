"""Erasing a stream: its data goes from every file, its chain holds, and the others stay."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from stenograph.journal import (
    NewRecord,
    Snapshot,
    SqliteJournal,
    WrongExpectedSeq,
    is_erased,
    open_journal,
)
from tests.journal.conftest import AnyJournal

AT = "2026-11-20T22:55:01.123456Z"
LAST = NewRecord("run.erased", b'{"actor":"ann"}', AT)


def saying(text: str) -> NewRecord:
    return NewRecord("log", b'{"text":"%b"}' % text.encode(), AT)


async def test_an_erased_stream_keeps_its_hashes_and_nothing_it_said(
    opened: Callable[[], AbstractAsyncContextManager[AnyJournal]],
) -> None:
    async with opened() as journal:
        for n in range(3):
            await journal.append(
                "gone",
                [saying("one"), saying("two")],
                expected_seq=2 * n,
                labels={"kind": "run", "tag:who": "ann"},
                secrets={"/key": b"secret"},
            )
            await journal.append("kept", [saying("three")], expected_seq=n, labels={"kind": "run"})
        before = await journal.read("gone")
        with pytest.raises(WrongExpectedSeq):
            await journal.append("gone", [LAST], expected_seq=5, erase=True)
        assert await journal.read("gone") == before
        await journal.append(
            "gone", [LAST], expected_seq=6, labels={"kind": "run", "erased": "yes"}, erase=True
        )
        after = await journal.read("gone")
        assert [each.hash for each in after[:6]] == [each.hash for each in before]
        assert [is_erased(each) for each in after] == [True] * 6 + [False]
        assert [each for each in await journal.read_all() if each.run_id == "gone"] == after
        assert not any(is_erased(each) for each in await journal.read("kept"))
        assert await journal.secrets("gone") == {}
        stream = await journal.stream("gone")
        assert stream is not None
        assert stream.labels == {"kind": "run", "erased": "yes"}
        verdict = await journal.verify()
        assert verdict is not None
        assert (verdict.ok, verdict.erased, verdict.records) == (True, 6, 10)
        # Erased again, what stands in its place stays what it is.
        await journal.append("gone", [LAST], expected_seq=7, erase=True)
        assert (await journal.read("gone"))[:6] == after[:6]
        found = await journal.verify("gone")
        assert found is not None
        assert (found.ok, found.erased) == (True, 7)


async def test_what_the_same_batch_said_before_is_erased_with_it(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "j.db") as journal:
        await asyncio.gather(
            journal.append("r", [saying("x")], expected_seq=0, labels={"tag:who": "ann"}),
            journal.append("s", [saying("x")], expected_seq=0, labels={"tag:who": "bob"}),
            journal.append("r", [LAST], expected_seq=1, erase=True),
        )
        stream, other = await journal.stream("r"), await journal.stream("s")
        assert is_erased((await journal.read("r"))[0])
        assert stream is not None
        assert other is not None
        assert (stream.labels, other.labels) == ({}, {"tag:who": "bob"})


@pytest.mark.parametrize("seed", range(4))
async def test_no_byte_of_what_was_erased_is_left_in_any_file(tmp_path: Path, seed: int) -> None:
    """Records of all sizes, interleaved; then one run after the other is erased."""
    chance = random.Random(seed)
    runs = [f"run-{n}" for n in range(5)]
    heads = dict.fromkeys(runs, 0)
    async with open_journal(tmp_path / "j.db", durability="normal") as journal:
        for _ in range(400):
            run_id = chance.choice(runs)
            text = f"<{run_id}>" * chance.randint(1, int(10 ** chance.uniform(0, 3)))
            await journal.append(
                run_id,
                [saying(text)] * chance.randint(1, 3),
                expected_seq=heads[run_id],
                labels={"tag:who": f"<{run_id}>"},
                secrets={"/key": text.encode()},
            )
            heads[run_id] = await journal.head(run_id)
        for run_id in runs[:3]:
            await journal.append(run_id, [LAST], expected_seq=heads[run_id], erase=True)
            await until_emptied(journal)
            assert left(tmp_path, run_id) == 0
        verdict = await journal.verify()
        assert verdict is not None
        assert verdict.ok
        assert left(tmp_path, runs[3]) > 0
    assert [left(tmp_path, run_id) for run_id in runs[:3]] == [0, 0, 0]


@pytest.mark.parametrize("seed", [12, 16, 22, 34, 35, 36])
async def test_no_tag_and_no_snapshot_leaves_a_copy_in_a_page_that_others_share(
    tmp_path: Path, seed: int
) -> None:
    """SQLite moves rows while it balances its trees, and does not clean the place they were at."""
    chance = random.Random(seed)
    runs = [f"run-{n:02}" for n in range(60)]
    heads = dict.fromkeys(runs, 0)
    async with open_journal(tmp_path / "j.db", durability="normal") as journal:
        for _ in range(600):
            run_id = chance.choice(runs)
            if heads[run_id] and chance.random() < 0.3:
                data = f"<{run_id}>" * int(10 ** chance.uniform(0, 4))
                snapshot = Snapshot(heads[run_id], data.encode())
                journal.keep_snapshot(run_id, snapshot, version=1)
            tags = {f"tag:{chance.randrange(6)}": f"<{run_id}>" * chance.randint(1, 4)}
            await journal.append(
                run_id,
                [saying("of some length, as all events")],
                expected_seq=heads[run_id],
                labels=tags,
            )
            heads[run_id] += 1
        gone = [run_id for run_id in chance.sample(runs, 40) if heads[run_id]]
        for run_id in gone:
            await journal.append(run_id, [LAST], expected_seq=heads[run_id], erase=True)
        await until_emptied(journal)
        assert [run_id for run_id in gone if left(tmp_path, run_id)] == []
        kept = next(run_id for run_id in runs if heads[run_id] and run_id not in gone)
        found = await journal.stream(kept)
        assert found is not None
        assert found.labels
        assert all(value.startswith(f"<{kept}>") for value in found.labels.values())
        verdict = await journal.verify()
        assert verdict is not None
        assert verdict.ok


async def until_emptied(journal: SqliteJournal) -> None:
    """Return once the log is emptied, which is right after the commit was answered."""
    for _ in range(1000):
        if not journal._checkpoints.must_truncate:
            return
        await asyncio.sleep(0.01)


def left(folder: Path, run_id: str) -> int:
    """Count what is there, in all files, of what only the run's data, tags and secrets held."""
    mark = f"{run_id}>".encode()
    return sum(path.read_bytes().count(mark) for path in folder.iterdir())
