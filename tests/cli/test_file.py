"""``--db``: a journal's file is read without a server, and beside one."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

import stenograph as st
from stenograph.journal import NewRecord
from tests.cli import tools
from tests.cli.running import Server, graph_file, running, seqs, serving, steno, steno_process
from tests.cli.tools import COUNT, WAIT


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal that nobody holds, with a run that ended and one that did not."""
    folder: Path = tmp_path_factory.mktemp("file")
    with serving("--db", folder / "steno.db", "--port", "0") as server:
        ended = ["run", graph_file(folder, COUNT), "-s", "to=2", "--id", "ended", "--tag", "a=b"]
        assert steno("--url", server.url, *ended, "--follow").code == 0
        cut = ["run", graph_file(folder, WAIT), "-s", f"gate={folder / 'gate'}", "--id", "cut"]
        assert steno("--url", server.url, *cut).code == 0
        server.end(signal.SIGKILL)
    return folder / "steno.db"


def test_a_file_answers_as_its_server_does(file: Path, server: Server) -> None:
    beside = ["--db", server.db]
    there = ["--url", server.url]
    run = steno(*there, "run", "count", "-s", "to=2", "--follow", "--tag", "a=b").documents[0]
    for words in (
        ["tail", run["run_id"]],
        ["tail", run["run_id"], "--after", "5", "-o", "table"],
        ["tail", "--all", "--no-follow"],
        ["show", "@last"],
        ["show", run["run_id"], "--at", "5"],
        ["show", run["run_id"], "-o", "table"],
        ["runs"],
        ["runs", "--graph", "count", "-n", "1", "-o", "json"],
        ["runs", "-o", "table"],
    ):
        from_file, from_server = steno(*beside, *words), steno(*there, *words)
        assert (from_file.code, from_file.out) == (from_server.code, from_server.out)


def test_without_a_server_everything_can_be_read(file: Path) -> None:
    assert [run["id"] for run in steno("--db", file, "runs").documents] == ["cut", "ended"]
    assert steno("--db", file, "show", "ended").documents[0]["state"]["n"] == 2
    tailed = steno("--db", file, "tail", "ended")
    assert (tailed.code, seqs(tailed.out.splitlines())) == (0, list(range(1, 13)))
    assert tailed.err.endswith(f"look at it: steno --db {file} show ended\n")
    cut = steno("--db", file, "tail", "cut", "--no-follow")
    assert (cut.code, seqs(cut.out.splitlines())) == (0, [1, 2])


def test_reading_takes_no_lock_and_changes_nothing(file: Path) -> None:
    before = file.read_bytes()
    with running("--db", file, "tail", "cut") as tail:
        assert seqs(tail.lines(2)) == [1, 2]
        with serving("--db", file, "--port", "0") as server:
            assert steno("--url", server.url, "cancel", "cut").code == 0
            done = tail.done()
    assert (done.code, done.documents[-1]["type"]) == (1, "run.cancelled")
    assert file.read_bytes()[:16] == before[:16]


def test_the_file_is_followed_beside_a_server(server: Server) -> None:
    last = steno("--db", server.db, "tail", "--all", "--no-follow").documents[-1]["offset"]
    with running("--db", server.db, "tail", "--all", "--after", last) as tail:
        steno("--url", server.url, "run", "count", "-s", "to=1", "--follow")
        assert len(tail.lines(7)) == 7
        tail.process.send_signal(signal.SIGINT)
        assert tail.done().code == 130


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["show", "nope"], 4, "there is no run nope"),
        (["tail", "graph/count"], 4, "there is no run graph/count"),
        (["tail", "ended", "--after", "99"], 6, "cursor 99 is beyond the head"),
        (["cancel", "ended"], 2, "a file is only read: start steno serve on it"),
    ],
)
def test_what_a_file_cannot_answer_is_told_in_a_sentence(
    file: Path, words: list[str], code: int, sentence: str
) -> None:
    done = steno("--db", file, *words)
    assert (done.code, sentence in done.err) == (code, True), done.err


def test_a_file_that_is_no_journal_is_told_so(tmp_path: Path) -> None:
    assert "does not exist: check the name" in steno("--db", tmp_path / "no.db", "runs").err
    text = tmp_path / "notes.txt"
    text.write_text("dear diary\n" * 100)
    done = steno("--db", text, "runs")
    assert (done.code, "is no SQLite file" in done.err) == (2, True)


async def test_what_a_later_version_wrote_can_be_printed_but_not_folded(tmp_path: Path) -> None:
    path = tmp_path / "steno.db"
    async with st.open(path, tools=[tools], recover=False) as engine:
        run = await engine.run(tools.COUNT, {"to": 1}, run_id="r")
        later = NewRecord("run.teleported", b'{"to":"mars"}', run.updated_at)
        await engine.journal.append("r", [later], expected_seq=run.seq)
    words = ["--db", str(path), "-o", "table"]
    tail = await asyncio.to_thread(steno_process, *words, "tail", "r", "--no-follow")
    assert (tail.code, 'run.teleported {"to":"mars"}' in tail.out) == (0, True)
    show = await asyncio.to_thread(steno_process, *words, "show", "r")
    assert (show.code, "cannot read a run.teleported" in show.err) == (5, True)


def test_a_journal_without_runs_says_how_to_start_one(tmp_path: Path) -> None:
    with serving("--db", tmp_path / "steno.db", "--port", "0") as server:
        done = steno("--url", server.url, "show", "@last")
    assert (done.code, done.err) == (
        4,
        "Error: there is no run yet; start one: steno run GRAPH\n",
    )


def test_a_server_and_a_file_exclude_each_other(file: Path) -> None:
    for words in (["--url", "x", "--db", file, "runs"], ["--url", "x", "runs", "--db", file]):
        done = steno(*words)
        assert (done.code, "exclude each other" in done.err) == (2, True)


def test_a_file_goes_before_the_environments_server(file: Path) -> None:
    assert steno("--db", file, "runs", STENO_URL="http://127.0.0.1:9").code == 0
    done = steno("runs", STENO_URL="ftp://x")
    assert (done.code, "is no http" in done.err) == (2, True)
