"""The server is killed in mid-run, again and again, under clients that run graphs and listen.

Every client keeps notes of what it was told. In the end the journal must hold all of it, and
every run must have ended, each event having reached its subscriber exactly once.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from msgspec import Struct, field
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

import stenograph as st
from tests import slow_tools
from tests.figures import Figure
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
CLIENTS = 16
BROKEN = (httpx.TransportError, ConnectionClosed, InvalidHandshake, OSError, EOFError)


class Server:
    """``steno serve`` as a process, on one port and one journal file over all its lives."""

    def __init__(self, folder: Path, db: Path | None = None) -> None:
        self.db, self.log = db or folder / "steno.db", folder / "server.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "stenograph", "serve", "--db", str(self.db)),
                *("--port", str(self.port), "--tools", "tests.slow_tools"),
                cwd=ROOT,
                stderr=log,
            )
        async with httpx.AsyncClient() as http, asyncio.timeout(60):
            while True:
                assert self.process.returncode is None, self.log.read_text()
                try:
                    if (await http.get(f"{self.url}/readyz")).status_code == 200:
                        return
                except httpx.TransportError:
                    await asyncio.sleep(0.02)

    async def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def serving(folder: Path, db: Path | None = None) -> AsyncIterator[Server]:
    server = Server(folder, db)
    await server.start()
    try:
        yield server
    finally:
        assert server.process is not None
        if server.process.returncode is None:
            server.process.terminate()
        await server.process.wait()


class Notes(Struct):
    """What one client was told: of each run, the events it saw, and how the run ended."""

    acknowledged: set[str] = field(default_factory=set)
    seen: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)
    resumed: int = 0


async def client(server: Server, name: str, notes: Notes, enough: asyncio.Event) -> None:
    """Begin run after run and follow each to its end, whatever happens to the server."""
    number = 0
    while not enough.is_set():
        number += 1
        run_id = f"{name}-{number}"
        notes.seen[run_id] = []
        while not await begun(server, run_id, notes):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        while run_id not in notes.ended:
            try:
                await follow(server, run_id, notes)
            except BROKEN:
                notes.resumed += 1
                await asyncio.sleep(0.02)


async def begun(server: Server, run_id: str, notes: Notes) -> bool:
    """Begin a run; False when nobody answered, so that it is not known whether it began."""
    body = {"graph": "slow", "id": run_id, "state": {"n": 0, "seen": []}}
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=20) as http:
            answer = await http.post("/runs", json=body)
    except BROKEN:
        return False
    assert answer.status_code in (200, 202), answer.text  # 200: it began, and nobody told us
    notes.acknowledged.add(run_id)
    return True


async def follow(server: Server, run_id: str, notes: Notes) -> None:
    """Listen from the last event seen, up to the end or to a broken connection."""
    seen = notes.seen[run_id]
    url = f"{server.url.replace('http', 'ws')}/ws/{run_id}?after={len(seen)}"
    async with connect(url, open_timeout=20) as socket:
        while True:
            message = msgspec.json.decode(await socket.recv())
            if message["type"] == "status" and message.get("done"):
                notes.ended[run_id] = message
                return
            if message["type"] == "log":
                assert message["log"]["seq"] == len(seen) + 1
                seen.append(message["log"])


async def test_killing_the_server_loses_nothing_doubles_nothing_and_leaves_nothing_stuck(
    tmp_path: Path, request: pytest.FixtureRequest, figure: Figure
) -> None:
    kills = request.config.getoption("--kills")
    chance = random.Random(kills)
    notes = [Notes() for _ in range(CLIENTS)]
    enough = asyncio.Event()
    async with serving(tmp_path) as server:
        async with httpx.AsyncClient(base_url=server.url) as http:
            assert (await http.post("/graphs", json=slow_tools.GRAPH)).status_code == 201
        async with asyncio.TaskGroup() as clients:
            for number, each in enumerate(notes):
                clients.create_task(client(server, f"client{number}", each, enough))
            for _ in range(kills):
                await asyncio.sleep(chance.uniform(0.1, 0.6))
                await server.kill()
                await server.start()
            enough.set()
    assert sum(each.resumed for each in notes) >= kills, "too few clients were cut off"
    runs = await check_the_journal(server.db, notes)
    figure(f"{kills} kills, {runs} runs: 0 lost, 0 doubled, 0 stuck")


async def check_the_journal(db: Path, notes: list[Notes]) -> int:
    runs = 0
    async with st.open(db, recover=False) as engine:
        for each in notes:
            assert each.acknowledged == set(each.ended)
            for run_id, seen in each.seen.items():
                runs += 1
                kept = [event async for event in engine.tail(run_id)]
                assert [(event.seq, event.hash) for event in kept] == [
                    (event["seq"], event["hash"]) for event in seen
                ]
                run = await engine.get(run_id)
                assert (run.status, each.ended[run_id]["status"]) == ("completed", "completed")
                assert run.state == {"n": 12, "seen": list(range(1, 13))}
        assert await engine.runs({"status": "running"}) == []
    return runs
