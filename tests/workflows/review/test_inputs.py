from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import stenograph as st
from stenograph.engine import open_data_folder
from stenograph.workflows import code_review, review_loop
from stenograph.workflows.review import inputs
from tests.workflows.reviewing import CHAIN, UNTIDY, Listener, State


async def loaded(state: Any, folder: Path | None = None) -> str:
    return await inputs.load(state, Listener(folder=folder and open_data_folder(folder)).ctx)


async def test_code_wins_and_path_is_then_its_name_alone() -> None:
    state = {"code": "x = 1\n", "path": "no/such.py"}
    assert (await loaded(state), inputs.name_of(state)) == ("x = 1\n", "no/such.py")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", ""),
        (b"x = 1\r\ny = 2\r", "x = 1\r\ny = 2\r"),
        ("x = 'é'\n".encode(), "x = 'é'\n"),
        (b"\xef\xbb\xbfx = 1\n", "\ufeffx = 1\n"),
        (b"# coding: latin-1\nx = '\xe9'\n", "# coding: latin-1\nx = 'é'\n"),
    ],
)
async def test_a_file_is_read_as_python_would_read_it(
    tmp_path: Path, data: bytes, code: str
) -> None:
    (tmp_path / "door.py").write_bytes(data)
    state: State = {"path": "door.py"}
    assert await loaded(state, tmp_path) == state["code"] == code


@pytest.mark.parametrize(
    "data", [b"x = '\xff'\n", b"# coding: klingon\n", b"# coding: hex\n", b"# coding: idna\n\xff"]
)
async def test_a_file_that_is_no_text_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "door.py").write_bytes(data)
    with pytest.raises(ValueError, match=r"the file 'door.py' is no Python source: it is"):
        await loaded({"path": "door.py"}, tmp_path)


async def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "door.py").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match=r"'door.py' is 1,099,511,627,776 bytes; .* at most"):
        await loaded({"path": "door.py"}, tmp_path)


@pytest.mark.parametrize("path", ["../door.py", "/etc/passwd", "none.py", 7])
async def test_a_file_outside_the_folder_is_refused(tmp_path: Path, path: object) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "door.py").write_text("x = 1\n")
    with pytest.raises(st.DataRefused):
        await loaded({"path": path}, tmp_path / "in")


async def test_without_a_data_folder_no_file_is_read() -> None:
    with pytest.raises(st.DataRefused, match="there is no data folder here"):
        await loaded({"path": __file__})


@pytest.mark.parametrize("graph", [code_review.GRAPH, CHAIN, review_loop.GRAPH])
async def test_a_run_keeps_the_source_that_it_read(tmp_path: Path, graph: dict[str, Any]) -> None:
    (tmp_path / "door.py").write_text(UNTIDY)
    async with st.open(":memory:", tools=[code_review, review_loop], data=tmp_path) as engine:
        run = await engine.run(graph, {"path": "door.py"})
        first = next(v for v in await engine.visits(run.id) if v.node in ("extract", "review"))
        before = await engine.state(run.id, at=first.seq)
    assert (run.status, before.values["code"]) == ("completed", UNTIDY)
    assert run.state["code"] != UNTIDY
    assert run.state["fixes"][0]["diff"].startswith("--- a/door.py\n+++ b/door.py\n")
    assert (tmp_path / "door.py").read_text() == UNTIDY
