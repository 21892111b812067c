"""``steno runs``: the runs there are, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import Server, graph_file, serving, steno
from tests.cli.tools import BOOM, COUNT


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with three runs."""
    folder: Path = tmp_path_factory.mktemp("runs")
    with serving("--memory", "--port", "0") as server:
        for number, graph in enumerate((COUNT, BOOM, COUNT), 1):
            words = ["run", graph_file(folder, graph), "--id", f"r{number}", "-s", "to=1"]
            words += ["--tag", f"of={graph['id']}", "--tag", f"number={number}"]
            assert steno("--url", server.url, *words, "--follow").code in (0, 1)
        yield server.url


def test_runs_are_listed_newest_first_as_the_server_does(url: str) -> None:
    done = steno("--url", url, "runs")
    assert [item["id"] for item in done.documents] == ["r3", "r2", "r1"]
    assert done.documents[1].keys() == {
        "id", "run_id", "graph_id", "status", "done", "seq", "tags", "created_at", "updated_at",
        "origin", "imported", "erased",
    }  # fmt: skip


def test_runs_are_found_by_status_and_graph(url: str) -> None:
    assert [run["id"] for run in steno("--url", url, "runs", "--status", "failed").documents] == [
        "r2"
    ]
    assert [run["id"] for run in steno("--url", url, "runs", "--graph", "count").documents] == [
        "r3",
        "r1",
    ]
    tagged = steno("--url", url, "runs", "--tag", "of=boom", "--tag", "number=2")
    assert [run["id"] for run in tagged.documents] == ["r2"]
    assert steno("--url", url, "runs", "--tag", "of=boom", "--tag", "number=3").documents == []
    assert steno("--url", url, "runs", "--tag", "boom").code == 2
    assert [run["id"] for run in steno("--url", url, "runs", "-n", "2").documents] == ["r3", "r2"]


def test_one_document_holds_them_all_when_asked_for(url: str) -> None:
    [listed] = steno("--url", url, "runs", "-o", "json").documents
    assert [item["id"] for item in listed] == ["r3", "r2", "r1"]


def test_people_get_a_table(url: str) -> None:
    lines = steno("--url", url, "runs", "-o", "table").out.splitlines()
    assert lines[0].split() == ["status", "run", "graph", "started", "lasted", "events"]
    assert [line.split()[:4] for line in lines[1:]] == [
        ["✓", "completed", "r3", "count"],
        ["✕", "failed", "r2", "boom"],
        ["✓", "completed", "r1", "count"],
    ]


def test_no_runs_is_no_error(url: str) -> None:
    done = steno("--url", url, "runs", "--status", "parked")
    assert (done.code, done.out, done.err) == (0, "", "")
    told = steno("--url", url, "-o", "table", "runs", "--status", "parked")
    assert (told.out, told.err) == (
        "",
        "There are no runs of that kind. Start one: steno run GRAPH\n",
    )


def test_a_long_list_is_asked_for_page_by_page(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stenograph.cli.runs.PAGE", 2)
    for words in (("--url", server.url), ("--db", server.db)):
        assert len(steno(*words, "runs", "-n", "3").documents) == 3
