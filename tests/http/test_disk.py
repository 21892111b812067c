"""A server whose disk is full, locked or damaged: it says so, reads on, and writes again by itself.

The disk is a small one of memory, which is really full, and the server a real process.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import Struct, field

import stenograph as st
from stenograph.journal import inspect_file
from tests import slow_tools
from tests.figures import Figure
from tests.http.test_kill import Server, serving

PAGE_BYTES = 4096
SIZE = 40 * 1024 * 1024
RUNS = 12
STEPS = 60
GRAPH = {
    **slow_tools.GRAPH,
    "nodes": {
        "work": {"tool": "work", "next": "note"},
        "note": {"tool": "work_in_a_thread", "next": [{"to": "work", "until": f"n >= {STEPS}"}]},
    },
}
END = {"n": STEPS, "seen": list(range(1, STEPS + 1))}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own, of 40 MiB: the log takes up to 16."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if mount is None or os.geteuid() or subprocess.run([mount, *options], check=False).returncode:
        pytest.skip("only root can mount a small disk, and not everywhere")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


class Notes(Struct):
    """What clients were told."""

    tried: int = 0
    acknowledged: dict[str, int] = field(default_factory=dict)
    """The last seq that was acknowledged of each run."""
    refused: int = 0

    def __str__(self) -> str:
        return (
            f"{self.tried} runs tried, {len(self.acknowledged)} with "
            f"{sum(self.acknowledged.values()):,} events acknowledged, {self.refused} refused; "
            "acknowledged lost = 0"
        )


def fill(disk: Path) -> Path:
    """Leave no byte free."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    return filler


async def begin(http: httpx.AsyncClient, run_id: str, notes: Notes) -> httpx.Response:
    notes.tried += 1
    body = {"graph": "slow", "id": run_id, "state": {"n": 0, "seen": []}}
    answer = await http.post("/runs", json=body)
    if answer.status_code == 202:
        notes.acknowledged[run_id] = 1
    else:
        notes.refused += 1
    return answer


async def until(http: httpx.AsyncClient, path: str, holds: Callable[[httpx.Response], bool]) -> Any:
    """Ask until the answer is as it should be, and return what it says."""
    async with asyncio.timeout(60):
        while True:
            with suppress(httpx.TransportError):  # the server is starting
                if holds(answer := await http.get(path)):
                    return answer.json()
            await asyncio.sleep(0.05)


async def until_told(http: httpx.AsyncClient, code: str) -> None:
    """Wait until health gives this reason, and readiness the same."""
    kind = f"/problems/{code}"
    told = await until(http, "/healthz", lambda answer: answer.json().get("type") == kind)
    assert (told["status"], (await http.get("/readyz")).json()["type"]) == (503, kind)


async def until_well(http: httpx.AsyncClient) -> None:
    await until(http, "/readyz", lambda answer: answer.status_code == 200)


async def note(http: httpx.AsyncClient, notes: Notes) -> None:
    """Take down of each run how far its events are seen: what is seen is acknowledged."""
    for run_id in notes.acknowledged:
        answer = await http.get(f"/runs/{run_id}/events", params={"limit": 1})
        assert answer.status_code == 200, answer.text
        notes.acknowledged[run_id] = answer.json()["head"]


async def check(db: Path, notes: Notes) -> None:
    """All that was acknowledged is there, and every run has come to its end."""
    assert is_sound(db)
    async with st.open(db, recover=False) as engine:
        for run_id, seq in notes.acknowledged.items():
            view = await engine.get(run_id)
            assert (view.status, view.state) == ("completed", END)
            assert view.seq >= seq


def client_of(server: Server) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, timeout=60)


@asynccontextmanager
async def serving_on(disk: Path, logs: Path) -> AsyncIterator[tuple[Server, httpx.AsyncClient]]:
    """A server whose journal, and nothing else of it, lies on a disk; it knows the graph."""
    async with serving(logs, db=disk / "steno.db") as server, client_of(server) as http:
        assert (await http.post("/graphs", json=GRAPH)).status_code == 201
        yield server, http


async def begin_some(http: httpx.AsyncClient, notes: Notes) -> None:
    for number in range(RUNS):
        assert (await begin(http, f"before-{number}", notes)).status_code == 202


async def is_refused(http: httpx.AsyncClient, notes: Notes, code: str) -> None:
    """What is asked for is refused with the reason, and reading goes on."""
    refused = await begin(http, "during", notes)
    assert (refused.status_code, refused.json()["type"]) == (503, f"/problems/{code}")
    assert int(refused.headers["retry-after"]) > 0
    stopping = await http.post("/runs/before-0/cancel")
    assert (stopping.status_code, stopping.json()["type"]) == (503, f"/problems/{code}")
    assert (await http.get("/runs/before-0/state")).status_code == 200
    await note(http, notes)


async def all_end(http: httpx.AsyncClient, notes: Notes) -> None:
    """What was in flight goes on by itself, and new work is taken."""
    await until_well(http)
    assert (await begin(http, "after", notes)).status_code == 202
    for run_id in notes.acknowledged:
        await until(http, f"/runs/{run_id}", lambda run: run.json()["status"] == "completed")
    await note(http, notes)


async def test_on_a_full_disk_all_is_refused_and_goes_on_by_itself_when_there_is_room(
    small_disk: Path, tmp_path: Path, figure: Figure
) -> None:
    notes = Notes()
    async with serving_on(small_disk, tmp_path) as (server, http):
        await begin_some(http, notes)
        filler = fill(small_disk)
        await until_told(http, "disk-full")
        await is_refused(http, notes, "disk-full")
        filler.unlink()
        await all_end(http, notes)
    await check(server.db, notes)
    figure(f"disk full, and room again: {notes}")


async def test_a_server_that_is_killed_on_a_full_disk_starts_there_and_goes_on_when_there_is_room(
    small_disk: Path, tmp_path: Path, figure: Figure
) -> None:
    notes = Notes()
    async with serving_on(small_disk, tmp_path) as (server, http):
        await begin_some(http, notes)
        filler = fill(small_disk)
        await until_told(http, "disk-full")
        await note(http, notes)
        await server.kill()
        starting = asyncio.create_task(server.start())
        await until_told(http, "disk-full")
        await is_refused(http, notes, "disk-full")
        assert not starting.done()
        filler.unlink()
        await starting
        await all_end(http, notes)
    await check(server.db, notes)
    figure(f"disk full, killed and started there, and room again: {notes}")


async def test_while_another_process_locks_the_file_all_is_refused_and_goes_on_afterwards(
    tmp_path: Path, figure: Figure
) -> None:
    notes = Notes()
    async with serving_on(tmp_path, tmp_path) as (server, http):
        await begin_some(http, notes)
        async with locked(server.db):
            await until_told(http, "journal-busy")
            await is_refused(http, notes, "journal-busy")
        await all_end(http, notes)
    await check(server.db, notes)
    figure(f"journal locked by another process, and free again: {notes}")


@asynccontextmanager
async def locked(db: Path) -> AsyncIterator[None]:
    """Have another process hold the file as only a writer does."""
    script = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60);"
        "db.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); sys.stdin.read()"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(db)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    assert await process.stdout.readline() == b"locked\n"
    try:
        yield
    finally:
        process.stdin.close()
        await process.wait()


async def test_a_damaged_page_is_told_of_and_the_rest_goes_on(tmp_path: Path) -> None:
    notes = Notes()
    async with serving_on(tmp_path, tmp_path) as (server, http):
        await begin_some(http, notes)
        await all_end(http, notes)
    damaged = damage_a_page_of(server.db, "before-0")
    del notes.acknowledged["before-0"]
    async with serving(tmp_path, db=server.db) as server, client_of(server) as http:
        await until_well(http)
        answer = await http.get("/runs/before-0/events", params={"after": damaged - 1})
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/journal-unreadable")
        await until_told(http, "journal-unreadable")
        await begin(http, "beside", notes)
        await until(http, "/runs/beside", lambda run: run.json()["status"] == "completed")
        await note(http, notes)
    assert not is_sound(server.db)
    async with st.open(server.db, recover=False) as engine:
        for run_id, seq in notes.acknowledged.items():
            assert await engine.journal.head(run_id) >= seq


def is_sound(db: Path) -> bool:
    verdict = inspect_file(db)
    assert verdict is not None
    return not verdict.findings


def damage_a_page_of(db: Path, run_id: str) -> int:
    """Overwrite the page that holds a record from the middle of a run; return that one's seq."""
    with closing(sqlite3.connect(db)) as connection:
        seq, digest = connection.execute(
            "SELECT seq, hash FROM record JOIN stream ON stream.number = stream "
            "WHERE run_id = ? ORDER BY seq LIMIT 1 OFFSET 100",
            (run_id,),
        ).fetchone()
    with db.open("r+b") as file:
        found = file.read().index(digest)
        file.seek(found // PAGE_BYTES * PAGE_BYTES)
        file.write(b"\xff" * PAGE_BYTES)
    return int(seq)
