"""The largest that may be sent: it is read beside the event loop, and what would cost too much refused."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Awaitable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import pytest

import stenograph as st
from stenograph.engine.conditions.expressions import ExpressionFault
from stenograph.engine.core.edges import compile_graph
from stenograph.engine.values import containers
from stenograph.http.door.guard import CONTAINERS_MAX
from stenograph.http.shapes.wire import STATE_KEYS_MAX
from stenograph.journal import run_at_length
from tests.http.raw import connected, shaking
from tests.http.serving import app_client, created, messages, serving
from tests.http.tools import COUNT

T = TypeVar("T")
TURNS = 20
"""What is looked at beside a busy loop lets it have far more turns; done on it, hardly one."""
CONDITION = " or ".join(["n < 1"] * 50)
LOOP = {"id": "loop", "start": "a", "nodes": {"a": {"next": "a"}}}
JSON = {"Content-Type": "application/json"}


def large_graph(nodes: int = 400) -> dict[str, Any]:
    edges = [{"to": "n0", "when": CONDITION}, {"to": "$end"}]
    return {"start": "n0", "nodes": {f"n{each}": {"next": edges} for each in range(nodes)}}


async def turns_during(work: Awaitable[T]) -> int:
    """Count how often the event loop gets to something else while work is under way."""
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    turning = asyncio.create_task(turn())
    try:
        await work
    finally:
        turning.cancel()
        with suppress(asyncio.CancelledError):
            await turning
    return turns


async def test_a_large_graph_is_read_beside_the_event_loop() -> None:
    async with st.open(":memory:") as engine:
        assert await turns_during(engine.check_graph(large_graph())) > TURNS
        assert await turns_during(engine.check_graph(large_graph(1))) < TURNS


async def test_a_graph_of_some_size_waits_for_nothing_that_takes_seconds() -> None:
    go = threading.Event()
    comparing = asyncio.ensure_future(run_at_length(partial(go.wait, 60)))
    async with st.open(":memory:") as engine:
        assert await turns_during(engine.check_graph(large_graph(50))) > TURNS
        assert not comparing.done()
        reading = asyncio.ensure_future(engine.check_graph(large_graph()))
        await asyncio.wait([reading], timeout=0.1)
        assert not reading.done()
        go.set()
        await reading
    await comparing


async def test_a_graph_that_is_no_json_is_read_at_once_and_refused() -> None:
    async with st.open(":memory:") as engine:
        with pytest.raises(st.GraphInvalid):
            await engine.check_graph({"start": "a", "nodes": {"a": {"config": {"x": object()}}}})


async def test_a_wide_state_is_made_ready_beside_the_event_loop() -> None:
    async with st.open(":memory:") as engine:
        graph = {"start": "a", "nodes": {"a": {}}}
        state = {f"k{each}": each for each in range(50_000)}
        assert await turns_during(engine.run(graph, state)) > TURNS


def test_nodes_are_compiled_when_they_are_asked_for() -> None:
    nodes = {"a": {"next": [{"to": "b", "when": "n"}]}, "b": {"next": [{"to": "a", "when": "(("}]}}
    compiled = compile_graph(json.dumps({"start": "a", "nodes": nodes}).encode()).nodes
    assert (len(compiled), list(compiled), "b" in compiled) == (2, ["a", "b"], True)
    assert compiled["a"] is compiled["a"]
    with pytest.raises(ExpressionFault):
        compiled["b"]
    with pytest.raises(KeyError):
        compiled["c"]


def test_schemas_are_compiled_when_they_are_asked_for() -> None:
    state = {"n": {"schema": {"type": "integer"}}, "x": {"schema": {"pattern": "("}}}
    graph = {"start": "a", "nodes": {"a": {}}, "state": state}
    rules = compile_graph(json.dumps(graph).encode()).rules
    assert (len(rules.schemas), list(rules.schemas), "x" in rules.schemas) == (2, ["n", "x"], True)
    assert rules.fault("n", 1) is None
    assert rules.fault("n", "1") is not None
    assert rules.fault("other", 1) is None
    with pytest.raises(ValueError, match="pattern"):
        rules.fault("x", "1")


def test_containers_are_counted_without_those_in_text() -> None:
    assert containers(b'{"a": [1, {}]}') == 3
    assert containers(b'{"a": "' + b"[" * 5000 + b'"}') == 1


async def test_a_body_may_have_so_many_arrays_and_objects() -> None:
    async with app_client() as client:
        for many, status in ((CONTAINERS_MAX - 1, 422), (CONTAINERS_MAX, 413)):
            body = b"[" + b",".join([b"[]"] * many) + b"]"
            answer = await client.post("/graphs/validate", content=body, headers=JSON)
            assert answer.status_code == status, answer.text


async def test_a_large_body_is_parsed_beside_the_event_loop_and_refused_as_a_small_one_is() -> None:
    async with app_client() as client:
        for many in (1, 100_000):
            answer = await client.post("/runs", content=b"[" + b"1," * many, headers=JSON)
            assert (answer.status_code, answer.json()["type"]) == (400, "/problems/not-json")
        body = b"{%s}" % b",".join(b'"k%d":{}' % each for each in range(50_000))
        asking = client.post("/runs", content=body, headers=JSON)
        assert await turns_during(asking) > TURNS


async def test_what_large_bodies_were_refused_for_holds_none_of_them() -> None:
    def rows() -> int:
        return sum(type(each) is list and each[:1] == ["a row"] for each in gc.get_objects())

    body = json.dumps([["a row"]] * 10_000).encode()
    async with app_client() as client:
        graph = {"id": "g", "start": "a", "nodes": {"a": {"wait": {"signal": "go"}}}}
        await created(client, graph)
        await client.post("/runs", json={"graph": "g", "id": "r"})
        gc.collect()
        gc.disable()
        try:
            answer = await client.post("/runs/r/signals/other", content=body, headers=JSON)
            assert (answer.status_code, rows()) == (422, 0)
        finally:
            gc.enable()


async def test_a_graph_may_declare_so_many_keys() -> None:
    async with app_client() as client:
        for many, valid in ((1000, True), (1001, False)):
            state: dict[str, Any] = {f"k{each}": {} for each in range(many)}
            graph = {"start": "a", "nodes": {"a": {}}, "state": state}
            answer = await client.post("/graphs/validate", json=graph)
            assert answer.json()["valid"] is valid


async def test_a_client_may_give_a_state_so_many_keys() -> None:
    async with serving() as server:
        await created(server.http, COUNT)
        for many, status, code in ((STATE_KEYS_MAX, 200, 1000), (STATE_KEYS_MAX + 1, 422, 4400)):
            state = {"to": 1, **{f"k{each}": each for each in range(many - 1)}}
            body = {"graph_id": "count", "state": state}
            answer = await server.http.post("/graph/run", json=body)
            assert answer.status_code == status
            async with server.socket("/ws/execute/count") as socket:
                await socket.send(json.dumps(state))
                await messages(socket)
                assert socket.close_code == code


@pytest.mark.parametrize(
    "early", [b"\x83\x80\x11\x11\x11\x11", b"\x88\x80\x00\x00\x00\x00", b"\xff" * 300]
)
async def test_frames_that_come_before_the_handshake_is_answered_wait_for_it(
    early: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as server, connected(server.port, 1) as [client]:
        client.say(shaking("/ws/logs?after=x"))
        for _ in range(3):
            await asyncio.sleep(0)
        client.say(early)
        await client.lost
        assert (await server.http.get("/healthz")).status_code == 200
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == []


async def test_a_handshake_that_cannot_be_read_is_answered_and_ended() -> None:
    more = "".join(f"X-{each}: y\r\n" for each in range(300)).encode()
    head = shaking("/ws/logs").removesuffix(b"\r\n") + more + b"\r\n"
    async with serving() as server, connected(server.port, 1) as [client]:
        client.say(head)
        await client.lost
    assert client.heard.startswith(b"HTTP/1.1 4")


async def test_a_long_history_is_told_beside_the_event_loop() -> None:
    async with app_client() as client:
        await created(client, LOOP)
        for run_id, steps in (("short", 10), ("long", 5000)):
            body = {"graph": "loop", "id": run_id, "limits": {"steps": steps}}
            await client.post("/runs", json=body, headers={"Prefer": "wait=60"})
        told = ("visits", "blame", "export", "export?gzip=true")
        for path in ("/graph/state/long", *(f"/runs/long/{each}" for each in told)):
            assert await turns_during(client.get(path)) > 10 * TURNS, path
        short = await client.get("/graph/state/short")
        assert [each["node"] for each in short.json()["logs"]] == ["a"] * 10
