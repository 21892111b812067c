"""The classic API, as clients of earlier engines call it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from litestar import Request

from stenograph.http.operations import classic, waiting
from stenograph.http.shapes.classic_wire import CLASSIC_MAX_BYTES
from tests.http.serving import app_client, begun, created, eventually, ran, serving
from tests.http.tools import COUNT, FAIL, HANG, looping, of_one


async def test_creating_a_graph_answers_200_with_its_id() -> None:
    async with app_client() as client:
        answer = await client.post("/graph/create", json=COUNT)
        again = await client.post("/graph/create", json=COUNT)
    assert (answer.status_code, again.status_code) == (200, 200)
    body = answer.json()
    assert body["graph_id"] == body["id"] == "count"
    assert (body["name"], body["warnings"]) == ("Count up", [])
    assert again.json()["version"] == body["version"]
    assert "unchanged" in again.json()["message"]


async def test_a_graph_may_be_wrapped() -> None:
    async with app_client() as client:
        graph = {**COUNT, "id": None}
        answer = await client.post("/graph/create", json={"graph": graph, "id": "mine"})
    assert answer.json()["graph_id"] == "mine"


async def test_the_classic_api_stands_under_api_too() -> None:
    async with app_client() as client:
        await client.post("/api/graph/create", json=COUNT)
        run = await client.post("/api/graph/run", json={"graph_id": "count", "state": {"to": 1}})
        run_id = run.json()["run_id"]
        state = await client.get(f"/api/graph/state/{run_id}")
        lists = [await client.get(f"/api/{name}") for name in ("graphs", "runs", "tools")]
    assert state.json() == run.json()
    assert [each.status_code for each in lists] == [200, 200, 200]
    assert lists[1].json()["items"][0]["run_id"] == run_id


async def test_a_foreground_run_answers_with_state_and_log() -> None:
    async with app_client() as client:
        answer = await ran(client, COUNT, "r", to=2)
    final = {"to": 2, "seen": [1, 2], "n": 2}
    assert answer["state"] == answer["current_state"] == answer["final_state"] == final
    assert (answer["status"], answer["done"], answer["error"]) == ("completed", True, None)
    assert (answer["errors"], answer["current_node"], answer["next"]) == ([], None, None)
    assert answer["logs"] == answer["log"] == answer["execution_log"]
    assert answer["seq"] == answer["head"] == 12


async def test_the_log_has_an_entry_a_visit_with_the_state_right_after_it() -> None:
    async with app_client() as client:
        answer = await ran(client, COUNT, "r", to=2)
        first, second = answer["logs"]
        there = await client.get(f"/runs/r/state?at={first['seq']}")
    assert (first["node"], first["node_id"], first["tool"]) == ("count", "count", "count")
    assert (first["status"], first["message"], first["visit"]) == ("ok", "counted to 1", 1)
    assert first["state"] == {"to": 2, "seen": [1], "n": 1} == there.json()["state"]
    assert second["state"] == answer["state"]
    assert answer["started_at"] == first["started_at"] <= second["started_at"]
    assert second["timestamp"] == second["finished_at"] == answer["finished_at"]


async def test_a_visit_whose_tool_says_nothing_has_a_message_all_the_same() -> None:
    nodes = {"a": {"next": "b"}, "b": {"tool": "fail"}}
    async with app_client() as client:
        answer = await ran(client, {"start": "a", "nodes": nodes}, "r")
        hanging = await client.post("/runs", json={"graph": of_one("hang"), "id": "h"})
        under_way = await client.get("/graph/state/h")
    assert hanging.status_code == 202
    assert [entry["message"] for entry in answer["logs"]] == [
        "a is ok, and went on to b",
        "ValueError: no luck",
    ]
    assert [entry["message"] for entry in under_way.json()["logs"]] == ["hang is running"]


@pytest.mark.parametrize("name", ["initial_state", "state", "input"])
async def test_the_state_has_three_names(name: str) -> None:
    async with app_client() as client:
        body = {"graph_id": await created(client, COUNT), name: {"to": 1}}
        answer = await client.post("/graph/run", json=body)
    assert answer.json()["state"]["to"] == 1


async def test_the_state_may_be_left_out_or_be_given_twice_alike() -> None:
    async with app_client() as client:
        graph_id = await created(client, of_one("count"))
        without = await client.post("/graph/run", json={"graph_id": graph_id})
        body = {"graph_id": graph_id, "state": {"a": 1}, "initial_state": {"a": 1}}
        twice = await client.post("/graph/run", json=body)
    assert (without.status_code, twice.status_code) == (200, 200)


async def test_two_different_states_are_refused() -> None:
    async with app_client() as client:
        body = {"graph_id": await created(client, COUNT), "state": {"to": 1}, "initial_state": {}}
        answer = await client.post("/graph/run", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/initial_state"


@pytest.mark.parametrize("said", [True, False])
async def test_wait_and_background_must_not_contradict_each_other(said: bool) -> None:
    async with app_client() as client:
        body = {"graph_id": await created(client, COUNT), "wait": said, "background": said}
        answers = [await client.post(f"/graph/{path}", json=body) for path in ("run", "run-async")]
    assert [each.status_code for each in answers] == [422, 422]
    assert answers[0].json()["errors"][0]["pointer"] == "/background"


async def test_a_failed_run_answers_200_with_its_error() -> None:
    async with app_client() as client:
        answer = await ran(client, FAIL, "r")
    error = answer["error"]
    assert (answer["status"], answer["done"]) == ("failed", True)
    assert (error["type"], error["message"], error["node"]) == ("ValueError", "no luck", "fail")
    assert answer["errors"] == [error]
    assert answer["message"] == "the run failed in fail: ValueError: no luck"
    assert (answer["logs"][0]["status"], answer["logs"][0]["error"]["type"]) == (
        "error",
        "ValueError",
    )


@pytest.mark.parametrize("said", [{"wait": False}, {"background": True}])
async def test_a_background_run_is_accepted_at_once(said: dict[str, bool]) -> None:
    async with app_client() as client:
        body = {"graph_id": await created(client, HANG), "run_id": "r", **said}
        answer = await client.post("/graph/run", json=body)
    assert (answer.status_code, answer.headers["Location"]) == (202, "/runs/r")
    body = answer.json()
    assert (body["status"], body["done"], body["current_node"]) == ("running", False, "hang")
    assert (body["message"], "final_state" in body) == ("the run is running in hang", False)
    assert [each["status"] for each in body["logs"]] == ["running"]


async def test_run_async_always_starts_in_the_background() -> None:
    async with app_client() as client:
        body = {"graph_id": await created(client, HANG), "run_id": "r"}
        answer = await client.post("/graph/run-async", json=body)
    assert (answer.status_code, answer.headers["Location"]) == (202, "/runs/r")
    assert answer.json()["run_id"] == "r"


async def test_a_run_that_outlasts_the_wait_is_accepted_and_goes_on() -> None:
    async with app_client() as client:
        body = {"graph_id": await created(client, HANG), "run_id": "r"}
        answer = await client.post("/graph/run", json=body, headers={"Prefer": "wait=1"})
        later = await client.get("/graph/state/r")
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (202, "wait=1")
    assert later.json()["status"] == "running"


async def test_without_a_preference_the_wait_ends_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classic, "WAIT_DEFAULT_S", 0.01)
    async with app_client() as client:
        body = {"graph_id": await created(client, HANG)}
        answer = await client.post("/graph/run", json=body)
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


async def test_a_parked_run_answers_without_waiting_further() -> None:
    async with app_client() as client:
        graph = of_one("count", limits={"steps": 1})
        graph["nodes"]["count"]["next"] = "count"
        body = {"graph_id": await created(client, graph)}
        answer = await client.post("/graph/run", json=body)
    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["done"]) == ("parked", False)
    assert answer.json()["message"] == "the run is parked in count: limit"


async def test_the_state_can_be_read_as_it_was() -> None:
    async with app_client() as client:
        await ran(client, COUNT, "r", to=2)
        answer = (await client.get("/graph/state/r?at=5")).json()
    assert (answer["state"], answer["seq"]) == ({"to": 2, "seen": [1], "n": 1}, 5)
    assert (answer["status"], answer["done"], answer["finished_at"]) == ("running", False, None)
    assert [each["seq"] for each in answer["logs"]] == [5]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/graph/state/nobody", 404, "run-not-found"),
        ("/graph/state/nobody?at=1", 404, "run-not-found"),
        ("/graph/state/r?at=13", 404, "seq-not-reached"),
        ("/graph/state/r?at=0", 400, "query-invalid"),
        ("/graph/state/r?at=abc", 400, "query-invalid"),
    ],
)
async def test_a_state_that_there_is_not(path: str, status: int, code: str) -> None:
    async with app_client() as client:
        await ran(client, COUNT, "r", to=2)
        answer = await client.get(path)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}")


async def test_states_in_the_log_end_where_the_answer_would_grow_too_large() -> None:
    async with app_client() as client:
        answer = await client.post(
            "/graph/run", json={"graph_id": await created(client, looping("swell", 9, size=9000))}
        )
        log = answer.json()["logs"]
        urls = [each["state_url"] for each in log if "state_url" in each]
        assert len(answer.content) < CLASSIC_MAX_BYTES
        assert 1 <= len(urls) == len(log) - sum("state" in each for each in log)
        assert "state" in log[0]
        assert "state" not in log[-1]
        there = await client.get(urls[-1])
    assert there.json()["state"] == answer.json()["state"]


async def test_a_long_log_shows_the_last_visits_and_where_the_others_are() -> None:
    async with app_client() as client:
        graph_id = await created(client, looping("count", 1002))
        answer = (await client.post("/graph/run", json={"graph_id": graph_id})).json()
        visits = (await client.get(answer["next"])).json()
    assert len(answer["logs"]) == 1000
    assert [answer["logs"][0]["visit"], answer["logs"][-1]["visit"]] == [3, 1002]
    assert visits["items"][0]["visit"] == 1


async def test_cancelling_stops_a_run() -> None:
    async with app_client() as client:
        await begun(client, HANG, "r")
        answer = await client.post("/graph/cancel/r")
        again = await client.post("/graph/cancel/r", json={"reason": "for sure"})
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert (answer.json()["run_id"], answer.json()["graph_id"]) == ("r", "hang")
    assert (again.status_code, again.json()["seq"]) == (200, answer.json()["seq"])


async def test_a_run_that_is_slow_to_stop_is_cancelling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classic, "CANCEL_WAIT_S", 0.01)
    async with app_client() as client:
        await begun(client, of_one("stubborn"), "r")
        await happened(client, "r", "log")  # a tool that has not begun stops at once
        answer = await client.post("/graph/cancel/r")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelling")


async def happened(client: httpx.AsyncClient, run_id: str, kind: str) -> None:
    """Return once a run has an event of a type."""
    for _ in range(1000):
        events = (await client.get(f"/runs/{run_id}/events")).json()["events"]
        if any(each["type"] == kind for each in events):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"no {kind} came")


@pytest.mark.parametrize("path", ["/graph/run", "/graph/run-async"])
async def test_a_graph_that_there_is_not_cannot_be_run(path: str) -> None:
    async with app_client() as client:
        answer = await client.post(path, json={"graph_id": "nothing"})
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/graph-not-found")


async def test_a_run_that_ended_otherwise_cannot_be_cancelled() -> None:
    async with app_client() as client:
        await ran(client, COUNT, "r", to=1)
        answer = await client.post("/graph/cancel/r")
        nobody = await client.post("/graph/cancel/nobody")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/run-finished")
    assert (nobody.status_code, nobody.json()["type"]) == (404, "/problems/run-not-found")


async def test_two_runs_go_on_at_once() -> None:
    async with serving() as server:
        await begun(server.http, HANG, "slow")
        answer = await ran(server.http, COUNT, "quick", to=3)
        slow = await server.http.get("/graph/state/slow")
    assert (answer["status"], slow.json()["status"]) == ("completed", "running")


async def test_only_a_run_that_takes_its_time_has_its_client_watched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched: list[str] = []

    async def watch(request: Request[Any, Any, Any]) -> None:
        watched.append((await request.json())["run_id"])  # and it has left

    monkeypatch.setattr(waiting, "until_gone", watch)
    async with app_client() as client:
        await ran(client, COUNT, "quick", to=3)
        body = {"graph_id": await created(client, HANG), "run_id": "slow"}
        answer = await client.post("/graph/run", json=body)  # which could take a minute
    assert (answer.status_code, watched) == (202, ["slow"])


async def test_a_client_that_leaves_does_not_stop_its_run() -> None:
    async with serving() as server:
        body = {"graph_id": await created(server.http, HANG), "run_id": "r"}
        request = asyncio.create_task(server.http.post("/graph/run", json=body))
        feed: Any = server.engine.journal
        await eventually(lambda: "r" in feed.store.heads)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        state = await server.http.get("/graph/state/r")
    assert state.json()["status"] == "running"
