"""``steno show``: a run's nodes and state, now or as they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import Server, graph_file, steno


@pytest.fixture(scope="module")
def run(server: Server) -> str:
    words = ["run", "count", "-s", "to=2", "--id", "show-1", "--tag", "who=me", "--follow"]
    assert steno("--url", server.url, *words).code == 0
    return "show-1"


def test_a_run_is_one_document(server: Server, run: str) -> None:
    [document] = steno("--url", server.url, "show", run).documents
    assert (document["id"], document["status"], document["seq"]) == (run, "completed", 12)
    assert document["state"] == {"to": 2, "n": 2, "seen": [1, 2]}


def test_the_past_is_one_document_too(server: Server, run: str) -> None:
    [document] = steno("--url", server.url, "show", run, "--at", "5").documents
    assert (document["status"], document["seq"], document["head"]) == ("running", 5, 12)
    assert document["state"] == {"to": 2, "n": 1, "seen": [1]}


def test_people_see_nodes_state_and_who_wrote_it(server: Server, run: str) -> None:
    out = steno("--url", server.url, "-o", "table", "show", run).out
    lines = [line.split() for line in out.splitlines()]
    assert lines[0][:2] == ["run", run]
    assert lines[0][3:7] == ["✓", "completed", "at", "seq"]
    assert ["who:", "me"] in lines
    assert ["completed:", "loop-done"] in lines
    assert ["✓", "count", "done", "2"] in [line[:4] for line in lines]
    assert lines[-3:] == [
        ["to", "2", "start", "1"],
        ["n", "2", "count", "10"],
        ["seen", "[1,2]", "count", "10"],
    ]


def test_people_see_the_past_as_it_was(server: Server, run: str) -> None:
    out = steno("--url", server.url, "-o", "table", "show", run, "--at", "3").out
    assert "▶ running at seq 3 of 12" in out
    assert "since then it went on: now it is completed" in out
    lines = [line.split() for line in out.splitlines()]
    assert ["▶", "count", "running", "1"] in lines
    assert lines[-1] == ["to", "2", "start", "1"]


def test_a_run_that_has_only_begun_has_no_nodes_yet(server: Server) -> None:
    words = ["run", "wait", "-s", "gate=/", "--id", "show-2", "--follow"]
    assert steno("--url", server.url, *words).code == 0
    out = steno("--url", server.url, "-o", "table", "show", "show-2", "--at", "1").out
    assert "visits" not in out
    assert "gate" in out


def test_a_failure_is_shown_with_its_cause(server: Server) -> None:
    words = ["run", "boom", "--id", "show-3", "--follow"]
    assert steno("--url", server.url, *words).code == 1
    out = steno("--url", server.url, "-o", "table", "show", "show-3").out
    assert "failed in boom: ValueError: the fuse blew \\x1b[31mred" in out
    assert ["✕", "boom", "error", "1,", "try", "2"] in [
        line.split()[:6] for line in out.splitlines()
    ]
    retrying = steno("--url", server.url, "-o", "table", "show", "show-3", "--at", "3").out
    assert ["↻", "boom", "retrying", "1"] in [line.split() for line in retrying.splitlines()]


def test_a_node_that_was_cut_off_is_told_so(server: Server, tmp_path: Path) -> None:
    gate = f"gate={tmp_path / 'gate'}"
    steno("--url", server.url, "run", "wait", "-s", gate, "--id", "show-4", "--tag", "a=b")
    assert steno("--url", server.url, "cancel", "show-4").code == 0
    assert steno("--url", server.url, "tail", "show-4").code == 1
    out = steno("--url", server.url, "-o", "table", "show", "show-4").out
    assert ["⊘", "wait", "interrupted", "1"] in [line.split() for line in out.splitlines()]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["nope"], 4, "there is no run nope; steno runs lists what there is"),
        (["a\x1b[31m"], 4, "there is no run a\\x1b[31m"),
        (["show-1", "--at", "99"], 2, "run show-1 has no event 99; ask for one from 1 to 12"),
        (["show-1", "--at", "0"], 2, "--at"),
        ([""], 2, "RUN is empty"),
        (["show-"], 2, "runs begin with show-: "),
    ],
)
def test_what_cannot_be_shown_is_told_in_a_sentence(
    server: Server, run: str, words: list[str], code: int, sentence: str
) -> None:
    steno("--url", server.url, "run", "count", "-s", "to=1", "--id", "show-again")
    done = steno("--url", server.url, "show", *words)
    assert (done.code, done.out, sentence in done.err) == (code, "", True), done.err


def test_a_plain_end_needs_no_words(server: Server, tmp_path: Path) -> None:
    file = graph_file(tmp_path, {"id": "plain", "start": "a", "nodes": {"a": {}}})
    assert steno("--url", server.url, "run", file, "--id", "show-5", "--follow").code == 0
    out = steno("--url", server.url, "-o", "table", "show", "show-5").out
    assert "completed at seq" in out
    assert "end" not in out.split()


def test_a_run_is_found_by_how_its_id_alone_begins(server: Server, run: str) -> None:
    steno("--url", server.url, "run", "count", "-s", "to=1", "--id", "unique-name")
    assert steno("--url", server.url, "show", "uniq").documents[0]["id"] == "unique-name"


def test_the_last_run_needs_no_name(server: Server) -> None:
    steno("--url", server.url, "run", "count", "-s", "to=1", "--id", "the-last")
    assert steno("--url", server.url, "show", "@last").documents[0]["id"] == "the-last"
