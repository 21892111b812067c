"""A client as these engines' own users have it: curl, plain HTTP, a plain WebSocket. Port 8000."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.cli.running import PATIENCE_S, Server
from tests.ports import port_8000

URL = "http://localhost:8000"
SLOPPY = """import os, sys


def greet(name):
    if name == None:
        return "hello"
    else:
        return "hello {}".format(name)
"""
"""A source that gets better from pass to pass."""


@contextmanager
def server_at_8000(folder: Path, *words: object) -> Iterator[Server]:
    """A server as `steno serve` starts it, in a folder that is its data folder as well."""
    with port_8000():
        server = Server("--data", folder, *words, cwd=folder)
        try:
            yield server
        finally:
            if server.process.returncode is None:
                server.end()


def post(path: str, body: Any, status: int = 200) -> Any:
    """Send a body, as JSON text or as data, and return the answer."""
    text = body if isinstance(body, str) else json.dumps(body)
    kind = {"Content-Type": "application/json"}
    answer = httpx.post(URL + path, content=text, headers=kind, timeout=PATIENCE_S)
    assert answer.status_code == status, answer.text
    return answer.json()


def get(path: str, status: int = 200) -> Any:
    answer = httpx.get(URL + path, timeout=PATIENCE_S)
    assert answer.status_code == status, answer.text
    return answer.json()


def ended(path: str) -> Any:
    """Ask for the state of a run again and again, as a client without a socket does."""
    for _ in range(PATIENCE_S * 10):
        if (answer := get(path))["done"]:
            return answer
        with socket_at("/ws/logs") as socket:  # anything that happens is a moment to ask again
            try:
                socket.recv(timeout=0.1)
            except TimeoutError:
                continue
    raise AssertionError(f"{path} has not ended")


def socket_at(path: str) -> ClientConnection:
    return connect(URL.replace("http", "ws") + path, max_size=None, compression=None)


def heard(path: str, first: Any = None) -> list[Any]:
    """Return all that a socket says from its first message to its last."""
    with socket_at(path) as socket:
        if first is not None:
            socket.send(json.dumps(first))
        messages = [json.loads(message) for message in socket]
    assert socket.protocol.close_code == 1000, socket.protocol.close_reason
    return messages


def events(messages: list[Any]) -> list[Any]:
    """Return the events in what a run's socket said; they are all there, each once, in order."""
    found = [message["log"] for message in messages if message["type"] == "log"]
    assert [event["seq"] for event in found] == list(range(1, len(found) + 1))
    return found


def results(messages: list[Any]) -> dict[str, list[Any]]:
    """Return what each node came to, by node: ``{"node": …, "result": {…}}``."""
    found: dict[str, list[Any]] = {}
    for message in messages:
        if "node" in message:
            found.setdefault(message["node"], []).append(message["result"])
    return found


def visited(logs: list[Any]) -> list[str]:
    return [entry["node"] for entry in logs]


def shell(command: str, folder: Path) -> str:
    """Run a printed command in a folder, and return what it prints."""
    binaries = Path(sys.executable).parent
    env = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
