"""``steno demo``: the main job, on a real source, before one's eyes."""

from __future__ import annotations

import asyncio
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from stenograph.cli.demonstration import score_lines
from stenograph.cli.failures import Failure
from stenograph.cli.marks import PLAIN
from stenograph.cli.server_process import server_process
from stenograph.http import Client
from tests.cli.running import ROOT, Done, command, environment, serving, steno, steno_process

SOURCE = '''"""A module."""
import os, sys
def f(x):
    if x == None:
        return dict()
    return [i for i in x]
'''


def reviewed(folder: Path, name: str, source: str | bytes = SOURCE, **env: str) -> Done:
    """Write a source and have it reviewed, with the journal beside it."""
    path = folder / name
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    return steno("demo", path, "--db", folder / "demo.db", **env)


def test_it_reviews_a_module_of_pythons_own(tmp_path: Path) -> None:
    done = steno_process("demo", cwd=tmp_path)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert "reviews argparse.py" in lines[0]
    assert "journal steno-demo.db (kept)" in lines[1]
    assert [line.split("  ")[0] for line in lines[2:5]] == [
        "POST /graphs",
        "POST /runs",
        "WS",
    ]
    events = lines[lines.index("") + 1 :]
    events = events[: events.index("")]
    assert [int(line.split()[0]) for line in events] == list(range(1, len(events) + 1))
    assert events[-1].endswith("completed")
    assert "score a pass" in lines
    assert any(line.startswith("quality_score ") for line in lines)


def test_what_it_says_to_type_next_works(tmp_path: Path) -> None:
    done = reviewed(tmp_path, "small.py")
    assert done.code == 0, done.out + done.err
    assert "reviews small.py: 6 lines" in done.out
    hints = [shlex.split(line.strip().split("  ")[0]) for line in done.out.splitlines()[-4:]]
    assert [hint[0] for hint in hints] == ["steno"] * 4
    for _, *words in hints[:3]:
        again = steno(*words)
        assert (again.code, bool(again.documents)) == (0, True), again.err
    serve = hints[3][2:4]
    with serving(*serve, "--port", "0") as server:
        assert "1 run" in server.said[2]


def test_what_is_no_python_is_an_answer(tmp_path: Path) -> None:
    done = reviewed(tmp_path, "broken.py", "def f(:\n")
    assert done.code == 0, done.err
    assert "not Python" in done.out


def test_a_review_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import stenograph.workflows.review.ruff as ruff\n"
        "def gone(*_): raise FileNotFoundError('ruff is not installed')\n"
        "ruff.lint = gone\n"
    )
    done = reviewed(tmp_path, "small.py", PYTHONPATH=str(tmp_path))
    assert done.code == 1
    assert "\nFileNotFoundError: ruff is not installed\n" in done.out


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("latin.py", b"x = '\xe9'\n"),
        ("odd.py", b"# coding: klingon\n"),
        ("late.py", b"\n" * 9999 + b"'\xe9'"),
    ],
)
def test_what_is_in_no_known_encoding_is_told_in_a_sentence(
    tmp_path: Path, name: str, content: bytes
) -> None:
    done = reviewed(tmp_path, name, content)
    sentence = f"{name}: no Python source: it is not in UTF-8, nor in an encoding"
    assert (done.code, sentence in done.err, done.out) == (2, True, ""), done.err
    assert not (tmp_path / "demo.db").exists()


def test_what_cannot_be_read_is_told_in_a_sentence(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "no.py", "No such file"), (tmp_path, "Is a directory")):
        done = steno("demo", path)
        assert (done.code, f"{path}: cannot be read: {why}" in done.err) == (2, True)


def test_a_source_in_another_encoding_is_read_as_it_says(tmp_path: Path) -> None:
    done = reviewed(tmp_path, "latin.py", b"# coding: latin-1\nx = '\xe9'\n")
    assert done.code == 0, done.err


def test_a_source_too_large_for_a_request_is_told_in_a_sentence(tmp_path: Path) -> None:
    done = reviewed(tmp_path, "large.py", "x = 1\n" * 200_000)
    assert (done.code, "large.py cannot be reviewed: " in done.err) == (2, True), done.err


def test_a_journal_in_use_is_told_in_a_sentence(tmp_path: Path) -> None:
    with serving("--port", "0", "--db", tmp_path / "demo.db") as server:
        done = reviewed(tmp_path, "small.py")
    assert done.code == 6
    assert f"is in use by the engine with process id {server.process.pid}" in done.err


async def test_a_server_that_ends_first_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    async def for_ever() -> None:
        await asyncio.Event().wait()

    async with server_process(str(tmp_path / "steno.db"), tools=[]) as server:
        server.process.kill()
        with pytest.raises(Failure, match="nothing is lost"):
            await server.meanwhile(for_ever())


async def test_what_a_server_has_to_say_is_passed_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loud_tools.py").write_text(
        "import logging, sys\nimport stenograph as st\n"
        "@st.tool\ndef loud(state):\n    print('listen!', file=sys.stderr)\n"
    )
    monkeypatch.chdir(tmp_path)
    async with (
        server_process("steno.db", tools=["loud_tools"]) as server,
        Client(server.url) as client,
    ):
        await client.run({"start": "a", "nodes": {"a": {"tool": "loud"}}})
    assert capfd.readouterr().err == "server: listen!\n"


async def test_a_module_called_http_in_this_folder_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT / "stenograph")
    async with server_process(str(tmp_path / "steno.db"), tools=[]) as server:
        assert server.url.startswith("http://127.0.0.1:")


async def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="cannot import no_such_module"):
        async with server_process(str(tmp_path / "steno.db"), tools=["no_such_module"]):
            raise AssertionError("it started")


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_who_stops_it_stops_its_server_too(tmp_path: Path, how: int, code: int) -> None:
    with subprocess.Popen(
        command("demo"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()
        process.send_signal(how)
        _, said = process.communicate()
    assert process.returncode == code
    assert said.decode().splitlines()[-1] == (
        "-- stopped; the journal steno-demo.db is kept, and served again it goes on: "
        "python -m stenograph serve --db steno-demo.db"
    )
    with serving("--db", tmp_path / "steno-demo.db", "--port", "0") as server:
        assert "steno-demo.db" in server.said[2]


def test_the_bars_of_the_scores_are_plain_where_there_is_only_ascii() -> None:
    [line] = score_lines([50.0])
    assert line.translate(PLAIN) == f"   1   50.00  {'#' * 20}"
