"""The command line, called as a test needs it: in this process, as one of its own, on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from unittest import mock

from click.testing import CliRunner
from msgspec import Struct

from stenograph.cli import main

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60
"""How long a test waits for what must come; no test asserts a time."""


class Done(Struct, frozen=True):
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def documents(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


def steno(*words: object, stdin: str | bytes | None = None, **env: str) -> Done:
    """Run a command in this process, its output in pipes."""
    runner = CliRunner(env={"STENO_URL": "", "STENO_TOKEN": "", **env})
    with mock.patch.object(sys, "argv", ["steno"]):
        done = runner.invoke(main, list(map(str, words)), input=stdin)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Done(done.exit_code, done.stdout, done.stderr)


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "stenograph", *map(str, words)]


def environment(**env: str) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "STENO_URL": "",
        "STENO_TOKEN": "",
        "TERM": "xterm",
        **env,
    }


def steno_without_room(blocks: int, *words: object) -> Done:
    """Run a command that may write files of so many blocks (at most a KiB) as if the disk was full.

    What it covers is not measured: that would be written to files as well.
    """
    done = subprocess.run(
        ["sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh", *command(*words)],
        env={k: v for k, v in environment().items() if not k.startswith("COVERAGE")},
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def steno_process(*words: object, cwd: Path | None = None, **env: str) -> Done:
    """Run a command as a process, its output in pipes."""
    done = subprocess.run(
        command(*words),
        cwd=cwd,
        env=environment(**env),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE_S,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def on_terminal(*words: object, **env: str) -> Done:
    """Run a command with a terminal for its output."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command(*words), env=environment(**env), stdout=theirs, stderr=subprocess.PIPE
    ) as process:
        os.close(theirs)
        out = b"".join(iter(lambda: read_terminal(ours), b""))
        assert process.stderr is not None
        err = process.stderr.read()
    os.close(ours)
    return Done(process.returncode, out.decode().replace("\r\n", "\n"), err.decode())


def read_terminal(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # EIO: the other end is closed
        return b""


class Server:
    """``steno serve`` as a process."""

    def __init__(self, *words: object, cwd: Path | None = None, **env: str) -> None:
        self.process = subprocess.Popen(
            command("serve", *words), cwd=cwd, env=environment(**env), stderr=subprocess.PIPE
        )
        self.said: list[str] = []
        self.db = Path()
        for line in self._lines():
            self.said.append(line.decode().rstrip("\n"))
            if line.startswith(b"Stop with"):
                break
        else:
            raise AssertionError("\n".join(self.said))
        found = re.search(r"^Listening on (\S+)", "\n".join(self.said), re.MULTILINE)
        assert found is not None
        self.url = found[1]

    def _lines(self) -> IO[bytes]:
        assert self.process.stderr is not None
        return self.process.stderr

    def end(self, how: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        with suppress(ProcessLookupError):
            self.process.send_signal(how)
        self.said += [line.decode().rstrip("\n") for line in self._lines()]
        code = self.process.wait(PATIENCE_S)
        self._lines().close()
        return code


@contextmanager
def serving(*words: object, cwd: Path | None = None, **env: str) -> Iterator[Server]:
    server = Server("--tools", "tests.cli.tools", *words, cwd=cwd, **env)
    try:
        yield server
    finally:
        if server.process.returncode is None:
            server.end()


class Running:
    """A command that runs beside the test; what it writes is read line by line."""

    def __init__(self, *words: object, **env: str) -> None:
        self.process = subprocess.Popen(
            command(*words), env=environment(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def lines(self, number: int) -> list[str]:
        """Return the next lines of its data."""
        assert self.process.stdout is not None
        return [self.process.stdout.readline().decode() for _ in range(number)]

    def said(self) -> str:
        """Return the next line of its talk."""
        assert self.process.stderr is not None
        return self.process.stderr.readline().decode()

    def done(self) -> Done:
        """Wait for its end, and return what it wrote since."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return Done(self.process.returncode, out.decode(), err.decode())


@contextmanager
def running(*words: object, **env: str) -> Iterator[Running]:
    command = Running(*words, **env)
    try:
        yield command
    finally:
        command.process.kill()
        command.process.communicate()


def graph_file(folder: Path, graph: Any, name: str = "graph.json") -> Path:
    path = folder / name
    path.write_text(graph if isinstance(graph, str) else json.dumps(graph), "utf-8")
    return path


def seqs(lines: Sequence[str]) -> list[int]:
    return [json.loads(line)["seq"] for line in lines]
