"""One actor a run: it alone appends to the run, starts its tools and hears what becomes of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from msgspec.structs import replace

from stenograph.engine.core.commands import (
    Advance,
    Command,
    Due,
    Fail,
    Signal,
    Start,
    Stopped,
    Unanswered,
)
from stenograph.engine.core.decide import Decision
from stenograph.engine.core.events import ErrorInfo, RerunOf
from stenograph.engine.core.run import ACTIVE, GOING, Run
from stenograph.engine.core.secrecy import Secrecy, all_secret_keys
from stenograph.engine.core.standing import peek, running_at
from stenograph.engine.current import CURRENT
from stenograph.engine.errors import EngineClosed, EngineError, RunExists
from stenograph.engine.executor.ahead import may_run_ahead
from stenograph.engine.executor.attempt import Attempt
from stenograph.engine.executor.crew import Crew
from stenograph.engine.executor.deciding import decided_at_once, decided_beside, is_much
from stenograph.engine.executor.inbox import (
    Errand,
    Inbox,
    Message,
    Patient,
    Reply,
    Said,
    Settled,
    is_patient,
    resolve,
)
from stenograph.engine.executor.lane import Events, Lane, log_events
from stenograph.engine.executor.questions import Questions
from stenograph.engine.executor.recall import Recall, recording_of
from stenograph.engine.executor.recordings import Answers
from stenograph.engine.executor.results import to_command
from stenograph.engine.executor.timers import Deadline, Timers
from stenograph.engine.executor.world import World
from stenograph.engine.state.vault import Vault
from stenograph.journal import (
    AppendTooLarge,
    JournalBusy,
    JournalError,
    JournalFailed,
    JournalFull,
    WrongExpectedSeq,
    run_briefly,
)

LAG_MAX_S: Final = 0.5

_log: Final = logging.getLogger("stenograph.engine")


class Actor:
    """Owns a run while it is active: until it comes to rest.

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
        self.is_second = False
        """Whether another had begun the run."""
        self.known = asyncio.Event()
        """Set once it is certain whether the run has begun."""
        self._begun, self._world = begun, world
        self._closed = False
        self._waiters: set[asyncio.Future[bool]] = set()
        # The parts of an actor know his inbox and not him, so that he goes as soon as he is done.
        inbox = self._inbox = Inbox()
        self._lane = Lane(
            run,
            world.journal,
            world.clock,
            world.bounds.event_bytes,
            broken=lambda: inbox.put(Advance(())),
            stalled=inbox.refuse,
        )
        self._crew = Crew(
            run,
            world,
            settled=lambda attempt, result: inbox.put(Settled(attempt, result)),
            said=lambda attempt: inbox.put(Said(attempt)),
        )
        self._questions = Questions(world, lambda errand: inbox.put(errand, errand.reply))
        self._timers = Timers(run, world.clock, inbox.put)
        self._deadline = Deadline(run, self._crew, world.clock, inbox.put)
        self._secrecy = Secrecy(None)
        if vault is not None:
            self._keep_secrets(vault)
        self._recall: Recall | None = None
        self._awaits_stop = False
        self._touched: dict[str, None] = dict.fromkeys(run.scopes)  # in the order of their entry
        self._mode: tuple[bool, str] = (False, "")

    async def taken_in(self) -> None:
        """Return when the run has taken in what readers of its events may have seen already."""
        with suppress(TimeoutError):  # of a commit that hangs nobody has seen anything
            async with asyncio.timeout(LAG_MAX_S):
                await self._lane.idle.wait()

    async def ask(self, command: Command, *, patient: bool = False) -> int:
        """Have a command handled; returns how many events it made, once they are durable.

        Raises EngineError when it asks for what cannot be, JournalBusy and JournalFull when that
        cannot be written; the run is then as it was. ``patient``: it waits until it can be written.
        """
        reply: Reply = Patient() if patient else asyncio.get_running_loop().create_future()
        self._inbox.put(command, reply)
        return await reply

    async def comes_to_rest(self, wait_s: float) -> bool:
        """Return True once the run has come to rest, or False after so many seconds.

        Raises why it cannot go on.
        """
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        self._waiters.add(waiter)
        timer = loop.call_later(wait_s, resolve, waiter, None, False)
        try:
            return await waiter
        finally:
            timer.cancel()
            self._waiters.remove(waiter)

    async def live(self) -> None:
        """Handle messages, one at a time, until the run rests or the journal fails."""
        CURRENT.set(self.run.id)
        try:
            if keys := all_secret_keys(self.run):
                stored = await self._world.journal.secrets(self.run.id)
                self._keep_secrets(Vault.stored(keys, stored))
            while not self._rests():
                await self._handle(*await self._inbox.get())
            self._close(None)
        except (JournalBusy, JournalFull, JournalFailed, RunExists) as error:
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
            await self._commit(Errand(Fail(ErrorInfo("internal-error", message))))
        self._close(None if self.run.ended else error)

    async def _begin_to_recall(self, rerun: RerunOf) -> None:
        answers = Answers(await recording_of(self._world.journal, rerun, values=False), rerun)
        self._recall = Recall(self.run, answers, self._world, self._give)
        self._crew.recall(self._recall)

    def _give(self, command: Due | Signal) -> None:
        """Tell what a recording says; when that does not fit any more, nothing follows from it."""
        self._inbox.put(command, Patient())

    def _keep_secrets(self, vault: Vault) -> None:
        self._secrecy = Secrecy(vault)
        self._crew.share(self._secrecy)
        self._lane.has_secrets = True

    def _rests(self) -> bool:
        run = self.run
        is_still = run.seq > 0 and run.status not in ACTIVE
        return is_still and not self._inbox and not self._questions

    def _close(self, error: Exception | None) -> None:
        """Let go of everything; whoever still waits is told why. Only the first call counts."""
        if self._closed:
            return
        self._closed = True
        self._crew.close()
        self._timers.close()
        self._deadline.close()
        self._lane.close()
        for waiter in self._waiters:
            resolve(waiter, error, True)
        self._questions.close(error or EngineClosed())
        for _, reply in self._inbox.take_all():
            resolve(reply, error or EngineClosed())

    async def _handle(self, message: Message, reply: Reply | None) -> None:
        seq = self.run.seq
        try:
            count = await self._obey(message, reply)
        except EngineError as refused:
            resolve(reply, refused)
            if reply is None or isinstance(refused, RunExists):
                raise
        except (JournalBusy, JournalFull) as error:
            resolve(reply, error)
            if not seq:
                raise  # it has not begun
        except Exception as error:
            resolve(reply, error)
            raise
        except BaseException:
            resolve(reply, EngineClosed())
            raise
        else:
            if count is not None:
                resolve(reply, None, count)

    async def _obey(self, message: Message, reply: Reply | None) -> int | None:
        """Handle a message; returns how many events it made, or None when that comes later."""
        count: int | None = 0
        if isinstance(message, Settled):
            count = await self._commit(self._ending(message))
        else:
            asked = message.reply if isinstance(message, Errand) else reply
            await self._drain(is_patient=is_patient(asked))
            if isinstance(message, Said):
                await self._write_said(message.attempt, self._said_by(message.attempt))
            elif isinstance(message, Errand):
                count = await self._commit(message)
            else:
                count = await self._commit(Errand(message, reply=reply))
        if self.run.rerun is not None and self._recall is None:
            await self._begin_to_recall(self.run.rerun)
        self._reconcile()
        return count

    def _ending(self, settled: Settled) -> Errand:
        """Return what is to be decided of an attempt that came to its result."""
        attempt = settled.attempt
        self._crew.keep(attempt)  # one that ran out of time may still be stopping
        scope = peek(self._lane.head, attempt.place.scope)
        command = to_command(attempt, settled.result, scope, self._secrecy, self._world.bounds)
        return Errand(command, attempt, said=self._said_by(attempt))

    async def _commit(self, errand: Errand) -> int | None:
        """Append what follows from a command, and go on until that is all.

        Returns how many events it made. Where edges name predicates, these are asked first, and
        what follows comes later: None.
        """
        if self._secrecy:
            sealing = partial(self._secrecy.seal_command, errand.command, self.run)
            is_little = not is_much(errand.command, self.run)
            errand = replace(errand, command=await run_briefly(sealing, at_once=is_little))
        count = 0
        while True:
            if errand.said:
                await self._drain()
                await self._write_said(errand.attempt, errand.said, keep_last=True)
            try:
                decision = decided_at_once(errand, self._lane.head, self._world)
                if decision is None:
                    await self._drain()  # what is ahead would change the run meanwhile
                    decision = await decided_beside(errand, self.run, self._world)
            except Unanswered as question:
                self._questions.ask(errand, question)
                return None
            if self._runs_ahead(errand, decision):
                self._has_decided(errand, decision)
                return len(decision.events)
            if self._lane.ahead:
                await self._drain()
                continue
            may_wait = count > 0 or is_patient(errand.reply)
            try:
                is_done = await self._write(errand, decision, is_patient=may_wait)
            except AppendTooLarge as error:
                if count or errand.reply is None or not self.run.seq:
                    raise
                resolve(errand.reply, error)  # somebody gave too much, and nothing is written of it
                return None
            if not is_done:
                if isinstance(errand.command, Advance):
                    errand = replace(errand, command=Advance())
                continue
            count += len(decision.events)
            self._has_decided(errand, decision)
            if not decision.is_partial:
                return count
            errand = replace(errand, command=Advance(decision.rest), attempt=None)

    async def _write(self, errand: Errand, decision: Decision, *, is_patient: bool) -> bool:
        """Write what was decided; returns False when the run has moved on, which is then read."""
        if not decision.events:
            return True
        try:
            await self._lane.write(errand.said, decision, errand.secrets, is_patient=is_patient)
        except WrongExpectedSeq as moved:
            if isinstance(errand.command, Start):
                self.is_second = True
                raise RunExists(self.run.id) from moved
            await self._catch_up(errand.attempt, errand.said)
            return False
        if isinstance(errand.command, Start):
            self._begun(self)
        return True

    def _has_decided(self, errand: Errand, decision: Decision) -> None:
        for path in decision.touched:
            self._touched[path] = None
        if errand.attempt is not None:
            self._crew.let_go(errand.attempt)

    def _runs_ahead(self, errand: Errand, decision: Decision) -> bool:
        """Go on with what was decided before it is durable, if that may be."""
        return (
            may_run_ahead(errand, decision, self._lane.head, self._world)
            and not self._timers.scopes()
            and self._lane.run_ahead(decision)
        )

    async def _drain(self, *, is_patient: bool = True) -> None:
        """Have all be durable that was decided; when somebody else has appended, read that instead."""
        try:
            await self._lane.drain(is_patient=is_patient)
        except WrongExpectedSeq:
            await self._catch_up(None, [])

    async def _write_said(
        self, attempt: Attempt | None, said: Events, *, keep_last: bool = False
    ) -> None:
        """Write what an attempt has said; ``keep_last``: but for what goes with what is decided."""
        while said:
            try:
                await self._lane.write_said(said, keep_last=keep_last)
            except WrongExpectedSeq:
                await self._catch_up(attempt, said)
            else:
                return

    async def _catch_up(self, attempt: Attempt | None, said: Events) -> None:
        """Read what somebody else has appended; what an attempt said that is over by that is gone."""
        await self._lane.catch_up()
        self._touched |= dict.fromkeys([*self.run.scopes, *self._crew.scopes()])
        if attempt is None or not self._is_on(attempt):
            said.clear()

    def _is_on(self, attempt: Attempt) -> bool:
        return running_at(self._lane.head, attempt.place.scope) == attempt.place

    def _said_by(self, attempt: Attempt) -> Events:
        """Take what an attempt has said; nothing when it is over for the run."""
        lines = attempt.take_lines()
        if not lines or not self._is_on(attempt):
            return []
        return log_events(attempt.place, [self._secrecy.mask_line(line) for line in lines])

    def _reconcile(self) -> None:
        """Make what runs be what the run says should run: the one place that starts and stops."""
        run = self._lane.head
        mode = (run.status in GOING, run.halt)
        if mode != self._mode:
            known = [*run.scopes, *self._crew.scopes(), *self._timers.scopes()]
            self._touched |= dict.fromkeys(known)
            self._mode = mode
        touched, self._touched = self._touched, {}
        self._crew.follow(touched, run)
        if self._questions:
            self._questions.keep(self._is_on)
        self._timers.follow(touched)
        if self._recall is not None:
            self._recall.follow(touched)
            self._crew.answer(is_idle=not self._inbox and not self._questions)
        self._deadline.set()
        if run.status == "cancelling" and not self._crew and not self._awaits_stop:
            self._awaits_stop = True
            self._crew.when_stopped(lambda: self._inbox.put(Stopped()))
