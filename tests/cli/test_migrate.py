"""``steno migrate``: an unfinished run goes on in another graph, or says what keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Server, graph_file, on_terminal, steno
from tests.cli.tools import COUNT, GATED, VOTES

MORE = {**GATED, "nodes": {**GATED["nodes"], "more": {}}}
GONE = {**GATED, "start": "count", "nodes": {"count": {"tool": "count"}}}


def waits(server: Server, folder: Path, run_id: str, graph: Any = GATED, *words: str) -> None:
    """Run a graph up to where it waits."""
    file = graph_file(folder, graph)
    done = steno("--url", server.url, "run", file, "--id", run_id, "--follow", *words)
    assert done.code == 75, done.err


def shown(server: Server, run_id: str) -> Any:
    [run] = steno("--url", server.url, "show", run_id).documents
    return run


def test_a_dry_run_of_a_file_says_what_would_change_and_stores_nothing(
    server: Server, tmp_path: Path
) -> None:
    waits(server, tmp_path, "mig-1")
    before = shown(server, "mig-1")
    file = graph_file(tmp_path, MORE)
    done = steno("--url", server.url, "migrate", "mig-1", file, "--dry-run")
    assert done.code == 0, done.err
    [told] = done.documents
    assert (told["done"], [each["name"] for each in told["changes"]]) == (False, ["more"])
    assert shown(server, "mig-1") == before
    named = steno("--url", server.url, "migrate", "mig-1", f"gated@{told['version']}")
    assert (named.code, "there is no graph" in named.err) == (4, True)
    wrapped = graph_file(tmp_path, {"graph": MORE, "id": "gated"})
    again = steno("--url", server.url, "migrate", "mig-1", wrapped, "--dry-run")
    assert again.documents == [told]


def test_a_run_goes_on_in_another_version_and_tells_of_it(server: Server, tmp_path: Path) -> None:
    waits(server, tmp_path, "mig-2")
    file = graph_file(tmp_path, MORE)
    done = steno("--url", server.url, "-o", "table", "migrate", "mig-2", file)
    assert done.code == 0, done.err
    run = shown(server, "mig-2")
    assert done.out.startswith(f"run mig-2  goes on in gated@{run['version'][:8]}  instead of ")
    assert done.out.splitlines()[1].split() == ["what", "how", "name", "of", "detail"]
    assert done.out.splitlines()[2].split() == ["node", "added", "more"]
    same = steno("--url", server.url, "-o", "table", "migrate", "mig-2", "gated")
    assert (same.code, same.out) == (0, f"run mig-2  is in gated@{run['version'][:8]} already\n")
    assert shown(server, "mig-2")["seq"] == run["seq"]
    rows = steno("--url", server.url, "-o", "table", "show", "mig-2")
    before = done.out.splitlines()[0].partition("instead of ")[2].split()[0]
    assert f"went over from {before} at seq {run['seq']}, asked by " in rows.out
    then = steno("--url", server.url, "-o", "table", "show", "mig-2", "--at", str(run["seq"] - 1))
    assert then.out.startswith(f"run mig-2  {before}  ")
    [told] = steno("--url", server.url, "show", "mig-2", "--at", str(run["seq"] - 1)).documents
    assert f"{told['graph_id']}@{told['version'][:8]}" == before
    signal = steno("--url", server.url, "signal", "mig-2", "approval", '{"ok": false}')
    assert signal.code == 0, signal.err
    tail = steno("--url", server.url, "-o", "table", "tail", "mig-2")
    assert "goes on in gated@" in tail.out


def test_a_terminal_shows_where_the_run_stands(server: Server, tmp_path: Path) -> None:
    waits(server, tmp_path, "mig-3", VOTES, "-s", 'people=["ann", "bob", "cy"]')
    other = {**VOTES, "nodes": {**VOTES["nodes"], "ask": {"wait": {"signal": "vote"}}}}
    words = ("--url", server.url, "migrate", "mig-3", graph_file(tmp_path, other), "--dry-run")
    done = on_terminal(*words)
    assert done.code == 0, done.out
    assert "would go on in votes@" in done.out
    assert "/split#1[0]/ and 2 more scopes here now" in done.out
    one = steno("--url", server.url, "-o", "table", "migrate", "mig-1x", "votes")
    assert (one.code, "there is no run mig-1x" in one.err) == (4, True)


def test_of_very_many_changes_the_rest_is_counted(server: Server, tmp_path: Path) -> None:
    waits(server, tmp_path, "mig-7")
    nodes = {**GATED["nodes"], **{f"n{each}": {} for each in range(998)}}
    many = {**GATED, "nodes": nodes, "state": {f"k{each}": {} for each in range(4)}}
    file = graph_file(tmp_path, many)
    done = steno("--url", server.url, "-o", "table", "migrate", "mig-7", file, "--dry-run")
    assert done.code == 0, done.err
    assert done.out.endswith("and 2 more changes\n")


def test_a_run_that_cannot_go_on_there_says_all_that_does_not_fit(
    server: Server, tmp_path: Path
) -> None:
    waits(server, tmp_path, "mig-4")
    file = graph_file(tmp_path, GONE)
    done = steno("--url", server.url, "migrate", "mig-4", file)
    assert (done.code, done.out) == (2, "")
    assert "cannot go on in" in done.err
    assert "scope / stands at node 'approval', which is not there" in done.err
    tried = steno("--url", server.url, "-o", "table", "migrate", "mig-4", file, "--dry-run")
    assert tried.code == 2
    assert "cannot go on in gated@" in tried.out
    assert "scope / stands at node 'approval', which is not there" in tried.out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"start": "a", "nodes": {"a": {"next": "b"}}}', "cannot run:"),
        ('{"start": "a", "start": "b", "nodes": {"a": {}, "b": {}}}', "cannot run:"),
        ('{"graph": {"start": "a", "nodes": {"a": {"next": "b"}}}}', "/graph/nodes/a/next"),
        ("[]", "a graph is a JSON object"),
    ],
)
@pytest.mark.parametrize("flags", [["--dry-run"], []])
def test_a_file_that_is_no_graph_is_told_by_its_lines(
    server: Server, tmp_path: Path, text: str, told: str, flags: list[str]
) -> None:
    if steno("--url", server.url, "show", "mig-5").code != 0:
        waits(server, tmp_path, "mig-5")
    file = tmp_path / "bad.json"
    file.write_text(text)
    done = steno("--url", server.url, "migrate", "mig-5", file, *flags)
    assert (done.code, told in done.err) == (2, True), done.err


def test_a_run_that_has_ended_is_a_conflict(server: Server, tmp_path: Path) -> None:
    file = graph_file(tmp_path, COUNT)
    run = steno("--url", server.url, "run", file, "--id", "mig-6", "--follow", "-s", "to=1")
    assert run.code == 0, run.err
    for flags in ([], ["--dry-run"]):
        done = steno("--url", server.url, "migrate", "mig-6", "count", *flags)
        assert (done.code, "completed" in done.err) == (6, True), done.err


def test_the_same_graph_by_another_name_changes_nothing_else(
    server: Server, tmp_path: Path
) -> None:
    waits(server, tmp_path, "mig-8")
    version = shown(server, "mig-8")["version"][:8]
    file = graph_file(tmp_path, {**GATED, "id": "gated-too"})
    done = steno("--url", server.url, "-o", "table", "migrate", "mig-8", file, "--dry-run")
    names = f"gated-too@{version}  instead of gated@{version}"
    assert (done.code, done.out) == (0, f"run mig-8  would go on in {names}  at seq 8\n")


def test_what_is_asked_again_with_its_key_is_told_again(server: Server, tmp_path: Path) -> None:
    waits(server, tmp_path, "mig-key")
    seq = shown(server, "mig-key")["seq"]
    file = graph_file(tmp_path, MORE)
    ask = ["--url", server.url, "-o", "table", "migrate", "mig-key", file, "--key", "k"]
    first, again = steno(*ask, "--if-seq", seq), steno(*ask, "--if-seq", seq)
    assert (first.code, "not done again" in first.err, again.code) == (0, False, 0), first.err
    assert (again.out, "not done again" in again.err) == (first.out, True)
    stale = steno("--url", server.url, "migrate", "mig-key", "gated", "--if-seq", seq)
    assert (stale.code, f"was to be at {seq}" in stale.err) == (6, True)
