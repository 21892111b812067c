"""A server for all tests that only start runs on it and read them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import stenograph
from tests.cli.running import Server, graph_file, serving, steno
from tests.cli.tools import BOOM, COUNT, WAIT


@pytest.fixture(autouse=True)
def called(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have hints name the program as one that was called with `python -m stenograph`."""
    monkeypatch.setattr(sys, "argv", [str(Path(stenograph.__file__).with_name("__main__.py"))])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("server")
    with serving("--db", folder / "steno.db", "--port", "0") as server:
        server.db = folder / "steno.db"
        for graph in (COUNT, WAIT, BOOM):
            path = graph_file(folder, graph)
            words = ["run", path, "-s", "to=1", "-s", "gate=/", "--follow"]
            assert steno("--url", server.url, *words).code == (graph is BOOM)
        yield server
