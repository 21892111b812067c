"""Restate: its server, with the settings it comes with, and its Python SDK behind hypercorn.

``RESTATE_SERVER`` is the server's binary. Clients talk to its ingress.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.peers.workloads import Work, asked, resident_mb, say
from benchmarks.processes import HOST, end, free_port

PATIENCE_S = 60.0


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
    words = [
        "-m",
        "hypercorn",
        "--bind",
        f"{HOST}:{service}",
        "benchmarks.peers.restate_service:app",
    ]
    with (folder / "log").open("w") as log:
        started = [
            subprocess.Popen(
                [os.environ["RESTATE_SERVER"], "--no-logo"],
                env={**os.environ, **env},
                stdout=log,
                stderr=log,
                cwd=folder,
            ),
            subprocess.Popen([sys.executable, *words], stdout=log, stderr=log),
        ]
        try:
            register(admin, service, ingress)
            yield [each.pid for each in started]
        finally:
            for each in reversed(started):
                end(each)


def register(admin: int, service: int, ingress: int) -> None:
    """Tell the server where the service is, as soon as it can be told, and call it once."""
    until = time.monotonic() + PATIENCE_S
    asks = (
        (f"http://{HOST}:{admin}/deployments", {"uri": f"http://{HOST}:{service}"}),
        (f"http://{HOST}:{ingress}/bench/counting", 1),
    )
    for url, body in asks:
        while True:
            try:
                httpx.post(url, json=body, timeout=10).raise_for_status()
                break
            except httpx.HTTPError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)


async def main(work: Work, ingress: int, pids: list[int]) -> None:
    """Do what is asked, through the ingress."""
    limits = httpx.Limits(max_connections=work.runs)
    async with httpx.AsyncClient(timeout=PATIENCE_S * 4, limits=limits) as client:

        async def run() -> int:
            url = f"http://{HOST}:{ingress}/bench/counting"
            return int((await client.post(url, json=work.steps)).raise_for_status().json())

        begin = time.perf_counter()
        steps = await asyncio.gather(*(run() for _ in range(work.runs)))
        took = time.perf_counter() - begin
    assert steps == [work.steps] * work.runs, steps
    say(steps_per_s=sum(steps) / took, rss_mb=sum(map(resident_mb, pids)))


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
