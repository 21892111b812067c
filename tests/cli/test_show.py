"""``steno show``: a run's nodes and state, now or as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from stenograph.cli.overview import Overview
from stenograph.journal import Record
from tests.cli.running import Server, graph_file, on_terminal, steno
from tests.cli.tools import FLAKY, GATED, VOTES


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


def started(server: Server, folder: Path, graph: Any, run_id: str, *words: str) -> None:
    file = graph_file(folder, graph)
    steno("--url", server.url, "run", file, "--id", run_id, "--follow", *words)


def test_a_run_that_waits_is_shown_with_what_answers_it(server: Server, tmp_path: Path) -> None:
    started(server, tmp_path, GATED, "show-waits")
    for place, hint in ((["--url", server.url], f" --url {server.url}"), (["--db", server.db], "")):
        [wait] = steno(*place, "show", "show-waits").documents[0]["waits"]
        assert (wait["node"], wait["signal"], wait["schema"]["required"]) == (
            "approval", "approval", ["ok"],
        )  # fmt: skip
        lines = steno(*place, "-o", "table", "show", "show-waits").out.splitlines()
        assert lines[2:4] == [
            "approval waits for signal approval:",
            f"""    steno{hint} signal show-waits approval '{{"ok": true}}'""",
        ]
        assert ["‖", "approval", "waiting", "1"] in [line.split() for line in lines]
    past = steno("--url", server.url, "-o", "table", "show", "show-waits", "--at", "3").out
    assert "waits for" not in past


def test_scopes_have_a_column_where_there_are_some(server: Server, tmp_path: Path) -> None:
    started(server, tmp_path, VOTES, "show-votes", "-s", 'people=["ann","bob"]')
    steno("--url", server.url, "signal", "show-votes", "vote", "1", "--scope", "/split#1[0]/")
    lines = steno("--url", server.url, "-o", "table", "show", "show-votes").out.splitlines()
    assert "split: 1 of 2 branches open, to join at done" in lines
    rows = [line.split()[:4] for line in lines]
    assert ["✓", "split", "/", "done"] in rows
    assert ["✓", "ask", "/split#1[0]/", "done"] in rows
    assert ["‖", "ask", "/split#1[1]/", "waiting"] in rows
    past = steno("--url", server.url, "-o", "table", "show", "show-votes", "--at", "11").out
    assert "split: 2 of 2 branches open" in past
    steno("--url", server.url, "cancel", "show-votes")
    after = steno("--url", server.url, "-o", "table", "show", "show-votes").out
    assert "branches open" not in after
    assert "interrupted" in after


def test_a_fork_that_has_joined_is_open_no_more(server: Server, tmp_path: Path) -> None:
    started(server, tmp_path, VOTES, "show-joined", "-s", 'people=["ann"]')
    steno("--url", server.url, "signal", "show-joined", "vote", "1")
    assert steno("--url", server.url, "tail", "show-joined").code == 0
    out = steno("--url", server.url, "-o", "table", "show", "show-joined").out
    assert ("branch" in out, "waiting" in out, "/split#1[0]/" in out) == (False, False, True)


def test_many_branches_are_told_together(server: Server, tmp_path: Path) -> None:
    people = json.dumps(list(range(9)))
    started(server, tmp_path, VOTES, "show-many", "-s", f"people={people}")
    steno("--url", server.url, "signal", "show-many", "vote", "1")
    lines = steno("--url", server.url, "-o", "table", "show", "show-many").out.splitlines()
    [row] = [line.split() for line in lines if "/split#1[*]/" in line]
    assert row == ["‖", "ask", "/split#1[*]/", "1", "done,", "8", "waiting", "9"]


def test_a_long_scope_is_cut_to_the_terminal(server: Server, tmp_path: Path) -> None:
    graph = {**VOTES, "id": "long", "start": "s" * 60}
    nodes = graph["nodes"]
    graph["nodes"] = {"s" * 60: nodes["split"], "ask": nodes["ask"], "done": nodes["done"]}
    started(server, tmp_path, graph, "show-long", "-s", 'people=["ann"]')
    wide = steno("--url", server.url, "-o", "table", "show", "show-long").out
    assert f"/{'s' * 60}#1[0]/" in wide
    narrow = on_terminal("--url", server.url, "show", "show-long", COLUMNS="80", NO_COLOR="1").out
    assert "…" in next(line for line in narrow.splitlines() if "‖  ask" in line)


def test_a_failure_says_how_to_try_again(server: Server, tmp_path: Path) -> None:
    started(server, tmp_path, FLAKY, "show-flaky")
    lines = steno("--url", server.url, "-o", "table", "show", "show-flaky").out.splitlines()
    assert lines[3:5] == [
        "to try again what failed:",
        f"    steno --url {server.url} retry show-flaky",
    ]


Happened: TypeAlias = tuple[str, dict[str, Any]]


def overview(*events: Happened) -> Overview:
    found = Overview()
    for seq, (type_, data) in enumerate(events, 1):
        whole = {"scope": "/", "node": "a", "visit": 1, "attempt": 1, **data}
        text = json.dumps(whole).encode()
        found.add(Record(offset=seq, run_id="r", seq=seq, at="", type=type_, data=text, hash=""))
    return found


ENTERED: Happened = ("node.entered", {})
INNER: Happened = ("node.entered", {"scope": "/a#1/", "node": "b"})
FORKED: Happened = ("fork.opened", {"count": 2, "join": "c"})
BRANCH: Happened = ("node.entered", {"scope": "/a#1[0]/", "node": "b"})


def statuses(found: Overview) -> dict[str, str]:
    return {line.scope + line.node: line.status for line in found.nodes()}


def test_what_runs_in_a_scope_that_ended_was_cut_off() -> None:
    timed_out = ("node.exited", {"outcome": "timeout"})
    assert statuses(overview(ENTERED, INNER)) == {"/a": "running", "/a#1/b": "running"}
    assert statuses(overview(ENTERED, INNER, timed_out))["/a#1/b"] == "interrupted"
    again: tuple[Happened, ...] = (
        ("node.attempt_failed", {}),
        ("node.entered", {"attempt": 2}),
        INNER,
    )
    assert statuses(overview(ENTERED, INNER, *again))["/a#1/b"] == "running"


def test_a_branch_that_is_tried_again_is_open_again() -> None:
    failed: tuple[Happened, ...] = (
        ("branch.ended", {"scope": "/a#1[0]/", "outcome": "error"}),
        ("run.failed", {}),
    )
    found = overview(FORKED, BRANCH, *failed)
    assert (list(found.forks()), statuses(found)) == ([], {"/a#1[0]/b": "interrupted"})
    found = overview(FORKED, BRANCH, *failed, ("run.retried", {}), BRANCH)
    assert list(overview(failed[0]).forks()) == []
    [fork] = found.forks()
    assert (fork.ended, statuses(found)) == (set(), {"/a#1[0]/b": "running"})


def test_a_node_that_was_entered_before_a_fork_of_the_run_has_its_line_all_the_same() -> None:
    left = ("node.exited", {"outcome": "ok"})
    assert statuses(overview(left)) == {"/a": "ok"}


def test_a_fork_shows_what_it_took_over() -> None:
    where = {"node": "a", "visit": 2, "attempt": 1, "phase": "forked"}
    branches = [{"index": 0, "status": "ok"}, {"index": 1, "status": "open"}]
    fork = {"count": 2, "join": "c", "branches": branches}
    asks = {"node": "b", "visit": 1, "attempt": 3, "phase": "waiting"}
    scopes = [
        {"path": "/", "position": where, "visits": {"z": 1, "a": 2}, "fork": fork},
        {"path": "/a#2[1]/", "position": asks, "visits": {"b": 1}},
        {"path": "/a#2[2]/"},
    ]
    graph = {"graph_id": "g", "version": "0" * 64}
    begun: Happened = ("run.created", graph | {"origin": {}, "inherited": {"scopes": scopes}})
    found = overview(begun)
    assert statuses(found) == {"/z": "ok", "/a": "ok", "/a#2[1]/b": "waiting"}
    assert [(line.visits, line.attempt) for line in found.nodes()] == [(1, 1), (2, 1), (1, 3)]
    assert [each.ended for each in found.forks()] == [{"/a#2[0]/"}]
    found = overview(begun, ("branch.ended", {"scope": "/a#2[1]/"}), ("fork.joined", {}))
    assert list(found.forks()) == []
