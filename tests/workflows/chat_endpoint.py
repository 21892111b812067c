"""A chat endpoint for the tests: a real server on loopback that speaks the protocol, or breaks it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

KEY = "sk-test-7d41b09c55e2f8a6"
Send = Callable[[dict[str, Any]], Awaitable[None]]
Answer = Callable[[Send], Awaitable[None]]
EVENTS = {"Content-Type": "text/event-stream; charset=utf-8"}


class Endpoint:
    """Answers requests with ``answers``, the last of them for ever, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [said("A short summary.")]
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        """Serve a request, as ASGI has it."""
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        self.asked.append({"path": scope["path"], **json.loads((body + message["body"]) or "{}")})
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await answer(send)


@asynccontextmanager
async def endpoint(monkeypatch: pytest.MonkeyPatch | None = None) -> AsyncIterator[Endpoint]:
    """Serve an endpoint, which the environment names while it is open."""
    app = Endpoint()
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        app.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        if monkeypatch:
            configure(monkeypatch, app.url)
        task = asyncio.create_task(server.serve([listening]))
        try:
            yield app
        finally:
            server.should_exit = server.force_exit = True
            await task


def configure(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("STENO_CHAT_URL", url)
    monkeypatch.setenv("STENO_CHAT_MODEL", "small-1")
    monkeypatch.setenv("STENO_CHAT_KEY", KEY)


def said(*pieces: str, ended: str | None = "stop", done: bool = True, pause_s: float = 0) -> Answer:
    """Stream pieces of an answer, as models do: a role first, then each piece, then an end."""
    choices: list[Any] = [{"delta": {"role": "assistant", "content": None}}]
    choices += [{"delta": {"content": piece}, "finish_reason": None} for piece in pieces]
    choices += [{"delta": {}, "finish_reason": ended}] if ended else []
    chunks = [json.dumps({"choices": [each]}, ensure_ascii=False) for each in choices]
    return events(*chunks, '{"choices": [], "usage": {}}', *["[DONE]"] * done, pause_s=pause_s)


def events(*data: str, pause_s: float = 0) -> Answer:
    """Stream events that hold this data."""

    async def answer(send: Send) -> None:
        await begin(send, 200, EVENTS)
        for each in data:
            await send({"type": "http.response.body", "body": _event(each), "more_body": True})
            await asyncio.sleep(pause_s)
        await send({"type": "http.response.body"})

    return answer


def cut(*data: str) -> Answer:
    """Stream events, then drop the connection."""

    async def answer(send: Send) -> None:
        await begin(send, 200, EVENTS)
        for each in data:
            await send({"type": "http.response.body", "body": _event(each), "more_body": True})
        await asyncio.sleep(0.05)
        raise ConnectionResetError

    return answer


def status(code: int, body: object = "", headers: dict[str, str] | None = None) -> Answer:
    """Answer at once, with a body that is text, or else JSON."""
    text = body if isinstance(body, str) else json.dumps(body)

    async def answer(send: Send) -> None:
        await begin(send, code, headers or {})
        await send({"type": "http.response.body", "body": text.encode()})

    return answer


def raw(*parts: bytes, headers: dict[str, str] | None = None) -> Answer:
    """Send these bytes as they are, as a stream of events."""

    async def answer(send: Send) -> None:
        await begin(send, 200, EVENTS | (headers or {}))
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})

    return answer


def silent(seconds: float) -> Answer:
    async def answer(send: Send) -> None:
        await asyncio.sleep(seconds)
        await begin(send, 200, EVENTS)
        await send({"type": "http.response.body"})

    return answer


def piece(text: str) -> str:
    return json.dumps({"choices": [{"delta": {"content": text}}]})


async def begin(send: Send, code: int, headers: dict[str, str]) -> None:
    named: Sequence[tuple[bytes, bytes]] = [
        (name.encode(), value.encode()) for name, value in headers.items()
    ]
    await send({"type": "http.response.start", "status": code, "headers": named})


def _event(data: str) -> bytes:
    return f"data: {data}\n\n".encode()
