"""``steno check``: what is wrong with a graph file, by file and pointer, without a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import graph_file, steno
from tests.cli.tools import COUNT

TOOLS = ("--tools", "tests.cli.tools")


def test_a_sound_graph_is_told_with_its_version(tmp_path: Path) -> None:
    file = graph_file(tmp_path, COUNT)
    done = steno("check", file, *TOOLS)
    [document] = done.documents
    assert (done.code, done.err) == (0, "")
    assert document == {
        "file": str(file), "valid": True, "version": document["version"],
        "errors": [], "warnings": [],
    }  # fmt: skip
    assert len(document["version"]) == 64


def test_every_fault_is_told_by_file_and_pointer(tmp_path: Path) -> None:
    text = '{"start": "x", "nodes": {"a": {}, "a": {"tool": "conut", "next": "b"}}}'
    file = graph_file(tmp_path, text)
    done = steno("check", file, *TOOLS)
    assert done.code == 2
    told = [line.split(": ")[0] for line in done.err.splitlines()]
    assert sorted(told) == sorted(
        f"{file}:{pointer}" for pointer in ("/nodes/a", "/start", "/nodes/a/tool", "/nodes/a/next")
    )
    assert "did you mean 'count'?" in done.err
    [document] = done.documents
    assert (document["valid"], document["version"], len(document["errors"])) == (False, None, 4)


def test_doubts_are_told_and_do_not_fail(tmp_path: Path) -> None:
    graph = {"start": "a", "nodes": {"a": {"next": "a"}}}
    done = steno("check", graph_file(tmp_path, graph))
    assert done.code == 0
    assert ": warning: " in done.err
    assert done.documents[0]["warnings"]


def test_a_graph_of_another_shape_is_told_of_as_it_is_written(tmp_path: Path) -> None:
    nodes = [{"name": "a", "func": "count"}, {"name": "b", "func": "conut"}]
    graph = {"nodes": nodes, "edges": {"a": "b", "b": None}}
    done = steno("check", graph_file(tmp_path, graph), *TOOLS)
    assert done.code == 2
    [document] = done.documents
    assert [each["pointer"] for each in document["errors"]] == ["/nodes/1/func"]
    assert [each["detail"] for each in document["warnings"]] == [
        "does not say where to start; it is 'a', the first"
    ]


def test_a_graph_can_come_from_stdin() -> None:
    done = steno("check", "-", *TOOLS, stdin=json.dumps(COUNT))
    assert (done.code, done.documents[0]["file"]) == (0, "-")


def test_people_get_a_line(tmp_path: Path) -> None:
    good, bad = graph_file(tmp_path, COUNT), graph_file(tmp_path, {}, "bad.json")
    done = steno("-o", "table", "check", good, *TOOLS)
    assert done.out.startswith(f"✓ {good}: 1 node, version ")
    done = steno("check", "-o", "table", bad)
    assert (done.code, done.out) == (2, "")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"{", "graph.json: not JSON: "),
        (b'{"a":\n  oops}', "graph.json:2:3: not JSON: "),
        (b'{"a": "\xff"}', "graph.json: byte 7 is not UTF-8"),
        (b"[]", "graph.json: a graph is a JSON object with start and nodes"),
        (b'{"a":' + b"[" * 40 + b"]" * 40 + b"}", "graph.json: nests deeper than 32"),
    ],
)
def test_what_is_no_graph_at_all_is_told_in_a_sentence(
    tmp_path: Path, text: bytes, sentence: str
) -> None:
    file = tmp_path / "graph.json"
    file.write_bytes(text)
    done = steno("check", file)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err


def test_a_file_that_is_missing_is_told_so(tmp_path: Path) -> None:
    done = steno("check", tmp_path / "nope.json")
    assert (done.code, "nope.json: cannot be read: No such file" in done.err) == (2, True)


def test_whether_there_is_a_graph_that_a_node_runs_only_a_server_can_tell(tmp_path: Path) -> None:
    nodes = {"a": {"graph": "sub", "next": "b"}, "b": {"graph": "sub@12"}}
    done = steno("check", graph_file(tmp_path, {"start": "a", "nodes": nodes}))
    [document] = done.documents
    assert (done.code, document["valid"]) == (0, True)
    assert [each["detail"] for each in document["warnings"]] == [
        f"names the graph {ref!r}; whether there is one, only a server can tell"
        for ref in ("sub", "sub@12")
    ]


def test_a_graph_may_stand_in_an_object_as_in_a_request(tmp_path: Path) -> None:
    good = steno("check", graph_file(tmp_path, {"graph": COUNT, "id": "mine"}), *TOOLS)
    bad = steno("check", graph_file(tmp_path, {"graph": {"start": "x", "nodes": {"a": {}}}}))
    assert (good.code, good.documents[0]["valid"]) == (0, True)
    assert [each["pointer"] for each in bad.documents[0]["errors"]] == ["/graph/start"]
