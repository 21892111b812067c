"""SQL over HTTP: asked in JSON, answered as a table, lines or CSV, a few queries at a time."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from pathlib import Path

import pytest

import stenograph as st
from stenograph.http import Client, RequestRefused, Settings, create_app
from stenograph.http.errors import Refused
from stenograph.http.operations import sql as sql_module
from stenograph.http.shapes.requests import SqlRequest
from stenograph.journal import Table
from tests.http.serving import OpenEngine, app_client, eventually, ran, serving
from tests.http.tools import COUNT, TOOLS

FOR_EVER = "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT count(*) FROM a"
RUNS = {"sql": "SELECT run, status FROM runs WHERE run = ?", "params": ["r"]}


def in_file(folder: Path) -> OpenEngine:
    return lambda: st.open(folder / "steno.db", tools=TOOLS)


async def test_a_query_is_answered_with_columns_and_rows(tmp_path: Path) -> None:
    async with app_client(in_file(tmp_path)) as client:
        await ran(client, COUNT, "r", to=1)
        answer = await client.post("/sql", json=RUNS)
        named = {"sql": "SELECT count(*) FROM runs WHERE run = :run", "params": {"run": "r"}}
        count = await client.post("/api/sql", json=named)
        few = await client.post("/sql", json={"sql": "SELECT seq FROM events", "limit": 2})
    table = {"columns": ["run", "status"], "rows": [["r", "completed"]], "truncated": False}
    assert answer.json() == table
    assert count.json()["rows"] == [[1]]
    assert (len(few.json()["rows"]), few.headers["Stenograph-Truncated"]) == (2, "true")


async def test_rows_come_as_lines_or_csv_when_asked_for(tmp_path: Path) -> None:
    asked = {"sql": "SELECT run, 'a,\"b' AS text, NULL AS none FROM runs"}
    async with app_client(in_file(tmp_path)) as client:
        await ran(client, COUNT, "r", to=1)
        lines = await client.post("/sql", json=asked, headers={"Accept": "application/x-ndjson"})
        table = await client.post("/sql", json=asked, headers={"Accept": "text/csv"})
    assert json.loads(lines.text) == {"run": "r", "text": 'a,"b', "none": None}
    assert list(csv.reader(io.StringIO(table.text))) == [["run", "text", "none"], ["r", 'a,"b', ""]]
    assert table.headers["Content-Type"] == "text/csv; charset=utf-8"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"sql": "SELECT nope"}, 422, "sql-refused"),
        ({"sql": "SELECT * FROM secret"}, 422, "sql-refused"),
        ({"sql": FOR_EVER, "time_s": 0.1}, 422, "sql-refused"),
        ({"sql": ""}, 422, "body-invalid"),
        ({"sql": "SELECT 1", "time_s": 31}, 422, "body-invalid"),
        ({"sql": "SELECT 1", "limit": 10_001}, 422, "body-invalid"),
        ({"sql": "SELECT ?", "params": [[1]]}, 422, "body-invalid"),
        ({"sql": "SELECT ?", "params": [2**64]}, 422, "sql-refused"),
    ],
)
async def test_what_cannot_be_answered_is_a_problem(
    tmp_path: Path, body: object, status: int, code: str
) -> None:
    async with app_client(in_file(tmp_path)) as client:
        answer = await client.post("/sql", json=body)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}")


async def test_a_journal_in_memory_answers_no_sql() -> None:
    async with app_client() as client:
        answer = await client.post("/sql", json=RUNS)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/no-sql")


async def test_a_server_may_answer_no_sql_at_all(tmp_path: Path) -> None:
    app = create_app(in_file(tmp_path), Settings(sql=False))
    async with app.lifespan():
        with pytest.raises(Refused, match="own machine") as told:
            await app.state["queries"].ask(SqlRequest(sql="SELECT 1"))
    assert told.value.code == "sql-off"


async def test_only_a_few_queries_run_at_a_time_and_each_ends_with_its_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_module, "AT_ONCE_MAX", 1)
    kept: list[sql_module.Queries] = []
    ask = sql_module.Queries.ask

    async def noted(queries: sql_module.Queries, asked: SqlRequest) -> Table:
        kept.append(queries)
        return await ask(queries, asked)

    monkeypatch.setattr(sql_module.Queries, "ask", noted)
    async with serving(in_file(tmp_path)) as server:
        slow = {"sql": FOR_EVER, "time_s": 30}
        asking = asyncio.create_task(server.http.post("/sql", json=slow))
        await eventually(lambda: bool(kept) and kept[0].under_way == 1)
        refused = await server.http.post("/sql", json=RUNS)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await eventually(lambda: kept[0].under_way == 0)
        again = await server.http.post("/sql", json=RUNS)
    assert (refused.status_code, again.status_code) == (429, 200)
    assert refused.headers["Retry-After"] == "5"


async def test_a_server_that_stops_ends_its_queries(tmp_path: Path) -> None:
    async with serving(in_file(tmp_path)) as server:
        slow = {"sql": FOR_EVER, "time_s": 30}
        asking = asyncio.create_task(server.http.post("/sql", json=slow))
        await asyncio.sleep(0.2)
        server.stop.set()
        answer = await asking
    assert answer.json()["type"] == "/problems/shutting-down"


async def test_the_client_asks_in_sql(tmp_path: Path) -> None:
    async with serving(in_file(tmp_path)) as server, Client(server.url) as client:
        await ran(server.http, COUNT, "r", to=1)
        table = await client.sql("SELECT run FROM runs WHERE status = ?", ["completed"])
        named = await client.sql("SELECT :a", {"a": 1}, limit=1)
        with pytest.raises(RequestRefused, match="no such column"):
            await client.sql("SELECT nope FROM runs")
    assert (table.rows, named.rows) == ([["r"]], [[1]])
