"""The standard streams, which may be missing or full, and words that are no text."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import PATIENCE_S, Done, command, environment, graph_file, steno

GRAPH = {"id": "g", "start": "a", "nodes": {"a": {}}}


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    return graph_file(tmp_path, GRAPH)


def in_shell(words: list[object], redirection: str, **env: str) -> Done:
    """Run a command by a shell that redirects its streams."""
    done = subprocess.run(
        ["sh", "-c", f'"$@" {redirection}', "sh", *command(*words)],
        env=environment(**env),
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize("words", [["check"], ["--help"], ["check", "-o", "table"]])
def test_a_full_disk_is_told_in_a_sentence(graph: Path, words: list[object]) -> None:
    done = in_shell([*words, graph], ">/dev/full")
    assert (done.code, len(done.err.splitlines())) == (74, 1)
    assert done.err.endswith("No space left on device\n")


def test_who_reads_no_help_ends_it_quietly() -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        command("--help"), env=environment(), stdout=theirs, stderr=subprocess.PIPE, check=False
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (141, b"")


def test_without_stdout_data_goes_nowhere(graph: Path) -> None:
    done = in_shell(["check", graph], ">&-")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_without_stdin_there_is_nothing_to_read() -> None:
    done = in_shell(["check", "-"], "<&-")
    assert (done.code, done.err.startswith("Error: -: not JSON")) == (2, True)


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
def test_success_stays_success_where_nobody_hears_the_talk(
    tmp_path: Path, redirection: str
) -> None:
    unused = {**GRAPH, "nodes": {"a": {}, "unused": {}}}
    done = in_shell(["check", graph_file(tmp_path, unused)], redirection)
    assert done.code == 0
    assert json.loads(done.out)["warnings"]


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
@pytest.mark.parametrize("words", [["nope"], ["check", "nope.json"]])
def test_an_error_that_nobody_hears_has_its_code(words: list[object], redirection: str) -> None:
    assert in_shell(words, redirection).code == 2


@pytest.mark.parametrize(
    "words",
    [
        ["run", "\udcff"],
        ["run", "nap", "--tag", "\udcff=1"],
        ["run", "nap", "--id", "\udcff"],
        ["cancel", "x", "--reason", "\udcff"],
        ["runs", "--graph", "\udcff"],
        ["--url", "http://\udcff", "runs"],
        ["serve", "--memory", "--host", "\udcff"],
    ],
)
def test_a_word_that_is_no_text_is_refused(words: list[str]) -> None:
    done = steno(*words)
    assert (done.code, "\\udcff" in done.err, "is no text; write it in UTF-8" in done.err) == (
        2,
        True,
        True,
    )


@pytest.mark.parametrize("host", ["a..b", "x" * 70])
def test_a_host_that_cannot_be_is_refused(host: str) -> None:
    done = steno("serve", "--memory", "--host", host)
    assert (done.code, "is no host's name or address" in done.err) == (2, True)


@pytest.mark.parametrize("url", ["http://a\x01b", "http://\udcff", "http://" + "ä" * 70])
def test_a_url_that_cannot_be_is_refused(url: str) -> None:
    done = steno("runs", STENO_URL=url)
    assert (done.code, "is no http:// or https:// address" in done.err) == (2, True), done.err
