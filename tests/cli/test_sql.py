"""``steno sql``: the journal asked in SQL, by its server or its file."""

from __future__ import annotations

import pytest

from tests.cli.running import Server, on_terminal, steno

SQL = "SELECT graph, count(*) AS runs, NULL AS none FROM runs WHERE graph = ? GROUP BY graph"


@pytest.mark.parametrize("place", ["url", "db"])
def test_rows_are_objects_in_a_pipe_and_columns_for_people(server: Server, place: str) -> None:
    where = [f"--{place}", getattr(server, place)]
    steno("--url", server.url, "run", "boom", "--follow")
    [row] = steno(*where, "sql", SQL, "-p", "boom").documents
    assert (row["graph"], row["none"]) == ("boom", None)
    assert row["runs"] >= 1
    head, line = steno(*where, "sql", SQL, "-p", "boom", "-o", "table").out.splitlines()
    assert (head.split(), line.split()[0]) == (["graph", "runs", "none"], "boom")
    csv = steno(*where, "sql", SQL, "-p", "boom", "--csv").out.splitlines()
    assert csv[0] == "graph,runs,none"
    assert csv[1].startswith("boom,")


def test_values_are_json_or_text(server: Server) -> None:
    words = [
        "sql",
        "SELECT ? AS a, ? AS b, ? AS c, ? AS d",
        "-p",
        "1.5",
        "-p",
        "null",
        "-p",
        "[1]",
        "-p",
        "text",
    ]
    [[row]] = steno("--db", server.db, *words, "-o", "json").documents
    assert list(row.values()) == [1.5, None, "[1]", "text"]
    csv = steno("--db", server.db, *words, "--csv").out.splitlines()[1]
    assert csv == "1.5,,[1],text"


def test_on_a_terminal_long_values_are_cut_and_it_is_said(server: Server) -> None:
    query = "SELECT printf('%.*c', 300, 'x') AS long, 1 AS one"
    done = on_terminal("--db", server.db, "sql", query, COLUMNS="100")
    assert done.out.splitlines()[1].split() == ["x" * 49 + "…", "1"]
    assert "long values are cut here; whole: -o json" in done.err
    assert "x" * 300 in steno("--db", server.db, "sql", query, "-o", "table").out
    assert on_terminal("--db", server.db, "sql", "SELECT 1 AS one").err == ""


def test_more_rows_than_may_be_are_told(server: Server) -> None:
    done = steno("--db", server.db, "sql", "SELECT seq FROM events", "-n", 2)
    assert (len(done.documents), done.err) == (2, "-- there is more: these are the first 2 rows\n")


@pytest.mark.parametrize("place", ["url", "db"])
def test_a_query_that_is_refused_is_told_in_a_sentence(server: Server, place: str) -> None:
    done = steno(f"--{place}", getattr(server, place), "sql", "SELECT nope FROM runs")
    assert (done.code, done.err) == (2, "Error: SQLite says: no such column: nope\n")
    assert steno("--db", "nothing.db", "sql", "SELECT 1").code == 2
