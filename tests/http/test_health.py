"""Health: each check says what it found, and the first that fails is the answer."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

import stenograph as st
from stenograph.http import Settings
from stenograph.http.door.tokens import create_token
from stenograph.http.watch import health
from stenograph.http.watch.disk import Room, room_of
from stenograph.http.watch.health import FULL, NEARLY_FULL, WAL_HIGH_BYTES
from stenograph.http.watch.loop_lag import LoopLag
from stenograph.journal import JournalFailed, open_journal
from tests.http.serving import app_client
from tests.http.test_errors import BrokenJournal, over


async def both(client: httpx.AsyncClient) -> tuple[httpx.Response, httpx.Response]:
    return await client.get("/healthz"), await client.get("/readyz")


def codes(answers: tuple[httpx.Response, httpx.Response]) -> list[int]:
    return [each.status_code for each in answers]


def failing(answer: httpx.Response) -> list[str]:
    return [name for name, check in answer.json()["checks"].items() if not check["ok"]]


def in_file(folder: Path) -> Any:
    return lambda: st.open(folder / "steno.db")


async def test_a_server_that_is_well_says_what_it_looked_at(tmp_path: Path) -> None:
    async with app_client(in_file(tmp_path)) as client:
        alive, ready = await both(client)
    assert alive.json()["checks"].keys() == {"journal", "disk"}
    assert ready.json()["checks"].keys() == {"journal", "stopping", "disk", "wal", "loop"}
    assert all(check["ok"] and check["detail"] for check in ready.json()["checks"].values())


async def test_after_an_io_error_it_is_neither_well_nor_ready() -> None:
    journal = BrokenJournal()
    async with app_client(over(journal)) as client:
        journal.failure = JournalFailed("the disk is gone")
        answers = await both(client)
        journal.failure = None
    assert codes(answers) == [503, 503]
    for each in answers:
        assert each.headers["content-type"] == "application/problem+json"
        assert each.json()["type"] == "/problems/read-only"
        assert each.json()["checks"]["journal"] == {"ok": False, "detail": "the disk is gone"}
        assert failing(each) == ["journal"]


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (Room(NEARLY_FULL.bytes, 2**40), [200, 200]),
        (Room(NEARLY_FULL.bytes - 1, 2**40), [200, 503]),
        (Room(FULL.bytes, 2**40), [200, 503]),
        (Room(FULL.bytes - 1, 2**40), [503, 503]),
        (Room(2**20, 10 * 2**20), [200, 200]),
        (Room(2**20 - 1, 10 * 2**20), [200, 503]),
        (Room(2**19 - 1, 10 * 2**20), [503, 503]),
        (Room(0, 0), [503, 503]),
    ],
)
async def test_a_disk_that_is_nearly_full_takes_no_work_and_a_full_one_is_not_well(
    room: Room, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "room_of", lambda journal: room)
    async with app_client() as client:
        answers = await both(client)
    assert codes(answers) == expected
    for each in answers:
        if each.status_code == 503:
            assert (each.json()["type"], failing(each)) == ("/problems/not-ready", ["disk"])
            assert "MiB are free" in each.json()["detail"]
            assert int(each.headers["Retry-After"]) > 0


async def test_who_may_not_read_is_not_told_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_token(tmp_path / "tokens", "ann", ["run"], now=datetime.now(UTC))
    monkeypatch.setattr(health, "room_of", lambda journal: Room(0, 0))
    async with app_client(settings=Settings(tokens=str(tmp_path / "tokens"))) as client:
        answers = await both(client)
    assert codes(answers) == [503, 503]
    for told in (each.json() for each in answers):
        assert told["detail"] == told["title"] == "The server should not be sent work now"
        assert "checks" not in told


async def test_a_log_that_is_never_emptied_takes_no_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app_client(in_file(tmp_path)) as client:
        log = tmp_path / "steno.db-wal"
        size = log.stat().st_size
        os.truncate(log, WAL_HIGH_BYTES)  # a hole: nothing is written
        answers = await both(client)
        os.truncate(log, size)
    assert codes(answers) == [200, 503]
    assert failing(answers[1]) == ["wal"]


async def test_a_loop_that_was_held_up_takes_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LoopLag, "worst_s", 1.5)
    async with app_client() as client:
        answers = await both(client)
    assert codes(answers) == [200, 503]
    assert "1,500 ms late" in answers[1].json()["checks"]["loop"]["detail"]


async def test_room_that_cannot_be_asked_for_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    async with open_journal(folder / "steno.db") as journal:
        assert (room_of(journal) or Room(0, 0)).free > 0
        journal.path = tmp_path / "gone" / "steno.db"
        assert room_of(journal) == Room(0, 0)
        journal.path = folder / "steno.db"
