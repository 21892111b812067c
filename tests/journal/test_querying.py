"""SQL over a journal's file: it reads the views and nothing else, and is bounded whatever it asks."""

from __future__ import annotations

import asyncio
import io
import json
import resource
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from stenograph.journal import (
    CannotOpen,
    NewRecord,
    QueryRefused,
    Table,
    asking,
    open_journal,
    query,
    querying,
)
from stenograph.journal.files import script
from tests.http.serving import eventually

AT = "2026-11-20T22:55:01.123456Z"
LATER = "2026-11-20T22:55:03.623456Z"
PLACE: dict[str, Any] = {"scope": "/", "node": "work", "visit": 1, "attempt": 1}
FAILED: dict[str, Any] = {"error": {"type": "ValueError", "message": "no luck"}, "duration_ms": 2.0}


def record(type_: str, at: str = AT, /, **data: Any) -> NewRecord:
    return NewRecord(type_, json.dumps(data).encode(), at)


RUN = [
    record("run.created", graph_id="g"),
    record("node.entered", **PLACE, tool="t", tool_version="1"),
    record("node.attempt_failed", **PLACE, **FAILED),
    record("node.entered", **{**PLACE, "attempt": 2}, tool="t", tool_version="1"),
    record("node.exited", LATER, **{**PLACE, "attempt": 2}, outcome="ok", duration_ms=1.5),
    record("transition.taken", scope="/", node="work", visit=1, to="$end", reason="next", edge=0),
    record("node.entered", **{**PLACE, "visit": 2}),
    record("run.completed", LATER, reason="end"),
]


@pytest.fixture
async def db(tmp_path: Path) -> Path:
    async with written(tmp_path) as path:
        return path


@asynccontextmanager
async def written(folder: Path) -> AsyncIterator[Path]:
    async with open_journal(folder / "a ?#%.db") as journal:
        labels = {"kind": "run", "graph": "g", "status": "completed", "tag:team": "a"}
        graph = [record("graph.created", graph_id="g")]
        await journal.append("graph/g", graph, expected_seq=0, labels={"kind": "graph"})
        secrets = {"key": b"hidden"}
        await journal.append("r", RUN, expected_seq=0, labels=labels, secrets=secrets)
        yield journal.path


def dicts(table: Table) -> list[dict[str, Any]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


async def test_runs_are_told_with_their_labels(db: Path) -> None:
    [run] = dicts(await query(db, "SELECT * FROM runs"))
    assert run == {
        "run": "r",
        "graph": "g",
        "status": "completed",
        "seq": 8,
        "created_at": AT,
        "updated_at": LATER,
        "finished_at": LATER,
        "lasted_s": 2.5,
        "tags": '{"team":"a"}',
        "erased": 0,
    }


async def test_visits_are_told_with_their_outcome(db: Path) -> None:
    first, second = dicts(await query(db, "SELECT * FROM visits ORDER BY entered_seq"))
    assert first == {
        **{"run": "r", "scope": "/", "node": "work", "visit": 1, "tool": "t", "attempts": 2},
        **{"entered_seq": 2, "entered_at": AT, "exited_seq": 5, "exited_at": LATER},
        **{"outcome": "ok", "duration_ms": 1.5, "error_type": None, "error_message": None},
    }
    assert (second["visit"], second["exited_seq"], second["outcome"]) == (2, None, None)


async def test_attempts_are_told_one_by_one(db: Path) -> None:
    sql = "SELECT attempt, entered_seq, ended_seq, outcome, error_type, duration_ms FROM attempts WHERE visit = ?"
    assert (await query(db, sql, [1])).rows == [
        [1, 2, 3, "failed", "ValueError", 2.0],
        [2, 4, 5, "ok", None, 1.5],
    ]


async def test_transitions_and_events_are_told(db: Path) -> None:
    sql = "SELECT node, to_node, reason, edge, seq FROM transitions"
    assert (await query(db, sql)).rows == [["work", "$end", "next", 0, 6]]
    events = await query(
        db, 'SELECT "offset", run, type, node FROM events WHERE run = :run', {"run": "r"}
    )
    assert [row[2] for row in events.rows] == [each.type for each in RUN]
    assert (await query(db, "SELECT count(*) FROM events")).rows == [[9]]
    json_of = "SELECT json_extract(data, '$.reason') FROM events WHERE type = 'run.completed'"
    assert (await query(db, json_of)).rows == [["end"]]


async def test_what_was_erased_breaks_no_view(db: Path) -> None:
    with sqlite3.connect(db) as writer:
        writer.create_function(
            "sha256", 1, lambda data: __import__("hashlib").sha256(data).digest()
        )
        writer.execute("UPDATE record SET erased = 1, data = sha256(data) WHERE stream = 2")
    writer.close()
    for view in asking.VIEWS:
        await query(db, f"SELECT * FROM {view}")
    erased = await query(
        db, "SELECT count(data), count(*), sum(erased) FROM events WHERE run = 'r'"
    )
    assert erased.rows == [[0, 8, 8]]
    assert (await query(db, "SELECT count(*) FROM visits")).rows == [[0]]


async def test_lists_in_json_can_be_walked(db: Path) -> None:
    sql = "SELECT key, value FROM runs, json_each(runs.tags) UNION SELECT key, value FROM json_tree('[1]') WHERE key = 0"
    assert (await query(db, sql)).rows == [[0, 1], ["team", "a"]]


async def test_values_are_what_json_has(db: Path) -> None:
    sql = "SELECT 9e999, -9e999, x'00ff', NULL, 'é', 1.5, CAST(x'ff' AS TEXT)"
    assert (await query(db, sql)).rows == [["inf", "-inf", "00ff", None, "é", 1.5, "\ufffd"]]


async def test_an_answer_has_so_many_rows_and_bytes(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = await query(db, "SELECT seq FROM events ORDER BY 1 DESC", rows_max=3)
    all_ = await query(db, "SELECT seq FROM events", rows_max=9)
    assert (len(few.rows), few.truncated, len(all_.rows), all_.truncated) == (3, True, 9, False)
    monkeypatch.setattr(querying, "ANSWER_MAX_BYTES", 100)
    small = await query(db, "SELECT 'x' || seq || printf('%.*c', 30, 'y') FROM events")
    assert (len(small.rows), small.truncated) == (2, True)
    with pytest.raises(QueryRefused, match="a single row is larger than the 100 bytes"):
        await query(db, "SELECT printf('%.*c', 300, 'y')")


REFUSED = [
    ("", "there is no statement"),
    ("-- nothing", "there is no statement"),
    ("SELECT 1; SELECT 2", "one statement at a time"),
    ("SELECT nope FROM runs", "no such column: nope"),
    ("SELEC 1", "syntax error"),
    ("SELECT ?", "Incorrect number of bindings"),
    ("SELECT value FROM secret", "prohibited"),
    ("SELECT * FROM main.secret", "prohibited"),
    ("SELECT count(*) FROM secret", "one SELECT over the views"),
    ("WITH runs AS (SELECT * FROM secret) SELECT * FROM runs", "prohibited"),
    ("WITH each AS (SELECT value FROM main.secret) SELECT * FROM each", "prohibited"),
    ("SELECT (SELECT value FROM secret LIMIT 1) FROM runs", "prohibited"),
    ("SELECT * FROM record", "prohibited"),
    ("SELECT * FROM meta", "prohibited"),
    ("SELECT * FROM sqlite_master", "prohibited"),
    ("SELECT * FROM sqlite_temp_master", "prohibited"),
    ("SELECT count(*) FROM sqlite_master", "one SELECT over the views"),
    ("SELECT count(*) FROM sqlite_schema", "one SELECT over the views"),
    ("SELECT * FROM pragma_table_list", "one SELECT"),
    ("SELECT * FROM dbstat", "dbstat"),
    ("PRAGMA query_only = off", "one SELECT over the views"),
    ("PRAGMA writable_schema = on", "one SELECT over the views"),
    ("ATTACH ':memory:' AS x", "one SELECT over the views"),
    ("VACUUM INTO '/tmp/copy.db'", "one SELECT over the views"),
    ("CREATE TEMP TABLE x (y)", "one SELECT over the views"),
    ("CREATE TEMP VIEW x AS SELECT * FROM secret", "one SELECT over the views"),
    ("DELETE FROM record", "one SELECT over the views"),
    ("UPDATE record SET erased = 1", "one SELECT over the views"),
    ("INSERT INTO label VALUES (1, 'a', 'b')", "one SELECT over the views"),
    ("BEGIN IMMEDIATE", "one SELECT over the views"),
    ("SELECT load_extension('x')", "load_extension"),
    ("SELECT readfile('/etc/passwd')", "readfile"),
    ("SELECT writefile('/tmp/x', 'y')", "writefile"),
    ("SELECT fts3_tokenizer('simple')", "fts3_tokenizer"),
    ("SELECT zeroblob(1000000000)", "zeroblob"),
    ("SELECT randomblob(1000000000)", "randomblob"),
    ("SELECT " + "(" * 5000 + "1" + ")" * 5000, "SQLite says"),
    ("SELECT " + "+".join(["1"] * 5000), "Expression tree is too large"),
    ("SELECT " + ", ".join(["1"] * 5000), "too many columns"),
    (" UNION ALL ".join(["SELECT 1"] * 500), "too many terms in compound SELECT"),
    ("SELECT '" + "x" * 200_000 + "'", "query string is too large"),
    ("SELECT 'a' LIKE '" + "%a" * 5000 + "'", "pattern too complex"),
    (
        "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a), "
        "b AS (SELECT x, printf('%.*c', 1000, 'x') AS y FROM a) SELECT * FROM b ORDER BY y, x DESC",
        "more memory than the 256 MiB",
    ),
    # Less than SQLite may use, and as much again once it is handed over.
    (
        "SELECT " + ", ".join(["CAST(printf('%.*c', 8000000, 'x') AS BLOB)"] * 28),
        "more memory than the 256 MiB",
    ),
    (
        "WITH RECURSIVE a(x) AS (SELECT 'x' UNION ALL SELECT x || x FROM a) SELECT max(length(x)) FROM a",
        "SQLite says: string or blob too big",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "words"), REFUSED, ids=range(len(REFUSED)))
async def test_a_query_that_is_no_reading_of_the_views_is_refused_in_a_sentence(
    db: Path, sql: str, words: str
) -> None:
    with pytest.raises(QueryRefused) as told:
        await query(db, sql, time_s=20)
    assert words in str(told.value)
    assert "hidden" not in str(told.value)
    assert (await query(db, "SELECT count(*) FROM events")).rows == [[9]]


BOMBS = [
    "SELECT printf('%.*c', 2147483647, 'x')",
    "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT count(*) FROM a",
    "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT x FROM a WHERE x < 0",
    "SELECT count(*) FROM " + ", ".join(f"events e{number}" for number in range(20)),
    "SELECT sum(length(a.data) * b.seq) FROM "
    + ", ".join(f"events {name}" for name in "abcdefghij"),
    "SELECT instr(printf('%.*c', 8000000, 'a'), printf('%.*c', 4000000, 'a') || 'b')",
    "SELECT replace(printf('%.*c', 8000000, 'a'), printf('%.*c', 4000000, 'a') || 'b', 'c')",
]


@pytest.mark.parametrize("sql", BOMBS, ids=range(len(BOMBS)))
async def test_a_query_that_takes_too_long_is_ended(db: Path, sql: str) -> None:
    with pytest.raises(QueryRefused, match=r"took longer than 0.2 s"):
        await query(db, sql, time_s=0.2)


HARMLESS = [
    ("SELECT printf('%2000000000d', 1)", None),
    ("SELECT printf('%.*c', 4000000, 'a') LIKE '" + "%a" * 400 + "b'", 0),
    ("SELECT printf('%.*c', 4000000, 'a') GLOB '" + "*a" * 400 + "b'", 0),
    ("SELECT count(*) FROM (SELECT 1 UNION ALL SELECT 2)", 2),
    ("WITH a AS (SELECT 1) SELECT count(*) FROM a", 1),
]


@pytest.mark.parametrize(("sql", "value"), HARMLESS, ids=range(len(HARMLESS)))
async def test_what_sounds_dangerous_and_is_not_is_answered(db: Path, sql: str, value: Any) -> None:
    assert (await query(db, sql)).rows == [[value]]


async def test_a_query_whose_asker_is_cancelled_is_ended(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[asyncio.subprocess.Process] = []
    start = asyncio.create_subprocess_exec

    async def noted(*words: Any, **options: Any) -> asyncio.subprocess.Process:
        begun.append(await start(*words, **options))
        return begun[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    asking_ = asyncio.create_task(query(db, BOMBS[1], time_s=30))
    await eventually(lambda: bool(begun))
    asking_.cancel()
    await asyncio.gather(asking_, return_exceptions=True)
    assert begun[0].returncode is not None


async def test_a_process_that_says_nothing_is_told(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "__file__", str(db))
    with pytest.raises(QueryRefused, match="ended the process"):
        await query(db, "SELECT 1")


async def test_a_file_that_cannot_be_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotOpen):
        await query(tmp_path, "SELECT 1")
    with pytest.raises(QueryRefused, match="unable to open database file"):
        await query(tmp_path / "nothing.db", "SELECT 1")


@pytest.mark.parametrize(
    ("sql", "said"),
    [("SELECT count(*) FROM runs", [[1]]), ("SELECT * FROM secret", None)],
)
def test_the_program_answers_on_stdout(
    db: Path, sql: str, said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "HEAP_MAX_BYTES", 0)  # which would hold for the whole process
    bounds = {"time_s": 5, "rows_max": 10, "bytes_max": 1000}
    asked = {
        "uri": f"{db.as_uri()}?mode=ro",
        "views": script("views.sql"),
        "sql": sql,
        "params": [],
    }
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({**asked, **bounds})))
    monkeypatch.setattr(sys, "stdout", out)
    asking.main()
    answer = json.loads(out.buffer.getvalue())
    assert answer.get("rows") == said


IN_PROCESS = [
    ("SELECT 1, x'00', 9e999", [[1, "00", "inf"]]),
    ("SELECT count(*) FROM events", [[9]]),
    ("SELECT seq FROM events", "more"),
    ("-- nothing", "there is no statement"),
    ("SELECT * FROM secret", "prohibited"),
    ("PRAGMA user_version", "one SELECT over the views"),
    ("SELECT nope", "no such column"),
    ("SELECT printf('%.*c', 2000, 'x')", "a single row is larger"),
    (BOMBS[1], "took longer than 0.1 s"),
]


@pytest.mark.parametrize(("sql", "said"), IN_PROCESS, ids=range(len(IN_PROCESS)))
def test_the_program_is_the_same_within_a_process(
    db: Path, sql: str, said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "HEAP_MAX_BYTES", 0)  # which would hold for the whole process
    bounds = {"time_s": 0.1, "rows_max": 8, "bytes_max": 1000}
    asked = {
        "uri": f"{db.as_uri()}?mode=ro",
        "views": script("views.sql"),
        "sql": sql,
        "params": [],
    }
    if said == "more":
        assert asking.answered({**asked, **bounds})["truncated"]
    elif isinstance(said, list):
        assert asking.answered({**asked, **bounds})["rows"] == said
    else:
        with pytest.raises(asking.Refused, match=said):
            asking.answered({**asked, **bounds})


def test_the_process_is_bounded_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def refused(*words: Any) -> None:
        asked.append(words)
        raise ValueError

    monkeypatch.setattr("resource.setrlimit", refused)
    asking.bound()  # which is no failure where there is no such bound
    assert asked == [(resource.RLIMIT_AS, (asking.PROCESS_MAX_BYTES,) * 2)]


def test_too_little_memory_is_told(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "HEAP_MAX_BYTES", 0)

    def full(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(asking, "taken", full)
    bounds = {"time_s": 1, "rows_max": 8, "bytes_max": 1000}
    asked = {"uri": f"{db.as_uri()}?mode=ro", "views": script("views.sql"), "sql": "SELECT 1"}
    with pytest.raises(asking.Refused, match="more memory"):
        asking.answered({**asked, **bounds, "params": []})
