"""The actors of an engine: a run that is active has one; who asks something of a run asks it here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from stenograph.engine.core.commands import Advance, Command, Fail, Keyable, Recover, Start
from stenograph.engine.core.events import ErrorInfo
from stenograph.engine.core.run import ACTIVE, Run
from stenograph.engine.errors import EngineError, RunImported, TooManyRuns
from stenograph.engine.executor.actor import Actor
from stenograph.engine.executor.recordings import RERUN_OF
from stenograph.engine.executor.waking import Waking
from stenograph.engine.executor.world import World
from stenograph.engine.state.vault import Vault
from stenograph.engine.stored.histories import Histories, in_status
from stenograph.engine.stored.imported import IMPORTED, is_imported
from stenograph.journal import JournalError

OBSTACLE_LOOK_S: Final = 1.0
"""How often it is looked whether runs that are taken up wait for an obstacle to go away."""

_log: Final = logging.getLogger("stenograph.engine")


class Actors:
    """Begins runs, finds or makes the actor of one, and lets it go when the run rests.

    ``left`` is told of each run that has ended, or did not begin.
    """

    def __init__(self, world: World, histories: Histories, *, left: Callable[[str], None]) -> None:
        self.active: dict[str, Actor] = {}
        self.recovered: list[str] = []
        self._world, self._histories, self._left = world, histories, left
        self._beginning: dict[str, list[Actor]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waking = Waking(
            world.clock, load=self.load, ask=self.ask, is_active=self.active.__contains__
        )

    async def recover(self) -> None:
        """Take up what is unfinished."""
        for status in sorted(ACTIVE):
            async for page in in_status(self._world.journal, status):
                mine = [each.run_id for each in page if IMPORTED not in each.labels]
                await self._unless_hindered(
                    [self._do(self._take_up(run_id), run_id) for run_id in mine]
                )
        async for page in in_status(self._world.journal, "waiting"):
            for stream in page:  # one that was imported has nothing due
                self._waking.set(stream.run_id, stream.labels.get("due", ""))
                if f"tag:{RERUN_OF}" in stream.labels and IMPORTED not in stream.labels:
                    self.tell_soon(stream.run_id, Advance(()))  # its recording may end the wait

    def keep_times(self) -> None:
        """Wake runs at rest from now on, when something is due in them."""
        self._do(self._waking.answer(), "alarms")

    async def close(self) -> None:
        """Stop all."""
        self._waking.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def is_full(self) -> bool:
        """Whether as many runs have something to do as may; those that are beginning among them."""
        return len(self.active) + len(self._beginning) >= self._world.bounds.runs_in_flight

    def check_room(self) -> None:
        """Raise TooManyRuns where no more may be begun now."""
        if self.is_full:
            raise TooManyRuns("", f"{self._world.bounds.runs_in_flight:,}")

    async def begin(self, run_id: str, start: Start, vault: Vault | None) -> Run:
        """Begin a run; raises RunExists."""
        actor = self._spawn(Run(id=run_id), vault)
        await actor.ask(start)
        return actor.run

    async def load(self, run_id: str) -> Run:
        """Return a run as it is now; it belongs to somebody else, so nobody may change it.

        Raises UnknownRun.
        """
        while beginning := self._beginning.get(run_id):
            await beginning[0].known.wait()
        if actor := self.active.get(run_id):
            await actor.taken_in()
            return actor.run
        return await self._histories.now(run_id)

    async def ask(self, run: Run, command: Command, *, patient: bool = False) -> int:
        """Have a run handle a command that was loaded just now; raises as ``Actor.ask`` does.

        Returns how many events that made. Raises RunImported for a run that was imported, which
        never has an actor.
        """
        await self.check_own(run.id)
        return await self._actor(run).ask(command, patient=patient)

    async def check_own(self, run_id: str) -> None:
        """Raise RunImported for a run that was imported: nothing may be asked of it."""
        if run_id not in self.active and await is_imported(self._world.journal, run_id):
            raise RunImported(run_id)

    async def tell(self, run_id: str, command: Command) -> Run:
        """Have a run handle a command, and return it as it then is; raises UnknownRun as well."""
        await self.ask(await self.load(run_id), command)
        return await self.load(run_id)

    async def tell_once(self, run_id: str, command: Keyable) -> tuple[Run, bool]:
        """As ``tell``; and tell whether nothing came of it, as with its key it was asked before."""
        count = await self.ask(await self.load(run_id), command)
        return await self.load(run_id), command.key is not None and not count

    def tell_soon(self, run_id: str, command: Command) -> None:
        """Tell a run something of the engine's own accord, which waits for nothing."""
        self._do(self._quietly(run_id, command), f"{type(command).__name__} {run_id}")

    async def _quietly(self, run_id: str, command: Command) -> None:
        try:
            await self.ask(await self.load(run_id), command, patient=True)
        except (JournalError, EngineError):
            _log.exception("run %s was not told: %s", run_id, type(command).__name__)

    def _actor(self, run: Run) -> Actor:
        """Return the actor of a run, as one that takes commands."""
        return self.active.get(run.id) or self._spawn(self._histories.take(run))

    def _spawn(self, run: Run, vault: Vault | None = None) -> Actor:
        actor = Actor(run, self._world, begun=self._enlist, vault=vault)
        if run.seq:
            self._enlist(actor)
        else:
            self._beginning.setdefault(run.id, []).append(actor)
        self._do(self._live(actor), f"run {run.id}")
        return actor

    async def _unless_hindered(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        """Wait for tasks, and raise what they raise; where the journal cannot write for now, leave them be."""
        waiting = set(tasks)
        while waiting and self._world.journal.obstacle is None:
            done, waiting = await asyncio.wait(waiting, timeout=OBSTACLE_LOOK_S)
            for task in done:
                task.result()

    def _do(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _enlist(self, actor: Actor) -> None:
        """Know an actor by its run's id from when the run has begun: before, it may be refused."""
        self.active[actor.run.id] = actor
        self._waking.clear(actor.run.id)
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
        run = actor.run
        try:
            await actor.live()
        finally:
            self._has_begun(actor)
            if self.active.get(run.id) is actor:
                del self.active[run.id]
            if run.seq and run.status not in ACTIVE:
                for scope in run.scopes.values():
                    scope.state.rest()
                self._histories.keep(run)
                self._waking.rest(run)
            if run.ended or not (run.seq or actor.is_second):
                self._left(run.id)

    async def _take_up(self, run_id: str) -> None:
        """Go on with an unfinished run; one that cannot go on fails, and stops no other."""
        command: Recover | Fail = Recover()
        try:
            run = await self.load(run_id)
        except JournalError:
            raise
        except Exception as error:  # whatever is in the history, the other runs go on
            command = Fail(ErrorInfo("unreadable-history", f"{type(error).__name__}: {error}"))
            run = Run(id=run_id, seq=await self._world.journal.head(run_id))
        self._histories.forget(run_id)
        self.recovered.append(run_id)
        try:
            await self._spawn(run).ask(command, patient=True)
        except JournalError:
            raise
        except Exception:
            _log.exception("run %s could not be taken up", run_id)
