"""``steno why``, ``steno blame`` and ``steno diff``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import Server, graph_file, on_terminal, steno
from tests.cli.tools import BOOM, VOTES


@pytest.fixture(scope="module")
def runs(server: Server) -> tuple[str, str]:
    for to in (2, 3):
        words = ["run", "count", "-s", f"to={to}", "--id", f"audit-{to}", "--follow"]
        assert steno("--url", server.url, *words).code == 0
    return "audit-2", "audit-3"


def test_the_file_answers_as_the_server_does(server: Server, runs: tuple[str, str]) -> None:
    one, other = runs
    for words in (
        ["why", one, "6"],
        ["why", one, "6", "-o", "table"],
        ["blame", one],
        ["blame", one, "/seen/0", "--at", "10", "-o", "table"],
        ["diff", one, other],
        ["diff", one, f"{other}@5", "-o", "table"],
    ):
        there = steno("--url", server.url, *words)
        beside = steno("--db", server.db, *words)
        assert (there.code, there.out) == (beside.code, beside.out)
        assert there.code == (1 if words[0] == "diff" else 0), there.err


def test_people_read_why_an_edge_was_taken(server: Server, runs: tuple[str, str]) -> None:
    events = steno("--url", server.url, "tail", runs[0]).documents
    seq = next(each["seq"] for each in events if each["type"] == "transition.taken")
    lines = steno("--url", server.url, "-o", "table", "why", runs[0], seq).out.splitlines()
    assert lines[0] == f"{seq}  transition.taken  count"
    assert lines[1] == "    count went to count: it is the first edge that was eligible"
    assert lines[2] == "    edge 0 to count was taken: until n >= to (n = 1, to = 2), 1 of 99"
    assert lines[4].split() == ["because"]
    assert lines[5].split()[1:] == ["node.exited", "count"]


def test_without_a_seq_it_is_told_why_the_run_ended(server: Server, runs: tuple[str, str]) -> None:
    last = steno("--url", server.url, "tail", runs[0]).documents[-1]["seq"]
    assert (
        steno("--url", server.url, "why", runs[0]).documents
        == steno("--url", server.url, "why", runs[0], last).documents
    )


def test_the_beginning_has_no_reason_before_it(server: Server, runs: tuple[str, str]) -> None:
    out = steno("--url", server.url, "-o", "table", "why", runs[0], 1).out
    assert out.startswith("1  run.created\n")
    assert "because" not in out


def test_people_read_who_wrote_each_part(server: Server, runs: tuple[str, str]) -> None:
    out = steno("--url", server.url, "-o", "table", "blame", runs[0]).out
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["path", "value", "last", "written", "by"]
    assert lines[1][:2] == ["/to", "2"]
    assert lines[1][3:] == ["(run.created)", "1"]
    assert ["/n", "2", "count#2", "10"] in lines
    assert ["/seen/0", "1", "count", "5"] in lines


def test_a_state_with_nothing_in_it_says_so(server: Server, runs: tuple[str, str]) -> None:
    steno("--url", server.url, "run", "boom", "--id", "audit-empty", "--follow")
    done = steno("--url", server.url, "-o", "table", "blame", "audit-empty")
    assert (done.code, done.out, "There is nothing in this state" in done.err) == (0, "", True)


def test_a_long_value_is_told_by_its_size(server: Server, tmp_path: Path) -> None:
    state = {"text": "x" * 200, "list": [1] * 200, "keys": {str(n): n for n in range(50)}, "to": 0}
    path = graph_file(tmp_path, state, "state.json")
    steno("--url", server.url, "run", "count", "-S", path, "--id", "audit-long", "--follow")
    out = steno("--url", server.url, "-o", "table", "blame", "audit-long").out
    for size in ("text of 200 characters", "[200 items]", "{50 keys}"):
        assert size in out


def test_on_a_narrow_terminal_values_make_room(server: Server, tmp_path: Path) -> None:
    state = graph_file(tmp_path, {"a_rather_long_name_of_a_key": "x" * 38, "to": 0}, "state.json")
    steno("--url", server.url, "run", "count", "-S", state, "--id", "audit-wide", "--follow")
    words = ("--url", server.url, "blame", "audit-wide", "/a_rather_long_name_of_a_key")
    assert "text of 38 characters" in on_terminal(*words, COLUMNS="80").out
    assert "x" * 38 in on_terminal(*words, COLUMNS="120").out


def test_what_branches_made_names_them(server: Server, tmp_path: Path) -> None:
    steno("--url", server.url, "run", graph_file(tmp_path, VOTES), "-s", "people=[1,2,3,4,5]",
          "--id", "audit-votes")  # fmt: skip
    for _ in range(5):
        steno("--url", server.url, "signal", "audit-votes", "vote", "1")
    steno("--url", server.url, "tail", "audit-votes")
    out = steno("--url", server.url, "-o", "table", "blame", "audit-votes", "/vote").out
    assert out.splitlines()[0].endswith("first made by")
    assert "split" in out.splitlines()[1]
    assert out.splitlines()[1].endswith("and 2 more")


def test_an_attempt_that_is_not_the_first_is_named(server: Server, tmp_path: Path) -> None:
    from tests.cli.tools import FLAKY

    graph = {**FLAKY, "id": "audit-flaky"}
    graph["nodes"] = {"flaky": {"tool": "flaky", "retry": {"attempts": 2, "delay_s": 0}}}
    steno("--url", server.url, "run", graph_file(tmp_path, graph), "--id", "audit-f", "--follow")
    out = steno("--url", server.url, "-o", "table", "blame", "audit-f").out
    assert "flaky, try 2" in out


def test_many_parts_are_counted(server: Server, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text("{" + ",".join(f'"k{each}": 1' for each in range(1002)) + ', "to": 0}')
    steno("--url", server.url, "run", "count", "-S", state, "--id", "audit-many", "--follow")
    out = steno("--url", server.url, "-o", "table", "blame", "audit-many", "--at", "1").out
    assert out.splitlines()[-1] == "… 3 more; name a path to see what is in it"


def test_runs_that_differ_exit_with_1_and_those_that_do_not_with_0(
    server: Server, runs: tuple[str, str]
) -> None:
    differing = steno("--url", server.url, "-o", "table", "diff", *runs)
    assert differing.code == 1
    assert "their paths part at /count#2:" in differing.out
    assert "  /n: 2 → 3" in differing.out
    same = steno("--url", server.url, "diff", runs[0], f"{runs[0]}@12")
    assert (same.code, same.documents[0]["same"]) == (0, True)
    points = steno("--url", server.url, "diff", f"{runs[0]}@5", runs[0])
    assert (points.code, points.documents[0]["common"]) == (1, 5)


def test_what_is_no_point_of_a_run_is_refused(server: Server, runs: tuple[str, str]) -> None:
    for word, code, says in (
        (f"{runs[0]}@0", 2, "events are counted from 1"),
        (f"{runs[0]}@{'9' * 30}", 2, "events are counted from 1"),
        (f"{runs[0]}@999", 2, "has no event 999"),
        ("nobody@1", 4, "there is no run nobody"),
        ("nobody@x", 4, "there is no run nobody@x"),
    ):
        done = steno("--url", server.url, "diff", word, runs[1])
        assert (done.code, says in done.err) == (code, True), done.err


def test_a_path_to_nothing_is_refused(server: Server, runs: tuple[str, str]) -> None:
    done = steno("--url", server.url, "blame", runs[0], "/x")
    assert (done.code, "has nothing at '/x'" in done.err) == (2, True)


def test_a_failure_cannot_steer_the_terminal(server: Server) -> None:
    runs = steno("--url", server.url, "runs", "--graph", str(BOOM["id"])).documents
    out = steno("--url", server.url, "-o", "table", "why", runs[0]["id"], runs[0]["seq"]).out
    assert "the fuse blew" in out
    assert "\x1b" not in out
