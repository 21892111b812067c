"""``steno export`` and ``steno import``, and what can be read of a file without either place."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import (
    PATIENCE_S,
    Server,
    command,
    environment,
    steno,
    steno_without_room,
)
from tests.cli.test_erase import begin
from tests.journal.test_verifying import harm


@pytest.fixture
def run_id(server: Server) -> str:
    return begin(server, "--follow")


@pytest.fixture
def file(server: Server, run_id: str, tmp_path: Path) -> Path:
    path = tmp_path / "run.ndjson"
    done = steno("--url", server.url, "export", run_id, path)
    assert (done.code, done.out) == (0, ""), done.err
    assert f"events of {run_id}, verified" in done.err
    return path


def test_server_and_file_export_the_same(
    server: Server, run_id: str, file: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "run.ndjson.gz"
    assert steno("--db", server.db, "export", run_id, packed).code == 0
    out = steno("--url", server.url, "export", run_id)
    events = file.read_text().splitlines()[1:-1]
    assert gzip.decompress(packed.read_bytes()).decode().splitlines()[1:-1] == events
    assert out.out.splitlines()[1:-1] == events
    assert steno("--db", server.db, "export", run_id, packed).code == 2
    assert steno("--db", server.db, "export", run_id, tmp_path / "no" / "where").code == 2
    assert not [*tmp_path.glob("*.part")]


def test_a_file_is_read_as_a_journal_is(server: Server, run_id: str, file: Path) -> None:
    there = ("--db", server.db)
    assert steno("show", file).documents == steno(*there, "show", run_id).documents
    assert steno("why", file, 2).out == steno(*there, "why", run_id, 2).out
    assert steno("blame", file).out == steno(*there, "blame", run_id).out
    assert steno("diff", f"{file}@2", f"{file}@4").code == 1
    tailed = steno("tail", file)
    told = [(each["seq"], each["hash"]) for each in tailed.documents]
    expected = steno(*there, "tail", run_id).documents
    assert (tailed.code, told) == (0, [(each["seq"], each["hash"]) for each in expected])
    assert steno("replay", file, "--speed", 0, "--type", "log").code == 0
    assert steno("--db", file, "tail", "--all").documents == tailed.documents
    assert steno("--db", file, "show", "@last").documents[0]["id"] == run_id
    assert steno("diff", file, run_id).code == 2
    assert steno("show", "nothing.ndjson").code == 2


def test_an_unfinished_run_in_a_file_ends_where_the_file_does(
    server: Server, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    run = steno("--url", server.url, "run", "wait", "-s", f"gate={gate}").documents[0]["id"]
    file = tmp_path / "run.ndjson"
    assert steno("--url", server.url, "export", run, file).code == 0
    gate.touch()
    tailed = steno("tail", file)
    assert (tailed.code, tailed.documents[-1]["run_id"]) == (75, run)
    steno("--url", server.url, "tail", run)
    later = tmp_path / "later.ndjson.gz"
    assert steno("--url", server.url, "export", run, later).code == 0
    both = steno("diff", file, later)
    assert (both.code, "same run" in both.err) == (2, True)


def test_a_changed_file_is_told_with_exit_code_5(file: Path) -> None:
    done = steno("verify", file)
    [answer] = done.documents
    assert (done.code, answer["ok"]) == (0, True)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:3], lines[3].replace(b'"at":"2', b'"at":"3'), *lines[4:]]))
    done = steno("verify", file)
    [answer] = done.documents
    assert (done.code, answer["sound"], answer["findings"][0]["why"]) == (5, 2, "line")
    assert "line 4" in steno("verify", file, "-o", "table").out
    assert steno("show", file).code == 5
    assert steno("import", file).code == 5
    file.write_bytes(b'{"')
    assert steno("verify", file).code == 5


def test_a_damaged_run_is_not_exported(server: Server, run_id: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    assert steno("--db", server.db, "backup", copy).code == 0
    harm(
        copy,
        f"UPDATE record SET type = 'x' WHERE seq = 3 AND stream = (SELECT number FROM "
        f"stream WHERE run_id = '{run_id}')",
    )
    done = steno("--db", copy, "export", run_id)
    assert (done.code, "does not verify at seq 3" in done.err) == (5, True)


def test_a_server_takes_a_file_in(server: Server, run_id: str, file: Path) -> None:
    there = ("--url", server.url)
    done = steno(*there, "import", file)
    assert (done.code, done.documents[0]["id"]) == (0, run_id)
    assert "was there already" in done.err
    piped = steno(*there, "import", "-", "-o", "table", stdin=file.read_bytes())
    assert (piped.code, "at seq" in piped.out) == (0, True)
    assert steno("--db", server.db, "import", file).code == 2
    assert steno(*there, "erase", run_id).code == 0
    assert steno(*there, "import", file).code == 6
    assert steno(*there, "export", run_id).code == 4


def test_only_what_passes_a_filter_is_told_of_a_file(file: Path) -> None:
    types = {each["type"] for each in steno("tail", file, "--type", "log").documents}
    assert types == {"log"}
    whole = steno("--db", file, "tail", "--all", "--type", "run.paused")
    assert (whole.code, whole.documents) == (0, [])
    assert steno("tail", file, "--type", "run.paused").documents == []


def test_what_was_begun_to_be_written_is_not_left_behind(
    server: Server, run_id: str, tmp_path: Path
) -> None:
    there = ("--db", server.db, "export", run_id)
    part = tmp_path / "run.ndjson.part"
    part.touch()
    busy = steno(*there, tmp_path / "run.ndjson")
    assert (busy.code, "is there already" in busy.err) == (2, True)
    assert part.exists()  # it is somebody else's
    other = tmp_path / "other.ndjson"
    done = steno("--db", server.db, "export", "nobody-of-that-name", other)
    assert (done.code, other.exists()) == (4, False)


def test_a_full_disk_is_told_in_a_sentence_and_leaves_no_file(
    server: Server, run_id: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.ndjson"
    done = steno_without_room(1, "--url", server.url, "export", run_id, path)
    assert (done.code, done.err) == (2, f"Error: {path} cannot be written: File too large\n")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_an_import_that_waits_for_its_file(server: Server, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    words = command("--url", server.url, "import", pipe)
    with subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE) as process:
        with open(pipe, "wb"):  # which waits until it is read
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_file_that_is_damaged_in_its_first_byte_is_one_still(file: Path) -> None:
    file.write_bytes(b"\x00" + file.read_bytes()[1:])
    assert steno("verify", file).code == 5
    assert steno("show", file).code == 5


def test_a_run_that_is_damaged_leaves_no_file(server: Server, run_id: str, tmp_path: Path) -> None:
    copy, file = tmp_path / "copy.db", tmp_path / "run.ndjson"
    assert steno("--db", server.db, "backup", copy).code == 0
    harm(copy, "UPDATE record SET at = '2026-01-01T00:00:00.000000Z' WHERE seq = 1")
    assert steno("--db", copy, "export", run_id, file).code == 5
    assert [*tmp_path.glob("run.ndjson*")] == []


def test_a_run_that_is_from_here_is_not_said_to_be_only_read(server: Server, file: Path) -> None:
    here = steno("--url", server.url, "import", file)
    assert (here.code, here.err.endswith("was there already, the same\n")) == (0, True)


def test_of_a_file_no_tail_is_said_to_go_unseen(server: Server, run_id: str, file: Path) -> None:
    of_file = steno("verify", file, "-o", "table").out
    assert "a rewriting of it all goes unseen" in of_file
    assert "a tail cut off" not in of_file
    assert "a tail cut off" in steno("--db", server.db, "verify", run_id, "-o", "table").out


@pytest.mark.parametrize("words", [["fork", "--at", 2], ["rerun"], ["erase"], ["signal", "x"]])
def test_what_needs_a_run_that_is_here_asks_for_an_import(
    server: Server, file: Path, words: list[object]
) -> None:
    done = steno("--url", server.url, words[0], file, *words[1:])
    assert (done.code, "import it first, steno import FILE" in done.err) == (2, True)


def test_a_file_that_is_cut_off_is_named_wherever_it_is_read(server: Server, file: Path) -> None:
    file.write_bytes(file.read_bytes()[:300])
    for words in (["show", file], ["import", file], ["verify", file, "-o", "table"]):
        done = steno(*words) if words[0] != "import" else steno("--url", server.url, *words)
        assert (done.code, f"Error: {file}: " in done.err) == (5, True), done
    assert done.out.startswith(f"what is left of a run in {file}: 0 records")
