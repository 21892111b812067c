"""Starts: what is asked for when a run is to begin, checked and made ready."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Struct

from stenograph.engine.commands import Start
from stenograph.engine.edges import compile_graph
from stenograph.engine.graph import Limits
from stenograph.engine.graphs import Graphs, StoredGraph
from stenograph.engine.parse import ID_PATTERN
from stenograph.engine.secrecy import seal_start, secrets_in
from stenograph.engine.state import State
from stenograph.engine.tools import NEXT_NODE
from stenograph.engine.vault import Vault

Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
Delay: TypeAlias = Annotated[float, Meta(ge=0, le=10 * 366 * 86_400)]
RunId: TypeAlias = Annotated[str, Meta(pattern=f"^{ID_PATTERN.pattern}$")]


class Options(Struct, frozen=True, kw_only=True):
    """How a run is to begin."""

    run_id: RunId
    key: Key | None
    delay_s: Delay
    limits: Limits | None
    tags: dict[str, str]
    actor: str


class Beginning(Struct, frozen=True, kw_only=True):
    """A run that may begin: its id, the command, its first state, and the secrets in it."""

    run_id: str
    start: Start
    state: State
    vault: Vault | None


async def ready(
    graphs: Graphs,
    stored: StoredGraph,
    named: str,
    state: Mapping[str, Any] | None,
    options: Options,
) -> Beginning:
    """Make a run ready to begin; ``named`` is how its graph was asked for.

    Raises UnknownGraph, NotJson, StateTooLarge, StateRefused, SecretRefused or SecretLeaked.
    """
    values = {key: value for key, value in (state or {}).items() if key != NEXT_NODE}
    rules = compile_graph(stored.data).rules
    said = {**options.tags, "actor": options.actor, "key": options.key or ""}
    sealed, vault = seal_start(values, rules, said)
    first = State.from_values(sealed.values, rules)
    asked = [named, first.to_values(), options.limits, options.tags, options.delay_s]
    start = Start(
        graph_id=stored.graph_id,
        version=stored.version,
        graph=stored.data,
        state=first.to_json(),
        limits=options.limits or stored.graph.limits,
        tags=options.tags,
        actor=options.actor,
        graphs=await graphs.pin(stored.graph),
        secrets=sealed.secrets,
        key=options.key,
        request=_hash(asked),
        delay_s=options.delay_s,
    )
    kept = vault if secrets_in(start) else None
    return Beginning(run_id=options.run_id, start=start, state=first, vault=kept)


def run_id_for(actor: str, key: str) -> str:
    """Return the id of the run that an idempotency key starts: the same for the same asker."""
    return f"r-{_hash([actor, key])[:32]}"


def checked(kind: Any, value: Any) -> Any:
    """Return a value that is what history may hold; raises ValueError."""
    return msgspec.convert(msgspec.to_builtins(value), kind)


def _hash(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()
