"""``steno fork``: a new run that goes on from any event of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Server, graph_file, steno
from tests.cli.tools import COUNT, GATED


def begun(server: Server, folder: Path, graph: Any, run_id: str, *words: str) -> None:
    """Run a graph up to where it rests or ends."""
    file = graph_file(folder, graph)
    done = steno("--url", server.url, "run", file, "--id", run_id, "--follow", *words)
    assert done.code in (0, 1, 75), done.err


def fork(server: Server, *words: str) -> Any:
    return steno("--url", server.url, "fork", *words)


def test_a_fork_says_from_where_it_goes_on(server: Server, tmp_path: Path) -> None:
    begun(server, tmp_path, COUNT, "fork-1", "-s", "to=2")
    done = fork(server, "fork-1", "--at", "4", "--id", "fork-1a", "--set", "to=3", "--tag", "a=b")
    assert done.code == 0, done.err
    [new] = done.documents
    assert (new["id"], new["origin"]["run_id"], new["origin"]["seq"]) == ("fork-1a", "fork-1", 3)
    assert "event 4 is no boundary of steps: forked after event 3" in done.err
    assert new["tags"] == {"a": "b"}
    for words in (["show", "fork-1a"], ["tail", "fork-1a"], ["-o", "table", "show", "fork-1a"]):
        assert steno("--url", server.url, *words).code == 0
    [shown] = steno("--url", server.url, "show", "fork-1a").documents
    assert shown["status"] == "completed"


def test_a_fork_and_its_origin_are_shown_from_both_ends(server: Server, tmp_path: Path) -> None:
    begun(server, tmp_path, COUNT, "ends", "-s", "to=2", "-s", "who=me")
    for number in range(7):
        words = ["--at", "3", "--id", f"ends-{number}", "--set", "to=3", "--set", "extra=1"]
        assert fork(server, "ends", *words).code == 0
    assert steno("--url", server.url, "tail", "ends-6").code == 0
    show = ("--url", server.url, "-o", "table", "show")
    shown = [line.split() for line in steno(*show, "ends-6").out.splitlines()]
    assert ["forked", "from", "ends", "at", "seq", "3"] in shown
    written = {line[0]: line[-2:] for line in shown if line}
    assert written["who"] == ["origin", "1"]
    assert (written["to"], written["extra"]) == (["fork", "1"], ["fork", "1"])
    told = "runs forked from it: ends-6, ends-5, ends-4, ends-3, ends-2, …"
    assert told in steno(*show, "ends").out
    assert "forked" not in steno(*show, "ends-6", "--at", "1").out.replace("forked from ends", "")
    listed = steno("--url", server.url, "runs", "--origin", "ends").documents
    assert [each["id"] for each in listed] == [f"ends-{number}" for number in range(6, -1, -1)]


def test_a_fork_takes_signals_a_patch_a_graph_and_limits(server: Server, tmp_path: Path) -> None:
    begun(server, tmp_path, GATED, "fork-2")
    [waiting] = steno("--url", server.url, "show", "fork-2").documents
    words = [
        "fork-2", "--at", str(waiting["seq"]), "--id", "fork-2a",
        "--signal", 'approval={"ok": false}',
        "--patch", '[{"op": "add", "path": "/extra", "value": 1}]',
        "--graph", str(graph_file(tmp_path, GATED)), "--steps", "50",
    ]  # fmt: skip
    done = steno("--url", server.url, "-o", "table", "fork", *words)
    assert done.code == 0, done.err
    seq = waiting["seq"]
    assert done.out.startswith(f"run fork-2a  forked from fork-2 at seq {seq}  ")
    assert "watch it:" in done.err
    again = fork(server, *words)
    assert "run fork-2a was there already" in again.err
    assert steno("--url", server.url, "tail", "fork-2a").code == 0
    [shown] = steno("--url", server.url, "show", "fork-2a").documents
    assert (shown["state"]["extra"], shown["state"]["approval"]) == (1, {"ok": False})


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["fork-3"], 2, "Missing option '--at'"),
        (["fork-3", "--at", "2", "--patch", "{}"], 2, "--patch: operations are a JSON array"),
        (["fork-3", "--at", "2", "--patch", "[1]"], 2, "--patch: operations are a JSON array"),
        (["fork-3", "--at", "2", "--scope", "/x#1/"], 2, "there is no scope"),
        (["fork-3", "--at", "2", "--id", "a", "--key", "k"], 2, "the run's id out"),
        (["fork-3", "--at", "2", "--key", " "], 2, "is no idempotency key"),
        (["fork-3", "--at", "2", "--id", "fork-3"], 6, "fork-3"),
        (["nothing", "--at", "2"], 4, "there is no run nothing"),
    ],
)
def test_what_cannot_be_forked_is_told_with_its_exit_code(
    server: Server, tmp_path: Path, words: list[str], code: int, told: str
) -> None:
    if steno("--url", server.url, "show", "fork-3").code != 0:
        begun(server, tmp_path, COUNT, "fork-3")
    done = fork(server, *words)
    assert (done.code, told in done.err) == (code, True), done.err
