"""``steno run``: a graph is started, and followed if asked to."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from stenograph.cli.failures import NEEDS_A_PERSON
from tests.cli.running import Server, graph_file, seqs, steno, steno_process
from tests.cli.tools import BOOM, COUNT, GATED


def test_a_graph_file_is_stored_and_started(server: Server, tmp_path: Path) -> None:
    file = graph_file(tmp_path, COUNT)
    options = ["-s", "to=2", "--id", "run-1", "--tag", "who=me"]
    done = steno("--url", server.url, "run", file, *options)
    [document] = done.documents
    assert done.code == 0
    assert (document["id"], document["graph_id"]) == ("run-1", "count")
    assert document["tags"] == {"who": "me"}
    assert document["state"]["to"] == 2


def test_a_stored_graph_goes_by_its_id(server: Server) -> None:
    done = steno("run", "count", "-s", "to=1", "--follow", STENO_URL=server.url)
    assert done.code == 0
    assert seqs(done.out.splitlines()) == list(range(1, 8))
    lines = done.err.splitlines()
    run_id = done.documents[0]["run_id"]
    assert lines[0] == f"-- run {run_id}, at {server.url}/runs/{run_id}"
    assert lines[-1] == f"-- {run_id} completed at 7; look at it: steno show {run_id}"


def test_the_state_can_come_from_stdin(server: Server) -> None:
    words = ["--url", server.url, "run", "count", "-S", "-", "-s", "to=1"]
    assert steno(*words, stdin='{"n": 7, "to": 99}').documents[0]["state"]["n"] == 7
    both = steno("--url", server.url, "run", "-", "-S", "-")
    assert (both.code, "stdin holds one thing" in both.err) == (2, True)


def test_a_graph_can_come_from_stdin(server: Server) -> None:
    done = steno("--url", server.url, "run", "-", "-s", "to=1", "--follow", stdin=json.dumps(COUNT))
    assert done.code == 0


def test_a_run_that_fails_gives_1(server: Server, tmp_path: Path) -> None:
    done = steno("--url", server.url, "run", graph_file(tmp_path, BOOM), "--follow")
    assert (done.code, done.documents[-1]["type"]) == (1, "run.failed")
    retry = f"steno --url {server.url} retry {done.documents[0]['run_id']}"
    assert done.err.splitlines()[-1] == f"-- to try again what failed: {retry}"


def test_a_run_that_parks_gives_75(server: Server, tmp_path: Path) -> None:
    file = graph_file(tmp_path, {**COUNT, "id": "short", "limits": {"steps": 2}})
    done = steno("--url", server.url, "run", file, "-s", "to=9", "--follow")
    assert done.code == NEEDS_A_PERSON == 75
    run_id = done.documents[0]["run_id"]
    assert done.err.splitlines()[-1] == (
        "-- it is parked (limit): the run has entered 2 nodes, which is its limit; to go on: "
        f"steno --url {server.url} resume {run_id} --steps 4"
    )


def test_a_run_that_waits_gives_75_and_the_command_that_answers(
    server: Server, tmp_path: Path
) -> None:
    file = graph_file(tmp_path, GATED)
    done = steno("--url", server.url, "run", file, "--id", "run-waits", "--follow")
    assert (done.code, done.documents[-1]["type"]) == (75, "wait.opened")
    said = f"-- approval waits for signal approval: steno --url {server.url} signal run-waits "
    assert done.err.splitlines()[-1] == said + """approval '{"ok": true}'"""
    answer = shlex.split(done.err.splitlines()[-1].partition(": steno ")[2])
    assert steno(*answer).code == 0


def test_a_run_that_is_paused_gives_75(server: Server, tmp_path: Path) -> None:
    words = ["run", graph_file(tmp_path, GATED), "--id", "run-paused"]
    assert steno("--url", server.url, *words).code == 0
    steno("--url", server.url, "pause", "run-paused", "--reason", "lunch")
    done = steno("--url", server.url, *words, "--follow")
    assert done.code == 75
    said = f"-- it is paused: lunch; to go on: steno --url {server.url} resume run-paused"
    assert done.err.splitlines()[-1] == said


def test_a_run_that_waits_for_a_time_only_is_followed_on(server: Server, tmp_path: Path) -> None:
    file = graph_file(
        tmp_path, {"id": "brief", "start": "a", "nodes": {"a": {"wait": {"for_s": 0.05}}}}
    )
    done = steno("--url", server.url, "run", file, "--delay", "0.05", "--follow")
    assert (done.code, done.documents[-1]["type"]) == (0, "run.completed")
    kinds = [event["data"]["kind"] for event in done.documents if event["type"] == "wait.opened"]
    assert kinds == ["delay", "time"]


def test_the_same_key_is_the_same_run(server: Server) -> None:
    words = ["--url", server.url, "run", "count", "-s", "to=1", "--key", "order-7"]
    first, again = steno(*words), steno(*words)
    [run], [same] = first.documents, again.documents
    assert run["id"] == same["id"]
    assert again.err == f"-- run {run['id']} was there already: the same was asked for before\n"
    other = steno("--url", server.url, "run", "count", "-s", "to=2", "--key", "order-7")
    assert (other.code, "order-7" in other.err) == (6, True)


def test_a_key_and_an_id_are_not_given_together(server: Server) -> None:
    done = steno("--url", server.url, "run", "count", "--key", "k", "--id", "mine")
    assert (done.code, done.out) == (2, "")
    assert "leave the run's id out, or the key" in done.err


def test_a_key_that_can_be_none_is_refused_before_anything_is_asked(server: Server) -> None:
    done = steno("--url", server.url, "run", "count", "--key", " k")
    assert (done.code, done.out) == (2, "")
    assert "' k' is no idempotency key" in done.err


def test_a_graph_that_cannot_run_is_told_fault_by_fault(server: Server, tmp_path: Path) -> None:
    file = graph_file(tmp_path, {"start": "x", "nodes": {"a": {"tool": "nope"}}})
    done = steno("--url", server.url, "run", file)
    assert (done.code, done.out) == (2, "")
    assert {f"{file}:/start", f"{file}:/nodes/a/tool"} <= set(
        done.err.replace(": ", "\n").split("\n")
    )
    twice = graph_file(tmp_path, '{"start": "a", "nodes": {"a": {}, "a": {}}}')
    assert steno("--url", server.url, "run", twice).code == 2


def test_doubts_about_a_graph_are_talk(server: Server, tmp_path: Path) -> None:
    file = graph_file(tmp_path, {"id": "odd", "start": "a", "nodes": {"a": {}, "b": {}}})
    done = steno("--url", server.url, "run", file)
    assert (done.code, len(done.documents)) == (0, 1)
    assert f"{file}:/nodes/b: warning: " in done.err


def test_people_get_a_line_and_what_to_type_next(server: Server) -> None:
    done = steno("--url", server.url, "-o", "table", "run", "count", "-s", "to=1", "--id", "run-2")
    assert done.out.startswith("run run-2  count@")
    assert done.err == f"-- watch it: steno --url {server.url} tail run-2\n"
    assert steno("-q", "--url", server.url, "-o", "table", "run", "count", "-s", "to=1").err == ""


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["nope"], 4, "there is no graph 'nope'"),
        (["count", "--id", "taken"], 6, "there is already a run 'taken'"),
        (["count", "--id", "a/b"], 2, "id"),
        (["count", "-s", "n=1e999"], 0, ""),
        (["nope.json"], 2, "nope.json: cannot be read"),
    ],
)
def test_what_cannot_be_started_is_told_in_a_sentence(
    server: Server, words: list[str], code: int, sentence: str
) -> None:
    steno("--url", server.url, "run", "count", "-s", "to=2", "--id", "taken")
    done = steno("--url", server.url, "run", *words, "-s", "to=1")
    assert (done.code, sentence in done.err) == (code, True), done.err


def test_a_write_without_a_server_says_so(tmp_path: Path) -> None:
    done = steno_process("--url", "http://127.0.0.1:9", "run", "count")
    assert done.code == 3
    assert "http://127.0.0.1:9" in done.err
    assert "steno serve" in done.err
    file = steno("--db", tmp_path / "steno.db", "run", "count")
    assert (file.code, "a file is only read" in file.err) == (2, True)


@pytest.mark.parametrize("run_id", ["a/b", "", "-", "x" * 129])
def test_an_id_that_cannot_be_is_refused_in_plain_words(run_id: str) -> None:
    done = steno("run", "count", f"--id={run_id}")
    assert (done.code, "is no id: write 1 to 128 of" in done.err) == (2, True)
    assert "regex" not in done.err
