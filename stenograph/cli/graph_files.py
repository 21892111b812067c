"""Graph files: JSON read with care, and faults told by file and pointer."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from stenograph.cli.failures import USAGE, Failure
from stenograph.cli.text import printable

if TYPE_CHECKING:
    from stenograph.engine import Fault

DEPTH_MAX: Final = 32
"""Deepest nesting of a graph, as a server takes it."""


def read_graph(name: str) -> tuple[dict[str, Any], list[Fault]]:
    """Return the graph in a JSON file (``-``: on stdin), and a fault for each name given twice.

    Raises Failure for what is no graph at all.
    """
    from stenograph.engine import duplicate_keys, nested_deeper

    text = read_bytes(name)
    if nested_deeper(text, DEPTH_MAX):
        raise Failure(f"{name}: nests deeper than {DEPTH_MAX} arrays and objects", USAGE)
    graph = parse_json(name, text)
    if not isinstance(graph, dict):
        raise Failure(f"{name}: a graph is a JSON object with start and nodes", USAGE)
    return graph, duplicate_keys(text)


def graph_within(data: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the graph of a file, which may hold it as ``graph``, as a request may; and where."""
    inner = data.get("graph")
    if isinstance(inner, dict) and data.keys() <= {"graph", "id"}:
        return inner, "/graph"
    return data, ""


def read_bytes(name: str) -> bytes:
    """Return what a file holds, or stdin for ``-``; raises Failure."""
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise Failure(f"{name}: cannot be read: {error.strerror or error}", USAGE) from error


def parse_json(name: str, text: bytes) -> Any:
    """Return the value of a JSON text; raises Failure, which says where it goes wrong."""
    try:
        text.decode()  # or msgspec would count the byte from where its string begins
        return msgspec.json.decode(text)
    except UnicodeDecodeError as error:
        raise Failure(f"{name}: byte {error.start} is not UTF-8", USAGE) from error
    except msgspec.DecodeError as error:
        raise Failure(f"{name}{place(text, str(error))}: not JSON: {error}", USAGE) from error


def place(text: bytes, message: str) -> str:
    """Return ``:line:column`` of the byte that a message names; nothing when it names none."""
    found = re.search(r"\(byte (\d+)\)", message)
    if found is None:
        return ""
    before = text[: int(found[1])]
    line_start = before.rfind(b"\n") + 1
    line = before.count(b"\n") + 1
    column = len(before[line_start:].decode(errors="replace")) + 1
    return f":{line}:{column}"


def fault_lines(name: str, faults: Iterable[Fault], kind: str = "") -> list[str]:
    """Return a line for each fault: ``graph.json:/nodes/fix/tool: there is no tool 'fxi'``."""
    told = (f"{name}:{fault.pointer or '/'}: {kind}{fault.detail}" for fault in faults)
    return list(map(printable, told))
