"""Starts: runs are begun as they are asked for, and only once however often that is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from stenograph.engine.bounds import Bounds
from stenograph.engine.core.commands import Start
from stenograph.engine.core.edges import compile_graph
from stenograph.engine.core.run import key_id
from stenograph.engine.core.secrecy import seal_start, secrets_in
from stenograph.engine.core.views import RunView, view
from stenograph.engine.errors import KeyReused, RunExists
from stenograph.engine.executor.actors import Actors
from stenograph.engine.graphs.graph import Graph, Limits
from stenograph.engine.graphs.parse import ID_PATTERN
from stenograph.engine.runs.flow import Flow, has_lines
from stenograph.engine.state.rules import Rules
from stenograph.engine.state.state import State
from stenograph.engine.state.vault import Sealed, Vault
from stenograph.engine.stored.graphs import Graphs, StoredGraph
from stenograph.engine.tools.tools import NEXT_NODE
from stenograph.engine.tools.trace_ids import Traceparent
from stenograph.engine.values import outweighs, request_hash
from stenograph.journal import AT_ONCE_BYTES, Journal, run_briefly

Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
Delay: TypeAlias = Annotated[float, Meta(ge=0, le=10 * 366 * 86_400)]
Seqs: TypeAlias = int | Collection[int]
"""The event that must be a run's last, or several of which one must."""
RunId: TypeAlias = Annotated[str, Meta(pattern=f"^{ID_PATTERN.pattern}$")]


class Options(Struct, frozen=True, kw_only=True):
    """How a run is to begin."""

    run_id: RunId
    key: Key | None
    delay_s: Delay
    limits: Limits | None
    tags: dict[str, str]
    actor: str
    traceparent: Traceparent | None = None


class Beginning(Struct, frozen=True, kw_only=True):
    """A run that may begin: its id, the command, its first state, and the secrets in it."""

    run_id: str
    start: Start
    state: State
    vault: Vault | None


class Starts:
    """Begins runs, each when its graph's rules allow it."""

    def __init__(
        self, journal: Journal, graphs: Graphs, flow: Flow, actors: Actors, bounds: Bounds
    ) -> None:
        self._journal, self._graphs, self._flow, self._actors = journal, graphs, flow, actors
        self._bounds = bounds

    async def start(
        self,
        graph: Graph | Mapping[str, Any] | str,
        state: Mapping[str, Any] | None,
        options: Options,
    ) -> RunView:
        """Begin a run, or return the one that was begun likewise.

        ``graph`` is a graph, or the id of one that is stored, or ``id@version``.
        """
        stored = await self._graphs.named(graph, options.actor)
        named = graph if isinstance(graph, str) else stored.version
        return await self.begin(await self._ready(stored, named, state, options))

    async def begin(self, beginning: Beginning) -> RunView:
        """Begin a run that is ready, or return the one that was begun likewise."""
        try:
            return await self._begin(beginning)
        except RunExists:
            return await self._repeat(beginning)

    async def _begin(self, beginning: Beginning) -> RunView:
        run_id, start = beginning.run_id, beginning.start
        if has_lines(start) or self._actors.is_full:
            if await self._journal.head(run_id):
                raise RunExists(run_id)  # before it is refused, or claims a place in a line
            self._actors.check_room()
        if has_lines(start):
            start = await self._flow.admit(run_id, start, beginning.state)
        return view(await self._actors.begin(run_id, start, beginning.vault))

    async def _repeat(self, beginning: Beginning) -> RunView:
        """Return the run that exists if it was asked for likewise; raises KeyReused or RunExists.

        Secrets are compared as long as they are kept: their hash in the journal could be guessed.
        """
        run_id, start = beginning.run_id, beginning.start
        run = await self._actors.load(run_id)
        kept = await self._journal.secrets(run_id) if start.secrets else {}
        is_other = any(kept[name] != start.secrets[name] for name in kept.keys() & start.secrets)
        if run.request != start.request or is_other:
            raise (KeyReused(start.key, run_id) if start.key else RunExists(run_id)) from None
        return replace(view(run), replayed=True)

    async def _ready(
        self,
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
        asked = [options.limits, options.tags, options.delay_s]
        prepare = partial(_prepared, values, rules, said, self._bounds, named, asked)
        sealed, vault, first, request = await run_briefly(
            prepare, at_once=not outweighs(values, AT_ONCE_BYTES)
        )
        start = Start(
            graph_id=stored.graph_id,
            version=stored.version,
            graph=stored.data,
            state=first.to_json(),
            limits=options.limits or stored.graph.limits,
            tags=options.tags,
            actor=options.actor,
            graphs=await self._graphs.pin(stored.graph),
            secrets=sealed.secrets,
            key=options.key,
            request=request,
            delay_s=options.delay_s,
            traceparent=options.traceparent,
        )
        kept = vault if secrets_in(start) else None
        return Beginning(run_id=options.run_id, start=start, state=first, vault=kept)


def _prepared(
    values: dict[str, Any],
    rules: Rules,
    said: Mapping[str, str],
    bounds: Bounds,
    named: str,
    asked: list[Any],
) -> tuple[Sealed, Vault, State, str]:
    """Return the first values without their secrets, these, the state, and the hash of the request."""
    sealed, vault = seal_start(values, rules, said)
    first = State.from_values(sealed.values, rules, bounds)
    return sealed, vault, first, request_hash([named, first.to_values(), *asked])


def run_id_for(actor: str, key: str) -> str:
    """Return the id of the run that an idempotency key starts: the same for the same asker."""
    return f"r-{key_id(actor, key)}"


def checked(kind: Any, value: Any) -> Any:
    """Return a value that is what history may hold; raises ValueError."""
    return msgspec.convert(msgspec.to_builtins(value), kind)


def seqs_of(given: Seqs | None) -> frozenset[int] | None:
    """Return the events of which one must be a run's last; raises ValueError for what are none."""
    if given is None:
        return None
    several = list(given) if isinstance(given, Collection) else [given]
    return frozenset(checked(list[int], several))
