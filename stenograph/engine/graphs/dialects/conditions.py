"""Conditions as other engines spell them, and two of them as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from stenograph.engine.conditions.conditions import check_condition
from stenograph.engine.errors import Fault, NotJson
from stenograph.engine.graphs.dialects.notes import Notes
from stenograph.engine.values import canonical, clip

CONDITION_FIELDS: Final = frozenset(
    {"expression", "language", "callable", "fn", "function", "predicate"}
    | {"field", "key", "operator", "op", "value"}
)
"""What says a condition, in an object of its own or beside the target of an edge."""
_FUNCTION: Final = ("callable", "fn", "function", "predicate")
_OPERATORS: Final = {
    "=": "==", "eq": "==", "ne": "!=", "gt": ">", "lt": "<", "gte": ">=", "ge": ">=",
    "lte": "<=", "le": "<=", "not in": "not_in",
}  # fmt: skip
_SYMBOLS: Final = {
    each: each.replace("_", " ") for each in ("==", "!=", ">", "<", ">=", "<=", "in", "not_in")
}


class Condition(Struct, frozen=True):
    """A condition as canonical data; ``places`` says where its parts stood, "" the whole."""

    value: Any
    places: Mapping[str, str]


def read_condition(notes: Notes, data: Any, path: str) -> Condition:
    """Return a condition of any spelling; what is none is left for the parser to judge."""
    spelled = spelled_in(notes, data, path) if isinstance(data, dict) else []
    if spelled:
        notes.ignore(data, CONDITION_FIELDS, path)
        return only(notes, spelled, path)
    return _text(notes, data, path)


def read_predicate(notes: Notes, name: Any, path: str) -> Condition:
    """Return the predicate of that name; where there is none, a sound expression will do."""
    if not isinstance(name, str) or name in notes.predicates or _faults(notes, name, path):
        return _asking(name, path)
    hint = notes.hint(name, notes.predicates)
    detail = f"is read as an expression over the state: there is no predicate {clip(repr(name))}"
    notes.warn(path, detail + hint)
    return Condition(name, {"": path})


def spelled_in(notes: Notes, data: Mapping[Any, Any], path: str) -> list[Condition]:
    """Return the conditions that the fields of an object say; it should be one at most."""
    found = []
    if (text := data.get("expression")) is not None:
        if data.get("language") not in (None, "python"):
            notes.fault(f"{path}/language", "is no language of conditions; write them as in Python")
        found.append(_text(notes, text, f"{path}/expression"))
    found += [
        _function(notes, data[name], f"{path}/{name}")
        for name in _FUNCTION
        if data.get(name) is not None
    ]
    if (field := notes.one(data, ("field", "key"), path)) is not None:
        value = {"field": field.value}
        places = {"": path, "/field": field.path}
        if (operator := notes.one(data, ("operator", "op"), path)) is not None:
            symbol = operator.value
            value["operator"] = (
                _OPERATORS.get(symbol, symbol) if isinstance(symbol, str) else symbol
            )
            places["/operator"] = operator.path
        if "value" in data:
            value["value"] = data["value"]
            places["/value"] = f"{path}/value"
        found.append(Condition(value, places))
    return found


def only(notes: Notes, found: list[Condition], path: str) -> Condition:
    """Return the first of some conditions; more than one of them is a fault."""
    if len(found) > 1:
        notes.fault(path, f"has {len(found)} conditions; say it in one")
    return found[0]


def asked(notes: Notes, when: Condition | None, until: Condition | None) -> dict[str, Condition]:
    """Return ``when`` and ``until`` of an edge; both are one expression, as an edge has one."""
    if when is None or until is None:
        return {key: test for key, test in {"when": when, "until": until}.items() if test}
    go, stop = _as_text(when), _as_text(until)
    both = f"({go}) and not ({stop})"
    faults = [*_faults_of(notes, when), *_faults_of(notes, until)]
    if not faults and (go is None or stop is None or _faults(notes, both, "")):
        detail = "stands beside another condition of the edge; say both in one expression"
        faults = [Fault(until.places[""], detail)]
    for fault in faults:
        notes.fault(fault.pointer, fault.detail)
    return {"when": Condition(both, {"": until.places[""]})} if not faults else {}


def _function(notes: Notes, name: Any, path: str) -> Condition:
    """Return what is said to be a function: its name, or for all that an expression."""
    is_name = isinstance(name, str) and all(map(str.isidentifier, name.split(".")))
    return _asking(name, path) if is_name else read_predicate(notes, name, path)


def _asking(name: Any, path: str) -> Condition:
    return Condition({"fn": name}, {"": path, "/fn": path})


def _faults(notes: Notes, text: str, path: str) -> list[Fault]:
    return check_condition(text, path, notes.bounds.expression_chars)


def _faults_of(notes: Notes, test: Condition) -> list[Fault]:
    return _faults(notes, test.value, test.places[""]) if isinstance(test.value, str) else []


def _text(notes: Notes, text: Any, path: str) -> Condition:
    if isinstance(text, str) and text in notes.predicates:
        return _asking(text, path)
    return Condition(text, {"": path})


def _as_text(test: Condition) -> str | None:
    """Return a condition as an expression, where that says the same."""
    match test.value:
        case str() as text:
            return text
        case {"field": str(field), "operator": str(op), "value": value, **rest} if not rest:
            if op in _SYMBOLS and field.isidentifier() and _is_plain(value):
                return f"{field!r} in state and state[{field!r}] {_SYMBOLS[op]} {value!r}"
    return None


def _is_plain(value: Any) -> bool:
    """Tell whether an expression would spell a value as Python shows it."""
    try:
        canonical(value, "")
    except NotJson:
        return False
    items = value if isinstance(value, list) else [value]
    return all(item is None or isinstance(item, str | int | float) for item in items)
