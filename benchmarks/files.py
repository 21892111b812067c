"""Measuring in files: each measure gets a new one, which goes afterwards."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias, TypeVar

from benchmarks.figures import Asked, interleaved

T = TypeVar("T")
Measure: TypeAlias = Callable[[Path, int, float], T]
"""Takes the file, how many there are at once, and for about how many seconds."""


def in_folder(measured: Measure[T], many: int, asked: Asked) -> T:
    """Measure in a new file, in a folder of its own."""
    with TemporaryDirectory(dir=asked.folder) as folder:
        return measured(Path(folder) / "test.db", many, asked.seconds)


def in_turns(
    asked: Asked, many: int, ours: Measure[float], ceiling: Measure[float]
) -> list[tuple[float, ...]]:
    """Measure ours and its ceiling in turns, each time in a new file; returns a pair a round."""
    return interleaved(
        asked.rounds,
        partial(in_folder, ours, many, asked),
        partial(in_folder, ceiling, many, asked),
    )
