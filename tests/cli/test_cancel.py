"""``steno cancel``: a run is asked to stop."""

from __future__ import annotations

from pathlib import Path

from tests.cli.running import Server, steno


def test_a_run_is_cancelled_with_a_reason(server: Server, tmp_path: Path) -> None:
    gate = f"gate={tmp_path / 'gate'}"
    steno("--url", server.url, "run", "wait", "-s", gate, "--id", "cancel-1")
    done = steno("--url", server.url, "cancel", "cancel-1", "--reason", "enough")
    [document] = done.documents
    assert (done.code, document["id"], document["reason"]) == (0, "cancel-1", "enough")
    tailed = steno("--url", server.url, "tail", "cancel-1")
    assert (tailed.code, tailed.documents[-1]["type"]) == (1, "run.cancelled")
    again = steno("--url", server.url, "-o", "table", "cancel", "cancel-1")
    assert again.out == f"run cancel-1  cancelled at seq {tailed.documents[-1]['seq']}\n"


def test_a_run_that_has_ended_cannot_be_cancelled(server: Server) -> None:
    words = ["run", "count", "-s", "to=1", "--id", "cancel-2", "--follow"]
    assert steno("--url", server.url, *words).code == 0
    done = steno("--url", server.url, "cancel", "cancel-2")
    assert (done.code, done.err) == (6, "Error: run cancel-2 has ended: it is completed\n")


def test_a_run_that_is_not_there_cannot_be_cancelled(server: Server) -> None:
    assert steno("--url", server.url, "cancel", "nope").code == 4
