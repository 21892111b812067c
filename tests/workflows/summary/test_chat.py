from __future__ import annotations

import gzip
import json
import socket
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from stenograph.workflows.summary import chat, chat_bounds, chat_errors, chat_settings
from stenograph.workflows.summary.chat_errors import (
    ChatCut,
    ChatEmpty,
    ChatError,
    ChatMalformed,
    ChatRateLimited,
    ChatRefused,
    ChatTimeout,
    ChatTransient,
    ChatUnauthorized,
    ChatUnavailable,
)
from tests.ports import free_port
from tests.workflows.chat_endpoint import (
    KEY,
    Answer,
    configure,
    cut,
    endpoint,
    events,
    piece,
    raw,
    said,
    silent,
    status,
)

MESSAGES = [{"role": "user", "content": "Say it."}]


async def asked(
    heard: list[str] | None = None, waits: list[float] | None = None, key: str = "run/node/1"
) -> chat.Answer:
    settings = chat_settings.settings()
    heard, waits = heard if heard is not None else [], waits if waits is not None else []
    async with chat.client_for(settings) as client:
        return await chat.ask(
            settings, client, MESSAGES, key=key, hear=heard.append, wait=waits.append
        )


async def failed(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> ChatError:
    """Return how asking fails; nothing that is told of it may hold the key."""
    async with endpoint(monkeypatch) as there:
        there.answers = [answer]
        with pytest.raises(ChatError) as error:
            await asked()
    assert KEY not in "".join(traceback.format_exception(error.value))
    assert there.url in str(error.value)
    return error.value


async def test_an_answer_is_heard_in_pieces_and_returned_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[str] = []
    async with endpoint(monkeypatch) as there:
        there.answers = [said("One", " two,\u2028", " drei ü.", pause_s=0.01)]
        assert await asked(heard) == chat.Answer("One two,\u2028 drei ü.", cut=False)
    assert heard == ["One", " two,\u2028", " drei ü."]


async def test_the_request_is_that_of_the_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    async with endpoint(monkeypatch) as there:
        await asked(key="run/fork#1[0]/knöten/1")
    assert there.asked == [
        {
            "path": "/v1/chat/completions",
            "model": "small-1",
            "messages": MESSAGES,
            "stream": True,
        }
    ]
    (headers,) = there.headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["idempotency-key"] == "run/fork#1[0]/kn%C3%B6ten/1"


async def test_without_a_key_none_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async with endpoint(monkeypatch) as there:
        monkeypatch.delenv("STENO_CHAT_KEY")
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        await asked()
    assert "authorization" not in there.headers[0]


async def test_an_answer_without_its_last_line_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    async with endpoint(monkeypatch) as there:
        there.answers = [said("All of it.", done=False)]
        assert await asked() == chat.Answer("All of it.", cut=False)


async def test_an_answer_that_a_limit_ended_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with endpoint(monkeypatch) as there:
        there.answers = [said("Half of", ended="length")]
        assert await asked() == chat.Answer("Half of", cut=True)


async def test_an_answer_without_an_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "ANSWER_MAX", 10)
    async with endpoint(monkeypatch) as there:
        there.answers = [said(*["word "] * 1_000)]
        assert await asked() == chat.Answer("word word word", cut=True)


async def test_a_key_that_is_said_back_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    async with endpoint(monkeypatch) as there:
        there.answers = [said("It is ", KEY[:5], KEY[5:], ".")]
        assert (await asked()).text == "It is [key]."


@pytest.mark.parametrize("code", [401, 403])
async def test_a_key_that_is_not_taken(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    error = await failed(status(code, {"error": {"message": f"bad key {KEY}"}}), monkeypatch)
    assert isinstance(error, ChatUnauthorized)
    assert str(error).endswith(f"answers {code}: it does not take the key in STENO_CHAT_KEY")


@pytest.mark.parametrize(
    ("code", "kind"), [(400, ChatRefused), (404, ChatRefused), (500, ChatUnavailable)]
)
async def test_what_an_endpoint_says_of_an_error_is_told(
    code: int, kind: type[ChatError], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = await failed(status(code, {"error": {"message": f"no\nway, {KEY}"}}), monkeypatch)
    assert type(error) is kind
    assert str(error).endswith(f"answers {code}: no way, [key]")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"error": "it broke"}, "it broke"),
        ("<html>it broke</html>", "<html>it broke</html>"),
        ("", "it says nothing more"),
        ("x" * 100_000, "x" * chat.SHOWN_MAX),
    ],
)
async def test_an_error_may_say_anything(
    body: object, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert str(await failed(status(503, body), monkeypatch)).endswith(f"answers 503: {told}")


async def test_a_redirect_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with endpoint() as other:
        moved = status(307, headers={"Location": f"{other.url}/chat/completions"})
        error = await failed(moved, monkeypatch)
    assert isinstance(error, ChatRefused)
    assert "a redirect, which is not followed" in str(error)
    assert other.headers == []


@pytest.mark.parametrize(
    ("header", "after_s"),
    [("31", 31), ("3600", 3600), ("soon", None), ("-1", None), ("nan", None), (None, None)],
)
async def test_too_many_requests_say_how_long_to_wait(
    header: str | None, after_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {} if header is None else {"Retry-After": header}
    error = await failed(status(429, "slow down", headers), monkeypatch)
    assert isinstance(error, ChatRateLimited)
    assert error.retry_after_s == after_s
    asks = "" if after_s is None else f" (it asks to wait {after_s:g} s)"
    assert str(error).endswith(f"answers 429: slow down{asks}")


@pytest.mark.parametrize("zone", [UTC, None])
async def test_a_date_to_wait_for_is_a_time_too(zone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    date = (datetime.now(UTC) + timedelta(seconds=500)).replace(tzinfo=zone)
    headers = {"Retry-After": format_datetime(date)}
    error = await failed(status(429, "slow down", headers), monkeypatch)
    assert isinstance(error, ChatRateLimited)
    assert error.retry_after_s is not None
    assert 400 < error.retry_after_s <= 500


async def test_a_short_wait_is_waited_for_twice_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = status(429, "slow down", {"Retry-After": "0.01"})
    waits: list[float] = []
    async with endpoint(monkeypatch) as there:
        there.answers = [busy, busy, said("At last.")]
        assert (await asked(waits=waits)).text == "At last."
        there.answers = [busy]
        with pytest.raises(ChatRateLimited):
            await asked(waits=waits)
    assert waits == [0.01] * 4
    assert len(there.asked) == 6
    assert len({each["idempotency-key"] for each in there.headers}) == 1


async def test_an_endpoint_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, f"http://127.0.0.1:{free_port()}/v1")
    with pytest.raises(ChatUnavailable, match="cannot be reached; is it running"):
        await asked()


async def test_an_endpoint_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "SILENCE_S", 0.05)
    error = await failed(silent(0.3), monkeypatch)
    assert isinstance(error, ChatTimeout)
    assert isinstance(error, TimeoutError)
    assert str(error).endswith("said nothing for 0.05 s")


async def test_an_endpoint_that_takes_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "CONNECT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        # With TLS a connection is made when the server answers, which this one never does.
        configure(monkeypatch, f"https://127.0.0.1:{deaf.getsockname()[1]}/v1")
        with pytest.raises(ChatTimeout, match=r"took no connection in 0\.05 s"):
            await asked()


async def test_an_answer_that_breaks_off(monkeypatch: pytest.MonkeyPatch) -> None:
    error = await failed(cut(piece("Half of")), monkeypatch)
    assert isinstance(error, ChatCut)
    assert str(error).endswith("broke off in the middle of its answer")


async def test_an_answer_that_ends_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    error = await failed(said("Half of", ended=None, done=False), monkeypatch)
    assert isinstance(error, ChatCut)
    assert str(error).endswith("broke off after 7 characters of its answer")


@pytest.mark.parametrize("data", ["{", "[]", '{"choices": 7}', f"no {KEY}"])
async def test_what_is_no_chunk(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = await failed(events(piece("Half of"), data), monkeypatch)
    assert isinstance(error, ChatMalformed)
    assert str(error).endswith(f"no chunk of a chat completion: {data.replace(KEY, '[key]')!r}")


async def test_what_is_no_stream_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    error = await failed(status(200, {"choices": []}), monkeypatch)
    assert isinstance(error, ChatMalformed)
    assert "does not answer with server-sent events" in str(error)


async def test_a_line_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_bounds, "LINE_MAX", 1000)
    error = await failed(raw(b"data: ", *[b"x" * 400] * 3), monkeypatch)
    assert isinstance(error, ChatMalformed)
    assert "a line of more than 1,000 bytes" in str(error)


async def test_lines_without_end_are_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_bounds, "STREAM_MAX", 1000)
    error = await failed(raw(*[b": still here\n\n"] * 100), monkeypatch)
    assert isinstance(error, ChatMalformed)
    assert "an answer of more than 1,000 bytes" in str(error)


async def test_a_compressed_answer_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    error = await failed(
        raw(gzip.compress(b"data: 1\n\n"), headers={"Content-Encoding": "gzip"}), monkeypatch
    )
    assert isinstance(error, ChatMalformed)
    assert "compresses its answer" in str(error)


async def test_an_error_in_the_middle_of_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = json.dumps({"error": {"message": f"out of memory {KEY}"}})
    error = await failed(events(piece("Half of"), broken), monkeypatch)
    assert isinstance(error, ChatUnavailable)
    assert str(error).endswith("failed: out of memory [key]")


async def test_an_answer_without_text(monkeypatch: pytest.MonkeyPatch) -> None:
    error = await failed(said(" \n", ended="content_filter"), monkeypatch)
    assert isinstance(error, ChatEmpty)
    assert str(error).endswith("an answer without text (finish_reason content_filter)")


def test_what_may_be_gone_when_asked_again_has_one_name() -> None:
    again = {ChatRateLimited, ChatUnavailable, ChatTimeout, ChatCut, ChatMalformed, ChatEmpty}
    assert set(ChatTransient.__subclasses__()) == again
    assert set(ChatError.__subclasses__()) == {
        chat_errors.ChatMisconfigured,
        ChatUnauthorized,
        ChatRefused,
        ChatTransient,
    }
