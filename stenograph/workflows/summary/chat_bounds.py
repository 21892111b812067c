"""Bounds on what a chat endpoint may send: a line without end would fill the memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import httpx

from stenograph.workflows.summary.chat_errors import ChatMalformed

LINE_MAX: Final = 1024 * 1024
"""Most bytes of a line."""

STREAM_MAX: Final = 64 * 1024 * 1024
"""Most bytes of an answer, with all that the protocol wraps around it."""


def bind(response: httpx.Response, endpoint: str) -> None:
    """Let a response that has not been read yet send so much and no more.

    Raises ChatMalformed, now when it is compressed, for a few bytes may then be as many as they
    like, and later where a line or the whole is too long.
    """
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise ChatMalformed(f"{endpoint} compresses its answer, which it was not asked to do")
    assert isinstance(response.stream, httpx.AsyncByteStream)
    response.stream = _Bounded(response.stream, endpoint)


class _Bounded(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, endpoint: str) -> None:
        self._stream, self._endpoint = stream, endpoint

    async def __aiter__(self) -> AsyncIterator[bytes]:
        total = line = 0
        async for part in self._stream:
            total += len(part)
            end = max(part.rfind(b"\n"), part.rfind(b"\r"))
            line = line + len(part) if end < 0 else len(part) - end - 1
            if line > LINE_MAX or total > STREAM_MAX:
                what, most = ("a line", LINE_MAX) if line > LINE_MAX else ("an answer", STREAM_MAX)
                raise ChatMalformed(f"{self._endpoint} sent {what} of more than {most:,} bytes")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()
