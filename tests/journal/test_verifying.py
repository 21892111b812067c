"""Verifying a file: which record is bad, why, and what is sound before it."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from stenograph.journal import (
    CannotOpen,
    Finding,
    JournalUnreadable,
    MemoryJournal,
    NewRecord,
    NotAJournal,
    Verdict,
    inspect_file,
    open_journal,
    open_journal_readonly,
    open_stored,
)
from stenograph.journal.stored import StoredFile
from stenograph.journal.verifying import FINDINGS_MAX, Checker
from tests.journal.tampering import RECORDS, RUNS, make_journal, rows_of, some_record, writable

SCRIPT = Path(__file__).parents[2] / "docs" / "examples" / "verify_journal.py"
GUARDS = (
    "record_is_only_ever_erased",
    "record_is_never_deleted",
    "stream_never_changes",
    "stream_is_never_deleted",
    "meta_never_changes",
    "meta_is_never_deleted",
    "erasing_forgets_secrets",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("verifying") / "journal.db"
    asyncio.run(make_journal(path))
    return path


@pytest.fixture
def journal(made: Path, tmp_path: Path) -> Path:
    """A sound journal, to do harm to."""
    path = tmp_path / "journal.db"
    path.write_bytes(made.read_bytes())
    return path


def harm(path: Path, *statements: str) -> None:
    """Change a file as somebody would who leaves no trace of it in the schema."""
    with closing(writable(path)) as db:
        guards = dict(
            db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        )
        for name in GUARDS:
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            db.execute(statement)
        for name in GUARDS:
            db.execute(guards[name])
        db.commit()


def verified(path: Path, run_id: str | None = None) -> Verdict:
    verdict = inspect_file(path, run_id)
    assert verdict is not None
    plain = run_plainly(path).returncode
    assert run_id is not None or plain == (0 if verdict.ok else 5)
    return verdict


def run_plainly(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, path], capture_output=True, text=True, check=False
    )


def only_finding(path: Path, run_id: str | None = None) -> Finding:
    verdict = verified(path, run_id)
    assert (verdict.ok, verdict.faults) == (False, 1)
    return verdict.findings[0]


def test_a_journal_as_it_was_written_holds(journal: Path) -> None:
    verdict = verified(journal)
    assert (verdict.ok, verdict.findings, verdict.next) == (True, [], None)
    assert (verdict.records, verdict.runs, verdict.sound) == (RECORDS, len(RUNS), RECORDS)
    assert verdict.erased == sum(row.run_id == "r-2" for row in rows_of(journal)) - 1 > 0
    for run_id in RUNS:
        run = verified(journal, run_id)
        assert run.ok
        assert run.records == run.sound == sum(row.run_id == run_id for row in rows_of(journal))
    assert inspect_file(journal, "nobody") is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("at = '2026-11-20T22:55:01.123456Z'", "content"),
        ("at = 'yesterday'", "field"),
        ("at = CAST(at AS BLOB)", "field"),
        ("type = 'run.failed'", "content"),
        ("type = 7", "field"),
        ("hash = zeroblob(32)", "hash"),
        ("hash = zeroblob(31)", "field"),
        ("data = data || ' '", "field"),  # which makes a text of it
        ("data = CAST(data || ' ' AS BLOB)", "content"),
        ("erased = 1", "erased"),
        ("erased = 2", "erased"),
        ("erased = 1, data = sha256(x'77')", "content"),
        ("stream = 77", "stream"),
    ],
)
def test_a_field_that_was_changed_is_told_of_by_its_record(
    journal: Path, change: str, why: str
) -> None:
    bad = next(row for row in rows_of(journal) if row.run_id == "r-1" and row.seq == 5)
    harm(journal, f"UPDATE record SET {change} WHERE offset = {bad.offset}")
    found = verified(journal)
    first = found.findings[0]
    assert (first.why, first.offset, first.seq) == (why, bad.offset, 5)
    assert found.sound == bad.offset - 1
    assert first.sound_seq == (4 if why != "stream" else None)
    if why != "stream":
        # A hash that is none has the next record in doubt, too.
        assert found.faults == (2 if "31" in change else 1)
        assert verified(journal, "r-1").findings[0] == first
        assert verified(journal, "r-1").sound == 4
        assert verified(journal, "r-3").ok


def test_an_erased_record_that_is_said_not_to_be_is_found(journal: Path) -> None:
    harm(journal, "UPDATE record SET erased = 0 WHERE erased = 1 AND seq = 3")
    assert only_finding(journal).why == "content"


@pytest.mark.parametrize("run_id", [None, "r-1"])
def test_erasing_a_part_of_a_run_is_found(journal: Path, run_id: str | None) -> None:
    """Erasing takes all there is, and a record behind it tells of it: an edit can hide in no mark."""
    erase = "UPDATE record SET erased = 1, data = sha256(data) WHERE stream = "
    r_1 = "(SELECT number FROM stream WHERE run_id = 'r-1')"
    harm(journal, f"{erase} {r_1} AND seq = 5")
    [finding] = verified(journal, run_id).findings
    assert (finding.why, finding.run_id, finding.seq) == ("erased", "r-1", 5)
    assert finding.detail == "it is erased, and 1 before it is not"
    harm(journal, f"{erase} {r_1} AND NOT erased")
    [finding] = verified(journal, run_id).findings
    assert "no record behind it tells of that" in finding.detail


@pytest.mark.parametrize("offset", [-(2**63), -(2**63) + 1, -1, 0])
def test_a_record_below_all_offsets_is_found(journal: Path, offset: int) -> None:
    harm(journal, f"UPDATE record SET offset = {offset} WHERE offset = {RECORDS}")
    assert "offset" in {finding.why for finding in verified(journal).findings}
    assert verified(journal).records == RECORDS


def test_a_stand_in_that_somebody_wrote_himself_is_found(journal: Path) -> None:
    stand_in = '{"$erased":"' + "ab" * 32 + '"}'
    harm(journal, f"UPDATE record SET data = CAST('{stand_in}' AS BLOB) WHERE offset = 9")
    assert only_finding(journal).offset == 9


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE stream SET run_id = 'r-9' WHERE run_id = 'r-1'", "content"),
        ("UPDATE stream SET run_id = '' WHERE run_id = 'r-1'", "stream"),
        ("UPDATE stream SET created_at = '2020-01-01T00:00:00.000000Z' WHERE number = 2", "stream"),
        ("UPDATE stream SET created_at = 0 WHERE number = 2", "stream"),
        ("UPDATE stream SET number = 99 WHERE number = 2", "stream"),
        ("UPDATE record SET offset = -4 WHERE offset = 4", "offset"),
        ("UPDATE record SET offset = 999 WHERE offset = 200", "offset"),
        ("DELETE FROM record WHERE offset = 100", "seq"),
        ("DELETE FROM record WHERE stream = 5", "offset"),
    ],
)
def test_streams_and_places_that_were_changed_are_found(
    journal: Path, statement: str, why: str
) -> None:
    harm(journal, statement)
    assert why in {finding.why for finding in verified(journal).findings}


def test_a_run_whose_records_are_all_gone_is_found(journal: Path) -> None:
    harm(journal, "DELETE FROM record WHERE stream = 6")
    found = {finding.detail for finding in verified(journal).findings}
    assert any("stream 6 (a.b_c-d) has no record" in detail for detail in found)
    assert not verified(journal, "a.b_c-d").ok


def test_streams_that_were_swapped_are_found(journal: Path) -> None:
    harm(
        journal,
        "UPDATE record SET stream = 0 WHERE stream = 2",
        "UPDATE record SET stream = 2 WHERE stream = 3",
        "UPDATE record SET stream = 3 WHERE stream = 0",
        "UPDATE stream SET run_id = 'x' WHERE number = 2",
        "UPDATE stream SET run_id = 'r-1' WHERE number = 3",
        "UPDATE stream SET run_id = 'r-2' WHERE number = 2",
    )
    assert "begins where 2 belongs" in verified(journal).findings[0].detail


def test_what_keeps_records_from_changing_must_be_there(journal: Path) -> None:
    with closing(writable(journal)) as db:
        db.execute("DROP TRIGGER record_is_never_deleted")
    verdict = inspect_file(journal)
    assert verdict is not None
    assert [finding.why for finding in verdict.findings] == ["schema"]
    assert verdict.sound == RECORDS


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TRIGGER sly BEFORE INSERT ON record BEGIN SELECT RAISE(IGNORE); END"],
        [
            "DROP TRIGGER erasing_deletes_snapshots",
            "CREATE TRIGGER erasing_deletes_snapshots AFTER UPDATE ON label BEGIN SELECT 1; END",
        ],
    ],
)
def test_what_keeps_records_from_being_written_or_erased_must_not_be_there(
    journal: Path, statements: list[str]
) -> None:
    with closing(writable(journal)) as db:
        for statement in statements:
            db.execute(statement)
    verdict = inspect_file(journal)
    assert verdict is not None
    assert [finding.why for finding in verdict.findings] == ["schema"]


def test_what_came_later_than_the_format_may_be_missing(journal: Path) -> None:
    with closing(writable(journal)) as db:
        for each in ("TRIGGER erasing_deletes_snapshots", "TABLE snapshot"):
            db.execute(f"DROP {each}")
    assert verified(journal).ok


def test_what_the_journal_was_made_with_must_be_there(journal: Path) -> None:
    harm(journal, "UPDATE meta SET value = 'x'")
    verdict = inspect_file(journal)
    assert verdict is not None
    assert [finding.why for finding in verdict.findings] == ["meta", "meta"]


def test_what_is_changed_in_the_cache_of_labels_is_no_finding(journal: Path) -> None:
    """Labels are told by the records, and proved by nothing."""
    harm(journal, "UPDATE label SET value = 'completed' WHERE key = 'status'")
    assert verified(journal).ok


def test_only_so_many_findings_are_kept(journal: Path) -> None:
    harm(journal, "UPDATE record SET at = '2026-11-20T22:55:01.123456Z'")
    verdict = verified(journal)
    assert len(verdict.findings) == FINDINGS_MAX < verdict.faults


def test_beyond_those_that_are_kept_findings_are_counted_all_the_same(journal: Path) -> None:
    at = "2026-11-20T22:55:01.123456Z"
    bad = "SELECT max(offset) FROM record WHERE stream = 2 AND offset < 190"
    harm(
        journal,
        f"UPDATE record SET at = '{at}' WHERE offset < 150",
        f"UPDATE record SET hash = zeroblob(32) WHERE offset = ({bad})",
    )
    verdict = verified(journal)
    assert verdict.faults > len(verdict.findings) == FINDINGS_MAX
    assert all(finding.why != "hash" for finding in verdict.findings)


def test_a_run_id_that_changes_within_a_stream_is_found(journal: Path) -> None:
    checker = Checker()
    for row in rows_of(journal):
        checker.take(replace(row, run_id="other") if row.offset == 90 else row)
    assert [finding.why for finding in checker.findings.kept] == [
        "stream",
        "content",
        "stream",
    ]


async def test_large_records_come_in_short_pages(tmp_path: Path) -> None:
    one = NewRecord("log", b'"%b"' % (b"x" * 1_900_000), "2026-11-20T22:55:01.123456Z")
    async with open_journal(tmp_path / "j.db", durability="normal") as it:
        for n in range(5):
            await it.append("r", [one], expected_seq=n)
    with open_stored(tmp_path / "j.db") as file:
        assert len(file.records()) == 3
    assert verified(tmp_path / "j.db").records == 5


async def test_a_part_behind_a_head_that_is_none_is_said_to_begin_there(journal: Path) -> None:
    bad = next(row for row in rows_of(journal) if row.run_id == "r-1" and row.seq == 5)
    harm(journal, f"UPDATE record SET hash = 'x' WHERE offset = {bad.offset}")
    verdict = inspect_file(journal, "r-1", after=5, limit=3)
    assert verdict is not None
    assert verdict.findings[0].why == "seq"


@pytest.mark.parametrize("ask", [StoredFile.records, StoredFile.damage])
def test_a_page_that_is_locked_is_not_called_damaged(
    journal: Path, ask: Callable[[StoredFile], object]
) -> None:
    with closing(sqlite3.connect(journal, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=DELETE")
        with open_stored(journal) as file:
            db.execute("BEGIN EXCLUSIVE")
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                ask(file)


def damage(path: Path, begin: bytes, *, size: int = 4096) -> None:
    """Overwrite the page that holds some bytes."""
    data = bytearray(path.read_bytes())
    page = data.index(begin) // 4096 * 4096
    data[page : page + size] = b"\xa5" * size
    path.write_bytes(data)


def test_a_damaged_page_is_told_with_what_can_be_read_before_and_behind_it(journal: Path) -> None:
    rows = rows_of(journal)
    middle = next(row for row in rows if row.offset > 100 and not row.erased)
    damage(journal, middle.data)
    verdict = inspect_file(journal)
    assert verdict is not None
    [lost] = [each for each in verdict.findings if "cannot be read" in each.detail]
    assert lost.detail.startswith(f"from {verdict.sound + 1} up to ")
    assert 0 < verdict.sound < middle.offset
    assert 0 < RECORDS - verdict.records < 60
    assert any("own check" in each.detail for each in verdict.findings)
    run = inspect_file(journal, str(middle.run_id))
    assert run is not None
    assert not run.ok
    assert run.sound < middle.seq


def test_a_damaged_end_is_told_too(journal: Path) -> None:
    damage(journal, rows_of(journal)[-1].data)
    verdict = inspect_file(journal)
    assert verdict is not None
    assert any("to the end cannot be read" in each.detail for each in verdict.findings)


def test_an_index_that_is_not_what_its_table_says_is_found(journal: Path) -> None:
    with closing(sqlite3.connect(journal)) as db:
        [(page,)] = db.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_record_1'"
        ).fetchall()
    data = bytearray(journal.read_bytes())
    end = page * 4096
    data[end - 2] ^= 1
    journal.write_bytes(data)
    verdict = inspect_file(journal)
    assert verdict is not None
    assert verdict.findings[0].why == "index"
    assert verdict.records == RECORDS


def test_a_file_of_which_nothing_can_be_read_says_so(journal: Path) -> None:
    data = bytearray(journal.read_bytes())
    data[100:8192] = b"\xa5" * 8092
    journal.write_bytes(data)
    with pytest.raises(JournalUnreadable, match="nothing can be read"):
        inspect_file(journal)


def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotOpen, match="does not exist"):
        inspect_file(tmp_path / "none")
    sqlite3.connect(tmp_path / "other").execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(NotAJournal, match="no journal of format 1"):
        inspect_file(tmp_path / "other")


async def test_a_file_that_is_locked_is_not_called_damaged(journal: Path) -> None:
    with closing(sqlite3.connect(journal, isolation_level=None)) as db:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=DELETE")
        db.execute("BEGIN EXCLUSIVE")
        with pytest.raises(CannotOpen, match="locked by another program"):
            inspect_file(journal)


async def test_a_journal_verifies_itself_in_parts(journal: Path) -> None:
    harm(journal, "UPDATE record SET type = 'x' WHERE offset IN (120, 121)")
    bad = {row.offset: row for row in rows_of(journal) if row.offset in (120, 121)}
    async with open_journal(journal) as it:
        parts = [await it.verify(after=after, limit=50) for after in (0, 50, 100, 150, 200)]
        run = await it.verify(str(bad[120].run_id), after=bad[120].seq - 1, limit=1)
        assert await it.verify("nobody") is None
    assert [part and (part.ok, part.records, part.next) for part in parts] == [
        (True, 50, 50),
        (True, 50, 100),
        (False, 50, 150),
        (True, 50, 200),
        (True, 0, None),
    ]
    assert run is not None
    assert (run.faults, run.sound, run.next) == (1, bad[120].seq - 1, bad[120].seq)


async def test_a_journal_that_others_write_can_be_verified(journal: Path) -> None:
    async with open_journal(journal) as it, open_journal_readonly(journal) as reader:
        await it.append("r-new", [some_record(random.Random(1), 1)], expected_seq=0)
        found = await reader.verify()
    assert found is not None
    assert (found.ok, found.records) == (True, RECORDS + 1)


async def test_a_journal_in_memory_verifies_itself(journal: Path) -> None:
    rows = rows_of(journal)
    async with MemoryJournal() as it:
        chance = random.Random(3)
        for n in range(20):
            await it.append(f"r-{n % 3}", [some_record(chance, n)], expected_seq=n // 3)
        whole, run = await it.verify(), await it.verify("r-1", after=2)
        part = await it.verify(after=1, limit=2)
        empty = await it.verify("r-0", after=99)
        assert await it.verify("nobody") is None
    assert rows
    assert whole is not None
    assert (whole.ok, whole.records, whole.runs) == (True, 20, 3)
    assert run is not None
    assert (run.ok, run.records, run.sound) == (True, 5, 7)
    assert part is not None
    assert (part.ok, part.next) == (True, 3)
    assert empty is not None
    assert empty.records == 0
