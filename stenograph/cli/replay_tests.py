"""The Python source of a test that plays a recorded run: mostly data, and nothing that was recorded
stands in it but as a literal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from stenograph.cli.python_text import Tall, call, called

if TYPE_CHECKING:
    from stenograph.testing import RecordedRun

INLINE_MAX_CHARS: Final = 64 * 1024
"""A longer test would be hard to read: then the run lies beside it, as it was exported."""
DEPTH_MAX: Final = 40
"""So deep may data nest in a source; Python's own parser takes little more than twice that."""

GRAPH_FIRST: Final = ("id", "name", "start", "nodes")
NODE_FIRST: Final = ("tool", "graph", "wait", "config")


def source_of(
    recorded: RecordedRun, run_id: str, graph_id: str, graph: str | None, beside: str
) -> tuple[str, bool]:
    """Return the source of a test, and whether the run must lie ``beside`` it, in a file so named.

    ``graph`` is the path, from the test, of the file that the graph is read from instead.
    """
    fields = _fields(recorded, with_graph=graph is None)
    is_deep = _nests_deeper(fields, DEPTH_MAX)
    text = "" if is_deep else _inline(recorded, fields, run_id, graph_id, graph)
    if not is_deep and len(text) <= INLINE_MAX_CHARS:
        return text, False
    told = f"Its outcomes, its path and its state are in {_plain(beside)}"
    text = _file(recorded, run_id, graph_id, graph, None, ["read_recorded"], told, beside)
    return text, True


def name_of(run_id: str) -> str:
    """Return the name of the test of a run."""
    return "test_" + re.sub(r"[^A-Za-z0-9]+", "_", run_id)[:60]


def _inline(
    recorded: RecordedRun, fields: dict[str, Any], run_id: str, graph_id: str, graph: str | None
) -> str:
    kinds = {type(step).__name__ for step in recorded.outcomes}
    run = call("RecordedRun", fields)
    told = "Its outcomes, its path and its state are below"
    return _file(recorded, run_id, graph_id, graph, run, ["RecordedRun", *kinds], told, "")


def _file(
    recorded: RecordedRun,
    run_id: str,
    graph_id: str,
    graph: str | None,
    run: str | None,
    names: list[str],
    told: str,
    beside: str,
) -> str:
    """Return the whole source, with the run itself or, where that is None, as it reads it."""
    day = _plain(recorded.began[:10])
    lines = [
        f'"""Run {_plain(run_id)} of graph {_plain(graph_id)}, recorded on {day}.',
        "",
        "It is played again without its tools and without waiting, and must go the same way.",
        f'{told}; "steno pytest" wrote this file.',
        '"""',
        "",
    ]
    if run is None or graph is not None:
        lines += ["from pathlib import Path", ""]
    lines += [_import(sorted([*names, "replays"])), ""]
    if graph is not None:
        lines.append(_assigned("GRAPH", "Path(__file__).parent.joinpath", graph))
    if run is None:
        lines.append(_assigned("FILE", "Path(__file__).with_name", beside))
        run = "read_recorded(FILE)"
    given = "RUN" if graph is None else "RUN, GRAPH"
    lines += [f"RUN = {run}", "", "", f"def {name_of(run_id)}() -> None:"]
    lines.append(f"    replays({given})")
    return "\n".join(lines) + "\n"


def _assigned(name: str, function: str, text: str) -> str:
    """Return a line that assigns what a function makes of a text, or three where it is long."""
    return f"{name} = {called(function, text, len(name) + 3)}"


def _import(names: list[str]) -> str:
    line = f"from stenograph.testing import {', '.join(names)}"
    if len(line) <= 88:
        return line
    return "from stenograph.testing import (\n" + "".join(f"    {each},\n" for each in names) + ")"


def _fields(recorded: RecordedRun, *, with_graph: bool) -> dict[str, Any]:
    names = recorded.__struct_fields__
    values = {name: getattr(recorded, name) for name in names if with_graph or name != "graph"}
    always = {"state", "outcomes", "path", "final"}
    if values.get("graph"):
        values["graph"] = _for_the_eye(values["graph"])
    values["graphs"] = {name: _for_the_eye(graph) for name, graph in values["graphs"].items()}
    values |= {name: Tall(values[name]) for name in ("outcomes", "path")}
    return {name: value for name, value in values.items() if value or name in always}


def _for_the_eye(graph: dict[str, Any]) -> dict[str, Any]:
    """Return a graph with what a person looks for first at the front, and the ways on behind."""
    nodes = {name: _ordered(node, NODE_FIRST, "next") for name, node in graph["nodes"].items()}
    return _ordered({**graph, "nodes": nodes}, GRAPH_FIRST, "")


def _ordered(fields: dict[str, Any], first: tuple[str, ...], last: str) -> dict[str, Any]:
    names = [name for name in first if name in fields]
    names += [name for name in fields if name not in first and name != last]
    return {name: fields[name] for name in (*names, *([last] if last in fields else ()))}


def _plain(text: str) -> str:
    """Return a name that ends no docstring, whatever it was."""
    return re.sub(r"[^A-Za-z0-9._:-]", "_", text)[:140]


def _nests_deeper(value: Any, most: int) -> bool:
    if isinstance(value, str | int | float | None):
        return False
    if most == 0:
        return True
    if isinstance(value, dict):
        return any(_nests_deeper(each, most - 1) for each in value.values())
    if isinstance(value, list | tuple):
        return any(_nests_deeper(each, most - 1) for each in value)
    return any(_nests_deeper(getattr(value, name), most - 1) for name in value.__struct_fields__)
