"""``steno erase`` and ``steno backup``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import Server, graph_file, serving, steno
from tests.cli.tools import COUNT
from tests.journal.test_verifying import harm


def begin(server: Server, *words: object) -> str:
    run = steno("--url", server.url, "run", "count", "-s", "to=1", *words).documents[0]
    run_id: str = run.get("run_id") or run["id"]
    return run_id


def test_an_erased_run_is_told_and_its_state_is_gone(server: Server) -> None:
    run_id = begin(server, "--follow", "--tag", "a=b")
    there = ("--url", server.url)
    done = steno(*there, "erase", run_id, "--reason", "asked for")
    assert (done.code, done.documents[0]["reason"]) == (0, "erased")
    again = steno(*there, "erase", run_id, "-o", "table")
    assert "completed at seq" in again.out
    assert f"{run_id} is erased" in again.err
    for place in (there, ("--db", server.db)):
        shown = steno(*place, "show", run_id)
        assert (shown.code, "was erased" in shown.err) == (4, True)
        assert "completed, erased" in steno(*place, "runs", "-o", "table").out
        [told] = steno(*place, "sql", f"SELECT erased FROM runs WHERE run = '{run_id}'").documents
        assert told == {"erased": 1}
        tailed = steno(*place, "tail", run_id, "--no-follow")
        assert tailed.documents[-1]["type"] == "run.erased"
        assert (
            "run.created, erased" in steno(*place, "tail", run_id, "--no-follow", "-o", "table").out
        )
        assert steno(*place, "verify", run_id).documents[0]["erased"] > 0
    assert steno("--db", server.db, "erase", run_id).code == 2


def test_a_run_that_goes_on_is_not_erased(server: Server, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    run = ("run", "wait", "-s", f"gate={gate}")
    run_id = steno("--url", server.url, *run).documents[0]["id"]
    refused = steno("--url", server.url, "erase", run_id)
    assert (refused.code, "has not ended" in refused.err) == (6, True)
    gate.touch()


def test_a_journal_is_copied_beside_its_server(tmp_path: Path) -> None:
    with serving("--db", tmp_path / "steno.db", "--port", "0") as server:
        graph = graph_file(tmp_path, COUNT)
        steno("--url", server.url, "run", graph, "-s", "to=1", "--follow")
        done = steno("--db", tmp_path / "steno.db", "backup", tmp_path / "copy.db")
        assert (done.code, done.err.endswith(", verified\n")) == (0, True)
        again = steno("--db", tmp_path / "steno.db", "backup", tmp_path / "copy.db")
        assert (again.code, "is there already" in again.err) == (2, True)
        assert [path.name for path in tmp_path.glob("copy*")] == ["copy.db"]
    quiet = steno("-q", "--db", tmp_path / "copy.db", "backup", tmp_path / "second.db")
    assert (quiet.code, quiet.err) == (0, "")
    words = ("runs", "-o", "json")
    assert (
        steno("--db", tmp_path / "second.db", *words).out
        == steno("--db", tmp_path / "steno.db", *words).out
    )


def test_a_copy_of_a_damaged_journal_is_kept_and_said_to_be_one(tmp_path: Path) -> None:
    with serving("--db", tmp_path / "steno.db", "--port", "0") as server:
        graph = graph_file(tmp_path, COUNT)
        steno("--url", server.url, "run", graph, "-s", "to=1", "--follow")
    harm(tmp_path / "steno.db", "UPDATE record SET type = 'x' WHERE offset = 3")
    done = steno("--db", tmp_path / "steno.db", "backup", tmp_path / "copy.db")
    assert (done.code, "copy of a damaged journal" in done.err) == (5, True)
    assert (tmp_path / "copy.db").exists()


@pytest.mark.parametrize("words", [["backup", "x"], ["--db", "none", "backup", "x"]])
def test_what_cannot_be_copied_is_said(words: list[str]) -> None:
    assert steno(*words).code == 2
