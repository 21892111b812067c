"""Starting a run: once for each key and id, later, or not now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

import stenograph as st
from tests.graphs import TOOLS as MORE_TOOLS
from tests.graphs import chain, waiting
from tests.http.serving import app_client, created, ran, serving
from tests.http.tools import COUNT, HANG, of_one

KEY = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
STARTS = [("/runs", "graph"), ("/graph/run", "graph_id"), ("/graph/run-async", "graph_id")]


@asynccontextmanager
async def more() -> AsyncIterator[httpx.AsyncClient]:
    """The application with the tools of the sample graphs."""
    async with app_client(lambda: st.open(":memory:", tools=MORE_TOOLS)) as client:
        yield client


@pytest.mark.parametrize(("path", "name"), STARTS)
async def test_the_same_key_and_body_begin_one_run(path: str, name: str) -> None:
    async with app_client() as client:
        body = {name: await created(client, COUNT), "state": {"to": 1}, "tags": {"team": "a"}}
        first = await client.post(path, json=body, headers={KEY: "order 7"})
        again = await client.post(path, json=body, headers={KEY: "order 7"})
        other = await client.post(path, json=body, headers={KEY: "order 8"})
        runs = (await client.get("/runs")).json()["items"]
    assert first.json()["run_id"] == again.json()["run_id"] != other.json()["run_id"]
    assert [each.headers.get(REPLAYED) for each in (first, again, other)] == [None, "true", None]
    assert (again.status_code, again.headers["Location"]) == (200, first.headers["Location"])
    assert len(runs) == 2


@pytest.mark.parametrize(("path", "name"), STARTS)
async def test_a_key_that_began_something_else_is_refused(path: str, name: str) -> None:
    async with app_client() as client:
        body = {name: await created(client, COUNT), "state": {"to": 1}}
        await client.post(path, json=body, headers={KEY: "k"})
        answers = [
            await client.post(path, json={**body, **change}, headers={KEY: "k"})
            for change in (
                {"state": {"to": 2}},
                {"tags": {"a": "b"}},
                {"limits": {"steps": 1}},
                {"delay_s": 1},
            )
        ]
    assert {each.status_code for each in answers} == {422}
    assert {each.json()["type"] for each in answers} == {"/problems/idempotency-key-reused"}


async def test_a_start_that_is_asked_for_sixteen_times_at_once_begins_one_run() -> None:
    async with serving() as server:
        body = {"graph": await created(server.http, HANG), "input": {"a": 1}}
        asked = [server.http.post("/runs", json=body, headers={KEY: "k"}) for _ in range(16)]
        answers = await asyncio.gather(*asked)
        runs = (await server.http.get("/runs")).json()["items"]
    assert sorted(each.status_code for each in answers) == [200] * 15 + [202]
    assert sum(each.headers.get(REPLAYED) == "true" for each in answers) == 15
    assert sum(each.json()["replayed"] for each in answers) == 15
    assert {each.json()["id"] for each in answers} == {each["id"] for each in runs}
    assert len(runs) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "ключ".encode(), b"caf\xe9"])
@pytest.mark.parametrize(("path", "name"), STARTS)
async def test_what_is_no_key_is_refused(path: str, name: str, key: Any) -> None:
    async with app_client() as client:
        body = {name: await created(client, COUNT), "state": {"to": 1}}
        answer = await client.post(path, json=body, headers={KEY: key})
        runs = (await client.get("/runs")).json()["items"]
    assert (answer.status_code, runs) == (400, [])
    assert answer.json()["type"] == "/problems/idempotency-key-invalid"


async def test_the_longest_key_is_taken() -> None:
    async with app_client() as client:
        body = {"graph": await created(client, HANG)}
        answer = await client.post("/runs", json=body, headers={KEY: "x" * 255})
        created_by = (await client.get(f"/runs/{answer.json()['id']}/events?limit=1")).json()
    assert answer.status_code == 202
    assert created_by["events"][0]["data"]["key"] == "x" * 255


@pytest.mark.parametrize(("path", "name"), STARTS)
async def test_a_chosen_id_with_the_same_body_is_the_run_that_it_began(
    path: str, name: str
) -> None:
    async with app_client() as client:
        body = {name: await created(client, COUNT), "state": {"to": 1}, "run_id": "mine"}
        first = await client.post(path, json=body)
        again = await client.post(path, json=body)
        other = await client.post(path, json={**body, "state": {"to": 2}})
    assert first.json()["run_id"] == again.json()["run_id"] == "mine"
    assert (again.status_code, again.headers[REPLAYED]) == (200, "true")
    assert (other.status_code, other.json()["type"]) == (409, "/problems/run-exists")


async def test_id_and_run_id_are_one_thing() -> None:
    async with app_client() as client:
        body = {"graph": await created(client, HANG), "id": "a"}
        alike = await client.post("/runs", json={**body, "run_id": "a"})
        different = await client.post("/runs", json={**body, "run_id": "b"})
        reserved = await client.post("/runs", json={"graph": "hang", "run_id": "logs"})
    assert (alike.status_code, alike.json()["id"]) == (202, "a")
    assert (different.status_code, different.json()["type"]) == (422, "/problems/body-invalid")
    assert [each.json()["errors"][0]["pointer"] for each in (different, reserved)] == [
        "/run_id",
        "/run_id",
    ]


async def test_a_run_that_is_read_is_no_replay() -> None:
    async with app_client() as client:
        await ran(client, COUNT, "r", to=1)
        run = (await client.get("/runs/r")).json()
    assert run["replayed"] is False


@pytest.mark.parametrize(("path", "name"), STARTS)
async def test_a_run_may_begin_later(path: str, name: str) -> None:
    async with app_client() as client:
        body = {name: await created(client, HANG), "run_id": "r", "delay_s": 3600}
        answer = await client.post(path, json=body)
        run = (await client.get("/runs/r")).json()
        state = (await client.get("/graph/state/r")).json()
    assert (answer.status_code, run["status"], run["steps"]) == (202, "waiting", 0)
    assert [(each["kind"], each["node"]) for each in run["waits"]] == [("delay", "hang")]
    assert state["message"] == f"the run waits in hang for {run['waits'][0]['due_at']}"


@pytest.mark.parametrize("delay_s", [-1, 1e9, "soon", "nan", "inf", None, True])
@pytest.mark.parametrize(("path", "name"), STARTS)
async def test_a_delay_is_a_number_of_seconds_to_ten_years(
    path: str, name: str, delay_s: Any
) -> None:
    async with app_client() as client:
        body = {name: await created(client, HANG), "delay_s": delay_s}
        answer = await client.post(path, json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/body-invalid")
    assert answer.json()["errors"][0]["pointer"] == "/delay_s"


@pytest.mark.parametrize(("path", "name"), STARTS)
async def test_more_runs_than_a_graph_allows_are_asked_to_come_again(path: str, name: str) -> None:
    rules = {"limit": 1, "policy": "reject"}
    async with app_client() as client:
        body = {name: await created(client, of_one("hang", concurrency=rules))}
        first = await client.post("/runs", json={"graph": "hang"}, headers={KEY: "k"})
        answer = await client.post(path, json=body)
        same = await client.post("/runs", json={"graph": "hang"}, headers={KEY: "k"})
    assert (answer.status_code, answer.json()["type"]) == (429, "/problems/too-many-runs")
    assert int(answer.headers["Retry-After"]) > 0
    assert (same.status_code, same.json()["id"]) == (200, first.json()["id"])


async def test_a_repeat_in_the_foreground_answers_with_the_end() -> None:
    async with more() as client:
        body = {"graph_id": await created(client, {"id": "g", **waiting({"signal": "go"})})}
        first = await client.post("/graph/run", json=body, headers={KEY: "k"})
        run_id = first.json()["run_id"]
        await client.post(f"/runs/{run_id}/signals/go")
        again = await client.post("/graph/run", json=body, headers={KEY: "k"})
    assert (first.status_code, first.json()["status"]) == (202, "waiting")
    assert (again.status_code, again.json()["status"]) == (200, "completed")


async def test_the_same_start_is_one_whatever_the_path() -> None:
    async with more() as client:
        graph_id = await created(client, {"id": "g", **chain("count")})
        first = await client.post("/graph/run", json={"graph_id": graph_id}, headers={KEY: "k"})
        again = await client.post("/api/runs", json={"graph": graph_id}, headers={KEY: "k"})
    assert again.json()["id"] == first.json()["run_id"]
