"""The engine: graphs and runs over a journal. HTTP and the command line are thin layers over it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Annotated, Any, Final, Self, TypeAlias

import msgspec
from msgspec import Meta

from stenograph.engine.actor import NEXT_NODE, STOP_GRACE_S, Actor, World
from stenograph.engine.asking import ASKING_MAX
from stenograph.engine.clock import Clock, SystemClock
from stenograph.engine.decide import Cancel, Fail, Recover, Start
from stenograph.engine.errors import RunFinished, SeqNotReached, UnknownRun
from stenograph.engine.events import ErrorInfo, Event, UnknownEvent, decode
from stenograph.engine.follow import follow
from stenograph.engine.graph import Graph, Limits
from stenograph.engine.graphs import Graphs, StoredGraph
from stenograph.engine.parse import ID_PATTERN
from stenograph.engine.run import ACTIVE, Run, evolve
from stenograph.engine.state import State
from stenograph.engine.threads import Threads
from stenograph.engine.tools import Registry, Source
from stenograph.engine.views import RunView, StateAt, Visit, view, visits
from stenograph.journal import Journal, JournalError, Record, Stream

FOLDED_MAX: Final = 64
"""How many folded runs that are at rest are kept, so that reading one again reads only what is new."""
WAIT_S: Final = 60.0
UNFINISHED_PAGE: Final = 500
RunId: TypeAlias = Annotated[str, Meta(pattern=f"^{ID_PATTERN.pattern}$")]

_log: Final = logging.getLogger("stenograph.engine")


class Engine:
    """Runs graphs and tells of them; an async context manager, over a journal that is open.

    On entry every unfinished run of the journal goes on, or ends with its reason (``recover``).
    """

    def __init__(
        self,
        journal: Journal,
        *,
        tools: Iterable[Source] = (),
        recover: bool = True,
        clock: Clock | None = None,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self.journal = journal
        self.registry = Registry(tools)
        self.recovered: list[str] = []
        self._recover = recover
        self._world = World(
            journal, self.registry, clock or SystemClock(), Threads(), Threads(ASKING_MAX), set()
        )
        self._new_id = new_id or (lambda: "r-" + secrets.token_hex(8))
        self._graphs = Graphs(journal, self.registry, self._world.clock)
        self._actors: dict[str, Actor] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._folded: OrderedDict[str, Run] = OrderedDict()

    async def __aenter__(self) -> Self:
        """Take up what is unfinished."""
        try:
            if self._recover:
                for status in sorted(ACTIVE):
                    async for page in self._unfinished(status):
                        await asyncio.gather(*(self._take_up(stream.run_id) for stream in page))
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
        """Stop the actors, then give the tools that they cancelled a moment to tidy up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._world.strays:
            await asyncio.wait(self._world.strays, timeout=STOP_GRACE_S)
        self._world.threads.close()
        self._world.asking.close()

    async def create_graph(
        self,
        graph: Graph | Mapping[str, Any],
        *,
        graph_id: str | None = None,
        actor: str = "engine",
    ) -> StoredGraph:
        """Store a graph, or a new version of it; the newest version's content again changes nothing.

        Raises GraphInvalid with every fault.
        """
        return await self._graphs.create(graph, graph_id=graph_id, actor=actor)

    async def graph(self, graph_id: str, version: str | None = None) -> StoredGraph:
        """Return a graph's newest version, or the one whose hash begins so; raises UnknownGraph."""
        return await self._graphs.get(graph_id, version)

    async def graph_versions(self, graph_id: str) -> list[StoredGraph]:
        """Return all versions of a graph, oldest first; raises UnknownGraph."""
        return await self._graphs.versions(graph_id)

    async def graphs(self, *, before: int | None = None, limit: int = 50) -> list[Stream]:
        """Return the streams of graphs, newest first; ``before`` is the last number of a page."""
        return await self.journal.streams({"kind": "graph"}, before=before, limit=limit)

    async def start(
        self,
        graph: Graph | Mapping[str, Any] | str,
        state: Mapping[str, Any] | None = None,
        *,
        run_id: str | None = None,
        limits: Limits | None = None,
        tags: Mapping[str, str] | None = None,
        actor: str = "engine",
    ) -> RunView:
        """Begin a run and return at once, as soon as its beginning is durable.

        ``graph`` is a graph, or the id of one that is stored (``id@version`` for an older one).
        Raises UnknownGraph, GraphInvalid, RunExists, NotJson, StateTooLarge, AppendTooLarge (a graph
        and a state of over 2 MiB together), and ValueError for options that are not as they should.
        """
        run_id = _checked(RunId, run_id or self._new_id())
        limits = _checked(Limits | None, limits)
        labels: dict[str, str] = _checked(dict[str, str], dict(tags or {}))
        actor = _checked(str, actor)
        stored = await self._stored(graph, actor)
        values = {key: value for key, value in (state or {}).items() if key != NEXT_NODE}
        command = Start(
            graph_id=stored.graph_id,
            version=stored.version,
            graph=stored.data,
            state=State.from_values(values).to_json(),
            limits=limits or stored.graph.limits,
            tags=labels,
            actor=actor,
        )
        live = self._spawn(Run(id=run_id))
        await live.ask(command)
        return view(live.run)

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
        return await self.wait(begun.id, wait_s)

    async def wait(self, run_id: str, wait_s: float = WAIT_S) -> RunView:
        """Return when a run has ended or parked, or after ``wait_s`` seconds; raises UnknownRun."""
        actor = self._actors.get(run_id)
        if actor is not None:
            done, _ = await asyncio.wait({actor.finished}, timeout=wait_s)
            for finished in done:
                finished.result()
        return await self.get(run_id)

    async def get(self, run_id: str) -> RunView:
        """Return a run as it is now; raises UnknownRun."""
        return view(await self._load(run_id))

    async def state(self, run_id: str, at: int | None = None) -> StateAt:
        """Return a run's state, now or after event ``at``; raises UnknownRun or SeqNotReached."""
        run = await self._load(run_id)
        if at is None or at == run.seq:
            return StateAt(run_id=run_id, seq=run.seq, status=run.status, json=run.state.to_json())
        if not 1 <= at < run.seq:
            raise SeqNotReached(run_id, asked=at, head=run.seq)
        then = Run(id=run_id)
        async for event in self._history(run_id, at):
            _take_in(then, event)
        return StateAt(run_id=run_id, seq=then.seq, status=then.status, json=then.state.to_json())

    async def visits(self, run_id: str) -> list[Visit]:
        """Return the visits of a run, in the order of their entry; raises UnknownRun."""
        run = await self._load(run_id)
        history = [event async for event in self._history(run_id, run.seq)]
        return visits(history, ended=run.ended)

    async def runs(
        self, labels: Mapping[str, str] | None = None, *, before: int | None = None, limit: int = 50
    ) -> list[Stream]:
        """Return the runs that carry ``labels`` (``status``, ``graph``, ``tag:…``), newest first."""
        wanted = {"kind": "run", **(labels or {})}
        return await self.journal.streams(wanted, before=before, limit=limit)

    async def cancel(self, run_id: str, *, reason: str = "", actor: str = "engine") -> RunView:
        """Ask a run to stop, and return once that is durable; asking twice is as asking once.

        Raises UnknownRun, or RunFinished when it ended otherwise.
        """
        command = Cancel(actor=_checked(str, actor), reason=_checked(str, reason))
        run = await self._load(run_id)
        if not run.ended:
            await self._actor(run).ask(command)
            run = await self._load(run_id)
        if run.ended and run.status != "cancelled":
            raise RunFinished(run_id, run.status)
        return view(run)

    async def tail(self, run_id: str, *, after: int = 0) -> AsyncGenerator[Event, None]:
        """Yield every event of a run with ``seq > after``, then live, up to its end.

        Raises UnknownRun or CursorUnknown.
        """
        async with aclosing(self.follow(run_id, after=after)) as pages:
            async for page in pages:
                for record in page:
                    yield decode(record)

    async def follow(self, run_id: str, *, after: int = 0) -> AsyncGenerator[list[Record], None]:
        """As ``tail``, but in pages of records as they are stored."""
        after = max(0, after)
        if run_id.startswith("graph/") or not await self.journal.head(run_id):
            raise UnknownRun(run_id)
        async with aclosing(follow(self.journal, run_id, after=after)) as pages:
            async for page in pages:
                yield page

    async def _stored(self, graph: Graph | Mapping[str, Any] | str, actor: str) -> StoredGraph:
        if isinstance(graph, str):
            graph_id, _, version = graph.partition("@")
            return await self._graphs.get(graph_id, version or None)
        return await self._graphs.create(graph, graph_id=None, actor=actor)

    def _spawn(self, run: Run) -> Actor:
        actor = Actor(run, self._world, begun=self._enlist)
        if run.seq:
            self._enlist(actor)
        task = asyncio.get_running_loop().create_task(self._live(actor), name=f"run {run.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return actor

    def _enlist(self, actor: Actor) -> None:
        """Know an actor by its run's id from when the run has begun: before, it may be refused."""
        self._actors[actor.run.id] = actor

    async def _live(self, actor: Actor) -> None:
        try:
            await actor.live()
        finally:
            if self._actors.get(actor.run.id) is actor:
                del self._actors[actor.run.id]
            if actor.run.seq and actor.run.status not in ACTIVE:
                self._keep(actor.run)

    def _actor(self, run: Run) -> Actor:
        """Return the actor of a run, as one that takes commands."""
        return self._actors.get(run.id) or self._spawn(run.copy())

    async def _load(self, run_id: str) -> Run:
        """Return a run folded up to now; it belongs to somebody else, so nobody may change it."""
        if actor := self._actors.get(run_id):
            return actor.run
        if run_id.startswith("graph/"):  # the streams of graphs are no runs
            raise UnknownRun(run_id)
        # Taken out for as long as it changes: who asks meanwhile folds one of his own.
        run = self._folded.pop(run_id, None) or Run(id=run_id)
        async for event in self._history(run_id, None, after=run.seq):
            _take_in(run, event)
        if not run.seq:
            raise UnknownRun(run_id)
        self._keep(run)
        return run

    def _keep(self, run: Run) -> None:
        self._folded[run.id] = run
        self._folded.move_to_end(run.id)
        while len(self._folded) > FOLDED_MAX:
            self._folded.popitem(last=False)

    async def _history(
        self, run_id: str, to: int | None, *, after: int = 0
    ) -> AsyncIterator[Event]:
        while records := await self.journal.read(run_id, after=after):
            for record in records:
                if to is not None and record.seq > to:
                    return
                yield decode(record)
            after = records[-1].seq

    async def _unfinished(self, status: str) -> AsyncIterator[list[Stream]]:
        before: int | None = None
        while page := await self.runs({"status": status}, before=before, limit=UNFINISHED_PAGE):
            yield page
            before = page[-1].number

    async def _take_up(self, run_id: str) -> None:
        """Go on with an unfinished run; one that cannot go on fails, and stops no other."""
        command: Recover | Fail = Recover()
        try:
            run = await self._load(run_id)
        except JournalError:
            raise
        except Exception as error:  # whatever is in the history, the other runs go on
            command = Fail(ErrorInfo("unreadable-history", f"{type(error).__name__}: {error}"))
            run = Run(id=run_id, seq=await self.journal.head(run_id))
        self._folded.pop(run_id, None)
        self.recovered.append(run_id)
        try:
            await self._spawn(run).ask(command)
        except JournalError:
            raise
        except Exception:
            _log.exception("run %s could not be taken up", run_id)


def _take_in(run: Run, event: Event) -> None:
    """Evolve a run by what was read; raises UnknownEvent for what no engine of ours can have written."""
    try:
        evolve(run, event)
    except (KeyError, AssertionError, ValueError) as error:
        where = f"{event.run_id} seq {event.seq}"
        raise UnknownEvent(f"{where}: {event.type} does not fit: {error!r}") from error


def _checked(kind: Any, value: Any) -> Any:
    """Return a value that is what history may hold; raises ValueError."""
    return msgspec.convert(msgspec.to_builtins(value), kind)
