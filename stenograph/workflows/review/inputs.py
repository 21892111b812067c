"""What a review is given: a source and its name, and when it is to stop."""

from __future__ import annotations

import asyncio
import io
import tokenize
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import stenograph as st

State: TypeAlias = dict[str, Any]
Config: TypeAlias = Mapping[str, Any]

THRESHOLD: Final = 90
PASSES: Final = 10
PASSES_MAX: Final = 20
OPEN_POINTS: Final = 3.0
"""What an issue costs that keeps a source from being approved, if nothing else is asked for."""

CODE_MAX: Final = 2 * 1024 * 1024
"""Most bytes of a source, in UTF-8."""

PATH_MAX: Final = 200


async def load(state: State, ctx: st.Context) -> str:
    """Return the source: ``code``, or else the file that ``path`` names in the data folder.

    What was read from a file becomes the state's ``code``, so that the run keeps what it judged.
    Raises ValueError, and DataRefused for a path that leads nowhere, or out of the folder.
    """
    if state.get("code") is None and state.get("path"):
        file = ctx.data(state["path"])
        state["code"] = await asyncio.to_thread(_read, file, state["path"])
    return code_of(state)


def code_of(state: State) -> str:
    """Return ``code``; raises ValueError when it is no text, or too much."""
    code = state.get("code")
    if not isinstance(code, str):
        raise ValueError(
            'the state needs "code", the text of a Python source, or "path", that of a file in '
            f"the data folder; its code is {type(code).__name__}"
        )
    _check_size('"code"', len(code.encode(errors="replace")))
    return code


def name_of(state: State) -> str:
    """Return ``path``, as the source is called in diffs; raises ValueError when it is no text."""
    path = state.get("path", "")
    if not isinstance(path, str):
        raise ValueError(f'"path" is the name of the source, as text; it is {path!r:.100}')
    return "".join(letter for letter in path if letter.isprintable())[:PATH_MAX]


def threshold_of(state: State, config: Config) -> float:
    """Return the score that is good enough, of the config or else of the state."""
    return _number("threshold", config.get("threshold", state.get("threshold", THRESHOLD)))


def open_points_of(state: State, config: Config) -> float:
    """Return what an issue costs that is open, of the config or else of the state."""
    return _number("open_points", config.get("open_points", state.get("open_points", OPEN_POINTS)))


def max_passes_of(state: State, config: Config) -> int:
    """Return how many passes there may be, of the config or else of the state."""
    value = config.get("max_passes", state.get("max_passes", PASSES))
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= PASSES_MAX:
        raise ValueError(f'"max_passes" is an integer from 1 to {PASSES_MAX}; it is {value!r:.100}')
    return value


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise ValueError(f'"{name}" is a number from 0 to 100; it is {value!r:.100}')
    return value


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
