"""Problems: one shape for whatever goes wrong, and nothing of the inside."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from litestar import Request

import stenograph as st
from stenograph.http.errors import CODES, problem_of, respond
from stenograph.http.problems import KINDS
from stenograph.journal import JournalBusy, JournalFailed, MemoryJournal, NewRecord
from tests.http.serving import OpenEngine, app_client, created, ran
from tests.http.tools import COUNT, TOOLS


class BrokenJournal(MemoryJournal):
    """A journal in memory whose appends fail from when it is told so."""

    error: Exception | None = None

    async def append(self, *args: Any, **options: Any) -> Any:
        if self.error is not None:
            raise self.error
        return await super().append(*args, **options)


def over(journal: MemoryJournal) -> OpenEngine:
    @asynccontextmanager
    async def opened() -> AsyncIterator[st.Engine]:
        async with journal, st.Engine(journal, tools=TOOLS) as engine:
            yield engine

    return opened


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/docs/nowhere", 404, "not-found"),
        ("GET", "/docs/nowhere.json", 404, "not-found"),
        ("DELETE", "/runs", 405, "method-not-allowed"),
        ("GET", "/graph/create", 405, "method-not-allowed"),
        ("GET", "/ws/logs", 405, "method-not-allowed"),
        ("GET", "/runs/nobody", 404, "run-not-found"),
        ("POST", "/runs", 422, "body-invalid"),
    ],
)
async def test_every_error_is_a_problem(method: str, path: str, status: int, code: str) -> None:
    async with app_client() as client:
        answer = await client.request(method, path)
    problem = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status_code, problem["status"]) == (status, status)
    assert (problem["type"], problem["title"]) == (f"/problems/{code}", KINDS[code].title)
    assert problem["instance"] == path
    assert problem["detail"]


async def test_a_wrong_method_is_told_the_right_ones() -> None:
    async with app_client() as client:
        answer = await client.delete("/runs")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "POST", "OPTIONS"}
    assert "GET" in answer.json()["detail"]


async def test_a_bad_host_is_a_problem() -> None:
    async with app_client() as client:
        answer = await client.get("/runs", headers={"Host": "a b"})
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-request")


async def test_what_nobody_expected_tells_nothing_but_a_number(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(run: Any) -> None:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr("stenograph.http.operations.runs.run_answer", broken)
    async with app_client() as client:
        await ran(client, COUNT, "r", to=1)
        with caplog.at_level(logging.ERROR, "stenograph.http"):
            answer = await client.get("/runs/r")
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (500, "/problems/internal-error")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert problem["request_id"] in caplog.text
    assert "the secret is 42" in caplog.text


async def started(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/runs", json={"graph": "count", "input": {"to": 1}})


async def test_after_a_failed_commit_nothing_is_accepted_and_reading_goes_on() -> None:
    journal = BrokenJournal()
    async with app_client(over(journal)) as client:
        await ran(client, COUNT, "r", to=1)
        well = await client.get("/healthz")
        journal.failure = journal.error = JournalFailed("disk full")
        refused = [await started(client), await client.get("/healthz"), await client.get("/readyz")]
        state = await client.get("/runs/r/state")
        journal.failure = None
    assert well.status_code == 200
    assert {each.status_code for each in refused} == {503}
    assert {each.json()["type"] for each in refused} == {"/problems/read-only"}
    assert state.status_code == 200


async def test_a_busy_journal_asks_to_come_again() -> None:
    journal = BrokenJournal()
    async with app_client(over(journal)) as client:
        await created(client, COUNT)
        journal.error = JournalBusy("another program writes")
        answer = await client.post("/graphs", json=COUNT | {"name": "Other"})
        journal.error = None
        again = await client.post("/graphs", json=COUNT | {"name": "Other"})
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/journal-busy")
    assert int(answer.headers["Retry-After"]) > 0
    assert again.status_code == 201


async def test_a_run_of_a_later_version_is_said_to_be_unreadable() -> None:
    journal = MemoryJournal()
    async with app_client(over(journal)) as client:
        later = NewRecord("run.imagined", b"{}", "2026-01-01T00:00:00.000000Z")
        await journal.append("r", [later], expected_seq=0)
        answer = await client.get("/runs/r")
    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/history-unreadable")
    assert "run.imagined" in answer.json()["detail"]


async def test_health_and_readiness_answer_head_too() -> None:
    async with app_client() as client:
        answers = [
            await client.request(method, path)
            for path in ("/healthz", "/readyz")
            for method in ("GET", "HEAD")
        ]
    assert {each.status_code for each in answers} == {200}
    assert answers[0].json()["status"] == "ok"


def test_every_code_that_an_exception_becomes_is_known() -> None:
    assert set(CODES.values()) <= KINDS.keys()


def test_a_long_detail_is_cut() -> None:
    problem = problem_of(st.UnknownRun("x" * 10_000))
    assert len(problem.detail) < 2100
    assert problem.code == "run-not-found"


def test_an_error_that_was_raised_again_and_leads_to_itself_is_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = ValueError("first"), KeyError("second")
    first.__context__, second.__cause__ = second, first
    scope: Any = {"type": "http", "path": "/", "headers": []}
    request: Request[Any, Any, Any] = Request(scope)
    assert respond(request, first).status_code == 500
    assert "ValueError: first" in caplog.text
