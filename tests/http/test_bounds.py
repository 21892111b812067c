"""How much an engine takes, over HTTP: each bound just met, and just passed with its code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import stenograph as st
from stenograph.http import Client, Settings
from stenograph.http.shapes.wire import GOING
from tests.http.serving import PATIENCE_S, app_client, begun, created, messages, serving
from tests.http.tools import HANG, TOOLS, looping, of_one

ROUND = {"next": {"to": "a", "max": 1_000_000}}
WAITING = {
    "id": "w",
    "start": "ask",
    "nodes": {
        "ask": {"wait": {"signal": "go"}, "next": "more"},
        "more": {"wait": {"signal": "later"}},
    },
}
KEY = "Idempotency-Key"


@asynccontextmanager
async def bounded(path: Any = ":memory:", **bounds: int) -> AsyncIterator[httpx.AsyncClient]:
    async with app_client(lambda: st.open(path, tools=TOOLS, bounds=st.Bounds(**bounds))) as client:
        yield client


def code_of(answer: httpx.Response) -> str:
    """`422 graph-invalid`, or the status alone of what is no problem."""
    kind = answer.json().get("type", "")
    return f"{answer.status_code} {kind.rpartition('/')[2]}".strip()


def wide(nodes: int = 1, edges: int = 0, when: str = "n == 1", **more: Any) -> dict[str, Any]:
    """A graph of so many nodes, from the first of which so many edges lead."""
    first = {"next": [{"to": "$end", "when": when}] * edges}
    others: dict[str, Any] = {f"n{number}": {} for number in range(nodes - 1)}
    return {"start": "a", "nodes": {"a": first, **others}, **more}


def listed(nodes: int = 1, edges: int = 0, when: str = "n == 1") -> dict[str, Any]:
    """The same as another engine spells it."""
    names = [{"id": "a"}, *({"id": f"n{number}"} for number in range(nodes - 1))]
    ways = [{"from": "a", "to": "END", "condition": when}] * edges
    return {"entry_point": "a", "nodes": names, "edges": ways}


@pytest.mark.parametrize("spelled", [wide, listed])
@pytest.mark.parametrize("path", ["/graph/create", "/graphs"])
@pytest.mark.parametrize(
    ("bound", "most", "met", "passed"),
    [
        ("nodes", 3, {"nodes": 3}, {"nodes": 4}),
        ("edges", 2, {"edges": 2}, {"edges": 3}),
        (
            "expression_chars",
            20,
            {"edges": 1, "when": "n == 1".rjust(20)},
            {"edges": 1, "when": "n == 1".rjust(21)},
        ),
    ],
)
async def test_a_graph_as_large_as_it_may_be_is_created_and_one_larger_is_not(
    bound: str, most: int, met: Any, passed: Any, path: str, spelled: Any
) -> None:
    async with bounded(**{bound: most}) as client:
        assert (await client.post(path, json=spelled(**met))).status_code in (200, 201)
        assert code_of(await client.post(path, json=spelled(**passed))) == "422 graph-invalid"


@pytest.mark.parametrize("conditions", [{"when": "n == 1", "until": "n == 22"}])
async def test_two_conditions_that_become_one_are_bounded_as_one(conditions: Any) -> None:
    graph = {"entry_point": "a", "nodes": [{"id": "a"}], "edges": [{"from": "a", "to": "a"}]}
    graph["edges"][0].update(conditions)  # type: ignore[attr-defined]
    joined = len("(n == 1) and not (n == 22)")
    async with bounded(expression_chars=joined) as client:
        assert code_of(await client.post("/graph/create", json=graph)) == "200"
    async with bounded(expression_chars=joined - 1) as client:
        assert code_of(await client.post("/graph/create", json=graph)) == "422 graph-invalid"


async def test_a_fork_leads_to_as_many_nodes_as_a_graph_may_have() -> None:
    async with bounded(nodes=2) as client:
        graph = wide(2)
        graph["nodes"]["a"] = {"next": {"to": ["n0", "n1", "n2"], "join": "$end"}}
        answer = await client.post("/graphs", json=graph)
    assert "a fork leads to 1 to 2 nodes" in answer.text


async def test_a_graph_that_was_stored_under_larger_bounds_loads_and_runs(tmp_path: Path) -> None:
    file = tmp_path / "steno.db"
    async with bounded(file) as client:
        await created(client, {**wide(9, 9, "n == 1".rjust(99)), "id": "g"})
        first = await client.post("/graph/run", json={"graph_id": "g", "state": {"n": 1}})
    async with bounded(file, nodes=1, edges=1, expression_chars=16, event_bytes=4096) as client:
        shown = await client.get("/graphs/g")
        again = await client.post("/graph/run", json={"graph_id": "g", "state": {"n": 1}})
    assert len(shown.json()["graph"]["nodes"]) == 9
    assert first.json()["status"] == again.json()["status"] == "completed"


def text_for(size: int, key: str = "text") -> dict[str, str]:
    """A state that has so many bytes as JSON."""
    return {key: "x" * (size - len(f'{{"{key}":""}}'))}


async def test_a_first_state_has_as_many_bytes_as_a_state_may_have() -> None:
    async with bounded(state_bytes=2000) as client:
        await created(client, of_one("count"))
        met = {"graph": "count", "input": text_for(2000)}
        passed = {"graph": "count", "input": text_for(2001)}
        assert code_of(await client.post("/runs", json=met)) == "202"
        assert code_of(await client.post("/runs", json=passed)) == "413 state-too-large"


async def test_a_first_state_has_31_parts_of_32_of_what_an_event_has() -> None:
    async with bounded(event_bytes=8192) as client:
        await created(client, of_one("count"))
        passed = {"graph": "count", "input": text_for(7937)}
        assert code_of(await client.post("/runs", json=passed)) == "413 state-too-large"


async def test_a_start_has_as_many_bytes_as_an_event_may_have_but_for_its_graph() -> None:
    """That was bounded when it was stored, and is none of what a start is given."""
    tags = {f"t{number}": "x" * 200 for number in range(10)}
    async with bounded(event_bytes=4096) as client:
        await created(client, {**wide(140), "id": "g"})
        for size, code in ((1000, "202"), (2000, "413 payload-too-large")):
            body = {"graph": "g", "id": f"r{size}", "input": text_for(size), "tags": tags}
            assert code_of(await client.post("/runs", json=body)) == code, size
        assert code_of(await client.get("/runs/r2000")) == "404 run-not-found"


async def test_a_graph_has_as_many_bytes_as_an_event_may_have() -> None:
    async with bounded(event_bytes=4096) as client:
        assert code_of(await client.post("/graph/create", json=wide(100))) == "200"
        answer = await client.post("/graph/create", json=wide(500))
        assert code_of(answer) == "413 payload-too-large"


async def test_a_signal_has_as_many_bytes_as_an_event_may_have() -> None:
    async with bounded(event_bytes=4096) as client:
        await begun(client, WAITING, "w")
        early = await client.post("/runs/w/signals/later", json="x" * 4096)
        assert code_of(early) == "413 payload-too-large"
        passed = await client.post("/runs/w/signals/go", json="x" * 4096)
        assert code_of(passed) == "422 signal-refused", "no state could take it"
        assert code_of(await client.post("/runs/w/signals/go", json="x" * 3900)) == "200"


async def outcome_of(client: httpx.AsyncClient, graph: dict[str, Any], **state: Any) -> str:
    """`completed`, or the type of the error with which a run failed."""
    await created(client, graph)
    answer = await client.post("/graph/run", json={"graph_id": graph["id"], "state": state})
    error = answer.json()["error"]
    return error["type"] if error else answer.json()["status"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("bounds", [{"state_bytes": 2000}, {"event_bytes": 4096}])
async def test_a_step_may_not_write_more_than_there_may_be(bounds: dict[str, int]) -> None:
    async with bounded(**bounds) as client:
        assert await outcome_of(client, looping("swell", 2, size=1900)) == "completed"
        assert await outcome_of(client, looping("swell", 2, size=4000)) == "state-too-large"


async def test_a_state_over_the_bound_may_shrink_and_not_grow(tmp_path: Path) -> None:
    file, pause = tmp_path / "steno.db", {"wait": {"signal": "go"}, "next": "swell"}
    swell = looping("swell", 2, size=100)
    graph = {"id": "g", "start": "ask", "nodes": {"ask": pause, **swell["nodes"]}}
    async with bounded(file) as client:
        await created(client, graph)
        for run_id, text in (("shrinks", "x" * 3000), ("grows", "")):
            state = {"text": text, "more": "x" * 3000, "turn": 1, "go": None}
            await client.post("/runs", json={"graph": "g", "id": run_id, "input": state})
    async with bounded(file, state_bytes=2000) as client:
        ends = [await after_signal(client, run_id) for run_id in ("shrinks", "grows")]
    assert ends == ["completed", "failed"]


async def after_signal(client: httpx.AsyncClient, run_id: str) -> str:
    """The status with which a run ends that was given what it waits for."""
    await client.post(f"/runs/{run_id}/signals/go", json=None)
    return await settled(client, run_id)


async def settled(client: httpx.AsyncClient, run_id: str) -> str:
    """The status in which a run comes to rest."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            status: str = (await client.get(f"/runs/{run_id}")).json()["status"]
            if status not in GOING:
                return status
            await asyncio.sleep(0.01)


async def events_of(client: httpx.AsyncClient, run_id: str) -> list[str]:
    page = await client.get(f"/runs/{run_id}/events?limit=1000")
    return [each["type"] for each in page.json()["events"]]


async def test_a_run_that_has_as_many_events_as_it_may_have_parks() -> None:
    async with bounded(run_events=50) as client:
        await begun(client, {"id": "g", "start": "a", "nodes": {"a": ROUND}}, "r")
        assert await settled(client, "r") == "parked"
        told = (await client.get("/runs/r")).json()
        events = await events_of(client, "r")
    assert told["reason"] == "limit"
    assert events[-2:] == ["limit.reached", "run.parked"]
    assert events.index("limit.reached") in range(50, 54), "at the first step's end after it"


async def at_node(client: httpx.AsyncClient, run_id: str, node: str) -> None:
    """Return once a run is at a node."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if (await client.get(f"/runs/{run_id}")).json()["current"] == [node]:
                return
            await asyncio.sleep(0.01)


async def test_what_is_too_long_is_not_resumed_retried_or_migrated_but_forked_and_cancelled() -> (
    None
):
    other = {"id": "other", "start": "a", "nodes": {"a": {**ROUND, "timeout_s": 9}}}
    async with bounded(run_events=30) as client:
        await begun(client, {"id": "g", "start": "a", "nodes": {"a": ROUND}}, "r")
        assert await settled(client, "r") == "parked"
        before = await events_of(client, "r")
        await created(client, other)
        for _ in range(3):
            for what, body in (("resume", None), ("migrate", {"graph": "other"})):
                answer = await client.post(f"/runs/r/{what}", json=body)
                assert code_of(answer) == "409 run-too-long", what
        assert await events_of(client, "r") == before, "asking makes it no longer"
        assert code_of(await client.post("/runs/r/fork", json={"at": 9, "id": "f"})) == "202"
        assert code_of(await client.post("/runs/r/cancel")) == "200"
        assert (await events_of(client, "r"))[-1] == "run.cancelled"


async def test_a_failed_run_that_is_too_long_is_not_retried() -> None:
    chain = {f"n{each}": {"next": f"n{each + 1}"} for each in range(3)}
    graph = {"id": "g", "start": "n0", "nodes": {**chain, "n3": {"tool": "fail"}}}
    async with bounded(run_events=12) as client:
        assert await outcome_of(client, graph) == "ValueError"
        run_id = (await client.get("/runs")).json()["items"][0]["id"]
        assert code_of(await client.post(f"/runs/{run_id}/retry")) == "409 run-too-long"


async def test_a_run_that_was_longer_before_the_bound_goes_on_to_its_next_step(
    tmp_path: Path,
) -> None:
    file = tmp_path / "steno.db"
    ways = [{"to": "a", "max": 20}, {"to": "hang"}]
    nodes = {"a": {"next": ways}, "hang": {"tool": "hang"}}
    async with bounded(file) as client:
        await begun(client, {"id": "g", "start": "a", "nodes": nodes}, "r")
        await at_node(client, "r", "hang")
    async with bounded(file, run_events=10) as client:
        await at_node(client, "r", "hang")
        await client.post("/runs/r/cancel")
        assert await settled(client, "r") == "cancelled"


async def test_runs_beyond_those_in_flight_are_asked_to_come_again() -> None:
    async with bounded(runs_in_flight=2) as client:
        await created(client, HANG)
        body = {"graph": "hang"}
        first = await client.post("/runs", json=body, headers={KEY: "k"})
        assert code_of(await client.post("/runs", json=body)) == "202"
        for path, asked in (("/runs", body), ("/graph/run", {"graph_id": "hang"})):
            beyond = await client.post(path, json=asked)
            assert code_of(beyond) == "429 too-many-runs"
            assert int(beyond.headers["Retry-After"]) > 0
        run_id = first.json()["id"]
        fork = await client.post(f"/runs/{run_id}/fork", json={"at": 1})
        rerun = await client.post(f"/runs/{run_id}/rerun", json={"tools": ["hang"]})
        assert code_of(fork) == code_of(rerun) == "429 too-many-runs"
        repeat = await client.post("/runs", json=body, headers={KEY: "k"})
        assert (code_of(repeat), repeat.json()["id"]) == ("200", run_id)
        await client.post(f"/runs/{run_id}/cancel")
        assert await settled(client, run_id) == "cancelled"
        assert code_of(await client.post("/runs", json=body)) == "202"


async def test_graphs_with_lines_are_bounded_too() -> None:
    queued = of_one("hang", concurrency={"limit": 1, "policy": "queue"})
    async with bounded(runs_in_flight=1) as client:
        await begun(client, queued, "goes")
        answer = await client.post("/runs", json={"graph": "hang", "id": "waits"})
        assert code_of(answer) == "429 too-many-runs"
        again = await client.post("/runs", json={"graph": "hang", "id": "goes"})
        assert code_of(again) == "200"
        assert code_of(await client.get("/runs/waits")) == "404 run-not-found"


async def test_runs_at_rest_are_not_in_flight() -> None:
    async with bounded(runs_in_flight=1) as client:
        await begun(client, WAITING, "waits")
        await begun(client, {**of_one("count"), "limits": {"steps": 1}}, "ends")
        assert await settled(client, "ends") == "completed"
        await begun(client, HANG, "first")
        assert (await client.get("/runs/waits")).json()["status"] == "waiting"


async def test_what_is_recovered_or_asked_to_go_on_always_does(tmp_path: Path) -> None:
    file = tmp_path / "steno.db"
    async with bounded(file) as client:
        await begun(client, WAITING, "w")
        for run_id in ("a", "b", "c"):
            await begun(client, HANG, run_id)
    async with bounded(file, runs_in_flight=1) as client:
        going = (await client.get("/runs?status=running")).json()["items"]
        assert {each["id"] for each in going} == {"a", "b", "c"}
        assert code_of(await client.post("/runs", json={"graph": "hang"})) == "429 too-many-runs"
        assert code_of(await client.post("/runs/w/signals/later", json=1)) == "200"
        assert await after_signal(client, "w") == "completed"


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "in pieces"])
async def test_a_body_has_as_many_bytes_as_it_may_have(announced: bool) -> None:
    async def pieces(body: bytes) -> AsyncIterator[bytes]:
        yield body[:900]
        yield body[900:]

    async with app_client(settings=Settings(body_bytes=2000)) as client:
        await created(client, of_one("count"))
        for size, code in ((2000, "202"), (2001, "413 payload-too-large")):
            body = b'{"graph": "count"}'.ljust(size)
            content: Any = body if announced else pieces(body)
            headers = {"Content-Type": "application/json"}
            answer = await client.post("/runs", content=content, headers=headers)
            assert code_of(answer) == code


async def test_a_body_nests_as_deep_as_it_may() -> None:
    async with app_client(settings=Settings(body_depth=5)) as client:
        await created(client, of_one("count"))
        for value, code in (([[[]]], "202"), ([[[[]]]], "400 too-deep")):
            body = {"graph": "count", "input": {"a": value}}
            assert code_of(await client.post("/runs", json=body)) == code


async def test_the_first_message_of_a_socket_is_bounded_as_a_body_is() -> None:
    async with serving(settings=Settings(body_bytes=2000, body_depth=5)) as server:
        await created(server.http, of_one("count"))
        for body, code in (
            (b"{}".ljust(2000), 1000),
            (b"{}".ljust(2001), 1009),
            (b'{"a": [[[[]]]]}', 1000),
            (b'{"a": [[[[[]]]]]}', 4400),
        ):
            async with server.socket("/ws/execute/count") as socket:
                await socket.send(body.decode())
                await messages(socket)
            assert socket.close_code == code, body[:20]


async def test_a_client_is_told_of_bounds_as_the_engine_tells_them() -> None:
    bounds = st.Bounds(run_events=20, runs_in_flight=1)
    async with (
        serving(lambda: st.open(":memory:", tools=TOOLS, bounds=bounds)) as server,
        Client(server.url) as client,
    ):
        run = await client.run({"start": "a", "nodes": {"a": ROUND}})
        with pytest.raises(st.RunTooLong, match="fork it"):
            await client.resume(run.id)
        await client.start(HANG)
        with pytest.raises(st.TooManyRuns, match="there may be 1"):
            await client.start(HANG)
