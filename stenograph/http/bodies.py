"""Bodies with a graph or a state in them: their several spellings, and pointers into the body."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.json import encode

from stenograph.engine import Fault, GraphInvalid, NotJson, StateRefused
from stenograph.http.classic_wire import RunRequest
from stenograph.http.errors import Refused
from stenograph.http.requests import StartRequest
from stenograph.http.wire import RESERVED_IDS

Graph: TypeAlias = dict[str, Any]
STATE_NAMES = ("input", "state", "initial_state")
ID_NAMES = ("id", "run_id")
_WRAPPER_FIELDS = frozenset({"graph", "id"})


class GivenGraph(Struct, frozen=True):
    """A graph out of a body: where it stands in it, and under which id."""

    graph: Graph
    pointer: str
    id: str | None


def graph_of(data: Graph) -> GivenGraph:
    """Return the graph of a body: the body itself, or its ``graph``, with an ``id`` beside it.

    Raises Refused when the wrapper is not what it should be.
    """
    if "graph" not in data:
        return GivenGraph(data, "", None)
    graph, graph_id = data["graph"], data.get("id")
    faults = [
        Fault(f"/{name}", "stands beside the graph and means nothing there")
        for name in data.keys() - _WRAPPER_FIELDS
    ]
    if not isinstance(graph, dict):
        faults.append(Fault("/graph", "is an object, the graph"))
    if not isinstance(graph_id, str | None):
        faults.append(Fault("/id", "is the graph's id, as text"))
    if faults:
        raise Refused("body-invalid", "the body is a graph, or holds one as `graph`", faults)
    return GivenGraph(graph, "/graph", graph_id)


def state_of(request: StartRequest | RunRequest) -> tuple[str, dict[str, Any]]:
    """Return the state that a run is to start with, and where it stands in the body.

    Raises Refused when it is given under two names and differently.
    """
    given = {name: value for name in STATE_NAMES if (value := getattr(request, name)) is not None}
    first: tuple[str, dict[str, Any]] = next(iter(given.items()), ("state", {}))
    faults = [
        Fault(f"/{name}", f"differs from {first[0]}; they are one thing: give one of them")
        for name, value in given.items()
        if encode(value, order="sorted") != encode(first[1], order="sorted")  # 1 is not true
    ]
    if faults:
        raise Refused("body-invalid", "the state is given twice, and differently", faults)
    return f"/{first[0]}", first[1]


def run_id_of(request: StartRequest | RunRequest) -> str | None:
    """Return the id that a client chose for its run, if it did.

    Raises Refused for an id that no run may have, or two different ones.
    """
    given = {name: value for name in ID_NAMES if (value := getattr(request, name, None))}
    faults = [
        Fault(f"/{name}", f"{value!r} is a reserved word; choose another id")
        for name, value in given.items()
        if value in RESERVED_IDS
    ]
    if len(set(given.values())) > 1:
        faults.append(Fault("/run_id", "differs from id; they are one thing: give one of them"))
    if faults:
        raise Refused("body-invalid", "no run can be called so", faults)
    return next(iter(given.values()), None)


@contextmanager
def within(*, graph: str = "", state: str = "") -> Iterator[None]:
    """Let the faults of a graph and a state point into the body that they stood in."""
    try:
        yield
    except GraphInvalid as error:
        raise GraphInvalid(_moved(error.faults, graph), _moved(error.warnings, graph)) from None
    except StateRefused as error:
        raise StateRefused(_moved(error.faults, state)) from None
    except NotJson as error:
        raise NotJson(state + error.path, error.reason) from None


def _moved(faults: list[Fault], pointer: str) -> list[Fault]:
    return [Fault(pointer + fault.pointer, fault.detail) for fault in faults]


def state_in_frame(frame: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the state that the first frame of a socket gives: under a name, or the frame itself."""
    for name in STATE_NAMES:
        if frame.keys() == {name} and isinstance(frame[name], dict):
            return f"/{name}", frame[name]
    return "", dict(frame)
