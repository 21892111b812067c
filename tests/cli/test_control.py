"""``steno signal``, ``pause``, ``resume`` and ``retry``: what a person asks of a run that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Server, graph_file, running, seqs, steno
from tests.cli.tools import COUNT, FLAKY, GATED, VOTES


def begun(server: Server, folder: Path, graph: Any, run_id: str, *words: str) -> None:
    """Run a graph up to where it rests or ends."""
    file = graph_file(folder, graph)
    done = steno("--url", server.url, "run", file, "--id", run_id, "--follow", *words)
    assert done.code in (1, 75), done.err


def signalled(server: Server, run_id: str) -> list[Any]:
    events = steno("--url", server.url, "tail", run_id, "--no-follow").documents
    return [each["data"] for each in events if each["type"] == "signal.received"]


def test_a_signal_is_json_a_file_stdin_or_pairs(server: Server, tmp_path: Path) -> None:
    begun(server, tmp_path, GATED, "signal-1")
    file = graph_file(tmp_path, '{"ok": true, "why": "file"}', "payload.json")
    signal = ["--url", server.url, "signal", "signal-1", "approval"]
    assert steno(*signal, '{"ok": true}').code == 0
    assert steno(*signal, f"@{file}").code == 0
    assert steno(*signal, "-", stdin='{"ok": true, "why": "stdin"}').code == 0
    last = steno(*signal, "-s", "ok=false", "-s", "why=pairs")
    assert (last.code, last.documents[0]["id"]) == (0, "signal-1")
    assert [each["payload"] for each in signalled(server, "signal-1")] == [
        {"ok": True},
        {"ok": True, "why": "file"},
        {"ok": True, "why": "stdin"},
        {"ok": False, "why": "pairs"},
    ]
    assert steno("--url", server.url, "tail", "signal-1").code == 0


def test_a_signal_without_a_payload_is_null(server: Server, tmp_path: Path) -> None:
    begun(server, tmp_path, VOTES, "signal-2", "-s", 'people=["ann"]')
    assert steno("--url", server.url, "signal", "signal-2", "vote").code == 0
    [received] = signalled(server, "signal-2")
    assert received["payload"] is None


def test_a_signal_may_be_for_one_scope_and_say_what_was_seen(
    server: Server, tmp_path: Path
) -> None:
    begun(server, tmp_path, VOTES, "signal-3", "-s", 'people=["ann","bob"]')
    words = ["signal", "signal-3", "vote", "1", "--scope", "/split#1[1]/", "--saw", "8"]
    done = steno("--url", server.url, "-o", "table", *words)
    assert done.out.startswith("run signal-3  waiting at seq ")
    [received] = signalled(server, "signal-3")
    assert (received["scope"], received["saw"]) == ("/split#1[1]/", 8)
    [waits] = steno("--url", server.url, "show", "signal-3").documents[0]["waits"]
    assert waits["scope"] == "/split#1[0]/"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["approval", "{x}"], 2, "PAYLOAD:1:2: not JSON"),
        (["approval", "@nope.json"], 2, "nope.json: cannot be read"),
        (["approval", "1", "-s", "a=1"], 2, "give PAYLOAD or -s, not both"),
        (["approval", '{"why": 1}'], 2, "does not fit"),
        (["nope"], 2, "there is approval"),
    ],
)
def test_a_signal_that_cannot_be_is_told_in_a_sentence(
    server: Server, tmp_path: Path, words: list[str], code: int, sentence: str
) -> None:
    run_id = f"signal-4-{abs(hash(tuple(words)))}"
    begun(server, tmp_path, GATED, run_id)
    done = steno("--url", server.url, "signal", run_id, *words)
    assert (done.code, done.out, sentence in done.err) == (code, "", True), done.err
    assert signalled(server, run_id) == []


@pytest.mark.parametrize("words", [["signal", "approval"], ["pause"], ["resume"], ["retry"]])
def test_what_needs_another_run_is_refused(server: Server, words: list[str]) -> None:
    run_id = f"control-{words[0]}"
    ended = ["run", "count", "-s", "to=1", "--id", run_id, "--follow"]
    assert steno("--url", server.url, *ended).code == 0
    done = steno("--url", server.url, words[0], run_id, *words[1:])
    assert (done.code, done.out, "completed" in done.err) == (6, "", True), done.err
    assert steno("--url", server.url, words[0], "nope", *words[1:]).code == 4
    file = steno("--db", server.db, words[0], run_id, *words[1:])
    assert (file.code, "a file is only read" in file.err) == (2, True)


def test_a_paused_run_goes_on_when_it_is_resumed(server: Server, tmp_path: Path) -> None:
    begun(server, tmp_path, GATED, "pause-1")
    done = steno("--url", server.url, "pause", "pause-1", "--reason", "lunch")
    [document] = done.documents
    assert (done.code, document["status"], document["reason"]) == (0, "paused", "lunch")
    assert done.err == f"-- to go on: steno --url {server.url} resume pause-1\n"
    again = steno("--url", server.url, "-o", "table", "resume", "pause-1")
    assert again.out.startswith("run pause-1  waiting at seq ")
    assert again.err == f"-- watch it: steno --url {server.url} tail pause-1\n"


def test_what_is_under_way_finishes_before_a_run_is_paused(server: Server, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    steno("--url", server.url, "run", "wait", "-s", f"gate={gate}", "--id", "pause-2")
    done = steno("--url", server.url, "pause", "pause-2")
    assert done.documents[0]["status"] == "running"
    assert done.err.startswith("-- what is under way finishes first; to go on: ")
    with running("--url", server.url, "tail", "pause-2") as tail:
        gate.touch()
        types = ""
        while "run.paused" not in types:
            types = tail.lines(1)[0]
        assert steno("--url", server.url, "resume", "pause-2").code == 0
        assert tail.done().code == 0


def test_a_limit_that_is_not_given_stays_as_it_is(server: Server, tmp_path: Path) -> None:
    graph = {**COUNT, "id": "brief", "limits": {"steps": 2}}
    begun(server, tmp_path, graph, "resume-1", "-s", "to=9")
    for words in (["--time-s", "60"], ["--steps", "3"], ["--steps", "4", "--time-s", "50"], []):
        assert steno("--url", server.url, "resume", "resume-1", *words).code == 0
    events = steno("--url", server.url, "tail", "resume-1", "--no-follow").documents
    resumed = [each["data"] for each in events if each["type"] == "run.resumed"]
    assert [each.get("limits") for each in resumed] == [
        {"steps": 2, "time_s": 60.0},
        {"steps": 3, "time_s": 60.0},
        {"steps": 4, "time_s": 50.0},
        None,
    ]


def test_a_result_is_for_a_run_that_is_parked_over_effects(server: Server, tmp_path: Path) -> None:
    begun(
        server, tmp_path, {**COUNT, "id": "brief", "limits": {"steps": 2}}, "resume-2", "-s", "to=9"
    )
    for result, code, sentence in (
        ('{"n": 1}', 6, "parked over a node's effects"),
        ("[1]", 2, "a JSON object"),
        ("x", 2, "--result:1:1: not JSON"),
    ):
        done = steno("--url", server.url, "resume", "resume-2", "--result", result)
        assert (done.code, sentence in done.err) == (code, True), done.err


def test_a_failed_run_is_retried_with_new_limits(server: Server, tmp_path: Path) -> None:
    begun(server, tmp_path, FLAKY, "retry-1")
    assert steno("--url", server.url, "retry", "retry-1", "--steps", "50").code == 0
    tailed = steno("--url", server.url, "tail", "retry-1")
    assert (tailed.code, tailed.documents[-1]["type"]) == (0, "run.completed")
    [retried] = [each for each in tailed.documents if each["type"] == "run.retried"]
    assert retried["data"]["limits"] == {"steps": 50, "time_s": None}


def test_a_tail_goes_on_past_a_failure_that_was_retried(server: Server, tmp_path: Path) -> None:
    begun(server, tmp_path, FLAKY, "retry-2")
    failed = steno("--url", server.url, "tail", "retry-2")
    assert (failed.code, failed.documents[-1]["type"]) == (1, "run.failed")
    steno("--url", server.url, "retry", "retry-2")
    for place in (["--url", server.url], ["--db", str(server.db)]):
        done = steno(*place, "tail", "retry-2")
        assert seqs(done.out.splitlines()) == list(range(1, len(done.documents) + 1))
        types = [each["type"] for each in done.documents]
        assert (done.code, types[-1]) == (0, "run.completed")
        assert types[types.index("run.failed") + 1] == "run.retried"


def test_what_is_asked_again_with_its_key_is_not_done_again(server: Server, tmp_path: Path) -> None:
    begun(server, tmp_path, VOTES, "key-1", "-s", 'people=["ann","bob"]')
    words = ["--url", server.url, "-o", "table", "signal", "key-1", "vote", "1", "--key", "k"]
    first, again = steno(*words), steno(*words)
    assert (first.code, first.err, again.code) == (0, "", 0)
    assert again.err == "-- this was asked before with that key, and not done again\n"
    assert len(signalled(server, "key-1")) == 1
    other = steno("--url", server.url, "signal", "key-1", "vote", "2", "--key", "k")
    assert (other.code, "asked for otherwise" in other.err) == (6, True)


@pytest.mark.parametrize("words", [["signal", "vote"], ["pause"], ["cancel"], ["resume"]])
def test_what_is_asked_of_an_event_that_is_not_the_last_is_not_done(
    server: Server, tmp_path: Path, words: list[str]
) -> None:
    run_id = f"if-seq-{words[0]}"
    begun(server, tmp_path, VOTES, run_id, "-s", 'people=["ann"]')
    if words[0] == "resume":
        steno("--url", server.url, "pause", run_id)
    ask = ["--url", server.url, words[0], run_id, *words[1:]]
    seq = steno("--url", server.url, "show", run_id).documents[0]["seq"]
    stale = steno(*ask, "--if-seq", seq - 1)
    assert (stale.code, f"is at event {seq}" in stale.err) == (6, True), stale.err
    assert steno(*ask, "--if-seq", seq).code == 0


def test_a_retry_takes_a_key_and_an_event(server: Server, tmp_path: Path) -> None:
    fails = {"id": "fails", "start": "a", "nodes": {"a": {"next": "$fail"}}}
    begun(server, tmp_path, fails, "if-seq-retry")
    seq = steno("--url", server.url, "show", "if-seq-retry").documents[0]["seq"]
    ask = ["--url", server.url, "retry", "if-seq-retry", "--key", "k", "--if-seq", seq]
    assert [steno(*ask).code for _ in range(2)] == [0, 0]
    events = steno("--url", server.url, "tail", "if-seq-retry", "--no-follow").documents
    assert [each["type"] for each in events].count("run.retried") == 1
