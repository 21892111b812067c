"""Who may: tokens and their scopes, over requests, streams and sockets."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.routes import HTTPRoute, WebSocketRoute
from msgspec import Struct
from websockets.exceptions import InvalidStatus

import stenograph
from stenograph.http import Settings, create_app
from stenograph.http.door.access import Access, refuse_handshake
from stenograph.http.door.known_tokens import KnownTokens
from stenograph.http.door.tokens import SCOPES, create_token, revoke_token
from stenograph.http.errors import Refused
from stenograph.http.operations import runs
from stenograph.http.problems import KINDS
from tests.http.serving import Served, app_client, begun, created, in_memory, messages, ran, serving
from tests.http.tools import COUNT, TOOLS, looping

NOW = datetime(2026, 11, 21, tzinfo=UTC)
LONG = looping("count", 9)


class Keys(Struct, frozen=True):
    """A file of tokens, one for each scope, which is its name, too."""

    path: Path
    tokens: dict[str, str]

    def of(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[name]}"}

    def settings(self, **more: Any) -> Settings:
        return Settings(tokens=str(self.path), **more)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    path = tmp_path / "tokens"
    tokens: dict[str, str] = {each: create_token(path, each, [each], now=NOW) for each in SCOPES}
    tokens["all"] = create_token(path, "all", SCOPES, now=NOW)
    past = NOW - timedelta(days=1)
    tokens["old"] = create_token(path, "old", SCOPES, now=past, expires_at=past)
    return Keys(path, tokens)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


def refused(error: InvalidStatus) -> tuple[int, str]:
    problem = json.loads(bytes(error.response.body))
    return error.response.status_code, problem["type"].rpartition("/")[2]


def handlers() -> list[tuple[str, BaseRouteHandler]]:
    """Every handler of every route, but the answers to OPTIONS, which tell nothing."""
    found: list[tuple[str, BaseRouteHandler]] = []
    for route in create_app(in_memory).routes:
        if isinstance(route, HTTPRoute):
            mine = [h for h in route.route_handlers if "OPTIONS" not in h.http_methods]
            found += [(route.path, each) for each in mine]
        elif isinstance(route, WebSocketRoute):
            found.append((route.path, route.route_handler))
        else:
            raise AssertionError(f"{route.path} is of a kind that nobody guards")
    return found


def test_every_handler_says_what_it_needs() -> None:
    untold = [path for path, each in handlers() if each.opt.get("needs", "") not in (None, *SCOPES)]
    assert untold == []
    assert {path for path, _ in handlers()} >= {
        "/runs",
        "/api/runs",
        "/ws/logs",
        "/docs",
        "/healthz",
    }


def test_only_the_docs_and_health_need_no_token() -> None:
    open_to_all = {path for path, each in handlers() if each.opt["needs"] is None}
    docs = {path for path in open_to_all if path.startswith("/docs")}
    assert open_to_all - docs == {"/", "/openapi.json", "/healthz", "/readyz"}


def test_nothing_that_only_reads_changes_anything() -> None:
    """And what changes a run that there is, or tells all, needs more than to begin one."""
    needs = {
        (path.removeprefix("/api"), each.handler_name): each.opt["needs"]
        for path, each in handlers()
    }
    assert {path for (path, _), scope in needs.items() if scope == "admin"} == {
        "/sql", "/runs/import", "/runs/{run_id:str}/erase",
    }  # fmt: skip
    gets = [
        each
        for _, each in handlers()
        if isinstance(each, HTTPRouteHandler) and "GET" in each.http_methods
    ]
    assert {each.opt["needs"] for each in gets} == {"read", None}
    assert {name for (_, name), scope in needs.items() if scope == "control"} == {
        "signal_run", "pause_run", "resume_run", "retry_run", "cancel_run", "cancel", "migrate_run",
    }  # fmt: skip


def test_the_description_tells_what_each_operation_needs(keys: Keys) -> None:
    told = create_app(in_memory, keys.settings()).openapi_schema.to_schema()
    assert told["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    paths = told["paths"]
    assert paths["/runs"]["post"]["security"] == [{"token": ["run"]}]
    assert paths["/runs"]["get"]["security"] == [{"token": ["read"]}]
    assert paths["/healthz"]["get"]["security"] == [{}, {"token": []}]
    assert all("security" in each for methods in paths.values() for each in methods.values())
    assert {"401", "403", "429"} <= paths["/runs"]["get"]["responses"].keys()
    assert not {"401", "403", "429"} & paths["/healthz"]["get"]["responses"].keys()


def test_where_no_token_is_needed_the_description_says_that_one_may_be_left_out(keys: Keys) -> None:
    for settings in (keys.settings(), Settings()):  # one application does not tell for another
        paths = create_app(in_memory, settings).openapi_schema.to_schema()["paths"]
    assert paths["/runs"]["post"]["security"] == [{}, {"token": ["run"]}]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "token-missing"),
        ({"Authorization": "Basic YTpi"}, "token-missing"),
        ({"Authorization": "Bearer "}, "token-invalid"),
        ({"Authorization": "Bearer steno_0123456789ab_" + "0" * 64}, "token-invalid"),
        ({"Authorization": b"Bearer \xff\xe4"}, "token-invalid"),
    ],
)
async def test_who_has_no_good_token_is_not_let_in(keys: Keys, headers: Any, code: str) -> None:
    async with app_client(settings=keys.settings()) as client:
        answer = await client.get("/runs", headers=headers)
    assert code_of(answer) == (401, code)
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="stenograph"')
    assert ('error="invalid_token"' in challenge) is (code == "token-invalid")


async def test_a_token_that_has_expired_is_told_so(keys: Keys) -> None:
    async with app_client(settings=keys.settings()) as client:
        answer = await client.get("/runs", headers=keys.of("old"))
    assert code_of(answer) == (401, "token-invalid")
    assert answer.json()["detail"] == "the token old has expired; have another one made"


async def test_one_token_a_request(keys: Keys) -> None:
    both = [("Authorization", f"Bearer {keys.tokens[name]}") for name in ("read", "all")]
    async with app_client(settings=keys.settings()) as client:
        assert code_of(await client.get("/runs", headers=both)) == (401, "token-invalid")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/runs", "read"),
        ("GET", "/api/runs", "read"),
        ("POST", "/graphs/validate", "read"),
        ("POST", "/runs", "run"),
        ("POST", "/graph/run", "run"),
        ("POST", "/runs/r/cancel", "control"),
        ("POST", "/runs/r/erase", "admin"),
        ("POST", "/sql", "admin"),
    ],
)
async def test_a_scope_is_good_for_what_it_says_and_nothing_else(
    keys: Keys, method: str, path: str, scope: str
) -> None:
    async with app_client(settings=keys.settings()) as client:
        answers = {
            name: await client.request(method, path, headers=keys.of(name), json={})
            for name in SCOPES
        }
    for name, answer in answers.items():
        assert (answer.status_code == 403) is (name != scope), name
        if name != scope:
            assert code_of(answer) == (403, "scope-missing")
            told = f'error="insufficient_scope", scope="{scope}"'
            assert told in answer.headers["WWW-Authenticate"]
            assert answer.json()["detail"] == (
                f"this needs the scope {scope}, and the token {name} has {name}"
            )


async def test_who_may_not_ask_has_no_body_read() -> None:
    """Nor is it told that the body is no JSON: all that is looked at is who asks."""
    async with app_client(settings=Settings(tokens=None)) as client:
        assert code_of(await client.post("/runs", content=b"{")) == (415, "unsupported-media-type")


async def test_without_a_good_token_not_even_the_body_is_looked_at(keys: Keys) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b"{"

    async with app_client(settings=keys.settings()) as client:
        assert code_of(await client.post("/runs", content=body())) == (401, "token-missing")
    assert read == 0


async def test_events_name_who_asked(keys: Keys) -> None:
    async with app_client(settings=keys.settings()) as client:
        client.headers.update(keys.of("all"))
        await begun(client, LONG, "r")
        await client.post("/runs/r/cancel")
        events = (await client.get("/runs/r/events", params={"wait": 10})).json()["events"]
        graph = (await client.get("/journal?type=graph.created")).json()["events"][0]
    asked = {each["type"]: each["data"].get("actor") for each in [*events, graph]}
    assert {asked["run.created"], asked["run.cancelling"], asked["graph.created"]} == {"all"}


async def test_without_a_store_nobody_needs_a_token() -> None:
    async with app_client() as client:
        client.headers["Authorization"] = "Bearer steno_whatever"
        await ran(client, COUNT, "r", to=1)
        events = (await client.get("/runs/r/events")).json()["events"]
    assert events[0]["data"]["actor"] == "http"


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/start.js", "/openapi.json", "/healthz"])
async def test_the_docs_and_health_are_for_everybody(keys: Keys, path: str) -> None:
    async with app_client(settings=keys.settings()) as client:
        for headers in ({}, {"Authorization": "Bearer nonsense"}):
            assert (await client.get(path, headers=headers)).status_code < 400


async def test_health_tells_more_to_who_may_read(keys: Keys) -> None:
    told = {}
    async with app_client(settings=keys.settings()) as client:
        for name in ("read", "run", "old"):
            told[name] = (await client.get("/healthz", headers=keys.of(name))).json()
        nobody = (await client.get("/readyz")).json()
    assert nobody == told["run"] == told["old"] == {"status": "ok"}
    assert told["read"].keys() == {
        "status",
        "version",
        "journal",
        "recovered",
        "checks",
        "warnings",
    }
    assert told["read"]["warnings"] == []


async def test_health_says_when_the_file_of_tokens_is_broken(keys: Keys) -> None:
    async with app_client(settings=keys.settings()) as client:
        keys.path.write_text("{")
        answer: Any = {}
        while not answer.get("warnings"):
            await asyncio.sleep(0.05)
            answer = (await client.get("/healthz", headers=keys.of("read"))).json()
    assert answer["warnings"][0].startswith(f"{keys.path}: no file of tokens")


@pytest.mark.parametrize(
    "query", ["access_token={}", "a=1&token={}", "bearer=x", "x={}", "after=0&y=steno%5F{}"]
)
async def test_a_token_in_a_url_is_refused_with_the_reason(keys: Keys, query: str) -> None:
    asked = query.format(keys.tokens["all"]).replace("%5Fsteno_", "%5F")
    for settings in (keys.settings(), Settings()):
        async with app_client(settings=settings) as client:
            answer = await client.get(f"/runs?{asked}", headers=keys.of("all"))
        assert code_of(answer) == (400, "token-in-query")
        assert "never goes into a URL" in answer.json()["detail"]
        assert keys.tokens["all"] not in answer.text


async def test_a_state_at_an_event_is_for_everybody_only_where_everybody_may_ask(
    keys: Keys,
) -> None:
    kept = []
    for settings in (Settings(), keys.settings()):
        async with app_client(settings=settings) as client:
            client.headers.update(keys.of("all"))
            await ran(client, COUNT, "r", to=1)
            journal = (await client.get("/healthz")).json()["journal"]
            path = f"/runs/r/state?at=2&journal={journal}"
            kept.append((await client.get(path)).headers["Cache-Control"])
    rest = "max-age=31536000, immutable"
    assert kept == [f"public, {rest}", f"private, {rest}"]


async def test_too_many_requests_of_a_token_are_refused(keys: Keys) -> None:
    async with app_client(settings=keys.settings(request_rate=0.001, request_burst=2)) as client:
        answers = [await client.get("/runs", headers=keys.of("read")) for _ in range(3)]
        other = await client.get("/runs", headers=keys.of("all"))
        health = await client.get("/healthz")
    assert [each.status_code for each in (*answers, other, health)] == [200, 200, 429, 200, 200]
    assert code_of(answers[2]) == (429, "rate-limited")
    headers = answers[2].headers
    assert headers["RateLimit-Policy"] == '"requests";q=2;w=2000'
    assert headers["RateLimit"] == f'"requests";r=0;t={headers["Retry-After"]}'


@pytest.mark.parametrize("tokens", [True, False])
async def test_without_a_good_token_requests_are_counted_by_address(
    keys: Keys, tokens: bool
) -> None:
    """And never by what a header says that the address is."""
    rate: Any = {"request_rate": 0.001, "request_burst": 2}
    settings = keys.settings(**rate) if tokens else Settings(**rate)
    async with app_client(settings=settings) as client:
        codes = [
            (await client.get("/runs", headers={"X-Forwarded-For": f"10.0.0.{n}"})).status_code
            for n in range(3)
        ]
    assert codes == [401, 401, 429] if tokens else codes == [200, 200, 429]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("10.0.0.1", 1), ("10.0.0.1", 2), True),
        (("10.0.0.1", 1), ("10.0.0.2", 1), False),
        (("2001:db8::1", 1), ("2001:db8::ffff:2", 1), True),
        (("fe80::1%eth0", 1), ("fe80::2", 1), True),
        (("2001:db8:0:1::1", 1), ("2001:db8:0:2::1", 1), False),
        (("a:b", 1), ("a:c", 1), False),
        (None, None, True),
    ],
)
async def test_an_address_is_one_client_and_a_network_of_ipv6_is(
    one: Any, other: Any, same: bool
) -> None:
    app = create_app(in_memory, Settings(request_rate=0.001, request_burst=1))
    codes = []
    async with app.lifespan():
        for peer in (one, other):
            transport = httpx.ASGITransport(app=app, client=peer)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                codes.append((await client.get("/runs")).status_code)
    assert codes == [200, 429 if same else 200]


async def test_a_socket_takes_a_token_by_header_or_subprotocol(keys: Keys) -> None:
    async with serving(settings=keys.settings()) as server:
        server.http.headers.update(keys.of("all"))
        await ran(server.http, COUNT, "r", to=1)
        carried = ["stenograph", f"bearer.{keys.tokens['read']}"]
        async with server.socket("/ws/r", additional_headers=keys.of("read")) as socket:
            assert json.loads(await socket.recv())["log"]["seq"] == 1
            assert socket.subprotocol is None
        async with server.socket("/ws/r", subprotocols=carried) as socket:
            assert json.loads(await socket.recv())["log"]["seq"] == 1
            assert socket.subprotocol == "stenograph"
            assert socket.response is not None
            assert keys.tokens["read"] not in str(socket.response.headers)


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("/ws/r", None, (401, "token-missing")),
        ("/ws/r", "old", (401, "token-invalid")),
        ("/ws/logs", "run", (403, "scope-missing")),
        ("/ws/execute/g", "read", (403, "scope-missing")),
        ("/ws/r?token={}", "read", (400, "token-in-query")),
    ],
)
async def test_a_handshake_that_is_refused_is_answered_with_the_problem(
    keys: Keys, path: str, name: str | None, expected: tuple[int, str]
) -> None:
    async with serving(settings=keys.settings()) as server:
        headers = {} if name is None else keys.of(name)
        asked = path.format(keys.tokens["all"])
        with pytest.raises(InvalidStatus) as caught:
            await server.socket(asked, additional_headers=headers)
    assert refused(caught.value) == expected
    answer = caught.value.response.headers
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["WWW-Authenticate"].startswith("Bearer ")


async def test_a_token_is_never_logged(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = keys.tokens["all"]
    async with serving(settings=keys.settings()) as server:
        await server.http.get(f"/runs?token={token}")
        with pytest.raises(InvalidStatus):
            await server.socket(f"/ws/r?token={token}")
        async with server.socket("/ws/logs", subprotocols=["stenograph", f"bearer.{token}"]):
            pass
    ours = [each for each in caplog.records if not each.name.startswith(("http", "websockets.cl"))]
    assert any("WEBSOCKET" in each.getMessage() for each in ours)
    assert [each.getMessage() for each in ours if token in each.getMessage()] == []
    assert [each.getMessage() for each in ours if each.levelno >= logging.WARNING] == []


async def test_requests_to_open_a_socket_are_counted(keys: Keys) -> None:
    async with serving(settings=keys.settings(request_rate=0.001, request_burst=1)) as server:
        async with server.socket("/ws/logs", additional_headers=keys.of("read")):
            pass
        with pytest.raises(InvalidStatus) as caught:
            await server.socket("/ws/logs", additional_headers=keys.of("read"))
    assert refused(caught.value) == (429, "rate-limited")
    assert int(caught.value.response.headers["Retry-After"]) > 0


async def test_where_a_handshake_cannot_be_answered_it_is_closed_with_the_code() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"path": "/ws/r", "extensions": None}
    await refuse_handshake(scope, send, Refused("token-missing", "this needs a token"))
    reason = KINDS["token-missing"].title
    assert sent == [{"type": "websocket.close", "code": 4401, "reason": reason}]


@asynccontextmanager
async def watched(keys: Keys) -> AsyncIterator[Served]:
    """A server on which a run waits, so that its stream has no end."""
    async with serving(settings=keys.settings()) as server:
        server.http.headers.update(keys.of("all"))
        graph = {"id": "w", "start": "ask", "nodes": {"ask": {"wait": {"signal": "go"}}}}
        await created(server.http, graph)
        await server.http.post("/runs", json={"graph": "w", "id": "r"})
        yield server


async def test_a_socket_is_closed_once_its_token_is_revoked(keys: Keys) -> None:
    async with (
        watched(keys) as server,
        server.socket("/ws/r", additional_headers=keys.of("read")) as socket,
    ):
        while json.loads(await socket.recv())["log"]["type"] != "wait.opened":
            pass
        revoke_token(keys.path, "read")
        await asyncio.sleep(0.6)
        await server.http.post("/runs/r/signals/go", json=1)
        after = await messages(socket)
    assert after == []
    assert (socket.close_code, socket.close_reason) == (
        4401,
        "the token was revoked, or has expired",
    )


async def test_server_sent_events_end_once_their_token_is_revoked(keys: Keys) -> None:
    heard = b""
    headers = {**keys.of("read"), "Accept": "text/event-stream"}
    async with (
        watched(keys) as server,
        server.http.stream("GET", "/runs/r/events", headers=headers) as answer,
    ):
        async for chunk in answer.aiter_bytes():
            heard += chunk
            if b"wait.opened" in heard and b"revoked" not in keys.path.read_bytes():
                revoke_token(keys.path, "read")
                keys.path.write_bytes(keys.path.read_bytes().replace(b'"old"', b'"revoked"'))
                await asyncio.sleep(0.6)
                await server.http.post("/runs/r/signals/go", json=1)
    assert b"wait.opened" in heard
    assert b"run.completed" not in heard


async def test_a_token_that_is_made_is_good_without_a_restart(keys: Keys) -> None:
    async with app_client(settings=keys.settings()) as client:
        token = create_token(keys.path, "new", ["read"], now=NOW)
        headers = {"Authorization": f"Bearer {token}"}
        codes = [(await client.get("/runs", headers=headers)).status_code]
        while codes[-1] != 200:
            await asyncio.sleep(0.05)
            codes.append((await client.get("/runs", headers=headers)).status_code)
    assert set(codes) <= {401, 200}


SITE = "https://console.example.org"


async def test_pages_of_other_sites_may_do_nothing_unless_they_are_named() -> None:
    async with app_client() as client:
        plain = await client.get("/runs", headers={"Origin": SITE})
        unsafe = await client.post("/runs", headers={"Origin": SITE}, json={})
    assert "Access-Control-Allow-Origin" not in plain.headers
    assert code_of(unsafe) == (403, "origin-refused")


async def test_pages_of_a_site_that_is_named_may_ask_as_others_do(keys: Keys) -> None:
    asked = {
        "Origin": SITE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type, idempotency-key",
    }
    async with app_client(settings=keys.settings(origins=frozenset({SITE}))) as client:
        before = await client.options("/runs", headers=asked)
        without = await client.post("/runs", headers={"Origin": SITE}, json={})
        graph = await client.post("/graphs", headers={"Origin": SITE, **keys.of("run")}, json=COUNT)
    assert (before.status_code, without.status_code, graph.status_code) == (204, 401, 201)
    for answer in (before, without, graph):
        assert answer.headers["Access-Control-Allow-Origin"] == SITE
        assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "WWW-Authenticate" in without.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize(
    "origin",
    ["https://console-example.org", f"{SITE}.evil.org", f"{SITE}:8443", "http://console.example.org", "null"],
)  # fmt: skip
async def test_a_site_that_is_nearly_named_so_is_another(origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    async with app_client(settings=Settings(origins=frozenset({SITE}))) as client:
        before = await client.options("/runs", headers=asked)
        unsafe = await client.post("/runs", headers={"Origin": origin}, json={})
    assert (before.status_code, unsafe.status_code) == (400, 403)
    assert "Access-Control-Allow-Origin" not in before.headers


async def test_a_socket_is_opened_for_pages_of_a_site_that_is_named() -> None:
    async with serving(settings=Settings(origins=frozenset({SITE}))) as server:
        async with server.socket("/ws/logs", origin=SITE):
            pass
        with pytest.raises(InvalidStatus) as caught:
            await server.socket("/ws/logs", origin=f"{SITE}:1")
    assert refused(caught.value) == (403, "origin-refused")


@pytest.mark.parametrize(
    "origin", ["*", "example.org", "https://*.example.org", f"{SITE}/", "HTTPS://a"]
)
def test_what_is_no_origin_cannot_be_named(origin: str) -> None:
    with pytest.raises(ValueError, match="is no origin: write scheme, host and port"):
        Settings(origins=frozenset({origin}))


async def test_sql_is_for_admins(keys: Keys) -> None:
    def on_file() -> Any:
        return stenograph.open(keys.path.parent / "steno.db", tools=TOOLS)

    async with app_client(on_file, settings=keys.settings()) as client:
        body = {"sql": "SELECT count(*) FROM runs"}
        codes = [
            (await client.post("/sql", json=body, headers=keys.of(name))).status_code
            for name in ("read", "admin")
        ]
    assert codes == [403, 200]


WHAT_COMES = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=100)


@given(st.lists(st.one_of(WHAT_COMES, WHAT_COMES.map("Bearer {}".format)), max_size=3), WHAT_COMES)
def test_whatever_a_header_or_a_query_says_is_refused_and_never_an_error(
    keys_once: Keys, headers: list[str], query: str
) -> None:
    access = Access(KnownTokens(str(keys_once.path)), keys_once.settings())
    scope: Any = {
        "type": "websocket",
        "path": "/runs",
        "query_string": query.encode("latin-1"),
        "headers": [(b"authorization", each.encode("latin-1")) for each in headers],
        "subprotocols": headers,
        "route_handler": runs.list_runs,
        "client": (query, 1),
    }
    with pytest.raises(Refused) as caught:
        access.admitted(scope)
    assert KINDS[caught.value.code].status in (400, 401)


@pytest.fixture(scope="module")
def keys_once(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    path = tmp_path_factory.mktemp("tokens") / "tokens"
    create_token(path, "ann", SCOPES, now=NOW)
    return Keys(path, {})
