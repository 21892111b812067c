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
from stenograph.engine.draft import Draft
from stenograph.engine.edges import Answers, predicates_of
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
from stenograph.engine.graph import Outcome
from stenograph.engine.lines import call_on
from stenograph.engine.run import ACTIVE, Run, evolve, status_after
from stenograph.engine.state import State, Update
from stenograph.engine.threads import Threads
from stenograph.engine.times import to_text, to_us
from stenograph.engine.tools import Effects, Goto, Registry
from stenograph.engine.values import pointer
from stenograph.journal import (
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
PREDICATE_TIMEOUT_S: Final = 5.0
LOGS_IN_A_COMMIT: Final = 40
"""At 64 KiB of fields and 16 KiB of message a line, well below what one append may hold."""


_log: Final = logging.getLogger("stenograph.engine")


class World(Struct, frozen=True):
    """All that reaches an actor from outside: storage, tools, time, threads, chance."""

    journal: Journal
    registry: Registry
    clock: Clock
    threads: Threads
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


Message: TypeAlias = Command | Settled | Said
Reply: TypeAlias = "asyncio.Future[int]"


class Actor:
    """Owns a run while it is active; ``finished`` is done when it came to rest.

    A run rests when it has ended or parked: nothing happens to it by itself any more.
    """

    def __init__(self, run: Run, world: World) -> None:
        self.run = run
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closed = False
        self._world = world
        self._facts = world.facts()
        self._inbox: asyncio.Queue[tuple[Message, Reply | None]] = asyncio.Queue()
        self._attempts: dict[Place, Attempt] = {}
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
        except Exception as error:
            # A fault of the engine's own ends this run, and no other.
            _log.exception("run %s cannot go on", self.run.id)
            with suppress(JournalError):
                message = f"a fault in the engine: {type(error).__name__}: {error}"
                await self._commit(Fail(ErrorInfo("internal-error", message)), None)
            self._close(None if self.run.ended else error)
        finally:
            self._close(EngineClosed())

    def _rests(self) -> bool:
        return self.run.seq > 0 and self.run.status not in ACTIVE and self._inbox.empty()

    def _close(self, error: Exception | None) -> None:
        """Let go of everything; whoever still waits is told why. Only the first call counts."""
        if self._closed:
            return
        self._closed = True
        for attempt in self._attempts.values():
            attempt.abandon()
            self._keep(attempt)
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
                await self._write(await self._all_but_last_logs(attempt))
                count = 0
            case Settled(attempt=attempt, result=result):
                self._attempts.pop(attempt.place, None)
                self._keep(attempt)  # one that ran out of time may still be stopping
                command = await self._to_command(attempt, result)
                count = await self._commit(command, attempt)
            case _:
                count = await self._commit(message, None)
        self._reconcile()
        return count

    async def _commit(self, command: Command, attempt: Attempt | None) -> int:
        """Append what follows from a command; read and decide again when the run has moved on."""
        logs = await self._all_but_last_logs(attempt)
        while True:
            payloads = decide(self.run, command, self._facts)
            if not payloads:
                return 0
            now = self._world.clock.now_us()
            try:
                await self._write([*logs, *((now, payload) for payload in payloads)])
            except WrongExpectedSeq as moved:
                if isinstance(command, Start):
                    raise RunExists(self.run.id) from moved
                await self._catch_up()
            else:
                if isinstance(command, ToolReturned):
                    state = self.run.scopes[command.place.scope].state
                    state.remember(command.update.decoded)
                return len(payloads)

    async def _all_but_last_logs(self, attempt: Attempt | None) -> list[tuple[int, Payload]]:
        """Write an attempt's log lines, but for the last ones, which go with the step's commit."""
        if attempt is None or attempt.place not in places(self.run):
            return []
        logs = _logs(attempt.place, attempt.take_lines())
        while len(logs) > LOGS_IN_A_COMMIT:
            await self._write(logs[:LOGS_IN_A_COMMIT])
            logs = logs[LOGS_IN_A_COMMIT:]
        return logs

    async def _write(self, events: Sequence[tuple[int, Payload]]) -> None:
        payloads = [payload for _, payload in events]
        records = [
            NewRecord(payload.TYPE, encode_payload(payload), to_text(at_us))
            for at_us, payload in events
        ]
        if not records:
            return
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

    async def _to_command(self, attempt: Attempt, result: Result) -> Command:
        """Turn a tool's result into the command that says what it means for the run."""
        scope = self.run.scopes[attempt.place.scope]
        if not isinstance(result, Raised):
            try:
                update, goto = _read_result(scope.state, attempt, result.value)
            except (NotJson, StateTooLarge) as error:
                code = "not-json" if isinstance(error, NotJson) else "state-too-large"
                result = Raised(ErrorInfo(code, str(error)), (code,))
            except BaseException as error:  # what a tool returned may be any object, and raise
                result = raised(error)
        if isinstance(result, Raised):
            return await self._to_failed(scope.state, attempt, result)
        answers = await self._ask_predicates(attempt.place, "ok", scope.state, update)
        return ToolReturned(
            place=attempt.place,
            update=update,
            goto=goto,
            duration_ms=attempt.running_ms(),
            answers=answers,
        )

    async def _to_failed(self, state: State, attempt: Attempt, result: Raised) -> ToolFailed:
        place, error = attempt.place, result.error
        outcome: Outcome = "timeout" if result.timed_out else "error"
        return ToolFailed(
            place=place,
            outcome=outcome,
            error=ErrorInfo(error.type, error.message, error.traceback, place.node),
            types=result.types,
            duration_ms=attempt.running_ms(),
            now_us=self._world.clock.now_us(),
            jitter=self._world.draw(),
            answers=await self._ask_predicates(place, outcome, state, Update()),
        )

    async def _ask_predicates(
        self, place: Place, outcome: Outcome, state: State, update: Update
    ) -> Answers:
        """Ask the predicates that the node's edges name, in a thread, each with its own state."""
        names = predicates_of(compiled(self.run).nodes[place.node], outcome)
        if not names:
            return {}
        after = state.copy()
        after.apply(update.patch)
        return {name: await self._ask_predicate(name, after.draft()) for name in names}

    async def _ask_predicate(self, name: str, state: Draft) -> bool | ErrorInfo:
        predicate = self._world.registry.predicates.get(name)
        if predicate is None:
            return ErrorInfo("UnknownPredicate", "no such predicate is registered")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool | ErrorInfo] = loop.create_future()

        def answered(value: bool | ErrorInfo) -> None:
            if not answer.done():
                answer.set_result(value)

        def call() -> None:
            value: bool | ErrorInfo
            try:
                value = bool(predicate(state))
            except BaseException as error:
                value = raised(error).error
            call_on(loop, lambda: answered(value))

        job = self._world.threads.submit(call)
        late = ErrorInfo("TimeoutError", f"no answer after {PREDICATE_TIMEOUT_S:g} s")
        timer = self._world.clock.call_later(PREDICATE_TIMEOUT_S, lambda: answered(late))
        try:
            return await answer
        finally:
            timer.cancel()
            self._world.threads.abandon(job)

    def _reconcile(self) -> None:
        """Make what runs be what the run says should run: the one place that starts and stops."""
        wanted = places(self.run)
        for place in [place for place in self._attempts if place not in wanted]:
            attempt = self._attempts.pop(place)
            attempt.abandon()
            self._keep(attempt)
        for place in wanted:
            if place not in self._attempts:
                self._begin(place)
        self._set_retries()
        self._set_deadline()
        if self.run.status == "cancelling" and not self._attempts:
            self._await_stop()

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
            _STRAYS.add(attempt.task)
            attempt.task.add_done_callback(_STRAYS.discard)

    def _set_retries(self) -> None:
        due = retries(self.run)
        for scope in [s for s, (at, _) in self._retries.items() if due.get(s) != at]:
            self._retries.pop(scope)[1].cancel()
        for scope, at in due.items():
            if scope not in self._retries:
                delay_s = max(0, to_us(at) - self._world.clock.now_us()) / 1_000_000
                due_again = partial(self.tell, RetryDue(scope))
                timer = self._world.clock.call_later(delay_s, due_again)
                self._retries[scope] = (at, timer)

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


_STRAYS: set[asyncio.Task[None]] = set()


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


def _logs(place: Place, lines: Sequence[LogLine]) -> list[tuple[int, Payload]]:
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
        spelled = spelled or attempt.draft.pop(NEXT_NODE, None)
    if not isinstance(spelled, str | None):
        raise NotJson(pointer(NEXT_NODE), "is the name of a node, as text")
    return state.update(attempt.draft, returned), goto or spelled


NEXT_NODE: Final = "__next_node__"
"""The key by which a tool may say where to go, as a spelling of Goto; never part of the state."""
