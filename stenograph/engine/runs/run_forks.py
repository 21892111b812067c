"""Forks of runs: a new run goes on from another's state, and the other one is left as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stenograph.engine.bounds import Bounds
from stenograph.engine.core.commands import Inheritance, Resume, Signal, Start, Unanswered
from stenograph.engine.core.decide import decide
from stenograph.engine.core.edges import compile_graph
from stenograph.engine.core.events import Origin, PinnedGraph
from stenograph.engine.core.fork_fit import key_of, move_to, needed_secrets, wanted_changes
from stenograph.engine.core.inheritance import as_new_work, inherited
from stenograph.engine.core.run import Run
from stenograph.engine.core.scopes import ROOT
from stenograph.engine.core.secrecy import Secrecy, all_rules, all_secret_keys
from stenograph.engine.core.views import RunView, view
from stenograph.engine.errors import Fault, ForkRefused, KeyReused, RunExists, SeqNotReached
from stenograph.engine.executor.actors import Actors
from stenograph.engine.executor.recordings import RERUN_OF
from stenograph.engine.executor.world import World
from stenograph.engine.graphs.graph import Graph, Limits
from stenograph.engine.runs.flow import Flow
from stenograph.engine.runs.starts import Key, RunId
from stenograph.engine.state.patch import PatchOp
from stenograph.engine.state.vault import Vault
from stenograph.engine.stored.graphs import Graphs, StoredGraph
from stenograph.engine.stored.histories import Histories
from stenograph.engine.tools.tools import NEXT_NODE
from stenograph.engine.values import canonical, clip, encode, request_hash
from stenograph.journal import run_briefly

Patches: TypeAlias = Mapping[str, tuple[PatchOp, ...]]


class ForkOptions(Struct, frozen=True, kw_only=True):
    """Where a run is to be forked, and how the fork is to go on."""

    at: int
    new_id: RunId
    actor: str
    state: dict[str, Any] = {}
    patch: tuple[dict[str, Any], ...] = ()
    scope: str = ROOT
    signals: dict[str, Any] = {}
    key: Key | None = None
    limits: Limits | None = None
    tags: dict[str, str] | None = None
    traceparent: str | None = None


class RunForks:
    """Forks runs; nothing is appended to the one that is forked."""

    def __init__(
        self, world: World, graphs: Graphs, flow: Flow, histories: Histories, actors: Actors
    ) -> None:
        self._world, self._graphs, self._flow = world, graphs, flow
        self._histories, self._actors = histories, actors

    async def fork(
        self, run_id: str, graph: Graph | Mapping[str, Any] | str | None, asked: ForkOptions
    ) -> RunView:
        """Fork a run after event ``at``, or return the run that was forked likewise before."""
        if await self._world.journal.head(asked.new_id):
            return await self._repeat(run_id, graph, asked)
        head = (await self._actors.load(run_id)).seq
        if not 1 <= asked.at <= head:
            raise SeqNotReached(run_id, asked=asked.at, head=head)
        stored = None if graph is None else await self._graphs.named(graph, asked.actor)
        seq = await self._histories.boundary(run_id, asked.at)
        origin = await self._histories.at(run_id, seq)
        named = None
        if stored is not None:
            named = graph if isinstance(graph, str) else stored.version
        given = Given(
            origin=origin,
            hash=await self._histories.hash_of(run_id, seq),
            kept=await self._world.journal.secrets(run_id),
            named=named,
            stored=stored,
            graphs={} if stored is None else await self._graphs.pin(stored.graph),
        )
        start, vault = await run_briefly(partial(_start, given, asked, self._world))
        self._actors.check_room()
        self._flow.seat(asked.new_id, start.turn)
        try:
            return view(await self._actors.begin(asked.new_id, start, vault))
        except RunExists:
            return await self._repeat(run_id, graph, asked)

    async def _repeat(
        self, run_id: str, graph: Graph | Mapping[str, Any] | str | None, asked: ForkOptions
    ) -> RunView:
        """Return the run that there is, if it was asked for likewise; by what stands in it alone."""
        run = await self._actors.load(asked.new_id)
        created = await self._histories.at(asked.new_id, 1)
        if graph is None or isinstance(graph, str):
            named = graph
        else:
            named = (await self._graphs.named(graph, asked.actor)).version
        if run.request != _request(run_id, named, asked, all_secret_keys(created)):
            other = KeyReused(asked.key, run.id) if asked.key else RunExists(run.id)
            raise other
        return replace(view(run), replayed=True)


class Given(Struct, frozen=True, kw_only=True):
    """What a fork is made from: its origin, that one's last hash and kept secrets, perhaps a graph.

    ``named``: as what the graph was asked for; ``graphs``: those that it has as sub-graphs.
    """

    origin: Run
    hash: str
    kept: Mapping[str, bytes]
    named: str | None
    stored: StoredGraph | None
    graphs: Mapping[str, PinnedGraph]


def _start(given: Given, asked: ForkOptions, world: World) -> tuple[Start, Vault | None]:
    """Return the start of a fork, and its vault.

    Raises ForkRefused, what values from outside may raise, and what the run would be refused for.
    """
    origin = given.origin
    new = as_new_work(origin, world.clock.now_us())
    if given.stored is not None:
        new.graph_id, new.version, new.turn = given.stored.graph_id, given.stored.version, None
        _refuse(origin, move_to(new, given.stored.data, given.graphs))
    vault = _vault(new, given)
    secrecy = Secrecy(vault)
    first = new.state.to_json()
    data = inherited(new)
    patches, secrets = _patched(new, origin, asked, secrecy, world.bounds)
    signals = [secrecy.seal_signal(each, all_rules(new)) for each in _signals(asked, secrecy)]
    _check_secrets(new, origin, vault)
    tags = _tags_of(origin) if asked.tags is None else asked.tags
    if vault is not None:
        said = {**tags, "actor": asked.actor, "key": asked.key or ""}
        vault.check(encode(said), "the tags, the actor or the idempotency key")
    for each in signals:
        secrets = {**secrets, **each.secrets}
    start = Start(
        graph_id=new.graph_id,
        version=new.version,
        graph=new.graph,
        graphs=new.graphs,
        state=first,
        limits=asked.limits or Limits(steps=origin.limits.steps, time_s=origin.limits.time_s),
        tags=tags,
        actor=asked.actor,
        key=asked.key,
        request=_request(origin.id, given.named, asked, all_secret_keys(new)),
        secrets=secrets if vault is None else {**given.kept, **secrets},
        turn=new.turn,
        traceparent=asked.traceparent,
        inheritance=Inheritance(
            origin=Origin(run_id=origin.id, seq=origin.seq, hash=given.hash),
            data=data,
            patches=patches,
            signals=tuple(signals),
        ),
    )
    with suppress(Unanswered):  # what cannot be is said before anything begins
        decide(Run(id=asked.new_id), start, world.outside({}))
    return start, vault


def _vault(new: Run, given: Given) -> Vault | None:
    """Return the vault of a fork, with what of its origin's secrets is still kept."""
    keys = all_secret_keys(new)
    if not keys:
        return None
    # Where some were forgotten, no new one may have a name that had been given.
    is_whole = all(name in given.kept for _, _, name in needed_secrets(new))
    return Vault.stored(keys, given.kept, after=0 if is_whole else given.origin.seq)


def _patched(
    new: Run, origin: Run, asked: ForkOptions, secrecy: Secrecy, bounds: Bounds
) -> tuple[Patches, Mapping[str, bytes]]:
    """Change the state of a scope as asked; returns the patch and the secrets in it."""
    scope = new.scopes.get(asked.scope)
    if scope is None:
        there = ", ".join(list(new.scopes)[:20])
        told = f"there is no scope {asked.scope!r} there; there is {there}"
        raise ForkRefused(origin.id, [Fault("/scope", clip(told))])
    values = {key: value for key, value in asked.state.items() if key != NEXT_NODE}
    if (values or asked.patch) and scope.fork is not None:
        told = f"scope {scope.path} has forked: change one of its branches, or go back before that"
        _refuse(origin, [Fault("/scope", told)])
    changed, gone, faults = wanted_changes(scope.state, values, asked.patch)
    _refuse(origin, faults)
    rules = compile_graph(scope.graph).rules
    sealed = secrecy.seal_resume(Resume(actor="", result=changed), rules)
    result = dict(sealed.result or {})
    update = scope.state.take(result, rules, given=result.keys(), gone=gone, bounds=bounds)
    scope.state.apply(update.patch)
    return {scope.path: update.patch} if update.patch else {}, sealed.secrets


def _tags_of(origin: Run) -> dict[str, str]:
    """Return the tags that a fork takes over: what its origin is a rerun of, the fork is not."""
    return {name: value for name, value in origin.tags.items() if name != RERUN_OF}


def _signals(asked: ForkOptions, secrecy: Secrecy) -> list[Signal]:
    return [
        Signal(name=name, payload=canonical(value, "")[0], actor=secrecy.mask(asked.actor))
        for name, value in asked.signals.items()
    ]


def _check_secrets(new: Run, origin: Run, vault: Vault | None) -> None:
    """Refuse a fork that would need secrets which its origin no longer keeps."""
    if vault is None:
        return
    lost = [
        Fault("/state", f"the secret {key!r} of scope {scope.path} is forgotten: give it anew")
        for scope, key, name in needed_secrets(new)
        if name not in vault.values
    ]
    _refuse(origin, lost)


def _refuse(origin: Run, faults: Sequence[Fault]) -> None:
    if faults:
        raise ForkRefused(origin.id, list(faults))


def _request(run_id: str, named: str | None, asked: ForkOptions, secret: frozenset[str]) -> str:
    """Return a hash of what was asked, but for secrets, which could be guessed from it.

    A graph counts as it was ``named``: its id means the same when it has a newer version since.
    """
    state = {key: None if key in secret else value for key, value in asked.state.items()}
    patch = [
        {**op, "value": None} if key_of(str(op.get("path", ""))) in secret else op
        for op in asked.patch
    ]
    signals = {name: None if name in secret else each for name, each in asked.signals.items()}
    return request_hash(
        [
            "fork",
            run_id,
            asked.at,
            named,
            asked.scope,
            state,
            msgspec.to_builtins(patch),
            signals,
            asked.limits,
            asked.tags,
        ]
    )
