"""Reading structs from plain data: the fields that are sound, and a fault for each of the rest."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice
from types import NoneType
from typing import Any, Final, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo
from msgspec.structs import fields as fields_of

from stenograph.engine.errors import Fault
from stenograph.engine.graphs.graph import (
    Concurrency,
    Edge,
    Graph,
    Limits,
    Node,
    Retry,
    StateKey,
    Wait,
)
from stenograph.engine.tools.tools import Rate
from stenograph.engine.values import clip, is_utf8, pointer

FAULTS_MAX: Final = 1000
HINTS_MAX: Final = 50
"""A hint compares a name with many, so only the first faults have one."""
_A: Final[Mapping[type[Struct], str]] = {
    Graph: "a graph",
    Node: "a node",
    Edge: "an edge",
    Wait: "a wait",
    StateKey: "a key of the state",
    Limits: "limits",
    Retry: "a retry",
    Concurrency: "concurrency",
    Rate: "a rate",
}
FIELDS: Final = {kind: {each.encode_name: each for each in fields_of(kind)} for kind in _A}
"""The fields of each struct that a graph is made of, by their names in JSON."""
_STRUCTS: Final[Mapping[str, type[Struct]]] = {
    "limits": Limits,
    "retry": Retry,
    "wait": Wait,
    "concurrency": Concurrency,
    "rate": Rate,
}


class Reader:
    """Collects faults while it reads; what could not be read is left out.

    ``place`` returns where something stood in what a client gave, if that had another shape.
    """

    def __init__(self, place: Callable[[str], str] = str) -> None:
        self.faults: list[Fault] = []
        self._place = place
        self._more = 0

    def fault(self, path: str, detail: str) -> None:
        """Note what is wrong at ``path``; of more than FAULTS_MAX the rest are only counted."""
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(Fault(clip(self._place(path)), clip(detail)))
        else:
            self._more += 1

    def told(self) -> list[Fault]:
        """Return the faults, and how many more there were."""
        once = list(dict.fromkeys(self.faults))
        return once + [Fault("", f"and {self._more:,} more")] * (self._more > 0)

    def known(self, name: Any, names: Collection[str], path: str, kind: str) -> bool:
        """Tell whether ``name`` is one of ``names``; if it is not, that is a fault."""
        if not isinstance(name, str):
            self.fault(path, f"is the name of a {kind}, as text, not {kind_of(name)}")
        elif name not in names:
            self.fault(path, f"there is no {kind} {clip(repr(name))}{self._hint(name, names)}")
        else:
            return True
        return False

    def fields(
        self, kind: type[Struct], data: Any, path: str, *, skip: Collection[str] = ()
    ) -> dict[str, Any]:
        """Return the fields of ``data`` that are sound, and note a fault for each of the rest."""
        if not isinstance(data, dict):
            self.fault(path, f"is an object, not {kind_of(data)}")
            return {}
        known = FIELDS[kind]
        for name in data:
            if name not in known:
                hint = self._hint(str(name), known)
                self.fault(path + pointer(name), f"is no field of {_A[kind]}{hint}")
        sound: dict[str, Any] = {}
        for name, field in known.items():
            if field.required and name not in data:
                self.fault(path + pointer(name), "is missing")
            elif name in data and name not in skip:
                self._field(field, data[name], path + pointer(name), sound)
        return sound

    def _field(self, field: FieldInfo, value: Any, path: str, sound: dict[str, Any]) -> None:
        name = field.encode_name
        if name in _STRUCTS and not (value is None and field.default is None):
            sound[name] = self.fields(_STRUCTS[name], value, path)
            return
        before = len(self.faults), self._more
        for where, part, kind in _parts(field.type, value, path):
            if detail := _mismatch(part, kind):
                self.fault(where, detail)
        if (len(self.faults), self._more) == before:
            sound[name] = value

    def _hint(self, name: str, names: Iterable[str]) -> str:
        return did_you_mean(name, names) if len(self.faults) < HINTS_MAX else ""


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a hint at the nearest of ``names``, or what there is when they are few."""
    some = [each for each in islice(names, 100) if isinstance(each, str) and len(each) <= 40]
    near = difflib.get_close_matches(name[:40], some, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    if 0 < len(some) <= 12:
        return f"; there is {', '.join(sorted(some))}"
    return ""


def kind_of(value: Any) -> str:
    """Return what kind of value it is, in the words of JSON."""
    match value:
        case None:
            return "null"
        case list() | tuple():
            return "a list"
        case dict():
            return "an object"
        case str():
            return "text"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case _:
            return type(value).__name__


def _parts(kind: Any, value: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Return what is judged apart: the items of a list, keys and values of an object; else all."""
    inner = next((each for each in get_args(kind) if get_args(each)), kind)
    container = inner if NoneType in get_args(kind) else kind
    match get_origin(container), value:
        case type() as origin, list() | tuple() if origin is tuple:
            item_type = get_args(container)[0]
            yield from ((f"{path}/{index}", item, item_type) for index, item in enumerate(value))
        case type() as origin, dict() if origin is dict:
            key_type, item_type = get_args(container)
            for key, item in value.items():
                yield path + pointer(key), key, key_type
                yield path + pointer(key), item, item_type
        case _:
            yield path, value, kind


def _mismatch(value: Any, kind: Any) -> str:
    """Return why a value is not of a kind, in one sentence, or nothing."""
    if isinstance(value, str) and not is_utf8(value):
        return "is text with a lone surrogate, which UTF-8 cannot write"
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return str(error)[:1].lower() + str(error)[1:]
    return ""
