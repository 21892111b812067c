"""A run goes to another machine as a file: servers and commands in processes of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from tests.cli.running import Done, Server, graph_file, serving, steno, steno_process
from tests.cli.tools import COUNT, GATED


class Elsewhere(Struct):
    """Where a run comes from: its files, half way and at its end, and what was to be seen of it."""

    waiting: Path
    ended: Path
    shown: dict[str, object]
    tailed: list[tuple[int, str]]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """A server that ran it, and is no more."""
    folder = tmp_path_factory.mktemp("elsewhere")
    waiting, ended = folder / "waiting.ndjson", folder / "ended.ndjson.gz"
    with serving("--db", folder / "steno.db", "--port", "0") as server:
        there = ("--url", server.url)
        graph = graph_file(folder, GATED)
        done(steno_process(*there, "run", graph, "--id", "job", "--follow"), 75)
        done(steno_process(*there, "export", "job", waiting))
        done(steno_process(*there, "signal", "job", "approval", '{"ok": false}'))
        done(steno_process(*there, "tail", "job"))
        done(steno_process(*there, "export", "job", ended))
        shown = steno_process(*there, "show", "job").documents[0]
        return Elsewhere(waiting, ended, shown, hashes(steno_process(*there, "tail", "job")))


def done(command: Done, code: int = 0) -> Done:
    assert command.code == code, command.err
    return command


def hashes(tailed: Done) -> list[tuple[int, str]]:
    return [(each["seq"], each["hash"]) for each in tailed.documents]


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Server]:
    """A server on an empty journal that knows no tools."""
    server = Server("--db", tmp_path / "empty.db", "--port", "0")
    server.db = tmp_path / "empty.db"
    try:
        yield server
    finally:
        server.end()


def test_without_its_tools_a_run_is_shown_verified_compared_and_replayed(
    elsewhere: Elsewhere, empty: Server
) -> None:
    there = ("--url", empty.url)
    imported = done(steno_process(*there, "import", elsewhere.ended))
    assert imported.documents[0]["imported"] is True
    shown = done(steno_process(*there, "show", "job")).documents[0]
    assert shown == {**elsewhere.shown, "imported": True}
    [listed] = done(steno_process(*there, "runs")).documents
    assert (listed["id"], listed["status"], listed["imported"]) == ("job", "completed", True)
    assert hashes(done(steno_process(*there, "tail", "job"))) == elsewhere.tailed
    assert done(steno_process(*there, "verify", "job")).documents[0]["ok"]
    assert done(steno_process("--db", empty.db, "verify")).documents[0]["ok"]
    assert done(steno_process(*there, "why", "job", 5)).out
    assert done(steno_process(*there, "replay", "job", "--speed", 0)).out
    assert steno_process(*there, "diff", "job@3", "job").code == 1
    back = empty.db.with_name("back.ndjson")
    done(steno_process(*there, "export", "job", back))
    assert steno_process("diff", back, elsewhere.ended).code == 0


def test_without_its_tools_a_fork_is_refused_at_the_first_that_is_missing(
    elsewhere: Elsewhere, empty: Server
) -> None:
    there = ("--url", empty.url)
    done(steno(*there, "import", elsewhere.waiting))
    fork = ("fork", "job", "--at", waits_at(elsewhere), "--signal", 'approval={"ok": true}')
    done(steno(*there, *fork, "--id", "again"))
    assert steno(*there, "tail", "again").code == 1
    error = done(steno(*there, "show", "again")).documents[0]["error"]
    assert error["node"] == "count"
    assert error["message"] == MISSING
    assert MISSING in done(steno(*there, "show", "again", "-o", "table")).out
    assert done(steno(*there, "show", "job")).documents[0]["status"] == "waiting"


def waits_at(elsewhere: Elsewhere) -> int:
    return len(elsewhere.waiting.read_bytes().splitlines()) - 2


MISSING = "there is no tool 'count' here; start with the module that offers it"


def test_with_its_tools_a_fork_goes_on(elsewhere: Elsewhere, tmp_path: Path) -> None:
    with serving("--db", tmp_path / "tools.db", "--port", "0") as server:
        there = ("--url", server.url)
        done(steno(*there, "import", elsewhere.waiting))
        fork = ("fork", "job", "--at", waits_at(elsewhere), "--signal", 'approval={"ok": true}')
        done(steno(*there, *fork, "--id", "again"))
        done(steno(*there, "signal", "again", "approval", '{"ok": false}'))
        done(steno(*there, "tail", "again"))
        state = done(steno(*there, "show", "again")).documents[0]["state"]
        assert state["seen"] == [1, 2]
        assert done(steno(*there, "show", "job")).documents[0]["status"] == "waiting"
        assert steno(*there, "diff", "job", "again").code == 1


def test_an_unfinished_run_is_never_gone_on_with_not_after_a_restart_either(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    db = tmp_path / "again.db"
    for _ in range(2):
        with serving("--db", db, "--port", "0") as server:
            there = ("--url", server.url)
            assert not [line for line in server.said if "job" in line]
            done(steno(*there, "import", elsewhere.waiting))
            for words in (
                ("signal", "job", "approval", '{"ok": true}'),
                ("pause", "job"),
                ("resume", "job"),
                ("retry", "job"),
                ("cancel", "job"),
            ):
                refused = steno(*there, *words)
                assert (refused.code, REFUSED in refused.err) == (6, True), refused.err
            tailed = done(steno(*there, "tail", "job"), 75)
            assert hashes(tailed)[-1][0] == waits_at(elsewhere)
            assert "steno" in tailed.err
            assert "fork job --at" in tailed.err
            assert "waiting, imported" in steno(*there, "runs", "-o", "table").out
            assert "imported: it is only" in steno(*there, "show", "job", "-o", "table").out


REFUSED = "run job was imported, and is only read here: fork it to go on"


def test_archived_is_exported_verified_and_then_erased(tmp_path: Path) -> None:
    archive = tmp_path / "job.ndjson.gz"
    with serving("--db", tmp_path / "steno.db", "--port", "0") as server:
        there = ("--url", server.url)
        graph = graph_file(tmp_path, COUNT)
        done(steno(*there, "run", graph, "--id", "job", "-s", "to=3", "--follow"))
        shown = done(steno(*there, "show", "job")).documents[0]
        done(steno(*there, "export", "job", archive))
        done(steno("verify", archive))
        done(steno(*there, "erase", "job", "--reason", "archived"))
        assert done(steno(*there, "verify")).documents[0]["ok"]
        assert steno(*there, "show", "job").code == 4
        assert steno(*there, "import", archive).code == 6
    assert done(steno("show", archive)).documents[0] == shown
    with serving("--db", tmp_path / "other.db", "--port", "0") as other:
        done(steno("--url", other.url, "import", archive))
        assert done(steno("--url", other.url, "show", "job")).documents[0] == {
            **shown,
            "imported": True,
            "erased": False,
        }
