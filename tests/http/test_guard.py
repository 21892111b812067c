"""What no handler is ever asked: too large, too deep, no JSON, or from another site's page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from litestar.types import Message, Receive, Scope, Send
from websockets.exceptions import InvalidStatus

from stenograph.http import Settings
from stenograph.http.door.guard import Guard, hosts_at
from stenograph.http.errors import Refused
from stenograph.http.stopping import Stopping
from tests.http.serving import app_client, created, ran, serving
from tests.http.tools import COUNT

JSON = {"Content-Type": "application/json"}
TWO_MIB = b'{"graph": "' + b"x" * 2 * 1024 * 1024 + b'"}'


def deep(levels: int) -> bytes:
    return b'{"graph": "count", "input": {"to": 1, "a": ' + b"[" * levels + b"]" * levels + b"}}"


async def posted(content: Any, headers: dict[str, str] = JSON) -> tuple[int, str]:
    async with app_client() as client:
        await created(client, COUNT)
        answer = await client.post("/runs", content=content, headers=headers)
    return answer.status_code, answer.json().get("type", "").rpartition("/")[2]


@pytest.mark.parametrize(
    "body", [b"\xff\xfe{}", b'{"graph": "\xc0\xaf"}', b'{"graph": "\xed\xa0\x80"}', b"\x80"]
)
async def test_a_body_that_is_not_utf8_is_refused(body: bytes) -> None:
    assert await posted(body) == (400, "not-utf8")


async def test_a_body_may_nest_32_deep_and_no_deeper() -> None:
    assert await posted(deep(30)) == (202, "")
    assert await posted(deep(31)) == (400, "too-deep")
    assert await posted(deep(1000)) == (400, "too-deep")
    assert await posted(b"[" * 100_000) == (400, "too-deep")


@pytest.mark.parametrize("body", [b"{", b"nonsense", b'{"graph": NaN}', b"{} {}", b"\x00"])
async def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    assert await posted(body) == (400, "not-json")


async def test_a_nul_may_stand_in_a_text() -> None:
    assert await posted(b'{"graph": "count", "input": {"to": 1, "a": "\\u0000"}}') == (202, "")


async def test_a_body_that_says_it_is_too_large_is_not_even_read() -> None:
    assert await posted(TWO_MIB) == (413, "payload-too-large")


async def test_a_body_of_unknown_length_is_cut_off_where_it_is_too_large() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(TWO_MIB), 65_536):
            yield TWO_MIB[start : start + 65_536]

    assert await posted(chunks()) == (413, "payload-too-large")


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "application/jsonp",
    ],
)
async def test_another_content_type_is_refused(content_type: str) -> None:
    body = b'{"graph": "count"}'
    assert await posted(body, {"Content-Type": content_type}) == (415, "unsupported-media-type")


@pytest.mark.parametrize(
    "content_type",
    ["application/json;charset=UTF-8", 'Application/JSON ; charset="utf-8"; x=y'],
)
async def test_json_in_utf8_may_say_so(content_type: str) -> None:
    body = b'{"graph": "count", "input": {"to": 1}}'
    assert await posted(body, {"Content-Type": content_type}) == (202, "")


async def test_a_form_of_another_site_is_refused() -> None:
    async with app_client() as client:
        answer = await client.post("/graph/run", data={"graph_id": "count"})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("http://evil.example", "test", 403),
        ("http://test:8000", "test", 403),
        ("http://test", "test:8000", 403),
        ("null", "test", 403),
        ("file://", "test", 403),
        ("http://[", "test", 403),
        ("http://test.evil.example", "test", 403),
        ("http://test", "test", 202),
        ("HTTP://TEST:80", "test", 202),
        ("https://test", "test:443", 202),
        ("http://test:8000", "Test:8000", 202),
        ("http://[::1]:8000", "[::1]:8000", 202),
    ],
)
async def test_only_pages_of_this_site_may_change_anything(
    origin: str, host: str, status: int
) -> None:
    body = {"graph": "count", "input": {"to": 1}}
    async with app_client() as client:
        await created(client, COUNT)
        headers = {"Origin": origin, "Host": host}
        answer = await client.post("/runs", json=body, headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize(
    "host", ["", "a b", "test:x", "test:99999", "[::1", "test/x", "test:80:80"]
)
async def test_a_host_that_is_none_is_refused(host: str) -> None:
    async with app_client() as client:
        answers = [
            await client.get(path, headers={"Host": host}) for path in ("/runs", "/runs?limit=0")
        ]
    assert [each.status_code for each in answers] == [400, 400]
    assert answers[0].json()["type"] == "/problems/bad-request"


async def test_every_origin_that_is_named_counts() -> None:
    async with app_client() as client:
        headers = [("Origin", "http://test"), ("Origin", "http://evil.example")]
        answer = await client.post("/graph/cancel/r", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/origin-refused")


async def test_what_changes_nothing_may_be_asked_from_anywhere() -> None:
    async with app_client() as client:
        answer = await client.get("/runs", headers={"Origin": "http://evil.example"})
    assert answer.status_code == 200


async def test_a_page_of_another_site_gets_no_socket() -> None:
    async with serving() as server:
        await ran(server.http, COUNT, "r", to=1)
        with pytest.raises(InvalidStatus) as refused:
            async with server.socket("/ws/r", origin="http://evil.example"):
                pass
        async with server.socket("/ws/r", origin=server.url) as socket:
            first = await socket.recv()
    assert refused.value.response.status_code == 403
    assert "run.created" in str(first)


async def passed(guard: Guard, headers: dict[str, str], *events: Any) -> bool:
    """Tell whether the guard lets a request through whose body comes as ``events``, then waits."""
    incoming = list(events)
    reached = False

    async def receive() -> Any:
        return incoming.pop(0) if incoming else await asyncio.Event().wait()

    async def send(message: Message) -> None: ...

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal reached
        reached = True

    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    app = SimpleNamespace(state={"stopping": Stopping()})
    scope: Any = {"type": "http", "method": "POST", "path": "/", "headers": pairs}
    scope["litestar_app"] = app
    await guard.handle(scope, receive, send, handler)
    return reached


async def test_a_body_that_does_not_arrive_is_given_up() -> None:
    chunk = {"type": "http.request", "body": b"{", "more_body": True}
    with pytest.raises(Refused) as refused:
        await passed(Guard(Settings(body_s=0.01)), {"content-length": "2"}, chunk)
    assert refused.value.code == "body-timeout"


async def test_a_client_that_leaves_before_its_body_is_forgotten() -> None:
    chunk = {"type": "http.request", "body": b"{", "more_body": True}
    left = {"type": "http.disconnect"}
    assert not await passed(Guard(), {"transfer-encoding": "chunked"}, chunk, left)


async def test_a_request_without_a_body_is_not_read() -> None:
    assert await passed(Guard(), {"content-length": "0"})


@pytest.mark.parametrize(
    "body",
    [b'{"graph": "count", "graph": "x"}', b'{"graph": "count", "input": {"graph": 1, "graph": 2}}'],
)
async def test_a_name_may_not_stand_twice_in_a_body(body: bytes) -> None:
    assert await posted(body) == (422, "body-invalid")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example:8000", 421),
        ("localhost.evil.example", 421),
    ],
)
async def test_a_server_of_this_machine_is_asked_by_its_own_names_only(
    host: str, status: int
) -> None:
    async with app_client(settings=Settings(hosts=hosts_at("127.0.0.1"))) as client:
        answer = await client.get("/runs", headers={"Host": host})
    assert answer.status_code == status
    assert status == 200 or answer.json()["type"] == "/problems/host-refused"


def test_a_server_that_others_reach_goes_by_any_name() -> None:
    assert [hosts_at(each) for each in ("0.0.0.0", "::", "stenograph.example")] == [None] * 3
    assert "[::1]" in (hosts_at("::1") or ())
    assert hosts_at("::1%lo") == hosts_at("::1")
    assert "127.0.0.2" in (hosts_at("127.0.0.2") or ())
    assert hosts_at("LocalHost") == hosts_at("localhost") | {"LocalHost"}  # type: ignore[operator]
