"""The engine: graphs and runs over a journal. HTTP and the command line are thin layers over it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final, Self

from msgspec.structs import replace

from stenograph.engine.actor import STOP_GRACE_S, Actor
from stenograph.engine.alarms import Alarms
from stenograph.engine.asking import ASKING_MAX
from stenograph.engine.clock import Clock, SystemClock
from stenograph.engine.commands import (
    Cancel,
    Command,
    Due,
    Fail,
    Pause,
    Recover,
    Resume,
    Retry,
    Signal,
    Turn,
)
from stenograph.engine.decide import due_at, first_due
from stenograph.engine.errors import (
    EngineError,
    KeyReused,
    RunExists,
    RunFinished,
    SeqNotReached,
    UnknownRun,
)
from stenograph.engine.events import ErrorInfo, Event, RunLimits, UnknownEvent, decode
from stenograph.engine.flow import Flow, has_lines
from stenograph.engine.follow import follow
from stenograph.engine.gates import Gates
from stenograph.engine.graph import Graph, Limits
from stenograph.engine.graphs import Graphs, StoredGraph
from stenograph.engine.processes import Processes
from stenograph.engine.run import ACTIVE, Run, evolve
from stenograph.engine.starts import (
    Beginning,
    Delay,
    Key,
    Options,
    RunId,
    checked,
    ready,
    run_id_for,
)
from stenograph.engine.threads import Threads
from stenograph.engine.times import to_text, to_us
from stenograph.engine.tools import Registry, Source
from stenograph.engine.values import canonical
from stenograph.engine.vault import Vault
from stenograph.engine.views import RunView, StateAt, Visit, view, visits
from stenograph.engine.world import World
from stenograph.journal import Journal, JournalError, Record, Stream

FOLDED_MAX: Final = 64
"""How many folded runs that are at rest are kept, so that reading one again reads only what is new."""
WAIT_S: Final = 60.0
LATER_US: Final = 1_000_000
UNFINISHED_PAGE: Final = 500

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
        clock = clock or SystemClock()
        self._world = World(
            journal=journal,
            registry=self.registry,
            clock=clock,
            threads=Threads(),
            asking=Threads(ASKING_MAX),
            processes=Processes(),
            gates=Gates(clock),
            strays=set(),
        )
        self._new_id = new_id or (lambda: "r-" + secrets.token_hex(8))
        self._graphs = Graphs(journal, self.registry, self._world.clock)
        self._actors: dict[str, Actor] = {}
        self._beginning: dict[str, list[Actor]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._folded: OrderedDict[str, Run] = OrderedDict()
        self._alarms = Alarms(self._world.clock, self._ring)
        self._ringing: asyncio.Queue[str] = asyncio.Queue()
        self._flow = Flow(journal, self._world.clock, call=self._call, cancel=self._displace)

    async def __aenter__(self) -> Self:
        """Take up what is unfinished."""
        try:
            if self._recover:
                for status in sorted(ACTIVE):
                    async for page in self._in_status(status):
                        await asyncio.gather(*(self._take_up(stream.run_id) for stream in page))
                async for page in self._in_status("waiting"):
                    for stream in page:
                        self._set_alarm(stream.run_id, stream.labels.get("due", ""))
                await self._flow.form()
                self._do(self._answer_alarms(), "alarms")
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
        self._alarms.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._world.strays:
            await asyncio.wait(self._world.strays, timeout=STOP_GRACE_S)
        self._world.threads.close()
        self._world.asking.close()
        await self._world.processes.close()

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
        key: str | None = None,
        delay_s: float = 0.0,
        limits: Limits | None = None,
        tags: Mapping[str, str] | None = None,
        actor: str = "engine",
    ) -> RunView:
        """Begin a run and return at once, as soon as its beginning is durable.

        ``graph`` is a graph, or the id of one that is stored (``id@version`` for an older one).
        Asking again with the same ``key`` or ``run_id`` and the same of all else returns that run
        (``replayed``). ``delay_s``: from 0 to ten years.
        Raises UnknownGraph, GraphInvalid, RunExists, KeyReused, TooManyRuns, NotJson, StateTooLarge,
        StateRefused, AppendTooLarge (graphs and a state of over 2 MiB together), and ValueError for
        options that are not as they should.
        """
        actor = checked(str, actor)
        key = checked(Key | None, key)
        if key is not None and run_id is not None:
            raise ValueError("give a key or a run_id, not both: a key makes an id of its own")
        options = Options(
            run_id=checked(RunId, run_id or (run_id_for(actor, key) if key else self._new_id())),
            key=key,
            delay_s=checked(Delay, delay_s),
            limits=checked(Limits | None, limits),
            tags=checked(dict[str, str], dict(tags or {})),
            actor=actor,
        )
        stored = await self._stored(graph, actor)
        named = graph if isinstance(graph, str) else stored.version
        beginning = await ready(self._graphs, stored, named, state, options)
        try:
            return await self._begin(beginning)
        except RunExists:
            return await self._repeat(beginning)

    async def _begin(self, beginning: Beginning) -> RunView:
        run_id, start = beginning.run_id, beginning.start
        if has_lines(start):
            if await self.journal.head(run_id):
                raise RunExists(run_id)  # before it claims a place in a line
            start = await self._flow.admit(run_id, start, beginning.state)
        live = self._spawn(Run(id=run_id), beginning.vault)
        await live.ask(start)
        return view(live.run)

    async def _repeat(self, beginning: Beginning) -> RunView:
        """Return the run that exists if it was asked for likewise; raises KeyReused or RunExists.

        Secrets are compared as long as they are kept: their hash in the journal could be guessed.
        """
        run_id, start = beginning.run_id, beginning.start
        run = await self._load(run_id)
        kept = await self.journal.secrets(run_id) if start.secrets else {}
        is_other = any(kept[name] != start.secrets[name] for name in kept.keys() & start.secrets)
        if run.request != start.request or is_other:
            raise (KeyReused(start.key, run_id) if start.key else RunExists(run_id)) from None
        return replace(view(run), replayed=True)

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
        command = Cancel(actor=checked(str, actor), reason=checked(str, reason))
        run = await self._load(run_id)
        if not run.ended:
            await self._actor(run).ask(command)
            run = await self._load(run_id)
        if run.ended and run.status != "cancelled":
            raise RunFinished(run_id, run.status)
        return view(run)

    async def signal(
        self,
        run_id: str,
        name: str,
        payload: Any = None,
        *,
        scope: str | None = None,
        saw: int | None = None,
        actor: str = "engine",
    ) -> RunView:
        """Give a run input, and return once that is durable.

        A node that waits for it (in ``scope``, if given) takes it; else it is kept until one does.
        ``saw``: the last event of the run that the giver had seen. Raises UnknownRun, RunFinished,
        UnknownSignal, SignalRefused when it fits no schema, TooManySignals, NotJson, ValueError.
        """
        command = Signal(
            name=checked(str, name),
            payload=canonical(payload, "")[0],
            actor=checked(str, actor),
            scope=checked(str | None, scope),
            saw=checked(int | None, saw),
        )
        return await self._tell(run_id, command)

    async def pause(self, run_id: str, *, reason: str = "", actor: str = "engine") -> RunView:
        """Have a run begin nothing new; what is under way finishes first. Asking twice is as once.

        Raises UnknownRun or RunFinished.
        """
        command = Pause(actor=checked(str, actor), reason=checked(str, reason))
        return await self._tell(run_id, command)

    async def resume(
        self,
        run_id: str,
        *,
        limits: Limits | None = None,
        result: Mapping[str, Any] | None = None,
        scope: str | None = None,
        actor: str = "engine",
    ) -> RunView:
        """Let a paused or parked run go on, with other limits if given.

        ``result`` is for a run that is parked over a node's effects: they did happen, and this is
        what the node returned; without it the node is entered again. With ``scope`` it is for a run
        alone that is parked there (``RunView.parked``). Raises UnknownRun, NotHeld, or
        what a result may raise: NotJson, StateTooLarge, CannotReduce, SchemaViolated.
        """
        command = Resume(
            actor=checked(str, actor),
            limits=_limits(limits),
            result=result,
            scope=checked(str | None, scope),
        )
        return await self._tell(run_id, command)

    async def retry(
        self, run_id: str, *, limits: Limits | None = None, actor: str = "engine"
    ) -> RunView:
        """Reopen a failed run where it failed; what had finished does not run again.

        Raises UnknownRun, or NotHeld when it has not failed.
        """
        command = Retry(actor=checked(str, actor), limits=_limits(limits))
        told = await self._tell(run_id, command)
        run = await self._load(run_id)
        if not run.ended:
            self._flow.seat(run_id, run.turn)
        return told

    async def _tell(self, run_id: str, command: Command) -> RunView:
        run = await self._load(run_id)
        await self._actor(run).ask(command)
        return view(await self._load(run_id))

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

    def _spawn(self, run: Run, vault: Vault | None = None) -> Actor:
        actor = Actor(run, self._world, begun=self._enlist, vault=vault)
        if run.seq:
            self._enlist(actor)
        else:
            self._beginning.setdefault(run.id, []).append(actor)
        self._do(self._live(actor), f"run {run.id}")
        return actor

    def _do(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _enlist(self, actor: Actor) -> None:
        """Know an actor by its run's id from when the run has begun: before, it may be refused."""
        self._actors[actor.run.id] = actor
        self._alarms.clear(actor.run.id)
        self._has_begun(actor)

    def _has_begun(self, actor: Actor) -> None:
        """Let those go on who spoke to a run while its first event was on its way."""
        actor.known.set()
        beginning = self._beginning.get(actor.run.id, [])
        if actor in beginning:
            beginning.remove(actor)
            if not beginning:
                del self._beginning[actor.run.id]

    async def _live(self, actor: Actor) -> None:
        try:
            await actor.live()
        finally:
            self._has_begun(actor)
            if self._actors.get(actor.run.id) is actor:
                del self._actors[actor.run.id]
            if actor.run.seq and actor.run.status not in ACTIVE:
                self._keep(actor.run)
                self._set_alarm(actor.run.id, first_due(actor.run) or "")

            if actor.run.ended or not (actor.run.seq or actor.is_second):
                self._flow.left(actor.run.id)

    def _call(self, run_id: str) -> None:
        """Have a run begin whose turn has come."""
        self._do(self._quietly(run_id, Turn()), f"turn {run_id}")

    def _displace(self, run_id: str, reason: str) -> None:
        """Cancel a run for a newer one's sake."""
        self._do(self._quietly(run_id, Cancel(actor="engine", reason=reason)), f"cancel {run_id}")

    async def _quietly(self, run_id: str, command: Command) -> None:
        """Tell a run something of the engine's own accord."""
        try:
            await self._tell(run_id, command)
        except (JournalError, EngineError):
            _log.exception("run %s was not told: %s", run_id, type(command).__name__)

    def _set_alarm(self, run_id: str, due: str) -> None:
        if due and run_id not in self._actors:
            self._alarms.set(run_id, due)

    def _ring(self, run_id: str) -> None:
        self._ringing.put_nowait(run_id)

    async def _answer_alarms(self) -> None:
        """Tell runs at rest that their time has come, one after the other, as they were due."""
        while True:
            run_id = await self._ringing.get()
            try:
                for at, path in self._overdue(await self._load(run_id)):
                    run = await self._load(run_id)  # its actor may be gone, and others read it
                    await self._actor(run).ask(Due(path, at))
                run = await self._load(run_id)
                self._set_alarm(run_id, first_due(run) or "")  # if the clock was set back since
            except Exception:  # whatever is wrong with this run, the others have their time
                _log.exception("run %s is told later that its time has come", run_id)
                self._set_alarm(run_id, to_text(self._world.clock.now_us() + LATER_US))

    def _overdue(self, run: Run) -> list[tuple[str, str]]:
        now_us = self._world.clock.now_us()
        dues = [(due_at(run, path) or "", path) for path in run.scopes]
        return sorted((at, path) for at, path in dues if at and to_us(at) <= now_us)

    def _actor(self, run: Run) -> Actor:
        """Return the actor of a run, as one that takes commands."""
        if actor := self._actors.get(run.id):
            return actor
        if self._folded.get(run.id) is not run:  # somebody folds it further, or has it still
            return self._spawn(run.copy())
        del self._folded[run.id]  # it is the actor's own from now on
        return self._spawn(run)

    async def _load(self, run_id: str) -> Run:
        """Return a run folded up to now; it belongs to somebody else, so nobody may change it."""
        while beginning := self._beginning.get(run_id):
            await beginning[0].known.wait()
        if actor := self._actors.get(run_id):
            await actor.taken_in()
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

    async def _in_status(self, status: str) -> AsyncIterator[list[Stream]]:
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


def _limits(limits: Limits | None) -> RunLimits | None:
    sound: Limits | None = checked(Limits | None, limits)
    return None if sound is None else RunLimits(sound.steps, sound.time_s)
