"""Runs as resources."""

from __future__ import annotations

from typing import Any

import pytest

from stenograph.http.operations.queries import Prefer
from tests.http.serving import app_client, begun, created, ran
from tests.http.tools import COUNT, FAIL, HANG, of_one


async def test_a_run_is_accepted_with_its_address() -> None:
    async with app_client() as client:
        await created(client, HANG)
        answer = await client.post("/runs", json={"graph": "hang", "input": {"a": 1}, "id": "r"})
        there = await client.get(answer.headers["Location"])
    assert (answer.status_code, answer.headers["Location"]) == (202, "/runs/r")
    body = answer.json()
    assert (body["id"], body["run_id"], body["graph_id"]) == ("r", "r", "hang")
    assert (body["status"], body["done"], body["current"]) == ("running", False, ["hang"])
    assert there.json() == body


async def test_a_run_that_ends_within_the_preferred_wait_answers_200() -> None:
    async with app_client() as client:
        body = {"graph": await created(client, COUNT), "state": {"to": 2}}
        answer = await client.post("/runs", json=body, headers={"Prefer": "wait=20"})
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=20")
    assert (answer.json()["status"], answer.json()["steps"]) == ("completed", 2)


@pytest.mark.parametrize(
    ("header", "wait_s", "applied"),
    [
        ("", None, None),
        ("wait=10", 10, "wait=10"),
        ("Wait = 10", 10, "wait=10"),
        ('return=minimal, wait="7"; strictly', 7, "wait=7"),
        ("wait=100000", 300, "wait=300"),
        ("respond-async, wait=10", 0, "respond-async"),
        ("wait=-1", None, None),
        ("wait=soon", None, None),
        ("wait=99999999999999999999", 300, "wait=300"),
        ("wait=0000000000000000007", 7, "wait=7"),
        (",,;=", None, None),
    ],
)
def test_what_a_client_prefers(header: str, wait_s: int | None, applied: str | None) -> None:
    wish = Prefer(header)
    assert (wish.wait_s, wish.applied) == (wait_s, applied)


async def test_a_graph_that_there_is_not_cannot_be_run() -> None:
    async with app_client() as client:
        answer = await client.post("/runs", json={"graph": "nothing@1"})
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/graph-not-found")


async def test_a_taken_id_is_refused() -> None:
    async with app_client() as client:
        await begun(client, HANG, "r")
        answer = await client.post("/runs", json={"graph": "hang", "id": "r", "state": {"a": 1}})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/run-exists")


@pytest.mark.parametrize(
    "run_id", ["logs", "execute", "monitor", "a/b", "", ".x", "x" * 129, "x\n"]
)
async def test_an_id_that_no_run_may_have_is_refused(run_id: str) -> None:
    async with app_client() as client:
        await created(client, COUNT)
        plain = await client.post("/runs", json={"graph": "count", "id": run_id})
        classic = await client.post("/graph/run", json={"graph_id": "count", "run_id": run_id})
    assert (plain.status_code, classic.status_code) == (422, 422)
    assert plain.json()["errors"][0]["pointer"] == "/id"
    assert classic.json()["errors"][0]["pointer"] == "/run_id"


async def test_a_graph_may_come_with_its_run() -> None:
    async with app_client() as client:
        body = {"graph": COUNT, "input": {"to": 1}}
        answer = await client.post("/runs", json=body, headers={"Prefer": "wait=20"})
        stored = await client.get("/graphs/count")
    assert (answer.status_code, answer.json()["graph_id"]) == (200, "count")
    assert stored.json()["version"] == answer.json()["version"]


async def test_an_older_version_can_be_run() -> None:
    async with app_client() as client:
        old = (await client.post("/graphs", json=of_one("count"))).json()["version"]
        await created(client, COUNT)
        answer = await client.post("/runs", json={"graph": f"count@{old[:8]}"})
    assert answer.json()["version"] == old


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"graph": {"start": "x", "nodes": {"a": {}}}}', "/graph/start"),
        (b'{"graph": {"start": "a", "nodes": {}, "to": 1}}', "/graph/to"),
    ],
)
async def test_faults_of_a_graph_that_comes_with_its_run(body: bytes, pointer: str) -> None:
    async with app_client() as client:
        headers = {"Content-Type": "application/json"}
        answer = await client.post("/runs", content=body, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/graph-invalid")
    assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/graph"),
        ({"graph": 7}, "/graph"),
        ({"graph": "count", "inputs": {}}, "/inputs"),
        ({"graph": "count", "input": []}, "/input"),
        ({"graph": "count", "limits": {"steps": 0}}, "/limits/steps"),
        ({"graph": "count", "limits": {"hours": 1}}, "/limits/hours"),
        ({"graph": "count", "tags": {"a": 1}}, "/tags"),
        ({"graph": "count", "tags": {"a": "x" * 256}}, "/tags"),
        ({"graph": "count", "tags": {f"t{number}": "" for number in range(33)}}, "/tags"),
        ({"graph": "x" * 300}, "/graph"),
        ([], ""),
    ],
)
async def test_a_body_that_does_not_fit_is_told_where(body: Any, pointer: str) -> None:
    async with app_client() as client:
        await created(client, COUNT)
        answer = await client.post("/runs", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/body-invalid")
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_missing_body_is_told_so() -> None:
    async with app_client() as client:
        answer = await client.post("/runs")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/body-invalid")
    assert "no body" in answer.json()["detail"]


async def test_a_value_that_no_state_can_hold_is_told_where() -> None:
    async with app_client() as client:
        body = {"graph": await created(client, COUNT), "input": {"deep": [1, 2**70]}}
        answer = await client.post("/runs", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/state-not-json")
    assert answer.json()["errors"][0]["pointer"] == "/input/deep/1"


async def test_limits_and_tags_go_with_the_run() -> None:
    async with app_client() as client:
        graph = of_one("count") | {"nodes": {"count": {"tool": "count", "next": "count"}}}
        body = {
            "graph": await created(client, graph),
            "limits": {"steps": 2},
            "tags": {"team": "a"},
        }
        answer = await client.post("/runs", json=body, headers={"Prefer": "wait=20"})
    assert (answer.status_code, answer.json()["status"]) == (202, "parked")
    assert (answer.json()["steps"], answer.json()["tags"]) == (2, {"team": "a"})


async def test_runs_are_found_by_graph_status_and_tags() -> None:
    async with app_client() as client:
        await ran(client, COUNT, "a", to=1)
        await ran(client, FAIL, "b")
        for run_id, team in (("c", "x"), ("d", "y")):
            body = {"graph": "count", "id": run_id, "input": {"to": 1}}
            tags = {"team": team, "at:home": "yes"}
            await client.post("/runs", json=body | {"tags": tags}, headers={"Prefer": "wait=20"})

        async def found(query: str) -> list[str]:
            answer = await client.get(f"/runs?{query}")
            return [each["id"] for each in answer.json()["items"]]

        assert await found("") == ["d", "c", "b", "a"]
        assert await found("graph=count") == ["d", "c", "a"]
        assert await found("status=failed") == ["b"]
        assert await found("tag=team:x") == ["c"]
        assert await found("tag=team:x&graph=fail") == []
        assert await found("tag=team:y&tag=at:home:yes") == []
        assert await found("status=completed&limit=1") == ["d"]


async def test_the_list_shows_what_a_run_is() -> None:
    async with app_client() as client:
        body = {"graph": await created(client, COUNT), "input": {"to": 1}, "tags": {"team": "x"}}
        run = (await client.post("/runs", json=body, headers={"Prefer": "wait=20"})).json()
        item = (await client.get("/runs")).json()["items"][0]
    assert item.items() <= run.items()
    assert (item["tags"], item["done"]) == ({"team": "x"}, True)


async def test_runs_are_listed_page_by_page() -> None:
    async with app_client() as client:
        await created(client, COUNT)
        for number in range(5):
            body = {"graph": "count", "id": f"r{number}", "input": {"to": 1}}
            await client.post("/runs", json=body)
        seen: list[str] = []
        cursor: str | None = "9999999999999999999999"
        while cursor is not None:
            page = (await client.get(f"/runs?limit=2&cursor={cursor}")).json()
            seen += [each["id"] for each in page["items"]]
            cursor = page["next"]
    assert seen == ["r4", "r3", "r2", "r1", "r0"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=abc",
        "limit=1.5",
        "cursor=abc",
        "cursor=-1",
        "status=sleeping",
        "tag=team",
        "&".join(f"tag=a{number}:b" for number in range(65)),
        f"graph={'x' * 300}",
        f"tag=a:{'x' * 300}",
    ],
)
async def test_a_query_that_says_nothing_is_refused(query: str) -> None:
    async with app_client() as client:
        answer = await client.get(f"/runs?{query}")
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/query-invalid")


async def test_a_state_can_be_read_after_any_event() -> None:
    async with app_client() as client:
        await ran(client, COUNT, "r", to=2)
        now = await client.get("/runs/r/state")
        then = await client.get("/runs/r/state?at=5")
        first = await client.get("/runs/r/state?at=1")
    assert now.json() == {
        "run_id": "r",
        "seq": 12,
        "status": "completed",
        "state": {"to": 2, "seen": [1, 2], "n": 2},
    }
    assert (then.json()["seq"], then.json()["state"]["n"]) == (5, 1)
    assert first.json()["state"] == {"to": 2}


async def test_a_state_that_is_held_already_is_not_sent_again() -> None:
    async with app_client() as client:
        await ran(client, COUNT, "r", to=2)
        now = await client.get("/runs/r/state")
        then = await client.get("/runs/r/state?at=5")
        journal = now.headers["ETag"].strip('"').rpartition("-")[0]
        kept = await client.get(f"/runs/r/state?at=5&journal={journal}")
        other = await client.get("/runs/r/state?at=5&journal=another")
        held = {"If-None-Match": f'"{journal}-5"'}
        same = await client.get("/runs/r/state?at=5", headers=held)
        newer = await client.get("/runs/r/state", headers=held)
    etags = [each.headers["ETag"] for each in (now, then, kept, same)]
    assert etags == [f'"{journal}-{seq}"' for seq in (12, 5, 5, 5)]
    cached = ["immutable" in each.headers["Cache-Control"] for each in (now, then, kept)]
    assert (cached, other.status_code) == ([False, False, True], 409)
    assert (same.status_code, same.content) == (304, b"")
    assert newer.status_code == 200


ASK = {"start": "ask", "nodes": {"ask": {"wait": {"signal": "go"}, "next": "n"}, "n": {}}}


async def test_the_last_state_of_a_run_that_goes_on_may_be_kept_for_ever_too() -> None:
    async with app_client() as client:
        body = {"graph": ASK, "state": {"a": 1}, "id": "r"}
        run = (await client.post("/runs", json=body, headers={"Prefer": "wait=5"})).json()
        page = (await client.get("/runs/r/events")).json()
        path = f"/runs/r/state?at={run['seq']}&journal={page['journal']}"
        held = await client.get(path)
        assert (await client.post("/runs/r/signals/go", json=7)).status_code == 200
        later = await client.get(path)
        now = await client.get("/runs/r/state", headers={"If-None-Match": held.headers["ETag"]})
    assert held.json()["status"] == "waiting"
    assert "immutable" in held.headers["Cache-Control"]
    assert (later.content, later.headers["ETag"]) == (held.content, held.headers["ETag"])
    assert (now.status_code, now.json()["state"]) == (200, {"a": 1, "go": 7})


async def test_what_is_held_of_a_state_no_longer_holds_once_its_run_is_erased() -> None:
    async with app_client() as client:
        await ran(client, COUNT, "r", to=2)
        journal = (await client.get("/runs/r/events")).json()["journal"]
        path = f"/runs/r/state?at=5&journal={journal}"
        held = await client.get(path)
        assert (await client.post("/runs/r/erase")).status_code == 200
        gone = await client.get(path, headers={"If-None-Match": held.headers["ETag"]})
    assert (gone.status_code, gone.json()["type"]) == (410, "/problems/run-erased")
    assert "immutable" not in gone.headers.get("Cache-Control", "")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/runs/nobody", 404, "run-not-found"),
        ("/runs/nobody/state", 404, "run-not-found"),
        ("/runs/nobody/visits", 404, "run-not-found"),
        ("/runs/graph%2Fcount", 404, "not-found"),
        ("/runs/r/state?at=13", 404, "seq-not-reached"),
        ("/runs/r/state?at=99999999999999999999999", 404, "seq-not-reached"),
        ("/runs/r/state?at=0", 400, "query-invalid"),
        ("/runs/r/state?at=-1", 400, "query-invalid"),
        ("/runs/r/visits?limit=0", 400, "query-invalid"),
        ("/runs/r/visits?cursor=x", 400, "query-invalid"),
    ],
)
async def test_what_there_is_not(path: str, status: int, code: str) -> None:
    async with app_client() as client:
        await ran(client, COUNT, "r", to=2)
        answer = await client.get(path)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}")


async def test_visits_are_listed_in_the_order_of_entry_page_by_page() -> None:
    async with app_client() as client:
        await ran(client, COUNT, "r", to=5)
        first = (await client.get("/runs/r/visits?limit=3")).json()
        rest = (await client.get(f"/runs/r/visits?limit=3&cursor={first['next']}")).json()
        beyond = (await client.get("/runs/r/visits?cursor=99")).json()
    items = first["items"] + rest["items"]
    assert [each["visit"] for each in items] == [1, 2, 3, 4, 5]
    assert items[0]["changed"] == ["/seen", "/n"]
    assert [rest["next"], beyond] == [None, {"items": [], "next": None}]


async def test_who_cancelled_and_why_is_recorded() -> None:
    async with app_client() as client:
        await begun(client, HANG, "r")
        answer = await client.post("/runs/r/cancel", json={"reason": "by mistake"})
        await client.get("/runs/r")
        events = (await client.get("/runs/r/events")).json()["events"]
    told = next(each for each in events if each["type"] == "run.cancelling")
    assert answer.status_code in (200, 202)
    assert told["data"] == {"actor": "http", "reason": "by mistake"}


async def test_cancelling_twice_is_as_cancelling_once() -> None:
    async with app_client() as client:
        await begun(client, HANG, "r")
        await client.post("/graph/cancel/r")
        answer = await client.post("/runs/r/cancel")
        events = (await client.get("/runs/r/events")).json()["events"]
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert sum(each["type"] == "run.cancelled" for each in events) == 1


@pytest.mark.parametrize(("run_id", "status"), [("r", 409), ("nobody", 404)])
async def test_only_a_run_that_lives_can_be_cancelled(run_id: str, status: int) -> None:
    async with app_client() as client:
        await ran(client, COUNT, "r", to=1)
        answer = await client.post(f"/runs/{run_id}/cancel")
    assert answer.status_code == status


async def test_a_reason_must_be_a_text() -> None:
    async with app_client() as client:
        await begun(client, HANG, "r")
        answer = await client.post("/runs/r/cancel", json={"reason": 7})
        run = await client.get("/runs/r")
    assert (answer.status_code, run.json()["status"]) == (422, "running")
