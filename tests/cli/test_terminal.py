"""Terminals, pipes, colours and encodings: who reads decides what is written."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.cli.running import Server, command, environment, on_terminal, steno, steno_process


@pytest.fixture(scope="module")
def run(server: Server) -> str:
    words = ["run", "count", "-s", "to=20", "--id", "terminal-1", "--follow"]
    assert steno("--url", server.url, *words).code == 0
    return "terminal-1"


def test_on_a_terminal_data_is_a_table_in_colour(server: Server, run: str) -> None:
    done = on_terminal("--url", server.url, "tail", run)
    assert done.code == 0
    assert "\x1b[32m✓\x1b[0m  run         completed (loop-done)" in done.out
    assert "\x1b" in on_terminal("--url", server.url, "runs").out


@pytest.mark.parametrize(
    ("words", "env"),
    [
        ([], {"NO_COLOR": "1"}),
        ([], {"TERM": "dumb"}),
        (["--color", "never"], {}),
    ],
)
def test_colours_can_be_done_without(
    server: Server, run: str, words: list[str], env: dict[str, str]
) -> None:
    out = on_terminal("--url", server.url, "tail", run, *words, **env).out
    assert "✓  run         completed (loop-done)" in out
    assert "\x1b" not in out


def test_colours_can_be_had_in_a_pipe(server: Server, run: str) -> None:
    words = ["-o", "table", "--color", "always", "tail", run]
    assert "\x1b[32m✓\x1b[0m" in steno("--url", server.url, *words).out


def test_a_failure_stands_out(server: Server) -> None:
    out = on_terminal("--url", server.url, "run", "boom", "--follow").out
    assert "\x1b[31mfailed in boom: ValueError" in out


def test_on_a_terminal_a_long_row_goes_on_below_its_beginning(server: Server, run: str) -> None:
    words = ["run", "count", "-s", "to=1", "-s", f"text={'word ' * 7}", "-s", f"more={'x' * 30}"]
    assert steno("--url", server.url, *words, "--id", "terminal-3", "--follow").code == 0
    wide = on_terminal("--url", server.url, "tail", "terminal-3", COLUMNS="66", NO_COLOR="1").out
    assert max(map(len, wide.splitlines())) <= 66
    narrow = on_terminal("--url", server.url, "tail", run, COLUMNS="30", NO_COLOR="1").out
    assert narrow == steno("--url", server.url, "-o", "table", "tail", run).out
    boom = on_terminal("--url", server.url, "run", "boom", "--follow", COLUMNS="66", NO_COLOR="1")
    [_, below] = boom.out[boom.out.index("✕  boom") :].splitlines()[:2]
    assert below.startswith(" " * 32)


def test_on_a_terminal_json_is_for_the_eye(server: Server, run: str) -> None:
    out = on_terminal("--url", server.url, "-o", "json", "show", run).out
    assert out.startswith('{\n  "id": "terminal-1",\n')
    assert json.loads(out)["status"] == "completed"


def test_where_there_is_only_ascii_signs_are_plain(server: Server, run: str) -> None:
    words = ["--url", server.url, "-o", "table", "tail", run]
    out = steno_process(*words, PYTHONIOENCODING="ascii").out
    row = next(line for line in out.splitlines() if " 11 " in line)
    assert row.split()[2:6] == [">", "count", "->", "count"]
    assert out.isascii()
    assert "seen: none -> [1]" in out


def test_a_name_that_the_terminal_cannot_show_is_spelled_out(server: Server) -> None:
    words = ["run", "count", "-s", "to=1", "-s", "naïve=日本", "--id", "terminal-2", "--follow"]
    assert steno("--url", server.url, *words).code == 0
    show = ["--url", server.url, "-o", "table", "show", "terminal-2"]
    assert "na\\xefve" in steno_process(*show, PYTHONIOENCODING="ascii").out
    missing = steno_process("--url", server.url, "show", "日本", PYTHONIOENCODING="ascii")
    assert (missing.code, "\\u65e5\\u672c" in missing.err) == (4, True)


def test_who_reads_no_more_ends_it_quietly(server: Server, run: str) -> None:
    words = command("--url", server.url, "-q", "tail", "--all")
    with subprocess.Popen(
        words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        steno("--url", server.url, "run", "count", "-s", "to=1")
        assert process.stderr.read() == b""
    assert process.returncode == 141
