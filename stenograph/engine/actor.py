"""One actor a run: it alone appends to the run, starts its tools and hears what becomes of them."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeAlias

from msgspec import UNSET, Raw, Struct
from msgspec.structs import replace

from stenograph.engine.asking import ask
from stenograph.engine.attempt import Attempt, Raised, Result, raised
from stenograph.engine.clock import Clock, Timer
from stenograph.engine.context import LogLine
from stenograph.engine.decide import (
    Command,
    Facts,
    Fail,
    Place,
    RetryDue,
    Start,
    Stopped,
    TimeUp,
    ToolFailed,
    ToolReturned,
    compiled,
    decide,
    places,
    retries,
)
from stenograph.engine.edges import predicates_of
from stenograph.engine.errors import EngineClosed, NotJson, RunExists, StateTooLarge
from stenograph.engine.events import (
    ErrorInfo,
    LogWritten,
    Payload,
    RunCreated,
    decode,
    encode_payload,
    to_event,
)
from stenograph.engine.run import ACTIVE, Run, evolve, status_after
from stenograph.engine.state import State, Update
from stenograph.engine.threads import Threads
from stenograph.engine.times import to_text, to_us
from stenograph.engine.tools import Effects, Goto, Registry
from stenograph.engine.values import pointer
from stenograph.journal import (
    APPEND_MAX_BYTES,
    APPEND_MAX_RECORDS,
    RECORD_MAX_BYTES,
    AppendTooLarge,
    Journal,
    JournalBusy,
    JournalError,
    JournalFailed,
    NewRecord,
    Record,
    WrongExpectedSeq,
)

STOP_GRACE_S: Final = 1.0
"""How long a cancelled async tool may take to stop before it is left behind."""
COMMIT_BYTES: Final = APPEND_MAX_BYTES - RECORD_MAX_BYTES
COMMIT_RECORDS: Final = APPEND_MAX_RECORDS - 24
"""Most log lines of one commit: what an append may hold, but for the step that comes with them."""


_log: Final = logging.getLogger("stenograph.engine")


class World(Struct, frozen=True):
    """All that reaches an actor from outside: storage, tools, time, threads, chance."""

    journal: Journal
    registry: Registry
    clock: Clock
    threads: Threads
    asking: Threads
    strays: set[asyncio.Task[None]]
    draw: Callable[[], float] = random.random

    def facts(self) -> Facts:
        """Return what ``decide`` must know of the tools."""
        return Facts(self._version, self._effects)

    def _version(self, name: str) -> str | None:
        tool = self.registry.tools.get(name)
        return None if tool is None else tool.version

    def _effects(self, name: str) -> Effects:
        tool = self.registry.tools.get(name)
        return "repeatable" if tool is None else tool.effects


class Settled(Struct, frozen=True):
    """An attempt came to its result."""

    attempt: Attempt
    result: Result


class Said(Struct, frozen=True):
    """An attempt has log lines to write."""

    attempt: Attempt


class Answered(Struct, frozen=True):
    """The predicates have been asked about an attempt's result: here is what it means."""

    attempt: Attempt
    command: ToolReturned | ToolFailed


Message: TypeAlias = Command | Settled | Answered | Said
Events: TypeAlias = list[tuple[int, Payload]]
"""Events on their way, each with the time at which it happened, in microseconds."""
Reply: TypeAlias = "asyncio.Future[int]"


class Actor:
    """Owns a run while it is active; ``finished`` is done when it came to rest.

    A run rests when it has ended or parked: nothing happens to it by itself any more.
    """

    def __init__(self, run: Run, world: World, *, begun: Callable[[Actor], None]) -> None:
        self.run = run
        self._begun = begun
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closed = False
        self._world = world
        self._facts = world.facts()
        self._inbox: asyncio.Queue[tuple[Message, Reply | None]] = asyncio.Queue()
        self._attempts: dict[Place, Attempt] = {}
        self._asking: dict[Place, asyncio.Task[None]] = {}
        self._stopping: list[asyncio.Task[None]] = []
        self._retries: dict[str, tuple[str, Timer]] = {}
        self._deadline: Timer | None = None
        self._labels: dict[str, str] = {}

    def tell(self, message: Message) -> None:
        """Put a message into the inbox."""
        self._inbox.put_nowait((message, None))

    async def ask(self, command: Command) -> int:
        """Have a command handled; returns how many events it made, once they are durable."""
        reply: Reply = asyncio.get_running_loop().create_future()
        self._inbox.put_nowait((command, reply))
        return await reply

    async def live(self) -> None:
        """Handle messages, one at a time, until the run rests or the journal fails."""
        try:
            while not self._rests():
                await self._handle(*await self._inbox.get())
            self._close(None)
        except (JournalBusy, JournalFailed, RunExists) as error:
            self._close(error)
        except AppendTooLarge as error:
            await self._fail(error)
        except Exception as error:
            _log.exception("run %s cannot go on", self.run.id)
            await self._fail(error)
        finally:
            self._close(EngineClosed())

    async def _fail(self, error: Exception) -> None:
        """End this run, and no other, for a fault of the engine's own."""
        with suppress(JournalError):
            message = f"a fault in the engine: {type(error).__name__}: {error}"
            await self._commit(Fail(ErrorInfo("internal-error", message)), None)
        self._close(None if self.run.ended else error)

    def _rests(self) -> bool:
        return self.run.seq > 0 and self.run.status not in ACTIVE and self._inbox.empty()

    def _close(self, error: Exception | None) -> None:
        """Let go of everything; whoever still waits is told why. Only the first call counts."""
        if self._closed:
            return
        self._closed = True
        for place in list(self._attempts):
            self._give_up(place)
        for _, timer in self._retries.values():
            timer.cancel()
        if self._deadline is not None:
            self._deadline.cancel()
        _resolve(self.finished, error)
        while not self._inbox.empty():
            _resolve(self._inbox.get_nowait()[1], error or EngineClosed())

    async def _handle(self, message: Message, reply: Reply | None) -> None:
        try:
            count = await self._obey(message)
        except Exception as error:
            _resolve(reply, error)
            raise
        except BaseException:
            _resolve(reply, EngineClosed())
            raise
        _resolve(reply, None, count)

    async def _obey(self, message: Message) -> int:
        match message:
            case Said(attempt=attempt):
                await self._say(attempt)
                count = 0
            case Settled(attempt=attempt, result=result):
                self._keep(attempt)  # one that ran out of time may still be stopping
                count = await self._conclude(attempt, self._to_command(attempt, result))
            case Answered(attempt=attempt, command=command):
                self._attempts.pop(attempt.place, None)
                self._asking.pop(attempt.place, None)
                count = await self._commit(command, attempt)
            case _:
                count = await self._commit(message, None)
        self._reconcile()
        return count

    async def _commit(self, command: Command, attempt: Attempt | None) -> int:
        """Append what follows from a command; read and decide again when the run has moved on."""
        logs = [] if attempt is None else self._logs_of(attempt)
        while True:
            payloads = decide(self.run, command, self._facts)
            if not payloads:
                return 0
            now = self._world.clock.now_us()
            events = [(now, payload) for payload in payloads]
            try:
                logs = await self._write_all_but_last(logs)
                await self._write([*logs, *events])
            except WrongExpectedSeq as moved:
                if isinstance(command, Start):
                    raise RunExists(self.run.id) from moved
                await self._catch_up()
                continue
            match command:
                case Start():
                    self._begun(self)
                case ToolReturned(place=place, update=update):
                    self.run.scopes[place.scope].state.remember(update.decoded)
                case _:
                    pass
            return len(payloads)

    async def _say(self, attempt: Attempt) -> None:
        """Write what an attempt has said so far."""
        logs = self._logs_of(attempt)
        while logs:
            try:
                logs = await self._write_all(logs)
            except WrongExpectedSeq:
                await self._catch_up()
                logs = logs if attempt.place in places(self.run) else []

    def _logs_of(self, attempt: Attempt) -> Events:
        """Take what an attempt has said; nothing when it is over for the run."""
        lines = attempt.take_lines()
        return _logs(attempt.place, lines) if attempt.place in places(self.run) else []

    async def _write_all(self, events: Events) -> Events:
        """Write events in commits of a bounded size; returns none."""
        rest = await self._write_all_but_last(events)
        await self._write(rest)
        return []

    async def _write_all_but_last(self, events: Events) -> Events:
        """Write events in commits of a bounded size, and return those of the last one unwritten.

        What was written is gone from ``events``, so that asking again writes nothing twice.
        """
        while (count := _fitting(events)) < len(events):
            await self._write(events[:count])
            del events[:count]
        return events

    async def _write(self, events: Events) -> None:
        payloads = [payload for _, payload in events]
        records = [
            NewRecord(payload.TYPE, encode_payload(payload), to_text(at_us))
            for at_us, payload in events
        ]
        labels = self._changed_labels(payloads)
        committed = await self._append(records, labels)
        for record, payload in zip(committed, payloads, strict=True):
            evolve(self.run, to_event(record, payload))
        self._labels |= labels

    async def _append(self, records: list[NewRecord], labels: dict[str, str]) -> list[Record]:
        """Append; while another process holds the file, wait and try again, a new run only so long."""
        wait_s = 0.05
        while True:
            try:
                return await self._world.journal.append(
                    self.run.id, records, expected_seq=self.run.seq, labels=labels
                )
            except JournalBusy:
                if self.run.seq == 0 and wait_s > 1:
                    raise
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, 2.0)

    def _changed_labels(self, payloads: Sequence[Payload]) -> dict[str, str]:
        """Return what the journal should keep beside the run, to list runs by."""
        labels: dict[str, str] = {"status": status_after(self.run.status, payloads)}
        if isinstance(payloads[0], RunCreated):
            tags = {f"tag:{key}": value for key, value in payloads[0].tags.items()}
            labels |= {"kind": "run", "graph": payloads[0].graph_id, **tags}
        return {key: value for key, value in labels.items() if self._labels.get(key) != value}

    async def _catch_up(self) -> None:
        """Read what somebody else has appended to the run."""
        while records := await self._world.journal.read(self.run.id, after=self.run.seq):
            for record in records:
                evolve(self.run, decode(record))
        self._labels.clear()

    async def _conclude(self, attempt: Attempt, command: ToolReturned | ToolFailed) -> int:
        """Commit what a result means; where edges name predicates, once these have answered."""
        place = command.place
        node = compiled(self.run).nodes[place.node]
        outcome = "ok" if isinstance(command, ToolReturned) else command.outcome
        names = predicates_of(node, outcome)
        if not names:
            self._attempts.pop(place, None)
            return await self._commit(command, attempt)
        state = self.run.scopes[place.scope].state.copy()
        if isinstance(command, ToolReturned):
            state.apply(command.update.patch)
        asking = self._ask(attempt, command, names, state)
        self._asking[place] = asyncio.get_running_loop().create_task(asking)
        return 0

    async def _ask(
        self,
        attempt: Attempt,
        command: ToolReturned | ToolFailed,
        names: Sequence[str],
        state: State,
    ) -> None:
        """Ask beside the inbox, which goes on: a cancel does not wait for predicates."""
        world = self._world
        answers = await ask(
            names, state, registry=world.registry, threads=world.asking, clock=world.clock
        )
        self.tell(Answered(attempt, replace(command, answers=answers)))

    def _to_command(self, attempt: Attempt, result: Result) -> ToolReturned | ToolFailed:
        """Turn a tool's result into the command that says what it means for the run."""
        if not isinstance(result, Raised):
            try:
                state = self.run.scopes[attempt.place.scope].state
                update, goto = _read_result(state, attempt, result.value)
                return ToolReturned(
                    place=attempt.place, update=update, goto=goto, duration_ms=attempt.running_ms()
                )
            except (NotJson, StateTooLarge) as error:
                code = "not-json" if isinstance(error, NotJson) else "state-too-large"
                result = Raised(ErrorInfo(code, str(error)), (code,))
            except BaseException as error:  # what a tool returned may be any object, and raise
                result = raised(error)
        return self._to_failed(attempt, result)

    def _to_failed(self, attempt: Attempt, result: Raised) -> ToolFailed:
        error = result.error
        return ToolFailed(
            place=attempt.place,
            outcome="timeout" if result.timed_out else "error",
            error=ErrorInfo(error.type, error.message, error.traceback, attempt.place.node),
            types=result.types,
            duration_ms=attempt.running_ms(),
            now_us=self._world.clock.now_us(),
            jitter=self._world.draw(),
        )

    def _reconcile(self) -> None:
        """Make what runs be what the run says should run: the one place that starts and stops."""
        wanted = places(self.run)
        for place in [place for place in self._attempts if place not in wanted]:
            self._give_up(place)
        for place in wanted:
            if place not in self._attempts:
                self._begin(place)
        self._set_retries()
        self._set_deadline()
        if self.run.status == "cancelling" and not self._attempts:
            self._await_stop()

    def _give_up(self, place: Place) -> None:
        attempt = self._attempts.pop(place)
        attempt.abandon()
        self._keep(attempt)
        if place in self._asking:
            self._asking[place].cancel()

    def _begin(self, place: Place) -> None:
        node = compiled(self.run).nodes[place.node]
        attempt = Attempt(
            place,
            None if node.tool is None else self._world.registry.tools.get(node.tool, None),
            self.run.scopes[place.scope].state.draft(),
            dict(node.node.config),
            run_id=self.run.id,
            timeout_s=node.node.timeout_s,
            clock=self._world.clock,
            threads=self._world.threads,
            settled=lambda attempt, result: self.tell(Settled(attempt, result)),
            said=lambda attempt: self.tell(Said(attempt)),
        )
        self._attempts[place] = attempt
        if node.tool is not None and node.tool not in self._world.registry.tools:
            message = f"there is no tool {node.tool!r} here; start with the module that offers it"
            error = ErrorInfo("UnknownTool", message)
            self.tell(Settled(attempt, Raised(error, ("UnknownTool",))))
        else:
            attempt.start()

    def _keep(self, attempt: Attempt) -> None:
        """Hold on to an abandoned task until it ends: the loop itself only knows it weakly."""
        if attempt.task is not None and not attempt.task.done():
            self._stopping.append(attempt.task)
            self._world.strays.add(attempt.task)
            attempt.task.add_done_callback(self._world.strays.discard)

    def _set_retries(self) -> None:
        due = retries(self.run)
        for scope in [s for s, (at, _) in self._retries.items() if due.get(s) != at]:
            self._retries.pop(scope)[1].cancel()
        for scope in due.keys() - self._retries.keys():
            delay_s = max(0, to_us(due[scope]) - self._world.clock.now_us()) / 1_000_000
            timer = self._world.clock.call_later(delay_s, partial(self.tell, RetryDue(scope)))
            self._retries[scope] = (due[scope], timer)

    def _set_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        limit = self.run.limits.time_s
        if limit is not None and self._attempts:
            left_s = limit - (self.run.busy_ms + self._running_ms()) / 1000
            self._deadline = self._world.clock.call_later(
                max(0, left_s), lambda: self.tell(TimeUp(running_ms=self._running_ms()))
            )

    def _running_ms(self) -> float:
        return sum(attempt.running_ms() for attempt in self._attempts.values())

    def _await_stop(self) -> None:
        stopping = [task for task in self._stopping if not task.done()]
        self._stopping = stopping
        if not stopping:
            self.tell(Stopped())
            return
        timer = self._world.clock.call_later(STOP_GRACE_S, lambda: self.tell(Stopped()))

        def stopped(_: object) -> None:
            if all(task.done() for task in stopping):
                timer.cancel()
                self.tell(Stopped())

        for task in stopping:
            task.add_done_callback(stopped)


def _resolve(
    future: asyncio.Future[Any] | None, error: Exception | None, value: Any = None
) -> None:
    if future is None or future.done():
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
        future.exception()  # seen: nobody need wait for it


def _fitting(events: Events) -> int:
    """Return how many of the events, from the first on, one commit may hold: one at least."""
    size = 0
    for count, (_, payload) in enumerate(events[:COMMIT_RECORDS]):
        size += len(encode_payload(payload))
        if size > COMMIT_BYTES:
            return max(1, count)
    return min(len(events), COMMIT_RECORDS)


def _logs(place: Place, lines: Sequence[LogLine]) -> Events:
    return [
        (
            line.at_us,
            LogWritten(
                scope=place.scope,
                node=place.node,
                visit=place.visit,
                attempt=place.attempt,
                message=line.message,
                level=line.level,
                fields=Raw(line.fields) if line.fields else UNSET,
            ),
        )
        for line in lines
    ]


def _read_result(state: State, attempt: Attempt, value: Any) -> tuple[Update, str | None]:
    """Return what a tool changed and where it wants to go; raises NotJson or StateTooLarge."""
    goto: str | None = None
    if isinstance(value, Goto):
        goto, value = value.to, value.update
    if value is None or value is attempt.draft:
        value = {}
    if not isinstance(value, Mapping):
        kind = type(value).__name__
        raise NotJson(
            "", f"a tool returns a dict of what changed, None or Goto; this one returned {kind}"
        )
    returned = dict(value)
    spelled = returned.pop(NEXT_NODE, None)
    if NEXT_NODE in attempt.draft.touched():
        in_place = attempt.draft.pop(NEXT_NODE, None)  # in any case: it is no part of the state
        spelled = in_place if spelled is None else spelled
    if not isinstance(spelled, str | None):
        raise NotJson(pointer(NEXT_NODE), "is the name of a node, as text")
    return state.update(attempt.draft, returned), goto or spelled


NEXT_NODE: Final = "__next_node__"
"""The key by which a tool may say where to go, as a spelling of Goto; never part of the state."""
