"""The engine: graphs and runs over a journal. HTTP and the command line are thin layers over it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from msgspec.structs import replace

from stenograph.engine.bounds import Bounds
from stenograph.engine.clock import Clock, SystemClock
from stenograph.engine.control import Control
from stenograph.engine.core.commands import Cancel, Turn
from stenograph.engine.core.views import RunView, view
from stenograph.engine.errors import ForkRefused, RerunRefused
from stenograph.engine.executor.actors import Actors
from stenograph.engine.executor.world import open_world
from stenograph.engine.export.doubts import doubting
from stenograph.engine.export.exported import ExportedRun
from stenograph.engine.export.importing import import_run
from stenograph.engine.graphs.graph import Graph, Limits
from stenograph.engine.graphs.parse import ParsedGraph
from stenograph.engine.reruns.rerun_check import CHECK_S, CheckReport, Checks, CheckTime
from stenograph.engine.reruns.rerun_report import RerunReport
from stenograph.engine.reruns.reruns import RerunOptions, Reruns
from stenograph.engine.runs.erasing import erase
from stenograph.engine.runs.flow import Flow
from stenograph.engine.runs.run_forks import ForkOptions, RunForks
from stenograph.engine.runs.starts import Key, Options, RunId, Starts, checked, run_id_for
from stenograph.engine.stored.graphs import Graphs, StoredGraph
from stenograph.engine.stored.histories import Histories
from stenograph.engine.tools.data_folder import DataFolder
from stenograph.engine.tools.tools import Registry, Source
from stenograph.engine.tools.trace_ids import Traceparent
from stenograph.journal import Journal

WAIT_S: Final = 60.0


class Engine(Control):
    """Runs graphs and tells of them; an async context manager, over a journal that is open.

    On entry every unfinished run of the journal goes on, or ends with its reason (``recover``).
    ``data`` is the folder whose files tools may read (``ctx.data``). ``traced``: somebody makes spans
    of its runs, whose ids ``ctx.traceparent`` then has. Raises ToolRefused.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        tools: Iterable[Source] = (),
        recover: bool = True,
        data: DataFolder | None = None,
        bounds: Bounds | None = None,
        traced: bool = False,
        clock: Clock | None = None,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self.registry = Registry(tools)
        self.bounds = bounds or Bounds()
        self._recover = recover
        self._new_id = new_id or (lambda: "r-" + secrets.token_hex(8))
        clock = clock or SystemClock()
        world = open_world(journal, self.registry, clock, data, self.bounds, is_traced=traced)
        histories = Histories(journal)
        super().__init__(
            world,
            Graphs(journal, self.registry, clock, self.bounds),
            histories,
            Actors(world, histories, left=lambda run_id: self._flow.left(run_id)),
        )
        self.recovered = self._actors.recovered
        self.opened_after: int | None = None
        """The last offset before anything was taken up; for who makes spans, and no one else."""
        self._flow = Flow(
            journal,
            clock,
            call=lambda run_id: self._actors.tell_soon(run_id, Turn()),
            cancel=lambda run_id, why: self._actors.tell_soon(
                run_id, Cancel(actor="engine", reason=why)
            ),
        )
        self._starts = Starts(journal, self._graphs, self._flow, self._actors, self.bounds)
        self._reruns = Reruns(
            journal,
            self.registry,
            self._graphs,
            self._histories,
            self._actors,
            self._starts,
            self._audit,
            self.bounds,
        )
        self._checks = Checks(self._world, self._histories, self._actors)
        self._forks = RunForks(self._world, self._graphs, self._flow, self._histories, self._actors)

    async def __aenter__(self) -> Self:
        """Take up what is unfinished."""
        try:
            if self._world.is_traced:
                self.opened_after = await self.journal.end()
            if self._recover:
                await self._actors.recover()
                await self._flow.form()
                self._actors.keep_times()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop what runs; unfinished runs go on when the journal is opened again."""
        await self._stop()

    async def _stop(self) -> None:
        await self._actors.close()
        await self._world.close()

    async def create_graph(
        self,
        graph: Graph | Mapping[str, Any],
        *,
        graph_id: str | None = None,
        actor: str = "engine",
    ) -> StoredGraph:
        """Store a graph, or a new version of it; the newest version's content again changes nothing.

        Raises GraphInvalid with every fault, or AppendTooLarge.
        """
        return await self._graphs.create(graph, graph_id=graph_id, actor=actor)

    async def check_graph(self, graph: Graph | Mapping[str, Any]) -> ParsedGraph:
        """Read a graph as it would be stored, and store nothing; raises GraphInvalid."""
        return await self._graphs.parse(graph)

    async def start(
        self,
        graph: Graph | Mapping[str, Any] | str,
        state: Mapping[str, Any] | None = None,
        *,
        run_id: str | None = None,
        key: str | None = None,
        delay_s: float = 0.0,
        limits: Limits | None = None,
        tags: Mapping[str, str] | None = None,
        traceparent: str | None = None,
        actor: str = "engine",
    ) -> RunView:
        """Begin a run and return at once, as soon as its beginning is durable.

        ``graph`` is a graph, or the id of one that is stored (``id@version`` for an older one).
        Asking again with the same ``key`` or ``run_id`` and the same of all else returns that run
        (``replayed``). ``delay_s``: from 0 to ten years. ``traceparent``: the trace that the run is
        to belong to (W3C Trace Context, version 00); it makes no other run of what is asked again.
        Raises UnknownGraph, GraphInvalid, RunExists, KeyReused, TooManyRuns, NotJson, StateTooLarge,
        StateRefused, AppendTooLarge (a state and tags larger than an event), and ValueError for
        options that are not as they should.
        """
        if key is not None and run_id is not None:
            raise ValueError("give a key or a run_id, not both: a key makes an id of its own")
        asked = {
            "run_id": run_id or self._new_id(),
            "key": key,
            "delay_s": delay_s,
            "limits": limits,
            "tags": dict(tags or {}),
            "actor": actor,
            "traceparent": traceparent,
        }
        options: Options = checked(Options, asked)  # all at once, which costs a fifth
        if options.key is not None:
            options = replace(options, run_id=run_id_for(options.actor, options.key))
        return await self._starts.start(graph, state, options)

    async def run(
        self,
        graph: Graph | Mapping[str, Any] | str,
        state: Mapping[str, Any] | None = None,
        *,
        wait_s: float = WAIT_S,
        **options: Any,
    ) -> RunView:
        """Begin a run and return when it ends or parks, or after ``wait_s`` seconds.

        Options and errors are those of ``start``. Who stops waiting does not stop the run.
        """
        begun = await self.start(graph, state, **options)
        return replace(await self.wait(begun.id, wait_s), replayed=begun.replayed)

    async def wait(self, run_id: str, wait_s: float = WAIT_S) -> RunView:
        """Return when a run has ended or parked, or after ``wait_s`` seconds; raises UnknownRun."""
        actor = self._actors.active.get(run_id)
        if actor is not None and await actor.comes_to_rest(wait_s):
            return view(actor.run)  # what the last commit left: nothing is read again
        return await self.get(run_id)

    async def fork(
        self,
        run_id: str,
        at: int,
        *,
        state: Mapping[str, Any] | None = None,
        patch: Sequence[Mapping[str, Any]] = (),
        scope: str = "/",
        graph: Graph | Mapping[str, Any] | str | None = None,
        signals: Mapping[str, Any] | None = None,
        new_id: str | None = None,
        key: str | None = None,
        limits: Limits | None = None,
        tags: Mapping[str, str] | None = None,
        traceparent: str | None = None,
        actor: str = "engine",
    ) -> RunView:
        """Begin a run that goes on from where another was after event ``at``, or its step's begin.

        ``origin`` of the answer says from where exactly. ``state`` sets keys in a ``scope``, ``patch``
        has operations of RFC 6902 on its keys, ``graph`` is another version or another graph, and
        ``signals`` are given by name. Limits and tags are the other run's, unless given.
        Asking again with the same ``key`` or ``new_id`` and the same of all else returns that run.
        Raises UnknownRun, SeqNotReached, ForkRefused with all that does not fit, RunExists,
        KeyReused, TooManyRuns, AppendTooLarge (what it takes over has over 2 MiB); as for ``graph``,
        UnknownGraph or GraphInvalid; as for values, NotJson, StateTooLarge, SchemaViolated,
        SecretRefused, SecretLeaked; as for signals, UnknownSignal or SignalRefused.
        """
        actor, key = checked(str, actor), checked(Key | None, key)
        if key is not None and new_id is not None:
            raise ValueError("give a key or a new_id, not both: a key makes an id of its own")
        options = ForkOptions(
            at=checked(int, at),
            new_id=checked(RunId, new_id or (run_id_for(actor, key) if key else self._new_id())),
            actor=actor,
            state=dict(state or {}),
            patch=tuple(map(dict, patch)),
            scope=checked(str, scope),
            signals=dict(signals or {}),
            key=key,
            limits=checked(Limits | None, limits),
            tags=checked(dict[str, str] | None, None if tags is None else dict(tags)),
            traceparent=checked(Traceparent | None, traceparent),
        )
        async with doubting(self.journal, run_id, ForkRefused):
            return await self._forks.fork(run_id, graph, options)

    async def rerun(
        self,
        run_id: str,
        *,
        graph: Graph | Mapping[str, Any] | str | None = None,
        state: Mapping[str, Any] | None = None,
        tools: Sequence[str] = (),
        new_id: str | None = None,
        key: str | None = None,
        limits: Limits | None = None,
        tags: Mapping[str, str] | None = None,
        traceparent: str | None = None,
        actor: str = "engine",
    ) -> RunView:
        """Begin a run that is made anew from what was recorded of another, up to its last event.

        ``graph`` is another version or another graph, ``state`` sets keys of the first state, and
        ``tools`` names those to run anew; without names, those of another version are. Visits whose
        tool, config and state are as recorded are answered from the recording, the rest is run. The
        new run's tags are the other's, those given, and ``rerun_of``. ``rerun_report`` tells more.
        Asking again with the same ``key`` or ``new_id`` and the same of all else returns that run.
        Raises UnknownRun, RerunRefused with all that does not fit, and what ``start`` may raise.
        """
        actor, key = checked(str, actor), checked(Key | None, key)
        if key is not None and new_id is not None:
            raise ValueError("give a key or a new_id, not both: a key makes an id of its own")
        options = RerunOptions(
            new_id=checked(RunId, new_id or (run_id_for(actor, key) if key else self._new_id())),
            actor=actor,
            state=dict(state or {}),
            tools=tuple(dict.fromkeys(checked(list[str], list(tools)))),
            key=key,
            limits=checked(Limits | None, limits),
            tags=checked(dict[str, str], dict(tags or {})),
            traceparent=checked(Traceparent | None, traceparent),
        )
        async with doubting(self.journal, run_id, RerunRefused):
            return await self._reruns.rerun(run_id, graph, options)

    async def rerun_report(self, run_id: str) -> RerunReport:
        """Return what a rerun was answered, what it ran anew, and how it differs so far.

        Raises UnknownRun, or RerunRefused for a run that is no rerun.
        """
        async with doubting(self.journal, run_id, RerunRefused):
            return await self._reruns.report(run_id)

    async def check_run(
        self, run_id: str, *, tools: Sequence[str] = (), time_s: float = CHECK_S
    ) -> CheckReport:
        """Run today's tools on what they were given in a run, and return where they do otherwise.

        Nothing is written, and what they return goes nowhere. Tools with ``effects: once`` and
        those whose graph has secrets are left out, and what is not done after ``time_s`` (up to
        3,600); ``tools`` names those to check alone.
        Raises UnknownRun, or RerunRefused for a name that is no tool's.
        """
        names = tuple(checked(list[str], list(tools)))
        within = checked(CheckTime, time_s)
        async with doubting(self.journal, run_id, RerunRefused):
            return await self._checks.check(run_id, names, within)

    async def erase(self, run_id: str, *, reason: str = "", actor: str = "engine") -> RunView:
        """Erase a run that has ended, and return what is left of it; twice is as once.

        Of each event its place, time, type and hash stay, so that the journal verifies as before;
        its data, and the run's secrets and tags, go from the file. Raises UnknownRun, RunUnfinished.
        """
        return await erase(
            self._world,
            self._histories,
            run_id,
            reason=checked(str, reason),
            actor=checked(str, actor),
        )

    async def import_run(self, exported: ExportedRun) -> RunView:
        """Take in a run that was exported (``read_export``), with the same id, events and hashes.

        It is only read here, and forked: nothing of it is ever executed. The same again changes
        nothing (``replayed``). Raises ExportRefused, or RunExists when another run has its id.
        """
        return await import_run(self._world, exported)
