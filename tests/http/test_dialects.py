"""Graphs in the shapes of other engines, over HTTP: stored, checked and run as what they mean."""

from __future__ import annotations

import copy
from typing import Any

from tests.http.serving import app_client

LISTED: dict[str, Any] = {
    "id": "listed",
    "start_node": "begin",
    "nodes": [{"id": "begin", "callable": "count"}, {"id": "again", "callable": "count"}],
    "edges": [
        {"from": "begin", "to": "again", "type": "sequential"},
        {"from": "again", "to": "again", "type": "loop", "loop": {"until_expression": "n >= to"}},
    ],
}
CANONICAL = {
    "start": "begin",
    "on_no_match": "end",
    "nodes": {
        "begin": {"tool": "count", "next": [{"to": "again"}]},
        "again": {
            "tool": "count",
            "next": [
                {"to": "again", "until": "n >= to", "max": 5},
                {"to": "$fail", "until": "n >= to", "label": "loop-limit"},
            ],
        },
    },
}
ASSUMED = [
    {
        "pointer": "/edges/1",
        "detail": "has no max_iterations; it goes round 5 times, then the run fails",
    }
]


def broken() -> dict[str, Any]:
    graph = copy.deepcopy(LISTED)
    graph["nodes"][0]["callable"] = "cuont"
    graph["edges"][1]["loop"]["until_expression"] = "n >="
    return graph


BROKEN_AT = {"/nodes/0/callable", "/edges/1/loop/until_expression"}


async def test_a_graph_of_another_shape_is_stored_in_the_canonical_one() -> None:
    async with app_client() as client:
        first = await client.post("/graph/create", json=LISTED)
        again = await client.post("/graph/create", json={"graph": LISTED})
        plain = await client.post("/graphs", json={**CANONICAL, "id": "listed"})
        stored = await client.get("/graphs/listed")
    assert [each.status_code for each in (first, again, plain)] == [200, 200, 200]
    assert first.json()["warnings"] == ASSUMED
    assert [each["pointer"] for each in again.json()["warnings"]] == ["/graph/edges/1"]
    assert first.json()["version"] == again.json()["version"] == plain.json()["version"]
    assert stored.json()["graph"] == CANONICAL


async def test_checking_a_graph_of_another_shape_tells_what_it_becomes() -> None:
    async with app_client() as client:
        sound = (await client.post("/graphs/validate", json=LISTED)).json()
        wrong = (await client.post("/graphs/validate", json={"graph": broken()})).json()
    assert (sound["valid"], sound["canonical"], sound["warnings"]) == (True, CANONICAL, ASSUMED)
    assert {each["pointer"] for each in wrong["errors"]} == {f"/graph{at}" for at in BROKEN_AT}
    assert [each["pointer"] for each in wrong["warnings"]] == ["/graph/edges/1"]


async def test_what_is_wrong_is_told_where_it_stands_in_the_body() -> None:
    async with app_client() as client:
        answers = [
            (await client.post("/graph/create", json=broken()), ""),
            (await client.post("/graphs", json={"graph": broken(), "id": "g"}), "/graph"),
            (await client.post("/runs", json={"graph": broken()}), "/graph"),
        ]
    for answer, prefix in answers:
        assert answer.status_code == 422
        told = {each["pointer"] for each in answer.json()["errors"]}
        assert told == {prefix + at for at in BROKEN_AT}


async def test_a_graph_of_another_shape_runs() -> None:
    async with app_client() as client:
        await client.post("/graph/create", json=LISTED)
        body = {"graph_id": "listed", "initial_state": {"to": 4}}
        run = (await client.post("/graph/run", json=body)).json()
        body["initial_state"] = {"to": 99}
        capped = (await client.post("/graph/run", json=body)).json()
        whole = await client.post(
            "/runs", json={"graph": LISTED, "input": {"to": 2}}, headers={"Prefer": "wait=10"}
        )
    assert [each["node"] for each in run["logs"]] == ["begin", "again", "again", "again"]
    assert (run["status"], run["state"]["n"]) == ("completed", 4)
    assert (capped["status"], len(capped["logs"])) == ("failed", 1 + 1 + 5)
    assert "(loop-limit)" in capped["error"]["message"]
    assert (whole.status_code, whole.json()["status"]) == (200, "completed")
