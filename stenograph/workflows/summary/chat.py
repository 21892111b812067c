"""One question to an OpenAI-compatible chat endpoint, its answer streamed as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from ssl import SSLContext
from typing import Annotated, Any, Final, NoReturn
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Meta, Struct

from stenograph.workflows.summary import chat_bounds
from stenograph.workflows.summary.chat_errors import (
    ChatCut,
    ChatEmpty,
    ChatMalformed,
    ChatRateLimited,
    ChatRefused,
    ChatTimeout,
    ChatUnauthorized,
    ChatUnavailable,
)
from stenograph.workflows.summary.chat_settings import Settings

SILENCE_S: Final = 120.0
"""Seconds that an endpoint may say nothing: a large model on a small machine thinks that long."""

CONNECT_S: Final = 10.0
WAIT_MAX_S: Final = 30.0
"""A longer Retry-After is left to the graph's own retry."""

WAITS: Final = 2
ANSWER_MAX: Final = 100_000
"""Most characters of an answer; what follows is not waited for."""

BODY_MAX: Final = 16_384
SHOWN_MAX: Final = 200


class Answer(Struct, frozen=True):
    """What was said; ``cut`` says that a limit of length ended it."""

    text: str
    cut: bool


class _Delta(Struct, frozen=True):
    content: str | None = None


class _Choice(Struct, frozen=True):
    delta: _Delta = _Delta()
    finish_reason: str | None = None


class _Chunk(Struct, frozen=True):
    choices: list[_Choice] | None = None
    error: Any = None


async def ask(
    settings: Settings,
    client: httpx.AsyncClient,
    messages: list[dict[str, str]],
    *,
    key: str,
    hear: Callable[[str], None],
    wait: Callable[[float], None],
) -> Answer:
    """Ask a question, tell ``hear`` each piece of the answer as it comes, and return the whole.

    ``key`` goes along as the header Idempotency-Key. When the endpoint says with 429 that it wants
    half a minute at most, ``wait`` is told so, and after that time it is asked again, twice at
    most. Raises a ChatError.
    """
    for _ in range(WAITS):
        try:
            return await _ask(settings, client, messages, key, hear)
        except ChatRateLimited as limited:
            pause_s = limited.retry_after_s
            if pause_s is None or pause_s > WAIT_MAX_S:
                raise
        wait(pause_s)
        await asyncio.sleep(pause_s)
    return await _ask(settings, client, messages, key, hear)


@asynccontextmanager
async def client_for(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client that goes to the endpoint and nowhere else: it follows no redirect."""
    async with httpx.AsyncClient(
        timeout=httpx.Timeout(SILENCE_S, connect=CONNECT_S),
        follow_redirects=False,
        # A proxy of the environment would see the key where the way to it is not encrypted.
        trust_env=settings.url.startswith("https:"),
        verify=_certificates(),
    ) as client:
        yield client


@cache
def _certificates() -> SSLContext:
    # Reading them takes tens of milliseconds, too long for each of many branches.
    return httpx.create_ssl_context()


async def _ask(
    settings: Settings,
    client: httpx.AsyncClient,
    messages: list[dict[str, str]],
    key: str,
    hear: Callable[[str], None],
) -> Answer:
    from httpx_sse import SSEError, aconnect_sse

    headers = {
        **settings.headers,
        "Accept-Encoding": "identity",
        "Idempotency-Key": quote(key, safe="/:#[]"),
    }
    body = {"model": settings.model, "messages": messages, "stream": True}
    try:
        async with aconnect_sse(client, "POST", settings.url, json=body, headers=headers) as source:
            chat_bounds.bind(source.response, settings.endpoint)
            if source.response.status_code != httpx.codes.OK:
                await _refuse(settings, source.response)
            return await _heard(settings, source.aiter_sse(), hear)
    # Without their causes: what those say of a request is not known to be free of the key.
    except SSEError:
        raise ChatMalformed(
            f"{settings.endpoint} does not answer with server-sent events; is it a chat endpoint?"
        ) from None
    except httpx.TimeoutException as error:
        raise ChatTimeout(_timed_out(settings, error)) from None
    except (httpx.ConnectError, httpx.UnsupportedProtocol):
        raise ChatUnavailable(
            f"{settings.endpoint} cannot be reached; is it running, and is STENO_CHAT_URL right?"
        ) from None
    except httpx.HTTPError:
        raise ChatCut(f"{settings.endpoint} broke off in the middle of its answer") from None


async def _heard(
    settings: Settings, events: AsyncIterator[Any], hear: Callable[[str], None]
) -> Answer:
    pieces: list[str] = []
    length, ended = 0, None
    async for event in events:
        if event.data == "[DONE]":
            break
        choice = _choice(settings, event.data)
        if piece := choice.delta.content:
            pieces.append(piece)
            length += len(piece)
            hear(piece)
        ended = choice.finish_reason or ended
        if length > ANSWER_MAX:
            ended = "length"
            break
    text = settings.hide("".join(pieces)).strip()
    if ended is None:
        raise ChatCut(f"{settings.endpoint} broke off after {length:,} characters of its answer")
    if not text:
        why = settings.hide(ended)[:SHOWN_MAX]
        raise ChatEmpty(f"{settings.endpoint} gave an answer without text (finish_reason {why})")
    return Answer(text, ended == "length")


def _choice(settings: Settings, data: str) -> _Choice:
    try:
        chunk = msgspec.json.decode(data, type=_Chunk)
    except (msgspec.DecodeError, ValueError):
        raise ChatMalformed(
            f"{settings.endpoint} sent what is no chunk of a chat completion: "
            f"{settings.hide(data)[:SHOWN_MAX]!r}"
        ) from None
    if chunk.error:
        raise ChatUnavailable(f"{settings.endpoint} failed: {_told(settings, data)}")
    # The last chunk of some has no choice, only the count of tokens.
    return chunk.choices[0] if chunk.choices else _Choice()


async def _refuse(settings: Settings, response: httpx.Response) -> NoReturn:
    code = response.status_code
    answers = f"{settings.endpoint} answers {code}"
    if code in (401, 403):  # what it says of the key is not repeated
        raise ChatUnauthorized(f"{answers}: it does not take the key in STENO_CHAT_KEY")
    if 300 <= code < 400:
        raise ChatRefused(f"{answers}, a redirect, which is not followed; mend STENO_CHAT_URL")
    told = f"{answers}: {_told(settings, await _body(response))}"
    if code == 429:
        after_s = _retry_after_s(response.headers.get("Retry-After", ""))
        asks = "" if after_s is None else f" (it asks to wait {after_s:g} s)"
        raise ChatRateLimited(told + asks, after_s)
    raise (ChatUnavailable if code >= 500 else ChatRefused)(told)


async def _body(response: httpx.Response) -> str:
    body = b""
    async for part in response.aiter_bytes():
        body += part
        if len(body) > BODY_MAX:
            break
    return body[:BODY_MAX].decode(errors="replace")


class _Error(Struct, frozen=True):
    message: str


class _ErrorBody(Struct, frozen=True):
    error: _Error | str


def _told(settings: Settings, body: str) -> str:
    """Return what the body of an error says, on one short line."""
    try:
        error = msgspec.json.decode(body, type=_ErrorBody).error
        body = error if isinstance(error, str) else error.message
    except (msgspec.DecodeError, ValueError):
        pass
    return " ".join(settings.hide(body).split())[:SHOWN_MAX] or "it says nothing more"


_Delay = Annotated[float, Meta(ge=0, le=86_400)]


def _retry_after_s(header: str) -> float | None:
    """Return the seconds that a Retry-After asks for, as a number or a date; None without any."""
    try:
        return msgspec.convert(header, _Delay, strict=False)
    except msgspec.ValidationError:
        pass
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def _timed_out(settings: Settings, error: httpx.TimeoutException) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return f"{settings.endpoint} took no connection in {CONNECT_S:g} s"
    return f"{settings.endpoint} said nothing for {SILENCE_S:g} s"
