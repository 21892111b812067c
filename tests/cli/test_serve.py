"""``steno serve``: what it says, what it takes, how it ends."""

from __future__ import annotations

import gc
import os
import signal
import sqlite3
import subprocess
from pathlib import Path

import httpx
import pytest

import stenograph
from stenograph.cli.serving import YOUNG_MAX
from tests.cli.running import (
    ROOT,
    Server,
    command,
    environment,
    graph_file,
    serving,
    steno,
    steno_process,
)
from tests.cli.tools import COUNT, WAIT
from tests.ports import free_port

TOOLS = """
import stenograph as st
from neighbour import greeting

@st.tool
def greet(state):
    return {"greeting": greeting}
"""


LOOKING = """
import gc, sys
import stenograph as st

while_starting = gc.isenabled()

@st.tool
def look(state):
    return {"while_starting": while_starting, "now": gc.isenabled(),
            "young": gc.get_threshold()[0],
            "spared": gc.get_freeze_count() > 10_000, "pydantic": "pydantic" in sys.modules}
"""


def test_a_start_collects_no_garbage_and_loads_no_more_than_it_needs(tmp_path: Path) -> None:
    (tmp_path / "looking.py").write_text(LOOKING)
    with serving("--memory", "--port", "0", "--tools", tmp_path / "looking.py") as server:
        graph = {"id": "g", "start": "look", "nodes": {"look": {"tool": "look"}}}
        httpx.post(f"{server.url}/graph/create", json=graph)
        answer = httpx.post(f"{server.url}/graph/run", json={"graph_id": "g"})
    seen = {
        "while_starting": False,
        "now": True,
        "young": YOUNG_MAX,
        "spared": True,
        "pydantic": False,
    }
    assert answer.json()["state"] == seen


def test_a_start_that_fails_leaves_the_collector_on(tmp_path: Path) -> None:
    assert steno("serve", "--db", tmp_path / "no" / "steno.db", "--port", "0").code == 2
    assert gc.isenabled()


def test_it_says_where_it_listens_and_on_what_it_stands(tmp_path: Path) -> None:
    with serving("--port", "0", cwd=tmp_path) as server:
        assert server.said == [
            f"Stenograph {stenograph.__version__}",
            f"Listening on {server.url}  docs at /docs",
            "Journal ./steno.db (0 runs)",
            "Stop with Ctrl-C; nothing is lost.",
        ]
        assert httpx.get(f"{server.url}/readyz").status_code == 200


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_promptly_and_cleanly(tmp_path: Path, how: int) -> None:
    with serving("--db", tmp_path / "steno.db", "--port", "0") as server:
        graph = graph_file(tmp_path, WAIT)
        words = ["run", graph, "-s", f"gate={tmp_path / 'gate'}", "--id", "r"]
        assert steno("--url", server.url, *words).code == 0
        assert server.end(how) == 0
        assert server.said[-2:] == [
            "At the next start 1 unfinished run goes on: r after 2",
            "Stopped.",
        ]


def test_it_says_which_runs_go_on(tmp_path: Path) -> None:
    place = ["--db", tmp_path / "steno.db", "--port", "0"]
    with serving(*place) as server:
        file = graph_file(tmp_path, WAIT)
        for run_id in ("r1", "r2", "r3", "r4"):
            words = ["run", file, "-s", f"gate={tmp_path / 'gate'}", "--id", run_id]
            assert steno("--url", server.url, *words).code == 0
        steno("--url", server.url, "run", graph_file(tmp_path, COUNT), "-s", "to=1", "--follow")
        server.end(signal.SIGKILL)
    with serving(*place) as server:
        assert server.said[2] == (
            f"Journal {tmp_path / 'steno.db'} (5 runs, 4 unfinished: "
            "resuming r4 after 2, r3 after 2, r2 after 2 and 1 more)"
        )
        (tmp_path / "gate").touch()
        for run_id in ("r1", "r2", "r3", "r4"):
            assert steno("--url", server.url, "tail", run_id).code == 0


def test_a_very_long_journal_is_not_counted_to_its_end(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    from stenograph.cli import serving as starting

    monkeypatch.setattr(starting, "COUNTED_MAX", 1)
    found = asyncio.run(starting.look(str(server.db)))
    assert starting.told(found).split(", ")[0].endswith(" runs or more")


def test_in_memory_it_says_what_will_be_lost() -> None:
    with serving("--memory", "--port", "0") as server:
        assert server.said[2:] == [
            "Journal in memory: it goes when the server stops",
            "Stop with Ctrl-C.",
        ]


def test_the_pid_file_is_there_while_it_serves(tmp_path: Path) -> None:
    pid_file = tmp_path / "steno.pid"
    with serving("--memory", "--port", "0", "--pid-file", pid_file) as server:
        assert int(pid_file.read_text()) == server.process.pid
        server.end()
    assert not pid_file.exists()
    with serving("--memory", "--port", "0", "--pid-file", pid_file) as server:
        pid_file.write_text("1")
        server.end()
    assert pid_file.read_text() == "1"
    nowhere = steno_process("serve", "--memory", "--port", "0", "--pid-file", tmp_path / "no/pid")
    assert (nowhere.code, "no/pid: cannot be written" in nowhere.err) == (2, True)


def test_quiet_it_says_nothing(tmp_path: Path) -> None:
    port = free_port()
    words = command("serve", "--memory", "--port", port, "-q")
    with subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE) as process:
        transport = httpx.HTTPTransport(retries=0)
        with httpx.Client(transport=transport) as client:
            while True:
                try:
                    client.get(f"http://127.0.0.1:{port}/readyz")
                    break
                except httpx.ConnectError:
                    assert process.poll() is None
        process.terminate()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_port_in_use_is_told_in_a_sentence(server: Server, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    done = steno_process("serve", "--db", tmp_path / "steno.db", "--port", port)
    assert done.code == 6
    assert done.err == (
        f"Error: port {port} is in use; stop what listens there, or choose another with --port\n"
    )


def test_a_journal_in_use_names_its_holder(server: Server) -> None:
    done = steno_process("serve", "--db", server.db, "--port", "0")
    assert done.code == 6
    assert f"is in use by the engine with process id {server.process.pid}" in done.err
    assert done.err.count("\n") == 1


def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    text, other = tmp_path / "notes.txt", tmp_path / "other.db"
    text.write_text("dear diary\n" * 100)
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE mine (id)")
    db.close()
    for path, why in ((text, "is no SQLite file"), (other, "of another program")):
        before = path.read_bytes()
        done = steno_process("serve", "--db", path, "--port", "0")
        assert (done.code, why in done.err, path.read_bytes()) == (2, True, before), done.err
    nowhere = steno_process("serve", "--db", tmp_path / "no" / "steno.db", "--port", "0")
    assert (nowhere.code, "create it first" in nowhere.err) == (2, True)


def test_tools_come_from_a_file_and_from_this_folder(tmp_path: Path) -> None:
    (tmp_path / "greeting_tools.py").write_text(TOOLS)
    (tmp_path / "neighbour.py").write_text("greeting = 'hello'")
    graph = graph_file(tmp_path, {"start": "a", "nodes": {"a": {"tool": "greet"}}})
    for name, cwd in ((tmp_path / "greeting_tools.py", ROOT), ("greeting_tools", tmp_path)):
        done = steno_process("check", graph, "--tools", name, cwd=cwd)
        assert done.code == 0, done.err


def test_a_file_may_be_called_like_another_module(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text(TOOLS.replace("from neighbour", "greeting = 1  #"))
    graph = graph_file(tmp_path, {"start": "a", "nodes": {"a": {"tool": "greet"}}})
    done = steno("check", graph, "--tools", tmp_path / "json.py")
    assert done.code == 0, done.err


def test_tools_come_from_installed_packages(tmp_path: Path) -> None:
    offer(tmp_path, "greeting", "greeting_tools")
    (tmp_path / "greeting_tools.py").write_text(TOOLS)
    graph = graph_file(tmp_path, {"start": "a", "nodes": {"a": {"tool": "greet"}}})
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    broken = steno_process("check", graph, PYTHONPATH=path)
    assert broken.code == 2
    assert "cannot import greeting_tools, which an installed package offers: " in broken.err
    (tmp_path / "neighbour.py").write_text("greeting = 'hello'")
    assert steno_process("check", graph, PYTHONPATH=path).code == 0


def test_ones_own_tools_win_over_installed_ones_and_those_over_our_samples(tmp_path: Path) -> None:
    offer(tmp_path, "theirs", "their_tools")
    offer(tmp_path, "ours", "stenograph.workflows.review_loop")
    (tmp_path / "their_tools.py").write_text(tools_called(review="Theirs.", fix="Theirs."))
    (tmp_path / "mine.py").write_text(tools_called(review="Mine."))
    words = ["--memory", "--port", "0", "--tools", tmp_path / "mine.py"]
    with serving(*words, PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)])) as server:
        items = httpx.get(f"{server.url}/tools").json()["items"]
    docs = {item["name"]: item["doc"] for item in items}
    assert (docs["review"], docs["fix"], "approve" in docs) == ("Mine.", "Theirs.", True)
    left_out = "-- left out, as others here have these names: "
    assert [line for line in server.said if line.startswith(left_out)] == [
        f"{left_out}review of their_tools",
        f"{left_out}fix, review of stenograph.workflows.review_loop",
    ]


def test_what_is_named_and_installed_alike_is_not_left_out(tmp_path: Path) -> None:
    offer(tmp_path, "theirs", "their_tools")
    (tmp_path / "their_tools.py").write_text(tools_called(greet="Theirs."))
    (tmp_path / "mine.py").write_text(tools_called(greet="Mine."))
    graph = graph_file(tmp_path, {"start": "a", "nodes": {"a": {"tool": "greet"}}})
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    same = steno_process("check", graph, "--tools", "their_tools", PYTHONPATH=path)
    assert (same.code, same.err) == (0, "")
    other = ("check", graph, "--tools", tmp_path / "mine.py")
    assert "greet of their_tools" in steno_process(*other, PYTHONPATH=path).err
    quiet = steno_process(*other, "--quiet", PYTHONPATH=path)
    assert (quiet.code, quiet.err) == (0, "")


def tools_called(**docs: str) -> str:
    """The text of a module with tools of these names."""
    tools = (f"@st.tool\ndef {name}(state):\n    {doc!r}\n" for name, doc in docs.items())
    return "\n".join(["import stenograph as st", *tools])


def offer(folder: Path, package: str, module: str) -> None:
    """Install a package in a folder, one that offers the tools in a module."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[stenograph.tools]\n{package} = {module}\n")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "cannot import {file}: FileNotFoundError"),
        ("x = 1", "{file} holds no tools: decorate its functions with @stenograph.tool"),
        ("1 / 0", "cannot import {file}: ZeroDivisionError: division by zero ({file}, line 1)"),
        ("raise SystemExit(3)", "cannot import {file}: SystemExit: 3 ({file}, line 1)"),
        ("def f(:", "cannot import {file}: SyntaxError"),
    ],
)
def test_what_cannot_be_imported_is_told_in_a_sentence(
    tmp_path: Path, text: str | None, sentence: str
) -> None:
    file = tmp_path / f"tools_{abs(hash(text))}.py"
    if text is not None:
        file.write_text(text)
    done = steno("serve", "--memory", "--tools", file)
    assert (done.code, sentence.format(file=file) in done.err) == (2, True), done.err


def test_a_module_that_is_not_there_is_told_in_a_sentence() -> None:
    done = steno("serve", "--memory", "--tools", "no_such_module")
    assert (done.code, done.err) == (
        2,
        "Error: cannot import no_such_module: ModuleNotFoundError: "
        "No module named 'no_such_module'\n",
    )


def test_a_module_and_its_file_are_the_same_tools(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(tools_called(greet="Mine."))
    graph = graph_file(tmp_path, {"start": "a", "nodes": {"a": {"tool": "greet"}}})
    words = [word for name in ("mine", "mine.py", "./mine.py") for word in ("--tools", name)]
    done = steno_process("check", graph, *words, cwd=tmp_path)
    assert done.code == 0, done.err


def test_two_tools_of_one_name_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "other_tools.py"
    file.write_text("import stenograph as st\n@st.tool\ndef count(state): ...\n")
    words = ["--memory", "--port", "0", "--tools", file, "--tools", "tests.cli.tools"]
    done = steno_process("serve", *words, cwd=ROOT)
    assert (done.code, "two tools are called 'count'" in done.err) == (2, True), done.err


def test_memory_and_a_file_exclude_each_other() -> None:
    done = steno("serve", "--memory", "--db", "steno.db")
    assert (done.code, "exclude each other" in done.err) == (2, True)
