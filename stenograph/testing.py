"""Tests of graphs that are written from recorded runs: ``steno pytest`` writes them.

A recorded run is played again by the engine's pure core: what its tools returned, what people did
and when its times came is told to it, in the same order, and its graph decides anew. No tool is
called, no time passes, nothing is stored, and no event loop is needed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from stenograph.engine import (
    CannotRecord,
    Did,
    Failed,
    Graph,
    Played,
    RecordedRun,
    Returned,
    Signalled,
    TimeCame,
    decode,
    differences,
    play,
    read_export,
    record_run,
)

AnyGraph: TypeAlias = Graph | Mapping[str, Any] | Path

__all__ = (
    "AnyGraph",
    "CannotRecord",
    "Did",
    "Failed",
    "Played",
    "RecordedRun",
    "Returned",
    "Signalled",
    "TimeCame",
    "differences",
    "play",
    "read_graph",
    "read_recorded",
    "record_run",
    "replays",
)


def replays(recorded: RecordedRun, graph: AnyGraph | None = None) -> None:
    """Fail unless a recorded run takes the same path again and comes to the same state.

    In its own graph, or in ``graph``: a graph, the data of one, or its JSON file. Raises
    AssertionError, which says where the path parts and why, or what in the last state is other;
    GraphInvalid with every fault of a graph that cannot run.
    """
    __tracebackhide__ = True
    whole = read_graph(graph) if isinstance(graph, Path) else graph
    if told := differences(recorded, play(recorded, whole)):
        raise AssertionError(told)


def read_recorded(path: Path) -> RecordedRun:
    """Return the run in a file that ``steno export`` wrote, compressed or not.

    Raises ExportRefused for a file that is not as it was written, and CannotRecord.
    """
    exported = read_export([path.read_bytes()])
    return record_run(map(decode, exported.records))


def read_graph(path: Path) -> Mapping[str, Any]:
    """Return the graph in a JSON file, which may hold it as ``graph``, as a request may."""
    data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    inner = data.get("graph")
    return inner if isinstance(inner, dict) and data.keys() <= {"graph", "id"} else data
