"""Processes that benchmarks start beside themselves, and end by themselves."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
HOST: Final = "127.0.0.1"
PATIENCE_S: Final = 60.0


class Process:
    """A process that is told things in lines of JSON on stdin, and answers so on stdout."""

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        self.popen = popen

    def tell(self, *words: Any) -> None:
        """Tell it something."""
        assert self.popen.stdin is not None
        self.popen.stdin.write(json.dumps(words) + "\n")
        self.popen.stdin.flush()

    def answer(self) -> Any:
        """Return the next thing it says."""
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.popen.args!r} ended with {self.popen.wait(PATIENCE_S)}")
        return json.loads(line)

    def ask(self, *words: Any) -> Any:
        """Tell it something and return what it says."""
        self.tell(*words)
        return self.answer()


@contextmanager
def process(
    *words: object,
    python: str | Path = sys.executable,
    env: dict[str, str] | None = None,
    cwd: Path = ROOT,
) -> Iterator[Process]:
    """Run ``python`` with these words, until the block ends: SIGTERM first, then SIGKILL."""
    with subprocess.Popen(
        [str(python), *map(str, words)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as popen:
        try:
            yield Process(popen)
        finally:
            end(popen)


def end(popen: subprocess.Popen[Any], patience_s: float = 30.0) -> None:
    """End a process, at the latest by force."""
    if popen.stdin is not None:
        popen.stdin.close()  # or a thread that reads it would hold it up
    popen.terminate()
    try:
        popen.wait(patience_s)
    except subprocess.TimeoutExpired:
        popen.kill()
        popen.wait()


@contextmanager
def steno_server(db: Path, tools: str = "benchmarks.tools") -> Iterator[int]:
    """Serve a journal by ``steno serve``, as its users do; gives the port."""
    port = free_port()
    words = ["-m", "stenograph", "serve", "--db", db, "--port", port, "--tools", tools, "--quiet"]
    with process(*words) as served:
        wait_for(port, served.popen)
        yield port


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int, popen: subprocess.Popen[Any], patience_s: float = PATIENCE_S) -> None:
    """Return as soon as something listens on a port; raises RuntimeError if it ends instead."""
    until = time.monotonic() + patience_s
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            if popen.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{popen.args!r} does not listen on {port}") from None
            time.sleep(0.005)


def post(port: int, path: str, body: object, timeout_s: float = PATIENCE_S) -> Any:
    """POST JSON once, and return the JSON of the answer; raises RuntimeError for no 2xx."""
    from http.client import HTTPConnection

    connection = HTTPConnection(HOST, port, timeout=timeout_s)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body).encode(), headers)
        answer = connection.getresponse()
        data = answer.read()
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        raise RuntimeError(f"POST {path}: {answer.status} {data[:200]!r}")
    return json.loads(data)


def told(lines: Iterator[str] | None = None) -> Iterator[Sequence[Any]]:
    """Yield what this process is told on stdin, until that ends."""
    for line in lines or sys.stdin:
        yield json.loads(line)


def say(what: object) -> None:
    """Answer who started this process."""
    print(json.dumps(what), flush=True)
