"""What people tell a run: input, pause, go on, try again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import stenograph as st
from tests.graphs import TOOLS as MORE_TOOLS
from tests.graphs import chain, fork, mapped, one, waiting
from tests.http.serving import Served, app_client, created, eventually, serving
from tests.http.tools import HANG, looping

APPROVAL = {"signal": "approval", "schema": {"type": "object", "required": ["by"]}}
JSON = {"Content-Type": "application/json"}


def with_more_tools() -> AbstractAsyncContextManager[st.Engine]:
    return st.open(":memory:", tools=MORE_TOOLS)


@asynccontextmanager
async def more() -> AsyncIterator[httpx.AsyncClient]:
    """The application with the tools of the sample graphs."""
    async with app_client(with_more_tools) as client:
        yield client


async def rests(client: httpx.AsyncClient, graph: dict[str, Any], status: str, **more: Any) -> None:
    """Run a graph as `r` until it rests."""
    body = {"graph": {"id": "g", **graph}, "id": "r", **more}
    answer = await client.post("/runs", json=body, headers={"Prefer": "wait=20"})
    assert answer.json()["status"] == status, answer.text


async def came_to(client: httpx.AsyncClient, status: str) -> Any:
    """Wait until the run `r` has a status, and return what it is then."""
    for _ in range(1000):
        run = (await client.get("/runs/r")).json()
        if run["status"] == status:
            return run
        await asyncio.sleep(0.01)
    raise AssertionError(run)


async def types(client: httpx.AsyncClient) -> list[str]:
    events = (await client.get("/runs/r/events")).json()["events"]
    return [each["type"] for each in events]


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_a_signal_ends_the_wait_for_it(prefix: str) -> None:
    async with more() as client:
        await rests(client, waiting(APPROVAL), "waiting")
        answer = await client.post(f"{prefix}/runs/r/signals/approval", json={"by": "ann"})
        run = await came_to(client, "completed")
        state = (await client.get("/runs/r/state")).json()["state"]
    assert (answer.status_code, answer.json()["id"]) == (200, "r")
    assert (run["done"], state) == (True, {"n": 2, "approval": {"by": "ann"}})


async def test_a_run_tells_what_it_waits_for() -> None:
    async with more() as client:
        await rests(client, waiting({**APPROVAL, "timeout_s": 3600}), "waiting")
        run = (await client.get("/runs/r")).json()
        listed = (await client.get("/runs?status=waiting")).json()["items"]
    [wait] = run["waits"]
    assert (wait["scope"], wait["node"], wait["kind"]) == ("/", "wait", "signal")
    assert (wait["signal"], wait["schema"]) == ("approval", APPROVAL["schema"])
    assert wait["due_at"] > run["updated_at"]
    assert (run["current"], run["done"]) == (["wait"], False)
    assert [each["id"] for each in listed] == ["r"]


@pytest.mark.parametrize("payload", [None, True, 7, "yes", [1], {"a": None}])
async def test_any_json_value_may_be_a_signal(payload: Any) -> None:
    async with more() as client:
        await rests(client, waiting({"signal": "go"}), "waiting")
        await client.post("/runs/r/signals/go", json=payload)
        await came_to(client, "completed")
        state = (await client.get("/runs/r/state")).json()["state"]
    assert state == {"n": 2, "go": payload}


async def test_a_signal_without_a_body_is_null() -> None:
    async with more() as client:
        await rests(client, waiting({"signal": "go"}), "waiting")
        answer = await client.post("/runs/r/signals/go")
        await came_to(client, "completed")
        state = (await client.get("/runs/r/state")).json()["state"]
    assert (answer.status_code, state["go"]) == (200, None)


@pytest.mark.parametrize("path", ["a%2Fb%20c", "a/b%20c"])
async def test_a_signal_may_have_any_name(path: str) -> None:
    async with serving(with_more_tools) as server:
        await rests(server.http, waiting({"signal": "a/b c"}), "waiting")
        answer = await server.http.post(f"/runs/r/signals/{path}", json=1)
    assert answer.status_code == 200, answer.text


async def test_a_signal_finds_the_branch_that_it_is_for() -> None:
    graph = {
        "start": "split",
        "nodes": {
            "split": {"next": {"each": "people", "to": "ask", "join": "after"}},
            "ask": {"wait": {"signal": "vote"}, "next": "after"},
            "after": {"tool": "note"},
        },
        "state": {"vote": {"reducer": "append"}},
    }
    async with more() as client:
        await rests(client, graph, "waiting", input={"people": ["ann", "bob"]})
        scopes = [each["scope"] for each in (await client.get("/runs/r")).json()["waits"]]
        for scope, vote in zip(reversed(scopes), ["second", "first"], strict=True):
            query = {"scope": scope, "saw": "3"}
            await client.post("/runs/r/signals/vote", json=vote, params=query)
        await came_to(client, "completed")
        state = (await client.get("/runs/r/state")).json()["state"]
        events = (await client.get("/runs/r/events")).json()["events"]
    assert scopes == ["/split#1[0]/", "/split#1[1]/"]
    assert state["vote"] == ["first", "second"]
    heard = [each["data"] for each in events if each["type"] == "signal.received"]
    assert [(each["scope"], each["saw"], each["actor"]) for each in heard] == [
        (scopes[1], 3, "http"),
        (scopes[0], 3, "http"),
    ]


async def test_a_signal_that_does_not_fit_is_refused_with_pointers_and_nothing_is_used_up() -> None:
    async with more() as client:
        schema = {"type": "object", "properties": {"by": {"type": "string"}}}
        await rests(client, waiting({"signal": "approval", "schema": schema}), "waiting")
        before = await types(client)
        answer = await client.post("/runs/r/signals/approval", json={"by": 7})
        assert await types(client) == before
        run = (await client.get("/runs/r")).json()
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/signal-refused")
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/by"]
    assert run["status"] == "waiting"


async def test_a_signal_that_nothing_waits_for_is_told_which_there_are() -> None:
    async with more() as client:
        await rests(client, waiting(APPROVAL), "waiting")
        answer = await client.post("/runs/r/signals/aproval")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/unknown-signal")
    assert "there is approval" in answer.json()["detail"]


async def test_a_signal_holds_what_json_can_say() -> None:
    async with more() as client:
        await rests(client, waiting({"signal": "go"}), "waiting")
        answer = await client.post("/runs/r/signals/go", json={"deep": [2**70]})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/state-not-json")
    assert answer.json()["errors"][0]["pointer"] == "/deep/0"


async def test_a_run_keeps_only_so_many_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stenograph.engine.core.waits.SIGNALS_MAX", 2)
    graph = {
        "start": "long",
        "nodes": {
            "long": {"wait": {"signal": "never"}, "next": "ask"},
            "ask": {"wait": {"signal": "go"}},
        },
    }
    async with more() as client:
        await rests(client, graph, "waiting")
        answers = [await client.post("/runs/r/signals/go", json=each) for each in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    assert answers[2].json()["type"] == "/problems/too-many-signals"


@pytest.mark.parametrize(
    ("query", "body", "status", "code"),
    [
        ("?saw=-1", b"1", 400, "query-invalid"),
        ("?saw=soon", b"1", 400, "query-invalid"),
        ("?saw=soon", b"", 400, "query-invalid"),
        ("?saw=9223372036854775808", b"1", 400, "query-invalid"),
        (f"?scope={'x' * 1025}", b"1", 400, "query-invalid"),
        ("", b"{", 400, "not-json"),
        ("", b"[" * 33 + b"]" * 33, 400, "too-deep"),
        ("", b'{"a":1,"a":2}', 422, "body-invalid"),
    ],
)
async def test_a_bad_signal_is_told_so(query: str, body: bytes, status: int, code: str) -> None:
    async with more() as client:
        await rests(client, waiting({"signal": "go"}), "waiting")
        answer = await client.post(f"/runs/r/signals/go{query}", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}")


@pytest.mark.parametrize("what", ["signals/go", "pause"])
async def test_a_run_that_has_ended_takes_no_more(what: str) -> None:
    async with more() as client:
        await rests(client, chain("count"), "completed")
        answer = await client.post(f"/runs/r/{what}")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/run-finished")


@pytest.mark.parametrize("what", ["signals/go", "pause", "resume", "retry"])
async def test_nobody_can_be_told_anything(what: str) -> None:
    async with more() as client:
        answer = await client.post(f"/runs/nobody/{what}")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/run-not-found")


@pytest.mark.parametrize(
    ("graph", "status", "what"),
    [
        (waiting({"signal": "go"}), "waiting", "resume"),
        (waiting({"signal": "go"}), "waiting", "retry"),
        (chain("count"), "completed", "resume"),
        (chain("count"), "completed", "retry"),
        (chain("always_fail"), "failed", "resume"),
    ],
)
async def test_only_what_is_held_goes_on(graph: dict[str, Any], status: str, what: str) -> None:
    async with more() as client:
        await rests(client, graph, status)
        before = await types(client)
        answer = await client.post(f"/runs/r/{what}")
        assert await types(client) == before
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/not-held")
    assert f"run r is {status}" in answer.json()["detail"]


async def test_a_parked_run_goes_on_with_other_limits() -> None:
    async with app_client() as client:
        await rests(client, looping("count", 5), "parked", limits={"steps": 2})
        answer = await client.post("/runs/r/resume", json={"limits": {"steps": 99}})
        run = await came_to(client, "completed")
    assert (answer.status_code, run["steps"]) == (200, 5)


async def test_a_failed_run_is_reopened_where_it_failed() -> None:
    async with more() as client:
        await rests(client, chain("count", "fail_until_retried", "note"), "failed")
        answer = await client.post("/runs/r/retry", json={"limits": {"steps": 50}})
        run = await came_to(client, "completed")
        told = await types(client)
    assert (answer.status_code, answer.json()["done"]) == (200, False)
    assert (run["error"], told.count("run.retried"), told.count("run.failed")) == (None, 1, 1)


async def test_a_run_pauses_once_what_is_under_way_has_finished_and_then_goes_on() -> None:
    async with more() as client:
        await rests(client, waiting({"signal": "go"}), "waiting")
        paused = await client.post("/runs/r/pause", json={"reason": "lunch"})
        again = await client.post("/runs/r/pause")
        await client.post("/runs/r/signals/go")
        still = (await client.get("/runs/r")).json()
        resumed = await client.post("/runs/r/resume")
        await came_to(client, "completed")
        told = await types(client)
    assert [each.status_code for each in (paused, again, resumed)] == [200, 200, 200]
    assert [paused.json()["status"], still["status"]] == ["paused", "paused"]
    assert told.count("run.pausing") == told.count("run.paused") == 1


async def test_a_run_with_a_node_under_way_is_about_to_pause() -> None:
    async with app_client() as client:
        await client.post("/runs", json={"graph": HANG, "id": "r"})
        answer = await client.post("/runs/r/pause")
    assert (answer.status_code, answer.json()["status"]) == (202, "running")


async def test_a_person_may_answer_for_a_node_whose_effects_are_in_doubt(tmp_path: Path) -> None:
    async with in_doubt(tmp_path / "steno.db") as client:
        doubtful = (await client.get("/runs/r")).json()
        bad = await client.post("/runs/r/resume", json={"result": {"sum": [2**70]}})
        answer = await client.post("/runs/r/resume", json={"result": {"paid": True}})
        await came_to(client, "completed")
        state = (await client.get("/runs/r/state")).json()["state"]
    assert (doubtful["status"], doubtful["reason"]) == ("parked", "effects-once")
    assert (bad.status_code, bad.json()["type"]) == (422, "/problems/state-not-json")
    assert bad.json()["errors"][0]["pointer"] == "/result/sum/0"
    assert (answer.status_code, state) == (200, {"paid": True})


@asynccontextmanager
async def in_doubt(path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A server that was stopped in the middle of a node that has its effect once, and came back."""
    begun = asyncio.Event()

    @st.tool(effects="once")
    async def pay(state: dict[str, Any]) -> None:
        begun.set()
        await asyncio.Event().wait()

    def on_file() -> AbstractAsyncContextManager[st.Engine]:
        return st.open(path, tools=[pay])

    async with app_client(on_file) as client:
        await client.post("/runs", json={"graph": one_node("pay"), "id": "r"})
        await begun.wait()
    async with app_client(on_file) as client:
        yield client


def one_node(tool: str) -> dict[str, Any]:
    return {"start": "only", "nodes": {"only": {"tool": tool}}}


async def test_a_result_is_for_a_run_whose_effects_are_in_doubt() -> None:
    async with more() as client:
        await rests(client, waiting({"signal": "go"}), "waiting")
        await client.post("/runs/r/pause")
        answer = await client.post("/runs/r/resume", json={"result": {"charged": True}})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/not-held")
    assert "parked over a node's effects" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("what", "body", "pointer"),
    [
        ("pause", {"reason": 7}, "/reason"),
        ("pause", {"reason": "x" * 1001}, "/reason"),
        ("pause", {"why": "lunch"}, "/why"),
        ("resume", {"limits": {"steps": 0}}, "/limits/steps"),
        ("resume", {"result": []}, "/result"),
        ("resume", {"reason": "back"}, "/reason"),
        ("retry", {"limits": {"hours": 1}}, "/limits/hours"),
        ("retry", {"result": {}}, "/result"),
        ("retry", [], ""),
    ],
)
async def test_a_body_that_does_not_fit_is_told_where(what: str, body: Any, pointer: str) -> None:
    async with more() as client:
        await rests(client, waiting({"signal": "go"}), "waiting")
        answer = await client.post(f"/runs/r/{what}", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/body-invalid")
    assert answer.json()["errors"][0]["pointer"] == pointer


async def foreground(client: httpx.AsyncClient, graph: dict[str, Any], **state: Any) -> Any:
    body = {"graph_id": await created(client, {"id": "g", **graph}), "run_id": "r", "state": state}
    return await client.post("/graph/run", json=body)


async def test_a_foreground_run_answers_when_it_waits() -> None:
    async with more() as client:
        answer = await foreground(client, waiting({"signal": "go"}))
    body = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (202, "/runs/r")
    assert (body["status"], body["done"], body["current_node"]) == ("waiting", False, "wait")
    assert [each["signal"] for each in body["waits"]] == ["go"]
    assert body["message"] == "the run waits in wait for the signal 'go'"
    assert body["state"] == {"n": 1}


async def test_a_foreground_run_answers_when_it_pauses() -> None:
    async with serving(with_more_tools) as server:
        answer = await (await held(server))
        assert (answer.status_code, answer.json()["status"]) == (202, "paused")
        assert answer.json()["current_node"] == "after"


async def held(server: Served) -> Any:
    """Begin a run in the foreground whose node is under way, pause it, and let the node finish."""
    graph = one("hang", timeout_s=0.2, next=[{"to": "after", "on": "timeout"}])
    request = asyncio.create_task(foreground(server.http, graph))
    journal: Any = server.engine.journal
    await eventually(lambda: "r" in journal.store.heads)
    await server.http.post("/runs/r/pause")
    return request


async def test_a_run_with_branches_names_all_that_they_are_at() -> None:
    graph = fork({"a": {"x": 1}, "b": {"y": 2}})
    for name in ("a", "b"):
        graph["nodes"][name] = {"wait": {"signal": name}, "next": "after"}
    async with more() as client:
        answer = (await foreground(client, graph)).json()
    assert (answer["current_node"], answer["current_nodes"]) == ("a", ["a", "b"])
    assert answer["message"] == "the run waits in a for the signal 'a', and 1 more"


@pytest.mark.parametrize(
    ("wait", "message"),
    [
        ({"signal": "go", "timeout_s": 99}, "the run waits in wait for the signal 'go' until 20"),
        ({"for_s": 99}, "the run waits in wait for 20"),
    ],
)
async def test_a_wait_with_an_end_says_when(wait: dict[str, Any], message: str) -> None:
    async with more() as client:
        answer = (await foreground(client, waiting(wait))).json()
    assert answer["message"].startswith(message)


async def test_a_run_that_queues_waits_for_its_turn() -> None:
    graph = waiting({"signal": "go"}) | {"concurrency": {"limit": 1}}
    async with more() as client:
        await rests(client, graph, "waiting")
        second = (await client.post("/graph/run", json={"graph_id": "g", "run_id": "s"})).json()
    assert second["message"] == "the run waits in before for its turn"


async def test_visits_and_the_log_tell_the_scope_and_the_state_stays_the_runs() -> None:
    async with more() as client:
        answer = (await foreground(client, mapped("double"), items=[1, 2])).json()
        visits = (await client.get("/runs/r/visits")).json()["items"]
        states = [
            (await client.get(f"/runs/r/state?at={each['seq']}")).json()["state"]
            for each in answer["logs"]
        ]
    scopes = {"/split#1[0]/": "work", "/split#1[1]/": "work"}
    for entries in (visits, answer["logs"], answer["execution_log"]):
        assert {each["scope"]: each["node"] for each in entries if each["scope"] != "/"} == scopes
    assert [each["state"] for each in answer["logs"]] == states
    assert answer["state"]["doubled"] == [2, 4]


SECRETIVE = {
    **waiting({"signal": "note"}),
    "state": {"api_key": {"secret": True}, "note": {"reducer": "append"}},
}
SECRET = "a secret of some length"


@pytest.mark.parametrize(
    ("more_of_it", "code"),
    [
        ({"state": {"api_key": SECRET}, "tags": {"k": SECRET}}, "secret-leaked"),
        ({"state": {"api_key": SECRET, "x": f"my {SECRET}"}}, "secret-leaked"),
        ({"state": {"api_key": {"$secret": "api_key#1"}}}, "secret-refused"),
    ],
)
async def test_a_secret_in_the_wrong_place_is_refused(more_of_it: Any, code: str) -> None:
    async with more() as client:
        answer = await client.post("/runs", json={"graph": SECRETIVE, **more_of_it})
        assert (answer.status_code, code_of(answer)) == (422, code)
        assert SECRET not in answer.text


async def test_a_signal_that_tells_a_secret_is_refused() -> None:
    async with more() as client:
        await rests(client, SECRETIVE, "waiting", state={"api_key": SECRET})
        for where in ("/runs/r/signals/note", f"/runs/r/signals/note?scope=/{SECRET}%231/"):
            answer = await client.post(where, json={"x": SECRET})
            assert (answer.status_code, code_of(answer)) == (422, "secret-leaked")
            assert SECRET not in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "status"), [("scop=/", 400), ("scope=abc", 422), ("saw=99999", 422)]
)
async def test_a_signal_with_a_query_that_can_be_none_uses_nothing_up(
    query: str, status: int
) -> None:
    async with more() as client:
        await rests(client, waiting(APPROVAL), "waiting")
        answer = await client.post(f"/runs/r/signals/approval?{query}", json={"by": "ann"})
        assert answer.status_code == status
        assert (await client.get("/runs/r")).json()["status"] == "waiting"


async def test_a_run_has_an_id_of_its_own_or_of_its_key_but_not_both() -> None:
    async with more() as client:
        answer = await client.post(
            "/runs", json={"graph": chain("count"), "id": "mine"}, headers={"Idempotency-Key": "k"}
        )
        assert (answer.status_code, code_of(answer)) == (400, "idempotency-key-invalid")


async def test_a_first_state_that_does_not_fit_is_told_by_its_place_in_the_body() -> None:
    graph = {**chain("count"), "state": {"n": {"schema": {"type": "integer"}}}}
    async with more() as client:
        answer = await client.post("/runs", json={"graph": graph, "input": {"n": "one"}})
        assert (answer.status_code, code_of(answer)) == (422, "state-refused")
        assert [each["pointer"] for each in answer.json()["errors"]] == ["/input/n"]


def code_of(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).rpartition(":")[2].rpartition("/")[2]
