"""What a graph declares of the keys of its state, ready for use: reducers, schemas, secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from stenograph.engine.errors import Fault
from stenograph.engine.graphs.graph import ReducerName, StateKey
from stenograph.engine.graphs.schemas import Effort, Schema, compile_schema
from stenograph.engine.state.vault import name_in
from stenograph.engine.values import clip, pointer


class Schemas(Mapping[str, Schema]):
    """Schemas by the keys of the state that have one, each compiled when it is first asked for."""

    def __init__(self, sources: Mapping[str, Any]) -> None:
        self._sources = sources
        self._compiled: dict[str, Schema] = {}

    def __getitem__(self, key: str) -> Schema:
        """Return the schema of a key; raises KeyError."""
        found = self._compiled.get(key)
        if found is None:
            found = self._compiled[key] = compile_schema(self._sources[key])
        return found

    def __contains__(self, key: object) -> bool:
        """Tell whether a key has a schema, and compile nothing for it."""
        return key in self._sources

    def __iter__(self) -> Iterator[str]:
        """Go through the keys."""
        return iter(self._sources)

    def __len__(self) -> int:
        """Count the schemas."""
        return len(self._sources)


class Rules(Struct, frozen=True):
    """The reducer and the schema of each key that has one, and the keys that are secret."""

    reducers: Mapping[str, ReducerName] = {}
    schemas: Mapping[str, Schema] = {}
    secrets: frozenset[str] = frozenset()

    def fault(self, key: str, value: Any, effort: Effort | None = None) -> Fault | None:
        """Return where the value of a key does not fit its schema; the pointer begins at the state.

        Keys that are checked together share an ``effort``: a state has as many as there is room. Of a secret key's value nothing is told, and what stands for it is not looked at.
        """
        if key not in self.schemas:
            return None
        is_hidden = key in self.secrets and name_in(value) is not None
        fault = None if is_hidden else self.schemas[key].fault(value, effort)
        if fault is None:
            return None
        if key in self.secrets:
            return Fault(clip(pointer(key)), "the secret does not fit its schema")
        return Fault(clip(pointer(key) + fault.pointer), fault.detail)


NO_RULES: Final = Rules()


def rules_of(keys: Mapping[str, StateKey]) -> Rules:
    """Return the rules that a graph declares; its schemas have been checked."""
    return Rules(
        reducers={key: each.reducer for key, each in keys.items() if each.reducer is not None},
        schemas=Schemas(
            {key: each.schema for key, each in keys.items() if each.schema is not None}
        ),
        secrets=frozenset(key for key, each in keys.items() if each.secret),
    )
