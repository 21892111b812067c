"""Restate: its server, with the settings it comes with, and its Python SDK behind hypercorn.

``RESTATE_SERVER`` is the server's binary. Clients talk to its ingress, over connections that stand
before the clock begins.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path

from benchmarks.peers.workloads import Work, asked, run_all
from benchmarks.processes import HOST, end, free_port, post

PATIENCE_S = 60.0
END_S = 10.0
"""How long each process may take to end: both together less than this one is given."""


@contextmanager
def restate(folder: Path, ingress: int) -> Iterator[list[int]]:
    """Start both processes, and register the service; gives their ids."""
    admin, node, service = free_port(), free_port(), free_port()
    env = {
        "RESTATE_INGRESS__BIND_ADDRESS": f"{HOST}:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"{HOST}:{admin}",
        "RESTATE_BIND_ADDRESS": f"{HOST}:{node}",
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_BASE_DIR": str(folder / "data"),
        "RESTATE_NODE_NAME": "bench",
        "RESTATE_LOG_FILTER": "error",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
    }
    server = [os.environ["RESTATE_SERVER"], "--no-logo"]
    app = "benchmarks.peers.restate_service:app"
    hypercorn = [sys.executable, "-m", "hypercorn", "--bind", f"{HOST}:{service}", app]
    with (folder / "log").open("w") as log, ExitStack() as stack:
        pids = []
        for words, cwd, more in ((server, folder, env), (hypercorn, None, {})):
            started = subprocess.Popen(
                words, env={**os.environ, **more}, stdout=log, stderr=log, cwd=cwd
            )
            stack.callback(end, started, END_S)
            pids.append(started.pid)
        register(admin, service, ingress)
        yield pids


def register(admin: int, service: int, ingress: int) -> None:
    """Tell the server where the service is, as soon as it can be told, and call it once."""
    until = time.monotonic() + PATIENCE_S
    asks = (
        (admin, "/deployments", {"uri": f"http://{HOST}:{service}"}),
        (ingress, "/bench/counting", 1),
    )
    for port, path, body in asks:
        while True:
            try:
                post(port, path, body, timeout_s=10)
                break
            except (OSError, RuntimeError, HTTPException):
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)


async def main(work: Work, ingress: int, pids: list[int]) -> None:
    """Do what is asked, through the ingress."""
    connections = [await asyncio.open_connection(HOST, ingress) for _ in range(work.runs + 1)]

    async def run(number: int) -> int:
        return await counted(*connections[number], work.steps)

    await run_all(work, run, pids)
    for _, writer in connections:
        writer.close()


async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, steps: int) -> int:
    """Start a run of so many steps over a connection, and return what it came to."""
    body = json.dumps(steps).encode()
    head = f"POST /bench/counting HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not answer.startswith(b"http/1.1 200 "):
        raise RuntimeError(f"the ingress answered {answer!r}")
    length = answer.partition(b"content-length:")[2].split(b"\r\n")[0]
    return int(await reader.readexactly(int(length)))


if __name__ == "__main__":
    work = asked()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # not without the processes it started
    if work.name == "serve":
        with restate(work.folder, work.port):
            sys.stdin.read()
    else:
        port = free_port()
        with restate(work.folder, port) as pids:
            asyncio.run(main(work, port, pids))
