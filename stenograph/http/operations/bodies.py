"""Bodies with a graph or a state in them: their several spellings, and pointers into the body."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final, TypeAlias

from msgspec import Struct
from msgspec.json import encode

from stenograph.engine import Fault, GraphInvalid, NotJson, StateRefused, pointer
from stenograph.http.errors import Refused
from stenograph.http.shapes.classic_wire import RunRequest
from stenograph.http.shapes.requests import StartRequest
from stenograph.http.shapes.wire import RESERVED_IDS, STATE_KEYS_MAX

Graph: TypeAlias = dict[str, Any]
STATE_NAMES = ("input", "state", "initial_state")
ID_NAMES = ("id", "run_id")
_WRAPPER_FIELDS = frozenset({"graph", "id"})
_FRAME_FIELDS = frozenset({"graph_id", "wait", "background"})
"""What may stand beside the state in a first frame, and asks for nothing: a socket always follows."""
_FAULTS_MAX: Final = 100


class GivenGraph(Struct, frozen=True):
    """A graph out of a body, and where it stands in it; ``id_pointer`` is where its id does."""

    graph: Graph
    pointer: str
    id_pointer: str

    def moved(self, faults: Iterable[Fault]) -> list[Fault]:
        """Return what was told of the graph with pointers into the body."""
        return [
            Fault(
                self.id_pointer if each.pointer == "/id" else self.pointer + each.pointer,
                each.detail,
            )
            for each in faults
        ]


def graph_of(data: Graph) -> GivenGraph:
    """Return the graph of a body: the body itself, or its ``graph``, maybe with its ``id`` beside.

    Raises Refused when the wrapper is not what it should be.
    """
    if "graph" not in data:
        return GivenGraph(data, "", "/id")
    graph, graph_id = data["graph"], data.get("id")
    faults = _meaningless(data, _WRAPPER_FIELDS, "graph")
    if not isinstance(graph, dict):
        faults.append(Fault("/graph", "is an object, the graph"))
    if not isinstance(graph_id, str | None):
        faults.append(Fault("/id", "is the graph's id, as text"))
    elif isinstance(graph, dict) and graph_id is not None:
        graph = {**graph, "id": graph_id}
    if faults:
        raise Refused("body-invalid", "the body is a graph, or holds one as `graph`", faults)
    return GivenGraph(graph, "/graph", "/graph/id" if graph_id is None else "/id")


def state_of(request: StartRequest | RunRequest) -> tuple[str, dict[str, Any]]:
    """Return the state that a run is to start with, and where it stands in the body.

    Raises Refused when it is given under two names and differently.
    """
    given = {name: value for name in STATE_NAMES if (value := getattr(request, name)) is not None}
    if faults := _differing(given):
        raise Refused("body-invalid", "the state is given twice, and differently", faults)
    name = next(iter(given), "state")
    return f"/{name}", given.get(name, {})


def run_id_of(request: Struct) -> str | None:
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
def within_graph(given: GivenGraph) -> Iterator[None]:
    """Let the faults of a graph and of its id point into the body that they stood in."""
    try:
        yield
    except GraphInvalid as error:
        raise GraphInvalid(given.moved(error.faults), given.moved(error.warnings)) from None


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


def state_in_frame(frame: Mapping[str, Any], graph_id: str) -> tuple[str, dict[str, Any]]:
    """Return the state that the first frame of a socket gives, and where it stands in it.

    It stands under one of its names, maybe beside what a request to run says as well; else the
    frame is the state itself. Raises Refused for ``initial_state`` beside what means nothing, or
    what the path or another name of the state contradicts.
    """
    given = {name: frame[name] for name in STATE_NAMES if isinstance(frame.get(name), dict)}
    if any(len(each) > STATE_KEYS_MAX for each in (frame, *given.values())):
        raise Refused("body-invalid", f"a state may be given {STATE_KEYS_MAX:,} keys")
    known = {*STATE_NAMES, *_FRAME_FIELDS}
    if "initial_state" not in frame and not (given and frame.keys() <= known):
        return "", dict(frame)
    faults = _meaningless(frame, known, "state")
    if frame.get("graph_id") not in (None, graph_id):
        faults.append(Fault("/graph_id", "is another graph than that of the path"))
    faults += [
        Fault(pointer(name), "is an object, the state")
        for name in STATE_NAMES
        if name not in given and frame.get(name) is not None
    ]
    if faults := [*faults, *_differing(given)]:
        raise Refused("body-invalid", "the first message is not what is asked for", faults)
    name = next(iter(given), "initial_state")
    return f"/{name}", given.get(name, {})


def _meaningless(data: Mapping[str, Any], known: Collection[str], what: str) -> list[Fault]:
    """Return a fault for each of the first names that stand beside something and mean nothing."""
    names = islice((name for name in data if name not in known), _FAULTS_MAX)
    return [
        Fault(pointer(name), f"stands beside the {what} and means nothing there") for name in names
    ]


def _differing(given: Mapping[str, Any]) -> list[Fault]:
    """Return a fault for each name of the state under which it is not what the first one gives."""
    first, *others = given or ("",)

    def text(name: str) -> bytes:
        return encode(given[name], order="sorted")  # in which 1 is not true

    return [
        Fault(pointer(name), f"differs from {first}; they are one thing: give one of them")
        for name in others
        if text(name) != text(first)
    ]
