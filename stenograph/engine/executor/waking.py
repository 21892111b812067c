"""Waking: runs at rest are told that their time has come, one after the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from stenograph.engine.clock import Clock
from stenograph.engine.core.commands import Due
from stenograph.engine.core.run import Run
from stenograph.engine.core.standing import due_at, first_due
from stenograph.engine.executor.alarms import Alarms
from stenograph.engine.times import to_text, to_us
from stenograph.journal import JournalBusy, JournalFull

LATER_US: Final = 1_000_000

_log: Final = logging.getLogger("stenograph.engine")


class Waking:
    """Has an alarm for each run at rest in which something will be due.

    ``load`` returns a run as it is now, ``ask`` has it handle a command, ``is_active`` tells whether
    a run has an actor, which then keeps its times.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        load: Callable[[str], Awaitable[Run]],
        ask: Callable[[Run, Due], Awaitable[object]],
        is_active: Callable[[str], bool],
    ) -> None:
        self._clock, self._load, self._ask, self._is_active = clock, load, ask, is_active
        self._ringing: asyncio.Queue[str] = asyncio.Queue()
        self._alarms = Alarms(clock, self._ringing.put_nowait)

    def rest(self, run: Run) -> None:
        """Have an alarm for a run that has come to rest, if it needs one."""
        self.set(run.id, first_due(run) or "")

    def set(self, run_id: str, due: str) -> None:
        """Have an alarm for a run at a time, if there is one."""
        if due and not self._is_active(run_id):
            self._alarms.set(run_id, due)

    def clear(self, run_id: str) -> None:
        """Have no alarm for a run any more: it has an actor."""
        self._alarms.clear(run_id)

    def close(self) -> None:
        """Have no alarms any more."""
        self._alarms.close()

    async def answer(self) -> None:
        """Answer the alarms, for ever."""
        while True:
            run_id = await self._ringing.get()
            try:
                await self._wake(run_id)
            except (JournalBusy, JournalFull):  # which is told of as that, and of all runs at once
                self._later(run_id)
            except Exception:  # whatever is wrong with this run, the others have their time
                _log.exception("run %s is told later that its time has come", run_id)
                self._later(run_id)

    def _later(self, run_id: str) -> None:
        self.set(run_id, to_text(self._clock.now_us() + LATER_US))

    async def _wake(self, run_id: str) -> None:
        """Tell a run all that is due in it, as it was due."""
        for at, path in self._overdue(await self._load(run_id)):
            run = await self._load(run_id)  # its actor may be gone, and others read it
            await self._ask(run, Due(path, at))
        self.rest(await self._load(run_id))  # if the clock was set back since

    def _overdue(self, run: Run) -> list[tuple[str, str]]:
        now_us = self._clock.now_us()
        dues = [(due_at(run, path) or "", path) for path in run.scopes]
        return sorted((at, path) for at, path in dues if at and to_us(at) <= now_us)
