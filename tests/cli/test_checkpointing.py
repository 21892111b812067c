"""``steno serve --checkpoints``: signed at the start, now and then, and at the end."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.cli.running import PATIENCE_S, graph_file, serving, steno, steno_process
from tests.cli.tools import COUNT


@pytest.fixture
def key(tmp_path: Path) -> Path:
    assert steno("checkpoint", "--new-key", tmp_path / "key", "-q").code == 0
    return tmp_path / "key"


def seen(lines: Path) -> list[int]:
    return [json.loads(line)["records"] for line in lines.read_text().splitlines()]


def test_a_server_signs_what_its_journal_holds(tmp_path: Path, key: Path) -> None:
    db, lines = tmp_path / "steno.db", tmp_path / "checkpoints.jsonl"
    words = ["--db", db, "--port", "0", "--checkpoints", lines, "--checkpoint-key", key]
    with serving(*words, "--checkpoint-every", "0.1") as server:
        assert seen(lines) == [0]
        run = ["run", graph_file(tmp_path, COUNT), "-s", "to=1", "--follow"]
        assert steno("--url", server.url, *run).code == 0
        until = time.monotonic() + PATIENCE_S
        while len(seen(lines)) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(seen(lines)) >= 2
    with serving(*words) as server:
        assert steno("--url", server.url, *run).code == 0
        before = seen(lines)
    assert len(seen(lines)) == len(before) + 1
    assert seen(lines) == sorted(set(seen(lines)))
    public = ["--checkpoints", lines, "--public-key", f"{key}.pub"]
    [answer] = steno("--db", db, "verify", *public).documents
    assert (answer["ok"], answer["unprotected"]) == (True, 0)


def test_what_cannot_be_written_later_stops_no_server(tmp_path: Path, key: Path) -> None:
    lines = tmp_path / "checkpoints.jsonl"
    words = ["--db", tmp_path / "steno.db", "--port", "0"]
    words += ["--checkpoints", lines, "--checkpoint-key", key, "--checkpoint-every", "0.1"]
    with serving(*words) as server:
        lines.unlink()
        lines.mkdir()
        run = ["run", graph_file(tmp_path, COUNT), "-s", "to=1", "--follow"]
        assert steno("--url", server.url, *run).code == 0
        assert server.end() == 0
    assert any("no checkpoint was written" in line for line in server.said)


@pytest.mark.parametrize(
    "words",
    [
        ["--checkpoints", "x"],
        ["--checkpoints", "x", "--checkpoint-key", "y", "--memory"],
        ["--checkpoints", "x", "--checkpoint-key", "y", "--reload"],
        ["--checkpoints", "x", "--checkpoint-key", "none"],
    ],
)
def test_what_does_not_go_together_is_refused(words: list[str]) -> None:
    assert steno("serve", *words).code == 2


def test_a_server_that_cannot_sign_at_the_start_does_not_start(tmp_path: Path, key: Path) -> None:
    lines = tmp_path / "checkpoints.jsonl"
    lines.write_text("{}\n")
    words = ["--checkpoints", lines, "--checkpoint-key", key, "--port", "0"]
    done = steno_process("serve", "--db", tmp_path / "steno.db", *words)
    assert done.code != 0
    assert "not signed with this key" in done.err
