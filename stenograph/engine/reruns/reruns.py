"""Reruns: a run is made again from its recording, with what is to be otherwise; the old one stays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from stenograph.engine.audit.audit import Audit
from stenograph.engine.bounds import WIDEST, Bounds
from stenograph.engine.core.commands import Inheritance, Start
from stenograph.engine.core.edges import compile_graph
from stenograph.engine.core.events import PinnedGraph, RerunOf, RunCreated
from stenograph.engine.core.fork_fit import needed_secrets
from stenograph.engine.core.run import Run
from stenograph.engine.core.scopes import ROOT
from stenograph.engine.core.secrecy import seal_start, secrets_in
from stenograph.engine.core.views import RunView, view
from stenograph.engine.errors import Fault, KeyReused, RerunRefused, RunExists
from stenograph.engine.executor.actors import Actors
from stenograph.engine.executor.recall import recording_of
from stenograph.engine.executor.recordings import RERUN_OF, Answers
from stenograph.engine.graphs.graph import Graph, Limits
from stenograph.engine.reruns.rerun_report import RerunReport, Reuse, report_of
from stenograph.engine.runs.starts import Beginning, Key, RunId, Starts
from stenograph.engine.state.state import State
from stenograph.engine.state.vault import name_in
from stenograph.engine.stored.graphs import Graphs
from stenograph.engine.stored.histories import Histories
from stenograph.engine.tools.tools import NEXT_NODE, Registry
from stenograph.engine.values import canonical, pointer, request_hash
from stenograph.journal import Journal

FORKED: Final = "the run is a fork, which goes on from the middle: rerun what it was forked from"


class RerunOptions(Struct, frozen=True, kw_only=True):
    """What is to be otherwise in a rerun: keys of the first state, and ``tools`` to run anew."""

    new_id: RunId
    actor: str
    state: dict[str, Any] = {}
    tools: tuple[str, ...] = ()
    key: Key | None = None
    limits: Limits | None = None
    tags: dict[str, str] = {}
    traceparent: str | None = None


class Reruns:
    """Makes runs anew from their recordings; nothing is appended to what was recorded."""

    def __init__(
        self,
        journal: Journal,
        registry: Registry,
        graphs: Graphs,
        histories: Histories,
        actors: Actors,
        starts: Starts,
        audit: Audit,
        bounds: Bounds,
    ) -> None:
        self._bounds = bounds
        self._journal, self._registry, self._graphs = journal, registry, graphs
        self._histories, self._actors = histories, actors
        self._starts, self._audit = starts, audit

    async def rerun(
        self, run_id: str, graph: Graph | Mapping[str, Any] | str | None, asked: RerunOptions
    ) -> RunView:
        """Begin a rerun, or return the one that was begun likewise, whatever became of its source."""
        if await self._journal.head(asked.new_id):
            return await self._repeat(run_id, graph, asked)
        recorded = await self._actors.load(run_id)
        created = await self._created(run_id)
        first = await self._histories.at(run_id, 1)
        self._check(recorded, first, graph, asked)
        # A run that was migrated is made anew in the graph that it has now; what a fork took over
        # fits the one that it began with.
        last = first if created.inherited is not UNSET else recorded
        own, named = _Own(last.graph_id, last.version, last.graph, last.graphs), None
        if graph is not None:
            stored = await self._graphs.named(graph, asked.actor)
            pinned = await self._graphs.pin(stored.graph)
            own = _Own(stored.graph_id, stored.version, stored.data, pinned)
            named = graph if isinstance(graph, str) else stored.version
        return await self._starts.begin(await self._ready(recorded, created, own, named, asked))

    async def _repeat(
        self, run_id: str, graph: Graph | Mapping[str, Any] | str | None, asked: RerunOptions
    ) -> RunView:
        """Return the run that there is, if it was asked for likewise; by what stands in it alone.

        Raises KeyReused or RunExists. Secrets are compared as long as they are kept.
        """
        run = await self._actors.load(asked.new_id)
        created = await self._histories.at(asked.new_id, 1)
        if graph is None or isinstance(graph, str):
            named = graph
        else:
            named = (await self._graphs.named(graph, asked.actor)).version
        secret = compile_graph(created.graph).rules.secrets
        kept = await self._journal.secrets(run.id) if secret & asked.state.keys() else {}
        names = {key: name_in(created.state.get(key)) for key in secret & asked.state.keys()}
        is_other = any(
            name in kept and kept[name] != canonical(asked.state[key], pointer(key))[0]
            for key, name in names.items()
        )
        if is_other or run.request != _request(run_id, named, asked, secret):
            raise (KeyReused(asked.key, run.id) if asked.key else RunExists(run.id))
        return replace(view(run), replayed=True)

    async def report(self, run_id: str) -> RerunReport:
        """Tell how far a rerun was answered, and how it differs; raises UnknownRun, RerunRefused."""
        now = await self._actors.load(run_id)
        seq, then = now.seq, now.rerun  # it may go on meanwhile
        if then is None:
            raise RerunRefused(run_id, [Fault("", "it is no rerun, but was started by itself")])
        reuse = Reuse(Answers(await recording_of(self._journal, then, values=False), then))
        async for event in self._histories.events(run_id, to=seq):
            reuse.note(event)
        run = reuse.run
        diff = await self._audit.diff(then.run_id, run_id, then.seq, seq, so_far=not run.ended)
        return report_of(run, then, reuse.told(), diff)

    async def _created(self, run_id: str) -> RunCreated:
        [created] = [event.data async for event in self._histories.events(run_id, to=1)]
        assert isinstance(created, RunCreated), "a run begins so"
        return created

    def _check(self, recorded: Run, first: Run, graph: object, asked: RerunOptions) -> None:
        """Refuse what can be told at once; ``first`` is the run as it began."""
        faults = unknown_tools(recorded, asked.tools, self._registry)
        if first.origin is not None:
            faults += [Fault("/graph", FORKED)] if graph is not None else []
            faults += [Fault("/state", FORKED)] if asked.state else []
        for scope, key, _ in needed_secrets(first):
            if key not in asked.state:
                how = "give it anew" if first.origin is None else FORKED
                where = "" if scope.path == ROOT else f" of {scope.path}"
                told = f"the secret {key!r}{where} is not taken over: {how}"
                faults.append(Fault("/state", told))
        if faults:
            raise RerunRefused(recorded.id, faults)

    async def _ready(
        self,
        recorded: Run,
        created: RunCreated,
        own: _Own,
        named: str | None,
        asked: RerunOptions,
    ) -> Beginning:
        tags = {**recorded.tags, **asked.tags, RERUN_OF: recorded.id}
        rules = compile_graph(own.graph).rules
        before = msgspec.json.decode(created.state)
        given = {key: value for key, value in asked.state.items() if key != NEXT_NODE}
        said = {**tags, "actor": asked.actor, "key": asked.key or ""}
        sealed, vault = seal_start({**before, **given}, rules, said)
        # What is only taken over is not refused for being larger than a state may be by now.
        first = State.from_values(sealed.values, rules, self._bounds if asked.state else WIDEST)
        rerun = RerunOf(
            run_id=recorded.id,
            seq=recorded.seq,
            hash=await self._histories.hash_of(recorded.id, recorded.seq),
            tools=asked.tools,
        )
        start = Start(
            graph_id=own.graph_id,
            version=own.version,
            graph=own.graph,
            graphs=own.graphs,
            state=first.to_json(),
            limits=asked.limits
            or Limits(steps=recorded.limits.steps, time_s=recorded.limits.time_s),
            tags=tags,
            actor=asked.actor,
            key=asked.key,
            request=_request(recorded.id, named, asked, rules.secrets),
            secrets=sealed.secrets,
            inheritance=_inheritance(created),
            rerun=rerun,
            traceparent=asked.traceparent,
        )
        kept = vault if secrets_in(start) else None
        return Beginning(run_id=asked.new_id, start=start, state=first, vault=kept)


def _request(run_id: str, named: str | None, asked: RerunOptions, secret: frozenset[str]) -> str:
    """Return a hash of what was asked, but for secrets, which could be guessed from it.

    A graph counts as it was ``named``: its id means the same when it has a newer version since.
    """
    state = {key: None if key in secret else value for key, value in asked.state.items()}
    shown = [run_id, named, state, asked.limits, asked.tags, asked.tools]
    return request_hash(["rerun", *shown])


class _Own(Struct, frozen=True):
    """The graph of a rerun, and the sub-graphs that it calls."""

    graph_id: str
    version: str
    graph: bytes
    graphs: dict[str, PinnedGraph]


def _inheritance(created: RunCreated) -> Inheritance | None:
    """Return what a recorded fork took over, for its rerun to take over as well."""
    if created.inherited is UNSET or created.origin is None:
        return None
    return Inheritance(
        origin=created.origin, data=bytes(created.inherited), patches=created.patches
    )


def unknown_tools(run: Run, names: Iterable[str], registry: Registry) -> list[Fault]:
    """Return what is wrong with the names of tools of a run."""
    used = set(registry.tools) | set(_tools_of(run))
    return [
        Fault(f"/tools/{index}", f"there is no tool {name!r}, here or in the run")
        for index, name in enumerate(names)
        if name not in used
    ]


def _tools_of(run: Run) -> list[str]:
    graphs = [run.graph, *(bytes(pinned.graph) for pinned in run.graphs.values())]
    nodes = (node for graph in graphs for node in compile_graph(graph).nodes.values())
    return [node.tool for node in nodes if node.tool is not None]
