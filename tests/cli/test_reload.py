"""``steno serve --reload``: a change of a module starts the server again, and runs go on."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from stenograph.cli import reloading
from stenograph.cli.failures import Failure
from tests.cli.running import (
    PATIENCE_S,
    command,
    environment,
    graph_file,
    serving,
    steno,
    steno_process,
)
from tests.ports import free_port

TOOLS = """
import stenograph as st

from neighbour import GREETING

@st.tool
def greet(state):
    return {"greeting": GREETING}
"""
MORE = """
@st.tool
def part(state):
    return {"farewell": "bye"}
"""
HOLDS_UP = """
@st.tool
async def hold_up(state):
    while True:
        pass
"""
READS = """
@st.tool
def read(state, ctx):
    return {"text": ctx.data("a.txt").read_text()}
"""
WAITS = {
    "id": "waits",
    "start": "ask",
    "nodes": {"ask": {"wait": {"signal": "go"}, "next": "greet"}, "greet": {"tool": "greet"}},
}


class Reloaded:
    """``steno serve --reload`` as a process; what it says goes into a file."""

    def __init__(self, folder: Path, *words: object) -> None:
        self.folder, self.log = folder, folder / "said.txt"
        self.url = f"http://127.0.0.1:{free_port()}"
        port = self.url.rpartition(":")[2]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command("serve", "--reload", "--tools", "mine", "--port", port, *words),
                cwd=folder,
                env=environment(PYTHONUNBUFFERED="1"),
                stderr=log,
            )

    def said(self) -> str:
        return self.log.read_text("utf-8")

    def tools(self) -> list[str]:
        """The names of the tools of now; none while nobody answers."""
        try:
            answer = httpx.get(f"{self.url}/tools", timeout=PATIENCE_S).json()
        except httpx.TransportError:
            return []
        return [each["name"] for each in answer["items"]]

    def end(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(PATIENCE_S)


@contextmanager
def reloaded(folder: Path, *words: object, tools: str = TOOLS) -> Iterator[Reloaded]:
    (folder / "mine.py").write_text(tools)
    (folder / "neighbour.py").write_text("GREETING = 'hello'\n")
    server = Reloaded(folder, *words)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.end()


def eventually(holds: Any, server: Reloaded) -> None:
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until, server.said()
        time.sleep(0.02)


def test_a_change_is_served_and_a_run_that_waits_goes_on(tmp_path: Path) -> None:
    pid_file = tmp_path / "steno.pid"
    with reloaded(tmp_path, "--pid-file", pid_file) as server:
        eventually(lambda: "greet" in server.tools(), server)
        assert int(pid_file.read_text()) == server.process.pid
        run = ["run", graph_file(tmp_path, WAITS), "--id", "r"]
        assert steno("--url", server.url, *run).code == 0

        (tmp_path / "mine.py").write_text(TOOLS + MORE)
        eventually(lambda: "part" in server.tools(), server)
        (tmp_path / "neighbour.py").write_text("GREETING = 'hullo'\n")
        eventually(lambda: server.said().count("Listening on") == 3, server)
        eventually(lambda: "part" in server.tools(), server)
        assert int(pid_file.read_text()) == server.process.pid

        assert steno("--url", server.url, "signal", "r", "go").code == 0
        assert steno("--url", server.url, "tail", "r").code == 0
        shown = steno("--url", server.url, "show", "r").documents[0]
        assert shown["state"]["greeting"] == "hullo"
        assert server.end(signal.SIGINT) == 0
    assert "-- mine.py changed: starting again" in server.said()
    assert server.said().count("Stopped.") == 3
    assert not pid_file.exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


def test_what_cannot_be_imported_is_told_and_the_next_change_waited_for(tmp_path: Path) -> None:
    with reloaded(tmp_path, "--quiet", tools="def f(:\n") as server:
        eventually(lambda: "it starts again when a file changes" in server.said(), server)
        assert "Error: cannot import mine: SyntaxError" in server.said()
        (tmp_path / "mine.py").write_text(TOOLS)
        eventually(lambda: "greet" in server.tools(), server)
        assert server.end() == 0
    assert server.said().count("\n") == 2, "it was asked to be quiet"


def test_what_no_change_would_help_ends_it_with_its_own_code(tmp_path: Path) -> None:
    with (
        serving("--db", tmp_path / "steno.db", "--port", "0"),
        reloaded(tmp_path) as server,
    ):
        assert server.process.wait(PATIENCE_S) == 6
    assert "is in use by the engine with process id" in server.said()


def test_a_free_port_stays_the_same(tmp_path: Path) -> None:
    with reloaded(tmp_path, "--port", "0") as server:
        eventually(lambda: server.said().count("Listening on") == 1, server)
        (tmp_path / "mine.py").write_text(TOOLS + MORE)
        eventually(lambda: server.said().count("Listening on") == 2, server)
        first, second = (line for line in server.said().splitlines() if "Listening" in line)
        assert first == second
        assert server.end(signal.SIGHUP) == 0


def test_a_server_that_is_stopped_by_itself_ends_the_watching(tmp_path: Path) -> None:
    with reloaded(tmp_path) as server:
        eventually(lambda: "greet" in server.tools(), server)
        pid = int(children(server.process.pid)[0])
        os.kill(pid, signal.SIGTERM)
        assert server.process.wait(PATIENCE_S) == 0


def test_the_data_folder_is_that_of_each_server(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/a.txt").write_text("hello")
    with reloaded(tmp_path, "--data", "tables", tools=TOOLS + READS) as server:
        eventually(lambda: "read" in server.tools(), server)
        graph = {"id": "reads", "start": "read", "nodes": {"read": {"tool": "read"}}}
        done = steno("--url", server.url, "run", graph_file(tmp_path, graph), "--id", "r")
        assert done.code == 0
        shown = steno("--url", server.url, "show", "r").documents[0]
        assert shown["state"]["text"] == "hello"


def test_a_server_that_is_held_up_ends_at_the_second_ctrl_c(tmp_path: Path) -> None:
    with reloaded(tmp_path, tools=TOOLS + HOLDS_UP) as server:
        eventually(lambda: "hold_up" in server.tools(), server)
        graph = {"start": "a", "nodes": {"a": {"tool": "hold_up"}}}
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.url}/runs", json={"graph": graph}, timeout=1)
        server.process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(1)
        assert server.end(signal.SIGINT) == 0


async def test_a_server_that_hears_nothing_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloading, "STOP_S", 0.1)
    monkeypatch.setattr(reloading, "HURRY_S", 0.1)
    deaf = "import signal as s; s.signal(s.SIGTERM, s.SIG_IGN); print(flush=True); s.pause()"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", deaf, stdout=PIPE)
    assert process.stdout is not None
    await process.stdout.readline()
    ending = asyncio.create_task(process.wait())
    assert await reloading.ended(process, ending, asyncio.Event()) == -signal.SIGKILL


def test_a_server_does_not_outlive_what_watches(tmp_path: Path) -> None:
    with reloaded(tmp_path) as server:
        eventually(lambda: "greet" in server.tools(), server)
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
        eventually(lambda: "Stopped." in server.said(), server)
        eventually(lambda: not server.tools(), server)


def children(pid: int) -> list[str]:
    done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--memory", "--tools", "mine"], "--memory would lose all runs"),
        ([], "--reload watches the modules of --tools; name one"),
        (["--tools", "nowhere/mine.py"], "nowhere: there is no such folder to watch"),
    ],
)
def test_what_cannot_be_watched_is_refused(words: list[str], sentence: str) -> None:
    done = steno("serve", "--reload", *words)
    assert (done.code, sentence in done.err) == (2, True), done.err


def test_without_its_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloading, "find_spec", lambda name: None)
    with pytest.raises(Failure, match=r"watchfiles: pip install 'stenograph\[reload\]'"):
        reloading.check_library()


def test_a_pid_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("")
    words = ["--tools", "mine", "--pid-file", tmp_path / "no/pid"]
    done = steno_process("serve", "--reload", *words, cwd=tmp_path)
    assert (done.code, "no/pid: cannot be written" in done.err) == (2, True)


def test_what_stands_beside_a_module_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site-packages"
    for name in ("package/inner.py", "site-packages/single.py", "alone.py"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
    (tmp_path / "package/__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(installed), *sys.path])
    names = ["package.inner", "alone", "package/inner.py", "single", "not_yet", "sys", ""]
    assert reloading.folders_of(names) == [tmp_path, tmp_path / "package", installed / "single.py"]


def test_a_free_port_is_one_that_can_be_taken() -> None:
    with socket.create_server(("127.0.0.1", reloading.free_port("127.0.0.1"))) as server:
        assert server.getsockname()[1] > 0
    done = steno("serve", "--reload", "--tools", "mine", "--port", "0", "--host", "203.0.113.1")
    assert (done.code, "cannot listen on 203.0.113.1: " in done.err) == (6, True), done.err
