"""The text of a summary: in the state, or in a file of the data folder that chunks are read from.

A chunk names its place, ``{number, start, end}``: in characters of the state's ``text``, or in bytes
of the file, with a checksum ``crc``. So a text of many megabytes never enters the state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import stenograph as st
from stenograph.workflows.summary.sentences import Span

FILE_MAX: Final = 32 * 1024 * 1024
"""Most bytes of a file."""

_MARK: Final = b"\xef\xbb\xbf"  # a byte order mark in UTF-8


class TextChanged(Exception):
    """The file is not the one that was split: its chunks are somewhere else by now."""


def file_of(state: Mapping[str, Any], ctx: st.Context) -> Path | None:
    """Return the file at ``path``, or None where the state has a ``text``; raises ValueError."""
    text, path = state.get("text"), state.get("path")
    if (text is None) == (path is None):
        has = "neither" if text is None else "both"
        raise ValueError(
            'the state needs "text", or "path" of a file in the data folder, to summarise; '
            f"it has {has}"
        )
    return None if path is None else ctx.data(path)


def read(file: Path) -> str:
    """Return the text of a file; raises ValueError when it is too large, or not UTF-8."""
    size = file.stat().st_size
    if size > FILE_MAX:
        raise ValueError(f"{file.name!r} is {size:,} bytes; a text may have {FILE_MAX:,}")
    return _decoded(file.read_bytes().removeprefix(_MARK), file.name)


def in_text(spans: Sequence[Span]) -> list[dict[str, int]]:
    """Return the chunks of a text that is in the state."""
    return [{"number": n, "start": each.start, "end": each.end} for n, each in enumerate(spans)]


def in_file(spans: Sequence[Span], text: str, file: Path) -> list[dict[str, int]]:
    """Return the chunks of a text that :func:`read` got from a file."""
    with file.open("rb") as opened:
        place = len(_MARK) if opened.read(len(_MARK)) == _MARK else 0
    found, before = [], 0
    for number, each in enumerate(spans):
        place += len(text[before : each.start].encode())
        data = text[each.start : each.end].encode()
        end = place + len(data)
        found.append({"number": number, "start": place, "end": end, "crc": crc32(data)})
        place, before = end, each.end
    return found


def text_of(chunk: Mapping[str, int], state: Mapping[str, Any], file: Path | None) -> str:
    """Return the text of a chunk; raises TextChanged when the file is another by now."""
    start, end = chunk["start"], chunk["end"]
    if file is None:
        text: str = state["text"][start:end]
        return text
    with file.open("rb") as opened:
        opened.seek(start)
        data = opened.read(end - start)
    if crc32(data) != chunk["crc"]:
        raise TextChanged(
            f"{file.name!r} has changed since it was split: chunk {chunk['number']} is not there "
            "any more; start a new run"
        )
    return data.decode()


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name!r} is not UTF-8 (byte {error.start:,} is {data[error.start]:#04x}); "
            "convert it, as by iconv -t UTF-8"
        ) from None
