"""Secrets kept beside a stream: in no record, with its transaction, and gone once forgotten."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from stenograph.journal import (
    APPEND_MAX_BYTES,
    AppendTooLarge,
    Journal,
    JournalFailed,
    NewRecord,
    SqliteJournal,
    WrongExpectedSeq,
    open_journal,
    open_journal_readonly,
)
from stenograph.journal.files import APPLICATION_ID, FORMAT, script

Opened: TypeAlias = Callable[[], AbstractAsyncContextManager[Journal]]

NOTE = [NewRecord("note", b"1", "2026-11-20T22:55:01.123456Z")]


# --- every journal --------------------------------------------------------------------------


async def test_secrets_are_kept_beside_their_stream(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", NOTE, expected_seq=0, secrets={"k#1": b"one", "ä#1": b"\x00"})
        await journal.append("a", NOTE, expected_seq=1, secrets={"k#2": b""})
        await journal.append("b", NOTE, expected_seq=0, secrets={"k#1": b"other"})
        await journal.append("b", NOTE, expected_seq=1)
        assert await journal.secrets("a") == {"k#1": b"one", "k#2": b"", "ä#1": b"\x00"}
        assert await journal.secrets("b") == {"k#1": b"other"}
        assert await journal.secrets("nobody") == await journal.secrets("\udcff") == {}


async def test_a_secret_given_again_has_the_later_value(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", NOTE, expected_seq=0, secrets={"k": b"a longer value"})
        await journal.append("a", NOTE, expected_seq=1, secrets={"k": b"later"})
        assert await journal.secrets("a") == {"k": b"later"}


async def test_forgetting_takes_all_that_the_stream_had_and_no_other(opened: Opened) -> None:
    async with opened() as journal:
        for run_id in "ab":
            await journal.append(run_id, NOTE, expected_seq=0, secrets={"k": b"old"})
        await journal.append("a", NOTE, expected_seq=1, secrets={"n": b"new"}, forget_secrets=True)
        assert await journal.secrets("a") == {"n": b"new"}
        await journal.append("a", NOTE, expected_seq=2, forget_secrets=True)
        await journal.append("a", NOTE, expected_seq=3, forget_secrets=True)
        assert (await journal.secrets("a"), await journal.secrets("b")) == ({}, {"k": b"old"})


async def test_no_record_holds_a_secret(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", NOTE, expected_seq=0, secrets={"k": b"do not tell"})
        assert "do not tell" not in repr((await journal.read_all(), await journal.streams({})))


async def test_a_refused_append_leaves_and_forgets_no_secret(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", NOTE, expected_seq=0, secrets={"k#1": b"one"})
        outcomes = await asyncio.gather(
            journal.append("a", NOTE, expected_seq=1, secrets={"k#2": b"two"}),
            journal.append("a", NOTE, expected_seq=1, secrets={"k#2": b"x", "k#3": b"x"}),
            journal.append("a", NOTE, expected_seq=7, forget_secrets=True),
            journal.append("b", NOTE, expected_seq=7, secrets={"k#1": b"x"}),
            journal.append("c", NOTE, expected_seq=0, secrets={"k#1": b"c"}),
            return_exceptions=True,
        )
        refused = [isinstance(each, WrongExpectedSeq) for each in outcomes]
        assert refused == [False, True, True, True, False]
        assert await journal.secrets("a") == {"k#1": b"one", "k#2": b"two"}
        assert (await journal.secrets("b"), await journal.secrets("c")) == ({}, {"k#1": b"c"})


async def test_appends_that_wait_together_keep_and_forget_in_their_order(opened: Opened) -> None:
    async with opened() as journal:
        await asyncio.gather(
            journal.append("a", NOTE, expected_seq=0, secrets={"k#1": b"one"}),
            journal.append("a", NOTE, expected_seq=1, forget_secrets=True),
            journal.append("a", NOTE, expected_seq=2, secrets={"k#2": b"two"}),
        )
        assert await journal.secrets("a") == {"k#2": b"two"}


async def test_secrets_are_taken_as_they_were_when_given(opened: Opened) -> None:
    async with opened() as journal:
        secrets = {"k": b"one"}
        task = asyncio.create_task(journal.append("a", NOTE, expected_seq=0, secrets=secrets))
        await asyncio.sleep(0)
        secrets.clear()
        await task
        (await journal.secrets("a")).clear()
        assert await journal.secrets("a") == {"k": b"one"}


async def test_more_secrets_than_a_page_of_records_are_all_there(opened: Opened) -> None:
    async with opened() as journal:
        for seq in range(3):
            secrets = {f"k#{seq}": b"x" * (APPEND_MAX_BYTES - 100)}
            await journal.append("a", NOTE, expected_seq=seq, secrets=secrets)
        assert sorted(await journal.secrets("a")) == ["k#0", "k#1", "k#2"]


@pytest.mark.parametrize(
    ("secrets", "reason"),
    [
        ({"k" * 301: b""}, "a secret's name of 301 characters; at most 300"),
        ({"k": b"x" * (APPEND_MAX_BYTES - 1)}, "4194305 bytes in one append; at most 4194304"),
    ],
    ids=["name", "value"],
)
async def test_secrets_over_a_limit_are_refused(
    opened: Opened, secrets: dict[str, bytes], reason: str
) -> None:
    async with opened() as journal:
        with pytest.raises(AppendTooLarge, match=reason):
            await journal.append("a", NOTE, expected_seq=0, secrets=secrets)
        assert (await journal.secrets("a"), await journal.end()) == ({}, 0)


async def test_the_largest_secrets_fit(opened: Opened) -> None:
    async with opened() as journal:
        secrets = {"ä" * 300: b"x" * (APPEND_MAX_BYTES - 601)}
        await journal.append("a", NOTE, expected_seq=0, secrets=secrets)
        assert await journal.secrets("a") == secrets


async def test_a_secret_has_a_name_and_bytes(opened: Opened) -> None:
    text: Any = "hush-hush"
    async with opened() as journal:
        with pytest.raises(ValueError, match="a secret has a name of 1 to 300 characters"):
            await journal.append("a", NOTE, expected_seq=0, secrets={"": b"1"})
        with pytest.raises(TypeError, match="a secret's value must be bytes, not str"):
            await journal.append("a", NOTE, expected_seq=0, secrets={"k": text})
        with pytest.raises(UnicodeEncodeError):
            await journal.append("a", NOTE, expected_seq=0, secrets={"\udcff": b"1"})
        assert await journal.end() == 0


async def test_a_closed_journal_tells_no_secrets(opened: Opened) -> None:
    async with opened() as journal:
        await journal.append("a", NOTE, expected_seq=0, secrets={"k": b"1"})
    with pytest.raises(JournalFailed, match="closed"):
        await journal.secrets("a")


# --- in a file ------------------------------------------------------------------------------


def files_of(path: Path) -> bytes:
    """All that SQLite keeps of a journal."""
    return b"".join(each.read_bytes() for each in sorted(path.parent.glob(f"{path.name}*")))


async def settled(journal: SqliteJournal) -> None:
    """Wait for what the journal does once it has answered."""
    if journal._flushing:
        await asyncio.wait({journal._flushing})


async def test_secrets_survive_and_so_does_forgetting(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        await journal.append("a", NOTE, expected_seq=0, secrets={"k": b"one"})
        await journal.append("b", NOTE, expected_seq=0, secrets={"k": b"two"})
        await journal.append("b", NOTE, expected_seq=1, forget_secrets=True)
    async with open_journal(path) as again:
        assert (await again.secrets("a"), await again.secrets("b")) == ({"k": b"one"}, {})


@pytest.mark.parametrize("size", [1, 40, 5000, 100_000])
async def test_what_was_forgotten_is_in_no_file(tmp_path: Path, size: int) -> None:
    path, value = tmp_path / "test.db", b"do not tell" * size
    async with open_journal(path) as journal:
        await journal.append("a", NOTE, expected_seq=0, secrets={"k": value})
        assert b"do not tell" in files_of(path)
        await journal.append("a", NOTE, expected_seq=1, forget_secrets=True)
        await settled(journal)
        assert b"do not tell" not in files_of(path)
    assert b"do not tell" not in files_of(path)


@pytest.mark.parametrize("seed", range(4))
async def test_no_page_that_was_split_or_merged_keeps_a_copy(tmp_path: Path, seed: int) -> None:
    draw, path, seqs = random.Random(seed), tmp_path / "test.db", dict.fromkeys(range(40), 0)
    dead: set[bytes] = set()
    live: dict[int, list[bytes]] = {}
    async with open_journal(path, durability="normal") as journal:
        for step in range(120):
            run = draw.randrange(40)
            marks = [b"<%d.%d>" % (step, n) for n in range(draw.randint(0, 4))]
            new = {f"k#{step}.{mark!r}": mark * draw.choice([1, 30, 600]) for mark in marks}
            forget = draw.random() < 0.5
            await journal.append(
                f"r{run}", NOTE, expected_seq=seqs[run], secrets=new, forget_secrets=forget
            )
            seqs[run] += 1
            dead |= set(live.pop(run, [])) if forget else set()
            live.setdefault(run, []).extend(marks)
        await journal.append("end", NOTE, expected_seq=0, secrets={"k": b"1"})
        await journal.append("end", NOTE, expected_seq=1, forget_secrets=True)
        await settled(journal)
        kept = files_of(path)
    assert len(dead) > 50
    assert [mark for mark in dead if mark in kept] == []


async def test_only_what_was_there_to_forget_empties_the_log(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    log = path.with_name("test.db-wal")
    async with open_journal(path) as journal:
        await journal.append("a", NOTE, expected_seq=0, forget_secrets=True)
        await settled(journal)
        assert log.stat().st_size > 0
        await journal.append("a", NOTE, expected_seq=1, secrets={"k": b"1"})
        await journal.append("a", NOTE, expected_seq=2, forget_secrets=True)
        await settled(journal)
        assert log.stat().st_size == 0


async def test_a_reader_in_the_way_delays_it_until_it_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stenograph.journal.sqlite.TRUNCATE_AGAIN_S", 0.01)
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        await journal.append("a", NOTE, expected_seq=0, secrets={"k": b"do not tell"})
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("PRAGMA wal_autocheckpoint=0")
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM record").fetchall()
            await journal.append("a", NOTE, expected_seq=1, forget_secrets=True)
            await settled(journal)
            await journal.append("a", NOTE, expected_seq=2)
            await settled(journal)
            assert b"do not tell" in files_of(path)
            reader.execute("ROLLBACK")
            for _ in range(1000):
                if b"do not tell" not in files_of(path):
                    break
                await asyncio.sleep(0.01)
            assert b"do not tell" not in files_of(path)
        assert journal.failure is None


async def test_a_reader_at_the_end_of_the_log_is_waited_for_only_so_long(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        await journal.append("a", NOTE, expected_seq=0, secrets={"k": b"1"})
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("PRAGMA wal_autocheckpoint=0")
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM record").fetchall()
            journal._checkpoints.must_truncate = True
            await journal._checkpoints.run_if_due()
            assert journal._checkpoints.must_truncate
        await journal._checkpoints.run_if_due()
        assert not journal._checkpoints.must_truncate


async def test_a_journal_that_has_failed_does_not_try_again(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "test.db") as journal:
        journal.failure = JournalFailed("as after an I/O error")
        journal._try_again()
        assert journal._flushing is None


async def test_a_log_that_a_killed_writer_left_is_emptied_at_the_next_opening(
    tmp_path: Path,
) -> None:
    path, copy = tmp_path / "test.db", tmp_path / "killed" / "test.db"
    copy.parent.mkdir()
    async with open_journal(path) as journal:
        await journal.append("a", NOTE, expected_seq=0, secrets={"k": b"do not tell"})
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("PRAGMA wal_autocheckpoint=0")
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM record").fetchall()
            await journal.append("a", NOTE, expected_seq=1, forget_secrets=True)
            await settled(journal)
            for name in ("test.db", "test.db-wal"):
                copy.with_name(name).write_bytes(path.with_name(name).read_bytes())
    assert b"do not tell" in files_of(copy)
    async with open_journal(copy) as again:
        await settled(again)
        assert b"do not tell" not in files_of(copy)
        assert (await again.head("a"), await again.secrets("a")) == (2, {})


async def test_erasing_a_record_forgets_its_streams_secrets(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "test.db") as journal:
        for run_id in "ab":
            await journal.append(run_id, NOTE, expected_seq=0, secrets={"k": b"1"})
        erase = "UPDATE record SET data = sha256(data), erased = 1 WHERE stream = 1"
        await journal._writer.execute(erase)
        assert (await journal.secrets("a"), await journal.secrets("b")) == ({}, {"k": b"1"})


async def test_a_journal_of_before_there_were_secrets_keeps_them_now(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script("schema.sql"))
        db.executescript(f"""
            INSERT INTO meta VALUES ('id', '0123456789abcdef');
            PRAGMA application_id={APPLICATION_ID};
            PRAGMA user_version={FORMAT};
        """)
    async with open_journal_readonly(path) as beside:
        assert await beside.end() == 0
    for seq in range(2):
        async with open_journal(path) as journal:
            await journal.append("a", NOTE, expected_seq=seq, secrets={f"k#{seq}": b"1"})
            assert len(await journal.secrets("a")) == seq + 1


async def test_a_journal_opened_for_reading_tells_no_secrets(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        await journal.append("a", NOTE, expected_seq=0, secrets={"k": b"1"})
        async with open_journal_readonly(path) as beside:
            assert not hasattr(beside, "secrets")
            assert not hasattr(beside.storage, "secrets")


async def test_an_append_without_secrets_costs_no_statement_more(tmp_path: Path) -> None:
    asked: list[str] = []
    async with open_journal(tmp_path / "test.db") as journal:
        await journal.append("a", NOTE, expected_seq=0)
        await journal._writer.set_trace_callback(asked.append)
        await journal.append("a", NOTE, expected_seq=1)
        assert [sql.split()[0] for sql in asked] == ["INSERT"]
