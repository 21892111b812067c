"""What a review is given: a source and its name, and when it is to stop."""

from __future__ import annotations

import asyncio
import io
import tokenize
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import UNSET

import stenograph as st
from stenograph.workflows.review.states import (
    CODE_MAX,
    OPEN_POINTS,
    PASSES,
    THRESHOLD,
    Config,
    Source,
)

PATH_MAX: Final = 200


async def load(state: Source, ctx: st.Context) -> str:
    """Return the source: ``code``, or else the file that ``path`` names in the data folder.

    What was read from a file becomes the state's ``code``, so that the run keeps what it judged.
    Raises ValueError, and DataRefused for a path that leads nowhere, or out of the folder.
    """
    if state.get("code") is None and (path := state.get("path")):
        state["code"] = await asyncio.to_thread(_read, ctx.data(path), path)
    return code_of(state)


def code_of(state: Source) -> str:
    """Return ``code``; raises ValueError when there is none, or too much."""
    code = state.get("code")
    if code is None:
        raise ValueError(
            'the state needs "code", the text of a Python source, or "path", that of a file in '
            "the data folder; it has neither"
        )
    _check_size('"code"', len(code.encode(errors="replace")))
    return code


def name_of(state: Mapping[str, Any]) -> str:
    """Return ``path``, as the source is called in diffs."""
    path: str = state.get("path", "")
    return "".join(letter for letter in path if letter.isprintable())[:PATH_MAX]


def threshold_of(state: Mapping[str, Any], config: Config) -> float:
    """Return the score that is good enough, of the config or else of the state."""
    return state.get("threshold", THRESHOLD) if config.threshold is UNSET else config.threshold


def open_points_of(state: Mapping[str, Any], config: Config) -> float:
    """Return what an issue costs that is open, of the config or else of the state."""
    given = config.open_points
    return state.get("open_points", OPEN_POINTS) if given is UNSET else given


def max_passes_of(state: Mapping[str, Any], config: Config) -> int:
    """Return how many passes there may be, of the config or else of the state."""
    return state.get("max_passes", PASSES) if config.max_passes is UNSET else config.max_passes


def _read(file: Path, path: str) -> str:
    """Return the text of a source, its line ends and byte order mark as they are."""
    shown = f"the file {path!r:.200}"
    _check_size(shown, file.stat().st_size)
    data = file.read_bytes()
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding.removesuffix("-sig"))
    except (SyntaxError, UnicodeError, LookupError):
        raise ValueError(
            f"{shown} is no Python source: it is not in UTF-8, nor in an encoding that its first "
            "lines name"
        ) from None


def _check_size(what: str, size: int) -> None:
    if size > CODE_MAX:
        raise ValueError(f"{what} is {size:,} bytes; a review reads at most {CODE_MAX:,}")
