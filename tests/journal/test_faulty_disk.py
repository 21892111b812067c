"""A disk that fails at each call in turn, or is full: nothing acknowledged is lost, ever."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from tests.figures import Figure
from tests.journal.faulty_disk import Outcome

ROOT = Path(__file__).parents[2]
SHIM = Path(__file__).with_name("fault_shim.c")


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shim, compiled: where there is a compiler, and a loader that preloads."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler and Linux's loader")
    library = tmp_path_factory.mktemp("shim") / "fault_shim.so"
    command = [compiler, "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library)]
    subprocess.run([*command, str(SHIM), "-ldl", "-pthread"], check=True)
    return library


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """A folder whose files cost no sync, where there is one: the errors are the shim's anyway."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def test_an_error_at_any_call_loses_nothing_that_was_acknowledged(
    shim: Path, in_memory: Path, figure: Figure, request: pytest.FixtureRequest
) -> None:
    every = request.config.getoption("--fault-every")
    script = [sys.executable, "-m", "tests.journal.faulty_disk"]
    done = subprocess.run(
        [*script, str(shim), str(in_memory), str(every)],
        env={**os.environ, "LD_PRELOAD": str(shim)},
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    outcomes = msgspec.json.decode(done.stdout, type=dict[str, Outcome])
    for name, each in outcomes.items():
        assert (each.lost, each.damaged) == (0, 0), name
        assert each.points > 300 / every, name
        assert each.not_opened + each.stopped + each.refused + each.unharmed == each.points
        figure(
            f"{name}, at {each.points} calls: {each.tried:,} appends tried, "
            f"{each.acknowledged:,} acknowledged, {each.lost} lost; {each.stopped} times stopped, "
            f"{each.refused} refused and went on, {each.not_opened} not opened, "
            f"{each.unharmed} unharmed"
        )
    assert outcomes["EIO once"].refused == 0, "what the disk holds is not known after EIO"
    assert outcomes["ENOSPC once"].refused > outcomes["ENOSPC once"].stopped
