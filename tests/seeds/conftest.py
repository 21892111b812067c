"""A server for each of the five, on the port that their documents name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.seeds.talking import server_at_8000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that a server works in, while it does."""
    folder: Path = tmp_path_factory.mktemp("served")
    with server_at_8000(folder, "--tools", "tests.cli.tools", "--tools", "tests.seeds.tools"):
        yield folder
