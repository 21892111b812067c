"""The data folder: files by their paths in it, and nothing outside, whatever a path looks like."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import stenograph as st
from stenograph.engine.tools.data_folder import DataFolder, find, open_data_folder


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """A data folder with a file in it, and one beside it."""
    (tmp_path / "data/tables").mkdir(parents=True)
    (tmp_path / "data/tables/sales.csv").write_text("a,b\n")
    (tmp_path / "secret.txt").write_text("no")
    return open_data_folder(tmp_path / "data", hidden=[tmp_path / "data/steno.db"])


@pytest.mark.parametrize(
    "path", ["tables/sales.csv", "./tables//sales.csv", "tables/../tables/sales.csv"]
)
def test_a_path_leads_to_a_file_in_the_folder(folder: DataFolder, path: str) -> None:
    assert find(folder, path).read_text() == "a,b\n"


def test_the_whole_path_of_a_file_in_the_folder_is_fine(folder: DataFolder) -> None:
    whole = f"{folder.path}/tables/sales.csv"
    assert find(folder, whole) == Path(whole)


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "/etc/passwd",
        "tables/../../secret.txt",
        "..",
        "../none",
        "../circle",
        f"../shut/{'x' * 300}",
        f"../none/{'x' * 300}",
    ],
)
def test_what_lies_outside_is_refused_whether_it_is_there_or_not(
    folder: DataFolder, path: str
) -> None:
    os.symlink("circle", f"{folder.path}/../circle")
    os.mkdir(f"{folder.path}/../shut")
    with pytest.raises(st.DataRefused, match="does not lead to a file in the data folder"):
        find(folder, path)


def test_a_link_that_leads_outside_is_refused(folder: DataFolder) -> None:
    os.symlink("../secret.txt", f"{folder.path}/link")
    os.symlink("circle", f"{folder.path}/circle")
    for name in ("link", "circle"):
        with pytest.raises(st.DataRefused, match="data folder"):
            find(folder, name)


def test_a_link_within_the_folder_is_followed(folder: DataFolder) -> None:
    os.symlink("tables/sales.csv", f"{folder.path}/link")
    assert find(folder, "link") == Path(folder.path) / "tables/sales.csv"


@pytest.mark.parametrize("path", ["tables", "none.csv", "pipe", "x" * 5000, "\udc80", "a\ud800"])
def test_what_is_no_file_is_refused(folder: DataFolder, path: str) -> None:
    os.mkfifo(f"{folder.path}/pipe")
    with pytest.raises(st.DataRefused, match="there is no file"):
        find(folder, path)


@pytest.mark.parametrize("name", ["steno.db", "steno.db-wal", "link"])
def test_the_journal_is_not_for_tools(folder: DataFolder, name: str) -> None:
    for each in ("steno.db", "steno.db-wal"):
        Path(folder.path, each).write_text("secrets")
    os.symlink("steno.db", f"{folder.path}/link")
    with pytest.raises(st.DataRefused, match="does not lead to a file in the data folder"):
        find(folder, name)


async def test_a_journal_in_the_data_folder_is_hidden_when_it_is_opened(tmp_path: Path) -> None:
    graph = st.Graph(start="first", nodes={"first": st.Node(tool=read)})
    async with st.open(tmp_path / "steno.db", data=tmp_path) as engine:
        run = await engine.run(graph, {"path": "steno.db-wal"})
    assert run.error is not None
    assert run.error.type == "DataRefused"


async def test_so_is_what_else_is_not_for_tools(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("private")
    graph = st.Graph(start="first", nodes={"first": st.Node(tool=read)})
    async with st.open(":memory:", data=tmp_path, hidden=[tmp_path / "key.pem"]) as engine:
        run = await engine.run(graph, {"path": "key.pem"})
    assert run.error is not None
    assert run.error.type == "DataRefused"


@pytest.mark.parametrize("path", ["", "a\0b", 7, None, ["a"]])
def test_what_is_no_path_is_refused(folder: DataFolder, path: object) -> None:
    with pytest.raises(st.DataRefused, match="a path in the data folder is text, not"):
        find(folder, path)


def test_without_a_data_folder_it_says_how_to_have_one() -> None:
    with pytest.raises(st.DataRefused, match="start with steno serve --data FOLDER"):
        find(None, "sales.csv")


@pytest.mark.parametrize("name", ["none", "file", "nul\0"])
def test_a_data_folder_that_cannot_be_read_is_refused_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(st.DataRefused, match="cannot be read"):
        open_data_folder(tmp_path / name)


@st.tool
def read(state: dict[str, object], ctx: st.Context) -> dict[str, object]:
    return {"text": ctx.data(str(state["path"])).read_text(), "last": [ctx.start, ctx.is_last]}


@st.tool(process=True)
def read_in_a_process(state: dict[str, object], ctx: st.Context) -> dict[str, object]:
    return {"more": ctx.data(str(state["path"])).read_text()}


async def test_a_tool_reads_a_file_that_its_run_names(folder: DataFolder) -> None:
    nodes = {"first": st.Node(tool=read, next="again"), "again": st.Node(tool=read_in_a_process)}
    async with st.open(":memory:", data=folder.path) as engine:
        run = await engine.run(st.Graph(start="first", nodes=nodes), {"path": "tables/sales.csv"})
    assert (run.status, run.state["text"], run.state["more"]) == ("completed", "a,b\n", "a,b\n")
    assert run.state["last"] == ["first", False], "an edge leads on"


async def test_a_tool_that_names_a_file_outside_fails_its_node(folder: DataFolder) -> None:
    graph = st.Graph(start="first", nodes={"first": st.Node(tool=read)})
    async with st.open(":memory:", data=folder.path) as engine:
        run = await engine.run(graph, {"path": "../secret.txt"})
    assert run.error is not None
    assert (run.status, run.error.type) == ("failed", "DataRefused")
