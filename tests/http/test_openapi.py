"""The API told by itself: the description, and the page that shows it without the internet."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.routes import HTTPRoute

import stenograph as st
from stenograph.http import create_app
from stenograph.http.operations import docs
from stenograph.http.problems import KINDS
from tests.http.sensible import LINE
from tests.http.serving import app_client, in_memory
from tests.http.tools import COUNT, FAIL, TOOLS, looping

LONG = looping("count", 9)
ADDRESS = re.compile(r"(?:https?:)?//[^\s\"'<>]+")


def described() -> dict[str, Any]:
    return create_app(in_memory).openapi_schema.to_schema()


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in described()["paths"].items()
        for method, operation in methods.items()
    ]


async def test_the_description_is_served_as_it_is() -> None:
    async with app_client() as client:
        answer = await client.get("/openapi.json")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == json.loads(json.dumps(described()))
    assert answer.json()["info"]["title"] == "Stenograph"
    assert answer.json()["openapi"].startswith("3.1")


@pytest.mark.parametrize("first", ["/openapi.json", "/docs", "/docs/openapi.json"])
async def test_the_description_is_made_once_however_many_ask(
    first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def counted(request: Any) -> bytes:
        made.append(threading.current_thread())
        return whole(request)

    whole = docs.description
    monkeypatch.setattr(docs, "description", counted)
    async with app_client() as client:
        assert (await client.get(first)).status_code == 200
        asked = [client.get("/openapi.json") for _ in range(5)]
        answers = {answer.content for answer in await asyncio.gather(*asked)}
        answers.add((await client.get("/openapi.json")).content)
    assert len(answers) == len(made) == 1
    assert made != [threading.main_thread()], "nobody waits for it who has not asked for it"


def test_every_path_is_described_once() -> None:
    routes = [each for each in create_app(in_memory).routes if isinstance(each, HTTPRoute)]
    paths = {re.sub(":[a-z]+}", "}", route.path) for route in routes} - {"/", "/openapi.json"}
    expected = {path for path in paths if not path.startswith(("/api", "/docs"))}
    assert set(described()["paths"]) == expected


def test_every_operation_has_a_name_a_summary_and_a_description() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))
    assert all(each["summary"] and each["description"].endswith(".") for _, _, each in operations())


def test_what_goes_wrong_is_described_as_a_problem() -> None:
    told: set[str] = set()
    for _, _, operation in operations():
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                content = answer["content"]["application/problem+json"]
                assert content["schema"]["$ref"].endswith("/Problem")
                codes = re.findall(r"`([a-z0-9-]+)`", answer["description"])
                assert {KINDS[code].status for code in codes} == {int(status)}
                told.update(codes)
    untold = {
        "method-not-allowed",
        "internal-error",
        "history-unreadable",
        "merge-conflict",
    }
    assert KINDS.keys() - told == untold


def test_every_answer_has_a_shape() -> None:
    for _, path, operation in operations():
        for status, answer in operation["responses"].items():
            if status in ("204", "304"):
                assert "content" not in answer, (path, status)
                continue
            kind, content = next(iter(answer["content"].items()))
            schema = content["schema"]
            assert "$ref" in schema or kind == "text/plain", (path, status)


async def test_the_examples_work(tmp_path: Path) -> None:
    bodies = {
        path: operation["requestBody"]["content"]["application/json"]["schema"]
        for method, path, operation in operations()
        if method == "post" and "requestBody" in operation
    }
    shown = {path: schema["examples"][0] for path, schema in bodies.items() if "examples" in schema}
    assert bodies.keys() - shown.keys() == set()
    async with app_client(lambda: st.open(tmp_path / "steno.db", tools=TOOLS)) as client:
        for path in sorted(shown):  # what creates graphs comes before what runs them
            run_id = await in_need_of(client, path)
            where = path.replace("{run_id}", run_id).replace("{name}", "go")
            answer = await client.post(where, json=shown[path])
            assert answer.status_code < 300, answer.text


async def in_need_of(client: httpx.AsyncClient, path: str) -> str:
    """Return the id of a run to which what an example asks can be done."""
    waits = {"id": "waits", "start": "ask", "nodes": {"ask": {"wait": {"signal": "go"}}}}
    long = {"steps": 2}
    graph, limits = {"resume": (LONG, long), "retry": (FAIL, long), "erase": (FAIL, None)}.get(
        path.rpartition("/")[2], (waits, None)
    )
    body = {"graph": graph, "limits": limits}
    answer = await client.post("/runs", json=body, headers={"Prefer": "wait=20"})
    run_id: str = answer.json()["id"]
    return run_id


async def test_the_page_needs_nobody_but_this_server() -> None:
    async with app_client() as client:
        page = await client.get("/docs")
        needed = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
        answers = [await client.get(path) for path in needed]
        start = await client.get("/docs/start.js")
    assert page.headers["Content-Type"].startswith("text/html")
    assert len(needed) == 4
    assert {each.status_code for each in answers} == {200}
    assert ADDRESS.findall(page.text + start.text) == []
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("path", "kind", "begins"),
    [
        ("/docs/swagger-ui.js", "text/javascript", "/*! For license information"),
        ("/docs/swagger-ui.css", "text/css", ".swagger-ui"),
        ("/docs/start.js", "text/javascript", "SwaggerUIBundle("),
    ],
)
async def test_what_the_page_needs_is_here(path: str, kind: str, begins: str) -> None:
    async with app_client() as client:
        answer = await client.get(path)
    assert answer.headers["Content-Type"].startswith(kind)
    assert answer.text.lstrip().startswith(begins)


async def test_the_front_door_leads_to_the_page() -> None:
    async with app_client() as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/docs")


async def test_answers_are_what_the_description_says() -> None:
    """Each field of an answer is described, and each that is required is there."""
    schemas = described()["components"]["schemas"]
    async with app_client() as client:
        await client.post("/graph/create", json=COUNT)
        run = await client.post("/graph/run", json={"graph_id": "count", "state": {"to": 1}})
        run_id = run.json()["run_id"]
        found = {
            "ClassicAnswer": run,
            "RunAnswer": await client.get(f"/runs/{run_id}"),
            "RunList": await client.get("/runs"),
            "StateAnswer": await client.get(f"/runs/{run_id}/state"),
            "VisitList": await client.get(f"/runs/{run_id}/visits"),
            "EventsPage": await client.get(f"/runs/{run_id}/events"),
            "GraphAnswer": await client.get("/graphs/count"),
            "GraphList": await client.get("/graphs"),
            "GraphVersionList": await client.get("/graphs/count/versions"),
            "ToolList": await client.get("/tools"),
            "ToolItem": await client.get("/tools/count"),
            "HealthAnswer": await client.get("/healthz"),
            "Problem": await client.get("/runs/nobody"),
        }
    for name, answer in found.items():
        fields = answer.json().keys()
        assert fields <= schemas[name]["properties"].keys(), name
        assert fields >= set(schemas[name]["required"]), name


async def test_every_link_between_operations_leads_somewhere() -> None:
    by_name = {each["operationId"]: (method, path, each) for method, path, each in operations()}
    followed = 0
    async with app_client() as client:
        for name, path in (("create_graph", "/graphs"), ("start_run", "/runs")):
            body = LINE if name == "create_graph" else {"graph": LINE["id"]}
            first = (await client.post(path, json=body, headers={"Prefer": "wait=20"})).json()
            for link in by_name[name][2]["responses"]["200"]["links"].values():
                method, template, there = by_name[link["operationId"]]
                where = template.format(**resolved(link.get("parameters", {}), first))
                asked = resolved(link.get("requestBody", {}), first)
                answer = await client.request(method, where, json=asked or None)
                assert str(answer.status_code) in there["responses"], answer.text
                followed += 1
    assert followed == 17


def resolved(values: dict[str, Any], answer: Any) -> dict[str, Any]:
    """Return values with what an answer holds in place of where it stands there."""
    return {
        name: answer[value.rpartition("/")[2]] if str(value).startswith("$response") else value
        for name, value in values.items()
    }
