"""``steno demo``: the main job, on a real source, before one's eyes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest

from stenograph.cli.failures import Failure
from stenograph.cli.server_process import server_process
from tests.cli.running import command, environment, serving, steno, steno_process

SOURCE = '''"""A module."""
import os, sys
def f(x):
    if x == None:
        return dict()
    return [i for i in x]
'''


def test_it_reviews_a_module_of_pythons_own(tmp_path: Path) -> None:
    done = steno_process("demo", cwd=tmp_path)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith("Stenograph ")
    assert "argparse.py" in lines[0]
    assert "journal steno-demo.db (kept)" in lines[1]
    assert [line.split()[:2] for line in lines[2:5]] == [
        ["POST", "/graphs"],
        ["POST", "/runs"],
        ["WS", lines[4].split()[1]],
    ]
    rows = [line.split() for line in lines if line[:5].strip().isdigit() and "." in line[5:15]]
    events = [row for row in rows if len(row) > 3]
    assert [int(row[0]) for row in events[:50]] == list(range(1, 51))
    assert "score a pass" in lines
    assert any(line.startswith("quality_score") for line in lines)
    assert lines[-5] == "Look at it again:"


def test_what_it_says_to_type_next_works(tmp_path: Path) -> None:
    source = tmp_path / "small.py"
    source.write_text(SOURCE)
    done = steno_process("demo", "small.py", "--db", "my.db", cwd=tmp_path)
    assert done.code == 0, done.out + done.err
    assert "reviews small.py: 6 lines" in done.out
    hints = [line.split("  ")[1] for line in done.out.splitlines()[-4:]]
    assert hints[0] == "python -m stenograph --db my.db show @last"
    for hint in hints[:3]:
        words = hint.split()[3:]
        again = steno_process(*words, cwd=tmp_path)
        assert (again.code, bool(again.documents)) == (0, True), again.err
    with serving(*hints[3].split()[4:], "--port", "0", cwd=tmp_path, PYTHONPATH=PATH) as server:
        assert "1 run" in server.said[2]


PATH = environment()["PYTHONPATH"]


def test_what_is_no_python_is_an_answer(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def f(:\n")
    done = steno_process("demo", "broken.py", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "not Python" in done.out


def test_without_the_linter_the_failure_is_told(tmp_path: Path) -> None:
    """A review needs ruff; where it is not installed, the run fails, and the demo says how."""
    (tmp_path / "small.py").write_text(SOURCE)
    (tmp_path / "sitecustomize.py").write_text(
        "import stenograph.workflows.ruff as ruff\n"
        "def gone(*_): raise FileNotFoundError('ruff is not installed')\n"
        "ruff.lint = gone\n"
    )
    path = os.pathsep.join([str(tmp_path), PATH])
    done = steno_process("demo", "small.py", cwd=tmp_path, PYTHONPATH=path)
    assert done.code == 1
    assert "FileNotFoundError: ruff is not installed" in done.out.splitlines()[-7]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("nope.py", None, "nope.py: cannot be read: No such file or directory"),
        ("latin.py", b"x = '\xe9'\n", "latin.py: no Python source: it is not in UTF-8"),
        ("odd.py", b"# coding: klingon\n", "odd.py: no Python source: it is not in UTF-8"),
        ("late.py", b"\n" * 9999 + b"'\xe9'", "late.py: no Python source: it is not in UTF-8"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_sentence(
    tmp_path: Path, name: str, content: bytes | None, sentence: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = steno("demo", tmp_path / name, "--db", tmp_path / "demo.db")
    assert (done.code, sentence in done.err, done.out) == (2, True, "")
    assert not (tmp_path / "demo.db").exists()


def test_a_source_in_another_encoding_is_read_as_it_says(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes(b"# coding: latin-1\nx = '\xe9'\n")
    done = steno_process("demo", "latin.py", cwd=tmp_path)
    assert done.code == 0, done.err


def test_a_source_too_large_for_a_request_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "large.py").write_text("x = 1\n" * 200_000)
    done = steno_process("demo", "large.py", cwd=tmp_path)
    assert (done.code, "large.py" in done.err) == (2, True), done.err


def test_a_journal_in_use_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "small.py").write_text(SOURCE)
    with serving("--port", "0", "--db", tmp_path / "steno-demo.db") as server:
        done = steno_process("demo", "small.py", cwd=tmp_path)
    assert done.code == 6
    assert f"is in use by the engine with process id {server.process.pid}" in done.err


async def test_a_server_that_ends_first_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    async with server_process(str(tmp_path / "steno.db"), tools=[]) as server:
        server.process.kill()
        with pytest.raises(Failure, match="nothing is lost"):
            await server.meanwhile(asyncio.Event().wait())


async def test_what_a_server_has_to_say_is_passed_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loud_tools.py").write_text(
        "import logging, sys\nimport stenograph as st\n"
        "@st.tool\ndef loud(state):\n    print('listen!', file=sys.stderr)\n"
    )
    monkeypatch.chdir(tmp_path)
    from stenograph.http import Client

    async with server_process("steno.db", tools=["loud_tools"]) as server:
        async with Client(server.url) as client:
            await client.run({"start": "a", "nodes": {"a": {"tool": "loud"}}})
    assert capfd.readouterr().err == "server: listen!\n"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_who_stops_it_stops_its_server_too(tmp_path: Path, how: int) -> None:
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
        process.communicate()
    assert process.returncode == 130
    with serving("--db", tmp_path / "steno-demo.db", "--port", "0") as server:
        assert "steno-demo.db" in server.said[2]
