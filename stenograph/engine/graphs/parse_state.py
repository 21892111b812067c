"""Reading what a graph says of a state: the keys it declares, paths into it, and schemas."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

from stenograph.engine.graphs.graph import StateKey
from stenograph.engine.graphs.reading import Reader, kind_of
from stenograph.engine.graphs.schemas import check_schema
from stenograph.engine.times import to_us
from stenograph.engine.values import clip, is_utf8, pointer

KEY_MAX_CHARS: Final = 256
KEYS_MAX: Final = 1000
"""How many keys a graph may declare: a schema takes up to a millisecond to check, however small."""
_TIME_LIKE: Final = re.compile(r"\d{4}-\d\d-\d\d([Tt ].*)?", re.DOTALL)


def read_state(reader: Reader, data: Any, path: str) -> dict[str, Any]:
    """Return what is declared of each key of the state."""
    if not isinstance(data, dict):
        reader.fault(path, f"is an object, not {kind_of(data)}")
        return {}
    if len(data) > KEYS_MAX:
        reader.fault(path, f"declares {len(data):,} keys; a graph may declare {KEYS_MAX:,}")
        return {}
    return {name: _read_key(reader, name, item, path) for name, item in data.items()}


def secrets_of(state: dict[str, Any]) -> frozenset[str]:
    """Return the keys that are declared secret, also where there are faults beside it."""
    return frozenset(name for name, key in state.items() if key.get("secret") is True)


def check_key(reader: Reader, name: Any, path: str) -> None:
    """Note a fault if a name cannot be a key of the state."""
    if not isinstance(name, str) or not 1 <= len(name) <= KEY_MAX_CHARS or not is_utf8(name):
        reader.fault(path, f"is no key of a state: use 1 to {KEY_MAX_CHARS} characters")
    elif name == "__next_node__" or name.startswith("$"):
        detail = "is no key of a state: __next_node__ and names with a $ first have a meaning"
        reader.fault(path, detail)


def check_path(reader: Reader, path: str, where: str, *, secrets: Collection[str] = ()) -> None:
    """Note a fault if text is no path into the state, or leads to one of ``secrets``."""
    if "" in path.split("."):
        detail = f"{clip(repr(path))} is no path: write keys with single dots between them"
        reader.fault(where, detail)
    for name in read_by_path(path) & frozenset(secrets):
        reader.fault(where, f"leads to {clip(repr(name))}, which is secret; use another key")


def read_by_path(path: str) -> frozenset[str]:
    """Return the keys of the state that a path may lead to: the whole of it, or its first part."""
    return frozenset({path, path.partition(".")[0]})


def check_time(reader: Reader, text: str, where: str, *, secrets: Collection[str]) -> None:
    """Note a fault if text is neither a time nor the path of one."""
    if not _TIME_LIKE.fullmatch(text):
        check_path(reader, text, where, secrets=secrets)
        return
    try:
        to_us(text)
    except ValueError:
        detail = f"{clip(repr(text))} is no time; write it like 2026-11-20T22:55:01Z, with its zone"
        reader.fault(where, detail)


def read_schema(reader: Reader, data: Any, path: str) -> Any:
    """Return a JSON Schema, or null for none, with a fault for each thing wrong with it."""
    if data is not None:
        for fault in check_schema(data, path):
            reader.fault(fault.pointer, fault.detail)
    return data


def _read_key(reader: Reader, name: Any, data: Any, path: str) -> dict[str, Any]:
    path += pointer(name)
    check_key(reader, name, path)
    fields = reader.fields(StateKey, data, path, skip={"schema"})
    if isinstance(data, dict) and "schema" in data:
        fields["schema"] = read_schema(reader, data["schema"], f"{path}/schema")
    if fields.get("secret") and fields.get("reducer") is not None:
        detail = "is on a secret, which is kept elsewhere and only replaced; leave it out"
        reader.fault(f"{path}/reducer", detail)
    return fields
