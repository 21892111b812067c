"""Graphs over HTTP."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.http.serving import app_client, created
from tests.http.tools import COUNT, of_one

BROKEN: dict[str, Any] = {
    "start": "nowhere",
    "nodes": {"a": {"tool": "cuont", "next": {"to": "b", "when": "n >"}}, "c": {}},
    "colour": "red",
}
POINTERS = {"/start", "/nodes/a/tool", "/nodes/a/next/to", "/nodes/a/next/when", "/colour"}


def pointers(answer: Any) -> set[str]:
    return {each["pointer"] for each in answer.json()["errors"]}


async def test_a_new_graph_is_201_and_the_same_again_200() -> None:
    async with app_client() as client:
        first = await client.post("/graphs", json=COUNT)
        again = await client.post("/graphs", json={"graph": COUNT})
        there = await client.get(first.headers["Location"])
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.headers["Location"] == f"/graphs/count@{first.json()['version']}"
    assert there.json()["graph"] == again.json()["graph"]


async def test_other_content_under_the_same_id_is_a_new_version() -> None:
    async with app_client() as client:
        old = (await client.post("/graphs", json=of_one("count"))).json()
        new = (await client.post("/graphs", json=COUNT)).json()
        newest = (await client.get("/graphs/count")).json()
        older = (await client.get(f"/graphs/count@{old['version'][:12]}")).json()
        listed = (await client.get("/graphs/count/versions")).json()
    assert (newest["version"], older["version"]) == (new["version"], old["version"])
    assert [each["version"] for each in listed["items"]] == [old["version"], new["version"]]
    assert listed["items"][0]["url"] == f"/graphs/count@{old['version']}"


async def test_a_graph_is_shown_in_its_canonical_form() -> None:
    async with app_client() as client:
        await created(client, of_one("count", name="One"))
        answer = (await client.get("/graphs/count")).json()
    assert answer["graph"] == {
        "name": "One",
        "nodes": {"count": {"tool": "count"}},
        "start": "count",
    }
    assert (answer["id"], answer["graph_id"], answer["name"]) == ("count", "count", "One")


async def test_a_graph_that_is_held_already_is_not_sent_again() -> None:
    async with app_client() as client:
        await created(client, COUNT)
        etag = (await client.get("/graphs/count")).headers["ETag"]
        headers = {"If-None-Match": f'"other", W/{etag}'}
        same = await client.get("/graphs/count", headers=headers)
        other = await client.get("/graphs/count", headers={"If-None-Match": '"other"'})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", etag)
    assert other.status_code == 200


@pytest.mark.parametrize("path", ["/graph/create", "/graphs"])
async def test_a_broken_graph_is_refused_with_every_fault(path: str) -> None:
    async with app_client() as client:
        bare = await client.post(path, json=BROKEN)
        wrapped = await client.post(path, json={"graph": BROKEN})
    assert (bare.status_code, bare.json()["type"]) == (422, "/problems/graph-invalid")
    assert pointers(bare) == POINTERS
    assert pointers(wrapped) == {f"/graph{each}" for each in POINTERS}


async def test_a_name_that_stands_twice_is_refused() -> None:
    body = b'{"id": "g", "start": "a", "nodes": {"a": {}, "a": {"tool": "count"}}}'
    async with app_client() as client:
        headers = {"Content-Type": "application/json"}
        answer = await client.post("/graphs", content=body, headers=headers)
        checked = await client.post("/graphs/validate", content=body, headers=headers)
        none = await client.get("/graphs/g")
    for each in (answer, checked):
        assert (each.status_code, pointers(each)) == (422, {"/nodes/a"})
        assert each.json()["type"] == "/problems/body-invalid"
    assert none.status_code == 404


@pytest.mark.parametrize(
    ("wrapper", "pointer"),
    [
        ({"graph": COUNT, "input": {}}, "/input"),
        ({"graph": "count"}, "/graph"),
        ({"graph": COUNT, "id": 7}, "/id"),
    ],
)
async def test_what_stands_beside_a_wrapped_graph_must_mean_something(
    wrapper: dict[str, Any], pointer: str
) -> None:
    async with app_client() as client:
        answer = await client.post("/graphs", json=wrapper)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/body-invalid")
    assert pointers(answer) == {pointer}


async def test_an_id_that_is_none_is_refused() -> None:
    async with app_client() as client:
        answer = await client.post("/graphs", json={"graph": COUNT, "id": "../etc"})
    assert answer.status_code == 422


async def test_validating_tells_of_faults_and_stores_nothing() -> None:
    async with app_client() as client:
        answer = await client.post("/graphs/validate", json={"graph": BROKEN})
        none = (await client.get("/graphs")).json()
    assert (answer.status_code, answer.json()["valid"]) == (200, False)
    assert pointers(answer) == {f"/graph{each}" for each in POINTERS}
    assert (answer.json()["canonical"], none["items"]) == (None, [])


async def test_a_valid_graph_is_shown_as_it_would_be_stored() -> None:
    endless = {"start": "a", "nodes": {"a": {"next": "a"}, "b": {}}}
    async with app_client() as client:
        answer = (await client.post("/graphs/validate", json=endless)).json()
        stored = (await client.post("/graphs", json=endless)).json()
    assert (answer["valid"], answer["errors"]) == (True, [])
    assert (answer["version"], answer["canonical"]) == (stored["version"], stored["graph"])
    assert {each["pointer"] for each in answer["warnings"]} >= {"/nodes/b"}
    assert answer["warnings"] == stored["warnings"]


async def test_graphs_are_listed_newest_first_page_by_page() -> None:
    async with app_client() as client:
        for number in range(5):
            await created(client, of_one("count") | {"id": f"g{number}"})
        await created(client, COUNT | {"id": "g0"})
        seen, cursor = [], ""
        for _ in range(3):
            page = (await client.get(f"/graphs?limit=2{cursor}")).json()
            seen += page["items"]
            cursor = f"&cursor={page['next']}"
    assert [each["id"] for each in seen] == ["g4", "g3", "g2", "g1", "g0"]
    assert (seen[-1]["versions"], seen[-1]["name"]) == (2, "Count up")
    assert page["next"] is None


@pytest.mark.parametrize(
    "path",
    ["/graphs/nobody", "/graphs/nobody/versions", "/graphs/count@f00", "/graphs/count@f/versions"],
)
async def test_a_graph_that_there_is_not(path: str) -> None:
    async with app_client() as client:
        await created(client, COUNT)
        answer = await client.get(path)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/graph-not-found")


async def test_a_graph_travels_as_the_bytes_that_are_stored() -> None:
    async with app_client() as client:
        await created(client, COUNT)
        answer = await client.get("/graphs/count")
        events = await client.get("/journal")
    graph = msgspec.json.decode(answer.content, type=dict[str, msgspec.Raw])["graph"]
    assert bytes(graph) in events.content


@pytest.mark.parametrize("ref", ["sub", "sub@{version}", "sbu", "sub@0000"])
async def test_validating_and_storing_agree_on_the_graphs_that_nodes_run(ref: str) -> None:
    async with app_client() as client:
        version = (await client.post("/graphs", json=COUNT | {"id": "sub"})).json()["version"]
        named = ref.format(version=version[:8])
        nodes = {"a": {"graph": "sub", "next": "b"}, "b": {"graph": named}}
        outer = {"id": "outer", "start": "a", "nodes": nodes}
        checked = (await client.post("/graphs/validate", json=outer)).json()
        stored = await client.post("/graphs", json=outer)
    is_there = not ref.endswith(("sbu", "0000"))
    assert (checked["valid"], stored.status_code) == (is_there, 201 if is_there else 422)
    assert [each["pointer"] for each in checked["errors"]] == ["/nodes/b/graph"] * (not is_there)
    assert checked["errors"] == stored.json().get("errors", [])


@pytest.mark.parametrize("graph_id", ["a b/c", ""])
async def test_an_id_beside_a_graph_is_judged_where_it_stands(graph_id: str) -> None:
    body = {"graph": of_one("count"), "id": graph_id}
    async with app_client() as client:
        checked = (await client.post("/graphs/validate", json=body)).json()
        stored = await client.post("/graphs", json=body)
    assert (checked["valid"], stored.status_code) == (False, 422)
    assert [each["pointer"] for each in checked["errors"]] == ["/id"]
    assert pointers(stored) == {"/id"}


async def test_a_graph_may_run_itself_by_the_id_beside_it() -> None:
    graph = {"start": "a", "nodes": {"a": {"next": {"to": "b", "max": 1}}, "b": {"graph": "own"}}}
    async with app_client() as client:
        stored = await client.post("/graphs", json={"graph": graph, "id": "own"})
    assert (stored.status_code, stored.json()["id"]) == (201, "own")


async def test_warnings_of_a_wrapped_graph_point_into_the_body() -> None:
    body = {"graph": {"start": "a", "nodes": {"a": {"next": "a"}, "b": {}}}}
    async with app_client() as client:
        checked = (await client.post("/graphs/validate", json=body)).json()
        stored = (await client.post("/graphs", json=body)).json()
    assert checked["warnings"] == stored["warnings"]
    assert {each["pointer"] for each in stored["warnings"]} >= {"/graph/nodes/b"}


async def test_names_beside_a_graph_are_told_as_pointers_and_not_without_end() -> None:
    body = {"graph": COUNT, "a/b": 1, **{f"x{n}": 1 for n in range(500)}}
    async with app_client() as client:
        answer = await client.post("/graphs", json=body)
    assert len(answer.json()["errors"]) == 100
    assert "/a~1b" in pointers(answer)
