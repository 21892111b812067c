"""Stopping ``steno serve``: nothing that still runs in it can keep the process."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.cli.running import Server

ENDLESS = """
import asyncio
import threading

import stenograph as st


@st.tool
async def deaf(state, ctx):
    ctx.log("begun")
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass


@st.tool
async def threaded(state, ctx):
    ctx.log("begun")
    await asyncio.to_thread(threading.Event().wait)
"""


def served(folder: Path, tool: str) -> Server:
    """A server in the midst of a tool that does not end."""
    (folder / "endless.py").write_text(ENDLESS)
    words = ("--tools", "endless.py", "--port", "0", "--pid-file", "pid")
    server = Server(*words, cwd=folder)
    graph = {"start": tool, "nodes": {tool: {"tool": tool}}}
    begun = httpx.post(f"{server.url}/runs", json={"graph": graph, "id": "r"})
    assert begun.status_code == 202
    for _ in range(1000):
        if "begun" in httpx.get(f"{server.url}/runs/r/events").text:
            return server
    raise AssertionError(server.end(signal.SIGKILL))


@pytest.mark.parametrize("tool", ["deaf", "threaded"])
def test_a_tool_that_does_not_heed_its_cancellation_cannot_keep_the_server(
    tool: str, tmp_path: Path
) -> None:
    server = served(tmp_path, tool)
    assert server.end(signal.SIGTERM) == 0
    assert server.said[-3:] == [
        "A tool, or what sends traces, did not end when told to: it goes with this process",
        "At the next start 1 unfinished run goes on: r after 3",
        "Stopped.",
    ]
    again = Server("--tools", "endless.py", "--port", "0", cwd=tmp_path)
    assert httpx.get(f"{again.url}/runs/r").json()["status"] == "running"
    assert again.end(signal.SIGINT) == 0


def test_a_second_signal_ends_the_server_at_once(tmp_path: Path) -> None:
    server = served(tmp_path, "deaf")
    waiting = subprocess.Popen(["sleep", "0.3"])
    server.process.send_signal(signal.SIGINT)
    waiting.wait()
    assert server.end(signal.SIGTERM) == 128 + signal.SIGTERM
    assert "Stopped." not in server.said
    assert not (tmp_path / "pid").exists()
