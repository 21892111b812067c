"""One actor a run: it alone appends to the run, starts its tools and hears what becomes of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeAlias

from msgspec import UNSET, Raw, Struct
from msgspec.structs import replace

from stenograph.engine.asking import ask
from stenograph.engine.attempt import Attempt, Raised, Result, raised
from stenograph.engine.clock import Timer
from stenograph.engine.commands import (
    Advance,
    Asked,
    Cancel,
    Command,
    Due,
    Fail,
    Pause,
    Place,
    Resume,
    Retry,
    Signal,
    Start,
    Stopped,
    TimeUp,
    ToolFailed,
    ToolReturned,
    Unanswered,
)
from stenograph.engine.context import LogLine
from stenograph.engine.crew import Crew
from stenograph.engine.decide import decide, due_at, running_at
from stenograph.engine.edges import Answers, compile_graph
from stenograph.engine.errors import (
    EngineClosed,
    EngineError,
    RunExists,
    SchemaViolated,
    WriteRefused,
)
from stenograph.engine.events import ErrorInfo, LogWritten
from stenograph.engine.lane import Events, Lane
from stenograph.engine.results import read_result
from stenograph.engine.run import ACTIVE, GOING, Run
from stenograph.engine.scopes import ROOT
from stenograph.engine.secrecy import Secrecy, all_rules, all_secret_keys
from stenograph.engine.times import to_us
from stenograph.engine.vault import Vault
from stenograph.engine.world import World
from stenograph.journal import (
    AppendTooLarge,
    JournalBusy,
    JournalError,
    JournalFailed,
    WrongExpectedSeq,
)

STOP_GRACE_S: Final = 1.0
"""How long a cancelled async tool may take to stop before it is left behind."""

LAG_MAX_S: Final = 0.5

_log: Final = logging.getLogger("stenograph.engine")


class Settled(Struct, frozen=True):
    """An attempt came to its result."""

    attempt: Attempt
    result: Result


class Said(Struct, frozen=True):
    """An attempt has log lines to write."""

    attempt: Attempt


class Answered(Struct, frozen=True):
    """The predicates have been asked that a command depends on: decide it now."""

    command: Command
    attempt: Attempt | None
    answers: Mapping[Asked, Answers]


Message: TypeAlias = Command | Settled | Answered | Said
Reply: TypeAlias = "asyncio.Future[int]"


class Actor:
    """Owns a run while it is active; ``finished`` is done when it came to rest.

    A run rests when nothing happens to it by itself: it has ended, it is paused or parked, or it
    waits for a signal or for a time, which the engine's alarms then keep.
    """

    def __init__(
        self,
        run: Run,
        world: World,
        *,
        begun: Callable[[Actor], None],
        vault: Vault | None = None,
    ) -> None:
        self.run = run
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._begun, self._world = begun, world
        self.is_second = False
        """Whether another had begun the run."""
        self.known = asyncio.Event()
        """Set once it is certain whether the run has begun."""
        self._closed = False
        self._lane = Lane(run, world.journal, world.clock)
        self._inbox: asyncio.Queue[tuple[Message, Reply | None]] = asyncio.Queue()
        self._crew = Crew(
            run,
            world,
            settled=lambda attempt, result: self.tell(Settled(attempt, result)),
            said=lambda attempt: self.tell(Said(attempt)),
        )
        self._secrecy = Secrecy(None)
        if vault is not None:
            self._keep_secrets(vault)
        self._asking: dict[asyncio.Task[None], tuple[Attempt | None, Reply | None]] = {}
        self._timers: dict[str, tuple[str, Timer]] = {}
        self._deadline: Timer | None = None
        self._timed = 0
        self._awaits_stop = False
        self._touched: dict[str, None] = dict.fromkeys(run.scopes)  # in the order of their entry
        self._mode: tuple[bool, str] = (False, "")

    async def taken_in(self) -> None:
        """Return when the run has taken in what readers of its events may have seen already."""
        with suppress(TimeoutError):  # of a commit that hangs nobody has seen anything
            async with asyncio.timeout(LAG_MAX_S):
                await self._lane.idle.wait()

    def tell(self, message: Message) -> None:
        """Put a message into the inbox."""
        self._inbox.put_nowait((message, None))

    async def ask(self, command: Command) -> int:
        """Have a command handled; returns how many events it made, once they are durable.

        Raises EngineError when it asks for what cannot be; the run is then as it was.
        """
        reply: Reply = asyncio.get_running_loop().create_future()
        self._inbox.put_nowait((command, reply))
        return await reply

    async def live(self) -> None:
        """Handle messages, one at a time, until the run rests or the journal fails."""
        try:
            if keys := all_secret_keys(self.run):
                stored = await self._world.journal.secrets(self.run.id)
                self._keep_secrets(Vault.stored(keys, stored))
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
            await self._commit(Fail(ErrorInfo("internal-error", message)), None, {}, None)
        self._close(None if self.run.ended else error)

    def _keep_secrets(self, vault: Vault) -> None:
        self._secrecy = Secrecy(vault)
        self._crew.share(self._secrecy)
        self._lane.has_secrets = True

    def _rests(self) -> bool:
        run = self.run
        return run.seq > 0 and run.status not in ACTIVE and self._inbox.empty() and not self._asking

    def _close(self, error: Exception | None) -> None:
        """Let go of everything; whoever still waits is told why. Only the first call counts."""
        if self._closed:
            return
        self._closed = True
        self._crew.close()
        for _, timer in self._timers.values():
            timer.cancel()
        if self._deadline is not None:
            self._deadline.cancel()
        _resolve(self.finished, error)
        for task, (_, reply) in self._asking.items():
            task.cancel()
            _resolve(reply, error or EngineClosed())
        while not self._inbox.empty():
            _resolve(self._inbox.get_nowait()[1], error or EngineClosed())

    async def _handle(self, message: Message, reply: Reply | None) -> None:
        seq = self.run.seq
        try:
            count = await self._obey(message, reply)
        except EngineError as refused:
            _resolve(reply, refused)
            if reply is None or isinstance(refused, RunExists):
                raise
        except AppendTooLarge as error:
            _resolve(reply, error)
            if reply is None or not seq or self.run.seq != seq:
                raise  # else somebody gave too much, and nothing of it was written
        except Exception as error:
            _resolve(reply, error)
            raise
        except BaseException:
            _resolve(reply, EngineClosed())
            raise
        else:
            if count is not None:
                _resolve(reply, None, count)

    async def _obey(self, message: Message, reply: Reply | None) -> int | None:
        """Handle a message; returns how many events it made, or None when that comes later."""
        match message:
            case Said(attempt=attempt):
                await self._say(attempt)
                count: int | None = 0
            case Settled(attempt=attempt, result=result):
                self._crew.keep(attempt)  # one that ran out of time may still be stopping
                count = await self._commit(self._to_command(attempt, result), attempt, {}, reply)
            case Answered(command=command, attempt=attempt, answers=answers):
                count = await self._commit(command, attempt, answers, reply)
            case _:
                count = await self._commit(message, None, {}, reply)
        self._reconcile()
        return count

    async def _ask(
        self,
        question: Unanswered,
        command: Command,
        attempt: Attempt | None,
        answers: Mapping[Asked, Answers],
        reply: Reply | None,
    ) -> None:
        """Ask beside the inbox, which goes on: a cancel does not wait for predicates."""
        world = self._world
        said = await ask(
            question.names,
            question.state,
            registry=world.registry,
            threads=world.asking,
            clock=world.clock,
        )
        known = {**answers.get(question.asked, {}), **said}
        self._asking.pop(asyncio.current_task(), None)  # type: ignore[arg-type]
        answered = Answered(command, attempt, {**answers, question.asked: known})
        self._inbox.put_nowait((answered, reply))

    async def _commit(
        self,
        command: Command,
        attempt: Attempt | None,
        answers: Mapping[Asked, Answers],
        reply: Reply | None,
    ) -> int | None:
        """Append what follows from a command; read and decide again when the run has moved on.

        Where edges name predicates, these are asked first, and what follows comes later: None.
        """
        logs: Events = []
        count = 0
        command = self._sealed(command)
        secrets: Mapping[str, bytes] = {}
        if isinstance(command, Start | ToolReturned | Signal | Resume):
            secrets = command.secrets
        while True:
            try:
                decision = decide(self.run, command, self._world.outside(answers))
            except Unanswered as question:
                asking = self._ask(question, command, attempt, answers, reply)
                task = asyncio.get_running_loop().create_task(asking)
                self._asking[task] = (attempt, reply)
                return None
            if attempt is not None:
                logs += self._logs_of(attempt)
            if not decision.events:
                break
            try:
                await self._lane.write(logs, decision, secrets)
            except WrongExpectedSeq as moved:
                if isinstance(command, Start):
                    self.is_second = True
                    raise RunExists(self.run.id) from moved
                await self._lane.catch_up()
                self._touched |= dict.fromkeys(self.run.scopes)
                logs = logs if attempt and self._is_on(attempt) else []
                command = Advance() if isinstance(command, Advance) else command
                continue
            self._touched |= dict.fromkeys(decision.touched)
            count += len(decision.events)
            self._has_happened(command)
            if not decision.is_partial:
                break
            if attempt is not None:
                self._crew.let_go(attempt)
            command, attempt, secrets = Advance(decision.rest), None, {}
        if attempt is not None:
            self._crew.let_go(attempt)
        return count

    def _sealed(self, command: Command) -> Command:
        """Return a command without the secrets that somebody may have put into it."""
        match command:
            case Signal() if self._secrecy:
                return self._secrecy.seal_signal(command, all_rules(self.run))
            case Resume() if self._secrecy and not command.secrets:
                scope = self.run.scopes.get(self.run.parked_at[0], self.run.scopes[ROOT])
                return self._secrecy.seal_resume(command, compile_graph(scope.graph).rules)
            case Pause(reason=reason, actor=actor) | Cancel(reason=reason, actor=actor):
                mask = self._secrecy.mask
                return replace(command, reason=mask(reason), actor=mask(actor))
            case Retry(actor=actor):
                return replace(command, actor=self._secrecy.mask(actor))
            case _:
                return command

    def _told(self, error: WriteRefused) -> str:
        """Return what is wrong with a write; what is quoted short may be the beginning of a secret."""
        if self._secrecy and isinstance(error, SchemaViolated):
            return f"{error.pointer} does not fit the schema of its key"
        return str(error)

    def _has_happened(self, command: Command) -> None:
        match command:
            case Start():
                self._begun(self)
            case ToolReturned(place=place, update=update) if place.scope in self.run.scopes:
                self.run.scopes[place.scope].state.remember(update.decoded)
            case _:
                pass

    async def _say(self, attempt: Attempt) -> None:
        """Write what an attempt has said so far."""
        logs = self._logs_of(attempt)
        while logs:
            try:
                await self._lane.write_logs(logs)
            except WrongExpectedSeq:
                await self._lane.catch_up()
                self._touched |= dict.fromkeys(self.run.scopes)
                logs = logs if self._is_on(attempt) else []

    def _is_on(self, attempt: Attempt) -> bool:
        return running_at(self.run, attempt.place.scope) == attempt.place

    def _logs_of(self, attempt: Attempt) -> Events:
        """Take what an attempt has said; nothing when it is over for the run."""
        lines = [self._secrecy.mask_line(line) for line in attempt.take_lines()]
        return _logs(attempt.place, lines) if self._is_on(attempt) else []

    def _to_command(self, attempt: Attempt, result: Result) -> ToolReturned | ToolFailed:
        """Turn a tool's result into the command that says what it means for the run."""
        place = attempt.place
        scope = self.run.scopes.get(place.scope)
        if not isinstance(result, Raised) and scope is not None:
            try:
                rules = compile_graph(scope.graph).rules
                update, goto, secrets = read_result(
                    scope.state, attempt.draft, result.value, rules, self._secrecy
                )
                return ToolReturned(
                    place=place,
                    update=update,
                    goto=goto,
                    duration_ms=attempt.running_ms(),
                    secrets=secrets,
                )
            except WriteRefused as error:
                result = Raised(ErrorInfo(error.code, self._told(error)), (error.code,))
            except BaseException as error:  # what a tool returned may be any object, and raise
                result = raised(error)
        failed = result if isinstance(result, Raised) else raised(EngineClosed())
        return ToolFailed(
            place=place,
            outcome="timeout" if failed.timed_out else "error",
            error=replace(self._secrecy.mask_error(failed.error), node=place.node),
            types=failed.types,
            duration_ms=attempt.running_ms(),
        )

    def _reconcile(self) -> None:
        """Make what runs be what the run says should run: the one place that starts and stops."""
        run = self.run
        mode = (run.status in GOING, run.halt)
        if mode != self._mode:
            self._touched |= dict.fromkeys([*run.scopes, *self._crew.scopes(), *self._timers])
            self._mode = mode
        touched, self._touched = self._touched, {}
        self._crew.follow(touched)
        for task, (attempt, _) in list(self._asking.items()):
            if attempt is not None and not self._is_on(attempt):
                task.cancel()
                del self._asking[task]
        self._set_timers(touched)
        self._set_deadline()
        if run.status == "cancelling" and not self._crew:
            self._await_stop()

    def _set_timers(self, paths: Collection[str]) -> None:
        """Set the timers of scopes; what is overdue is told in the order in which it was due."""
        dues = {path: due_at(self.run, path) for path in paths}
        for path in dues.keys() & self._timers.keys():
            if self._timers[path][0] != dues[path]:
                self._timers.pop(path)[1].cancel()
        new = [(due, path) for path, due in dues.items() if due and path not in self._timers]
        for due, path in sorted(new):
            delay_s = max(0, to_us(due) - self._world.clock.now_us()) / 1_000_000
            ring = partial(self._ring, path, due)
            self._timers[path] = (due, self._world.clock.call_later(delay_s, ring))

    def _ring(self, path: str, due: str) -> None:
        self._timers.pop(path, None)
        self.tell(Due(path, due))

    def _set_deadline(self) -> None:
        """Have a clock run against ``time_s``; it is set anew when more run than when it was set."""
        size = len(self._crew)
        if self._deadline is not None and not 0 < size <= self._timed:
            self._deadline.cancel()
            self._deadline = None
        if self._deadline is None and size and self.run.limits.time_s is not None:
            self._timed = size
            delay_s = self._left_ms() / 1000 / size
            self._deadline = self._world.clock.call_later(max(0.0, delay_s), self._look_at_time)

    def _look_at_time(self) -> None:
        """Tell that the time is up, or, when less has run since than might have, look again later."""
        self._deadline = None
        if self._left_ms() <= 0:
            self.tell(TimeUp(running_ms=self._crew.running_ms()))
        else:
            self._set_deadline()

    def _left_ms(self) -> float:
        limit_ms = (self.run.limits.time_s or 0) * 1000
        return limit_ms - self.run.busy_ms - sum(self._crew.running_ms().values())

    def _await_stop(self) -> None:
        if self._awaits_stop:
            return
        self._awaits_stop = True
        stopping = self._crew.stopping()
        if not stopping:
            self.tell(Stopped())
            return
        timer = self._world.clock.call_later(STOP_GRACE_S, lambda: self.tell(Stopped()))
        left = len(stopping)

        def stopped(_: object) -> None:
            nonlocal left
            left -= 1
            if not left:
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
