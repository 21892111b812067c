"""``steno verify`` and ``steno checkpoint``: what they say, and with which exit code."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from stenograph.cli.checkpoint import append_checkpoint
from stenograph.journal import VERIFY_MAX, NewRecord, new_key, open_journal, read_key
from tests.cli.running import Server, graph_file, on_terminal, serving, steno
from tests.cli.tools import COUNT
from tests.journal.tampering import make_journal
from tests.journal.test_verifying import harm


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    asyncio.run(make_journal(tmp_path / "steno.db"))
    return tmp_path / "steno.db"


def test_what_holds_is_told_with_exit_code_0(journal: Path) -> None:
    done = steno("--db", journal, "verify")
    [answer] = done.documents
    assert (done.code, answer["ok"], answer["records"], answer["findings"]) == (0, True, 200, [])
    run = steno("--db", journal, "verify", "r-1").documents[0]
    assert (run["ok"], run["run_id"], run["next"]) == (True, "r-1", None)


def test_a_finding_is_told_with_exit_code_5(journal: Path) -> None:
    harm(journal, "UPDATE record SET type = 'x' WHERE offset = 50")
    done = steno("--db", journal, "verify")
    [answer] = done.documents
    assert (done.code, answer["ok"], answer["faults"], answer["sound"]) == (5, False, 1, 49)
    assert answer["findings"][0]["offset"] == 50
    assert done.err == f"Error: {journal}: 1 thing found to be wrong; sound up to offset 49\n"


def test_a_file_that_was_cut_short_is_told_with_exit_code_5(journal: Path) -> None:
    os.truncate(journal, 6000)
    done = steno("--db", journal, "verify")
    assert (done.code, done.err) == (
        5,
        f"Error: {journal} is damaged and cannot be opened: database disk image is malformed\n",
    )


def test_on_a_terminal_it_is_words(journal: Path) -> None:
    sound = on_terminal("--db", journal, "verify")
    assert "200 records of 6 streams, 36 of them erased" in sound.out.replace("\n", " ")
    assert "every hash follows from the one before it" in sound.out
    assert "without a checkpoint" in sound.out
    assert "of them erased" not in steno("--db", journal, "verify", "r-1", "-o", "table").out
    harm(journal, "UPDATE record SET type = 'x' WHERE offset = 50", "DROP TABLE secret")
    found = steno("--db", journal, "verify", "-o", "table")
    assert found.code == 5
    assert "offset 50, " in found.out
    assert "(content); its run is sound up to seq" in found.out
    harm_all = "UPDATE record SET type = 'y'"
    with closing(sqlite3.connect(journal)) as db:
        db.execute("DROP TRIGGER record_is_only_ever_erased")
        db.execute(harm_all)
        db.commit()
    many = steno("--db", journal, "verify", "-o", "table")
    assert "… and" in many.out
    assert "record_is_only_ever_erased is missing, or is not as a journal has it" in many.out


def test_a_run_is_found_by_how_its_id_begins(journal: Path) -> None:
    assert steno("--db", journal, "verify", "ord").documents[0]["run_id"] == "order:7"
    assert steno("--db", journal, "verify", "@last").documents[0]["run_id"] == "a.b_c-d"
    several = steno("--db", journal, "verify", "r-")
    assert (several.code, several.err) == (
        2,
        "Error: several runs begin with r-: r-3, r-2, r-1; write more of the id\n",
    )
    assert steno("--db", journal, "verify", "nobody").code == 4
    many = [f"many-{n}" for n in range(7)]
    asyncio.run(begin(journal, many))
    assert ", …;" in steno("--db", journal, "verify", "many").err


async def begin(journal: Path, run_ids: list[str]) -> None:
    async with open_journal(journal) as it:
        for run_id in run_ids:
            await it.append(
                run_id, [NewRecord("log", b"{}", "2026-11-20T22:55:01.123456Z")], expected_seq=0
            )


def test_a_server_is_asked_part_by_part(server: Server) -> None:
    run = steno("--url", server.url, "run", "count", "-s", "to=2", "--follow").documents[0][
        "run_id"
    ]
    there = steno("--url", server.url, "verify", run)
    assert (there.code, there.documents[0]["ok"]) == (0, True)
    assert there.documents == steno("--db", server.db, "verify", run).documents
    assert steno("--url", server.url, "verify", "nobody").code == 4


def test_a_long_journal_is_asked_for_in_parts(tmp_path: Path) -> None:
    async def write() -> None:
        async with open_journal(tmp_path / "long.db", durability="normal") as it:
            one = NewRecord("log", b"{}", "2026-11-20T22:55:01.123456Z")
            for n in range(0, VERIFY_MAX + 1000, 1000):
                await it.append("graph/long", [one] * 1000, expected_seq=n)
            await it.append("late", [one], expected_seq=0)

    asyncio.run(write())
    harm(tmp_path / "long.db", "UPDATE record SET type = 'x' WHERE offset IN (5, 10500)")
    with serving("--db", tmp_path / "long.db", "--port", "0") as server:
        done = steno("--url", server.url, "verify")
    [answer] = done.documents
    assert done.code == 5
    assert (answer["records"], answer["faults"], answer["sound"]) == (VERIFY_MAX + 1001, 2, 4)
    assert answer["runs"] == 2
    assert [each["offset"] for each in answer["findings"]] == [5, 10500]


def test_checkpoints_are_made_and_verified_against(journal: Path, tmp_path: Path) -> None:
    key, lines = tmp_path / "key", tmp_path / "checkpoints.jsonl"
    made = steno("checkpoint", "--new-key", key)
    assert made.err.startswith("Key ")
    assert steno("checkpoint", "--new-key", key).code == 2
    assert steno("checkpoint", "--new-key", tmp_path / "quiet", "-q").err == ""
    assert steno("--db", journal, "checkpoint", "--key", key, "--to", lines).code == 0
    asyncio.run(begin(journal, ["r-new"]))
    assert steno("--db", journal, "checkpoint", "--key", key, "--to", lines).code == 0
    printed = steno("--db", journal, "checkpoint", "--key", key)
    assert printed.documents[0]["records"] == 201
    asyncio.run(begin(journal, ["r-newer"]))
    words = ["--db", journal, "verify", "--checkpoints", lines, "--public-key", f"{key}.pub"]
    [answer] = steno(*words).documents
    assert (answer["ok"], answer["vouched"], answer["unprotected"]) == (True, 201, 1)
    assert "1 record after them are unprotected" in steno(*words, "-o", "table").out
    harm(journal, "DELETE FROM record WHERE offset > 200", "DELETE FROM stream WHERE number > 6")
    cut = steno(*words)
    assert (cut.code, cut.documents[0]["findings"][0]["why"]) == (5, "checkpoint")
    assert "vouch for the first 200 records" in steno(*words, "-o", "table").out
    refused = steno("--db", journal, "checkpoint", "--key", key, "--to", lines)
    assert (refused.code, "the journal was cut" in refused.err) == (5, True)


def test_a_checkpoint_that_a_crash_cut_off_stays_a_line_of_its_own(
    journal: Path, tmp_path: Path
) -> None:
    key, lines = tmp_path / "key", tmp_path / "checkpoints.jsonl"
    steno("checkpoint", "--new-key", key)
    steno("--db", journal, "checkpoint", "--key", key, "--to", lines)
    lines.write_bytes(lines.read_bytes().removesuffix(b"\n"))
    assert steno("--db", journal, "checkpoint", "--key", key, "--to", lines).code == 0
    assert [json.loads(line)["records"] for line in lines.read_text().splitlines()] == [200, 200]


@pytest.mark.parametrize("before", [0, 1])
def test_a_checkpoint_that_a_crash_left_half_written_is_written_anew(
    journal: Path, tmp_path: Path, before: int
) -> None:
    key, lines = tmp_path / "key", tmp_path / "checkpoints.jsonl"
    steno("checkpoint", "--new-key", key)
    for _ in range(before + 1):
        steno("--db", journal, "checkpoint", "--key", key, "--to", lines)
    lines.write_bytes(lines.read_bytes()[:-100])
    assert steno("--db", journal, "checkpoint", "--key", key, "--to", lines).code == 0
    assert [json.loads(line)["records"] for line in lines.read_text().splitlines()] == [200] * (
        before + 1
    )
    words = ["verify", "--checkpoints", lines, "--public-key", f"{key}.pub"]
    assert steno("--db", journal, *words).code == 0


def test_what_was_no_checkpoint_is_not_written_over(journal: Path, tmp_path: Path) -> None:
    steno("checkpoint", "--new-key", tmp_path / "key")
    (tmp_path / "notes").write_bytes(b"precious")
    words = ["--key", tmp_path / "key", "--to", tmp_path / "notes"]
    assert steno("--db", journal, "checkpoint", *words).code == 5
    assert (tmp_path / "notes").read_bytes() == b"precious"


def test_checkpoints_that_are_written_at_once_go_on_from_each_other(
    journal: Path, tmp_path: Path
) -> None:
    new_key(tmp_path / "key")
    lines = tmp_path / "checkpoints.jsonl"
    append = partial(append_checkpoint, str(journal), read_key(tmp_path / "key"), str(lines))
    with ThreadPoolExecutor(8) as threads:
        for each in [threads.submit(append) for _ in range(24)]:
            each.result()
    words = ["verify", "--checkpoints", lines, "--public-key", tmp_path / "key.pub"]
    assert steno("--db", journal, *words).code == 0
    assert len(lines.read_bytes().splitlines()) == 24


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["verify", "--checkpoints", "x"], "go together"),
        (["verify", "--checkpoints", "x", "--public-key", "y"], "name its file with --db"),
        (["--db", "j", "verify", "r", "--checkpoints", "x", "--public-key", "y"], "whole journal"),
        (["--db", "j", "verify", "--checkpoints", "x", "--public-key", "y"], "cannot be read"),
        (["--db", "j", "verify"], "does not exist"),
        (["checkpoint"], "give --key"),
        (["checkpoint", "--key", "k"], "name the journal's file"),
        (["--db", "j", "checkpoint", "--key", "k"], "k cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said(words: list[str], told: str) -> None:
    done = steno(*words)
    assert (done.code, told in done.err) == (2, True), done.err


def test_a_file_of_checkpoints_that_cannot_be_written_is_said(
    journal: Path, tmp_path: Path
) -> None:
    steno("checkpoint", "--new-key", tmp_path / "key")
    done = steno("--db", journal, "checkpoint", "--key", tmp_path / "key", "--to", tmp_path)
    assert (done.code, "cannot be used" in done.err) == (2, True)


def test_a_run_that_a_server_wrote_holds(tmp_path: Path) -> None:
    with serving("--db", tmp_path / "steno.db", "--port", "0") as server:
        graph = graph_file(tmp_path, COUNT)
        assert steno("--url", server.url, "run", graph, "-s", "to=2", "--follow").code == 0
        assert steno("--db", tmp_path / "steno.db", "verify").code == 0
    assert steno("--db", tmp_path / "steno.db", "verify").code == 0
