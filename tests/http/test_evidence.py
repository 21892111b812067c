"""Verifying over HTTP: part by part, of one run or of the whole journal."""

from __future__ import annotations

from pathlib import Path

import stenograph as st
from stenograph.http import Client
from tests.http.serving import app_client, ran, serving
from tests.http.tools import COUNT, TOOLS
from tests.journal.test_verifying import harm


async def test_a_run_and_the_journal_are_verified() -> None:
    async with app_client() as client:
        await ran(client, COUNT, "first", to=2)
        run = (await client.get("/runs/first/verify")).json()
        whole = (await client.get("/journal/verify")).json()
        part = (await client.get("/journal/verify?limit=2&after=1")).json()
    assert (run["ok"], run["run_id"], run["next"], run["findings"]) == (True, "first", None, [])
    assert run["sound"] == run["records"]
    assert (whole["ok"], whole["records"]) == (True, run["records"] + 1)
    assert (part["records"], part["next"], part["after"]) == (2, 3, 1)


async def test_what_was_changed_is_the_answer_and_no_error(tmp_path: Path) -> None:
    path = tmp_path / "steno.db"
    async with app_client(lambda: st.open(path, tools=TOOLS)) as client:
        await ran(client, COUNT, "first", to=2)
    harm(path, "UPDATE record SET data = CAST('{}' AS BLOB) WHERE seq = 3")
    async with app_client(lambda: st.open(path, tools=TOOLS)) as client:
        answer = await client.get("/runs/first/verify")
    assert (answer.status_code, answer.json()["ok"], answer.json()["sound"]) == (200, False, 2)
    [finding] = answer.json()["findings"]
    assert (finding["why"], finding["seq"]) == ("content", 3)


async def test_what_cannot_be_verified_is_a_problem() -> None:
    async with app_client() as client:
        await ran(client, COUNT, "first", to=2)
        codes = {}
        for path in (
            "/runs/nobody/verify",
            "/runs/first/verify?after=99",
            "/journal/verify?after=99",
            "/journal/verify?journal=another",
            "/journal/verify?limit=0",
        ):
            problem = (await client.get(path)).json()
            codes[path] = (problem["status"], problem["type"].rpartition("/")[2])
    assert list(codes.values()) == [
        (404, "run-not-found"),
        (409, "cursor-unknown"),
        (409, "cursor-unknown"),
        (409, "cursor-unknown"),
        (400, "query-invalid"),
    ]


async def test_the_client_verifies_too() -> None:
    async with serving() as served, Client(served.url) as client:
        await ran(served.http, COUNT, "first", to=2)
        assert (await client.verify("first")).ok
        assert (await client.verify(after=1, limit=1)).next == 2
