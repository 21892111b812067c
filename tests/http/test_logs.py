"""Logs: lines for people or machines, each with its request and its run, and none that is not asked for."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

import stenograph as st
from stenograph.http import Settings, configure_logs
from stenograph.http.door.tokens import SCOPES, create_token
from tests.http.serving import app_client, created, messages, ran, serving
from tests.http.test_errors import BrokenJournal, over
from tests.http.tools import COUNT, TOOLS, of_one

LOG = logging.getLogger("a.tool")


@st.tool
async def mutter(state: dict[str, Any]) -> None:
    """Log as any library does."""
    LOG.info("muttered")


@contextmanager
def logged(**settings: Any) -> Iterator[io.StringIO]:
    """What is logged inside, as ``steno serve`` would write it to stderr."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers.clear()  # those of the test's own stay open
    text = io.StringIO()
    configure_logs(Settings(**settings), text)
    try:
        yield text
    finally:
        root.handlers[:] = before
        root.setLevel(level)


def lines(text: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.getvalue().splitlines()]


async def test_nothing_is_said_of_requests_unless_asked() -> None:
    with logged() as text:
        async with app_client() as client:
            await client.get("/tools")
            await client.get("/nowhere")
    assert text.getvalue() == ""


async def test_one_line_a_request_says_who_asked_what_and_what_came_of_it() -> None:
    with logged(log_format="json", log_level="info") as text:
        async with app_client() as client:
            await client.get("/tools?token=secret", headers={"authorization": "Bearer secret"})
            await client.post("/graphs", content=b'{"secret"', headers={"x-request-id": "mine"})
    found = [each for each in lines(text) if each["logger"] == "stenograph.access"]
    assert [each.pop("ms") >= 0 for each in found] == [True, True]
    assert "secret" not in text.getvalue()
    for each in found:
        assert each.pop("time").endswith("Z")
    first, second = found
    assert first.pop("request_id")
    assert first.pop("message").startswith("GET /tools 400")
    assert first == {
        "level": "info",
        "logger": "stenograph.access",
        "method": "GET",
        "path": "/tools",
        "status": 400,  # tokens do not belong there
        "actor": "http",
    }
    assert (second["request_id"], second["status"]) == ("mine", 415)


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_no_log_of_any_level_tells_a_token_or_a_state(
    log_format: str, tmp_path: Path
) -> None:
    token = create_token(tmp_path / "tokens", "ann", SCOPES, now=datetime.now(UTC))
    settings = Settings(tokens=str(tmp_path / "tokens"))
    headers = {"Authorization": f"Bearer {token}"}
    with logged(log_format=log_format, log_level="debug") as text:
        async with serving(
            lambda: st.open(tmp_path / "steno.db", tools=TOOLS), settings=settings
        ) as server:
            server.http.headers.update(headers)
            await ran(server.http, COUNT, "r", secret="hunter2")
            for path in (f"/runs/{token}", f"/{token}", f"/runs?token={token}"):
                await server.http.get(path)
            await server.http.get("/runs", headers={"X-Request-Id": token})
            await server.http.request(token, "/runs")
            async with server.socket(f"/ws/{token}", additional_headers=headers) as socket:
                await messages(socket)
            async with server.socket("/ws/r", subprotocols=[f"bearer.{token}"]) as socket:
                await messages(socket)
            with pytest.raises(InvalidStatus):
                await server.socket(f"/nowhere?token={token}")
    said = [line for line in text.getvalue().splitlines() if "websockets.client" not in line]
    assert [line for line in said if "/runs/steno_" in line]
    assert not [line for line in said if token[19:] in line or "hunter2" in line]


async def test_no_message_can_forge_a_line_or_steer_a_terminal() -> None:
    with logged() as text:
        LOG.warning("one\n2026-11-21 ERROR stenograph: two \x1b[31m")
        try:
            raise ValueError("\x1b]0;title\x07")
        except ValueError:
            LOG.exception("three")
    first, second, *traceback = text.getvalue().splitlines()
    assert first.endswith(r"WARNING a.tool: one\n2026-11-21 ERROR stenograph: two \x1b[31m")
    assert second.endswith("ERROR a.tool: three")
    assert traceback[-1] == r"ValueError: \x1b]0;title\x07"


async def test_no_path_can_forge_a_line() -> None:
    with logged(log_level="info") as text:
        async with app_client() as client:
            await client.get("/no%0AINFO where%7F/%ff/caf\u00e9/{x}")
    (line,) = text.getvalue().splitlines()
    assert "GET /no%0AINFO%20where%7F/" in line
    assert line.isascii()


async def test_a_socket_is_a_line_too() -> None:
    with logged(log_format="json", log_level="info") as text:
        async with serving() as server, server.socket("/ws/nobody") as socket:
            await messages(socket)
    (line,) = [each for each in lines(text) if each.get("method") == "WEBSOCKET"]
    assert (line["path"], "status" in line) == ("/ws/nobody", False)


async def test_what_a_tool_logs_says_for_which_run_and_request() -> None:
    mutters = of_one("mutter")
    with logged(log_format="json", log_level="info") as text:
        async with app_client(lambda: st.open(":memory:", tools=[mutter])) as client:
            await created(client, mutters)
            body = {"graph": "mutter", "id": "r"}
            headers = {"prefer": "wait=10", "x-request-id": "mine"}
            await client.post("/runs", json=body, headers=headers)
    (line,) = [each for each in lines(text) if each["logger"] == "a.tool"]
    assert (line["message"], line["run_id"], line["request_id"]) == ("muttered", "r", "mine")


async def test_for_people_the_same_stands_at_the_end_of_a_line() -> None:
    with logged(log_level="info") as text:
        async with app_client() as client:
            await client.get("/tools", headers={"x-request-id": "mine"})
        LOG.info("by itself")
    first, last = text.getvalue().splitlines()[-2:]
    assert first.endswith("http request_id=mine")
    assert "INFO stenograph.access: GET /tools 200" in first
    assert last.endswith("INFO a.tool: by itself")


async def test_what_fails_is_logged_with_its_traceback_under_the_id_that_was_answered() -> None:
    journal = BrokenJournal()
    with logged(log_format="json") as text:
        async with app_client(over(journal)) as client:
            await created(client, COUNT)
            journal.error = RuntimeError("no \ud800 luck")
            answer = await client.post("/graphs", json=COUNT | {"name": "Other"})
            journal.error = None
    (line,) = lines(text)
    assert answer.status_code == 500
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == line["request_id"]
    assert (line["level"], line["logger"]) == ("error", "stenograph.http")
    assert "RuntimeError: no ? luck" in line["error"]


@pytest.mark.parametrize("sent", ["", "-", "two words", "x" * 129, "a\u00e9", "a;b", "a.steno_1"])
async def test_an_id_that_is_not_sane_is_not_taken_over(sent: str) -> None:
    async with app_client() as client:
        headers = {b"x-request-id": sent.encode("latin-1")}
        answers = [await client.get("/tools", headers=headers) for _ in range(2)]
    made = [each.headers["x-request-id"] for each in answers]
    assert sent not in made
    assert len(set(made)) == 2


async def test_an_answer_names_the_request_to_who_named_it_and_each_problem_does() -> None:
    async with app_client() as client:
        named = await client.get("/tools", headers={"x-request-id": "a-1:b_c.d"})
        plain = await client.get("/tools")
        problem = await client.get("/runs/nobody")
    assert named.headers["x-request-id"] == "a-1:b_c.d"
    assert "x-request-id" not in plain.headers
    assert problem.json()["request_id"] == problem.headers["x-request-id"]
