"""A token that is revoked after its request was let in: what has not been done is not done."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from msgspec import Struct

import stenograph as st
from stenograph.http import Settings
from stenograph.http.door.tokens import SCOPES, create_token, revoke_token
from tests.http.serving import Served, created, messages, serving

NOW = datetime(2026, 11, 21, tzinfo=UTC)
LOOKED_AGAIN_S = 0.6
WAITING = {
    "id": "w",
    "start": "slow",
    "nodes": {"slow": {"tool": "hang", "next": "ask"}, "ask": {"wait": {"signal": "go"}}},
}


class Door(Struct, frozen=True):
    """A server that asks for tokens, and two of them: one to be revoked, one to look with."""

    path: Path
    server: Served
    headers: Mapping[str, str]

    async def revoke(self) -> None:
        revoke_token(self.path, "guest")
        await asyncio.sleep(LOOKED_AGAIN_S)


@asynccontextmanager
async def guarded(tmp_path: Path) -> AsyncIterator[Door]:
    path = tmp_path / "tokens"
    guest = create_token(path, "guest", SCOPES, now=NOW)
    owner = create_token(path, "owner", SCOPES, now=NOW)
    async with serving(settings=Settings(tokens=str(path))) as server:
        server.http.headers["Authorization"] = f"Bearer {owner}"
        await created(server.http, WAITING)
        yield Door(path, server, {"Authorization": f"Bearer {guest}"})


async def sent_while_revoked(door: Door, path: str, body: bytes, kind: str) -> httpx.Response:
    """The answer to a request whose token is revoked while its body is under way."""

    async def pieces() -> AsyncIterator[bytes]:
        yield body[:5]
        await door.revoke()
        yield body[5:]

    headers = {**door.headers, "Content-Type": kind}
    return await door.server.http.post(path, headers=headers, content=pieces())


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


async def runs(door: Door) -> list[Any]:
    items: list[Any] = (await door.server.http.get("/runs")).json()["items"]
    return items


async def test_a_body_that_ends_after_its_token_was_revoked_begins_nothing(tmp_path: Path) -> None:
    async with guarded(tmp_path) as door:
        body = json.dumps({"graph": "w"}).encode()
        answer = await sent_while_revoked(door, "/runs", body, "application/json")
        assert code_of(answer) == (401, "token-invalid")
        assert await runs(door) == []


async def test_a_file_that_ends_after_its_token_was_revoked_is_not_imported(tmp_path: Path) -> None:
    async with guarded(tmp_path) as door:
        async with st.open(":memory:") as engine:
            graph = st.Graph(start="a", nodes={"a": st.Node()})
            run = await engine.run(graph, {})
            whole = b"".join([piece async for piece in engine.export(run.id)])
        answer = await sent_while_revoked(door, "/runs/import", whole, "application/x-ndjson")
        assert code_of(answer) == (401, "token-invalid")
        assert await runs(door) == []


async def test_a_first_message_after_its_token_was_revoked_begins_nothing(tmp_path: Path) -> None:
    async with guarded(tmp_path) as door:
        async with door.server.socket("/ws/execute/w", additional_headers=door.headers) as socket:
            await door.revoke()
            await socket.send("{}")
            assert await messages(socket) == []
        assert socket.close_code == 4401
        assert await runs(door) == []


async def test_who_waits_for_a_run_is_not_told_of_it_once_the_token_is_revoked(
    tmp_path: Path,
) -> None:
    async with guarded(tmp_path) as door:
        body = {"graph": "w", "id": "r"}
        headers = {**door.headers, "Prefer": "wait=2"}
        asked = asyncio.create_task(door.server.http.post("/runs", json=body, headers=headers))
        await asyncio.sleep(0.2)
        await door.revoke()
        assert code_of(await asked) == (401, "token-invalid")
        assert [run["id"] for run in await runs(door)] == ["r"]


async def test_who_waits_for_events_is_not_told_of_them_once_the_token_is_revoked(
    tmp_path: Path,
) -> None:
    async with guarded(tmp_path) as door:
        await door.server.http.post("/runs", json={"graph": "w", "id": "r"})
        after = (await door.server.http.get("/runs/r/events")).json()["after"]
        query = {"after": after, "wait": 20}
        asked = asyncio.create_task(
            door.server.http.get("/runs/r/events", params=query, headers=door.headers)
        )
        await asyncio.sleep(0.2)
        await door.revoke()
        await door.server.http.post("/runs/r/cancel")
        assert code_of(await asked) == (401, "token-invalid")
