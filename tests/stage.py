"""A stage for runs: tools that are held until a test lets them go, a clock that it moves, restarts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import stenograph as st
from stenograph.engine import Engine, Event, decode, fold
from stenograph.engine.times import to_text, to_us
from stenograph.journal import MemoryJournal
from tests.clocks import VirtualClock
from tests.crashes import FaultJournal, Moment

NEVER = 1 << 30
QUIET_TICKS = 12
"""How often the loop goes round with nothing happening until we say that nothing will."""


class Stage:
    """A journal and a clock that outlive engines; ``held`` are the attempts that are under way.

    An attempt is named ``run/split#1[0]/node#1.1``: run, scope, node, visit and attempt. One that
    begins a second time while it is under way is ``doubled``.
    """

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.store = MemoryJournal()
        self.held: dict[str, asyncio.Future[Mapping[str, Any]]] = {}
        self.begun: list[str] = []
        self.stopped: list[str] = []
        self.doubled: list[str] = []
        self.asking: list[asyncio.Future[None]] = []
        self._engine: Engine | None = None
        self.faults = FaultJournal(self.store, NEVER, "before")

    @property
    def engine(self) -> Engine:
        assert self._engine is not None, "the stage is open"
        return self._engine

    def tools(self) -> list[st.Tool]:
        """Return the tools ``hold`` and ``once``, which return what a test says, when it does."""

        async def hold(state: dict[str, Any], ctx: st.Context) -> Mapping[str, Any]:
            return await self._hold(ctx)

        return [st.tool(hold), st.tool(name="once", effects="once")(hold)]

    async def _hold(self, ctx: st.Context) -> Mapping[str, Any]:
        name = f"{ctx.run_id}{ctx.scope}{ctx.node}#{ctx.visit}.{ctx.attempt}"
        future: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self.begun.append(name)
        if name in self.held:
            self.doubled.append(name)
            return await future
        self.held[name] = future
        try:
            return await future
        except asyncio.CancelledError:
            self.stopped.append(name)
            raise
        finally:
            del self.held[name]

    async def open(self) -> Engine:
        """Open an engine over what the journal holds."""
        self.faults = FaultJournal(self.store, NEVER, "before")
        self._engine = Engine(self.faults, tools=self.tools(), clock=self.clock)
        await self._engine.__aenter__()
        await self.settle()
        return self._engine

    async def close(self) -> None:
        """Close the engine, as an operator does."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.__aexit__(None, None, None)

    async def restart(self, *, crash: bool = False) -> Engine:
        """Close the engine, or with ``crash`` have it die first, and open another."""
        if crash:
            self.faults.died.set()
        await self.close()
        return await self.open()

    def die_at(self, append: int, moment: Moment = "before") -> None:
        """Have the journal die at one of the next appends to runs, 1 for the next."""
        self.faults._at, self.faults._moment = self.faults.appends + append, moment

    def text_in(self, seconds: float) -> str:
        """Return the time in so many seconds, as a state holds it."""
        return to_text(self.clock.now_us() + round(seconds * 1_000_000))

    @staticmethod
    def seconds_of(at: str) -> float:
        """Return a time as seconds since 1970."""
        return to_us(at) / 1_000_000

    async def settle(self) -> None:
        """Let happen what happens by itself while no tool comes back and no time passes."""
        quiet, seen = 0, -1
        while quiet < QUIET_TICKS:
            self.clock.advance(0)
            await asyncio.sleep(0)
            now = await self.store.end() + len(self.begun) + len(self.stopped)
            quiet, seen = (quiet + 1 if now == seen else 0), now

    async def finish(self, name: str, update: Mapping[str, Any] | None = None) -> None:
        """Have an attempt return, and see what becomes of it."""
        self.held[name].set_result(update or {})
        await self.settle()

    async def fail(self, name: str, error: Exception | None = None) -> None:
        """Have an attempt raise, and see what becomes of it."""
        self.held[name].set_exception(error or OSError("it broke"))
        await self.settle()

    async def pass_time(self, seconds: float) -> None:
        """Move the clock on, and see what comes of it."""
        self.clock.advance(seconds)
        await self.settle()

    async def events(self, run_id: str = "run") -> list[Event]:
        """Return all that happened to a run."""
        events: list[Event] = []
        while page := await self.store.read(run_id, after=len(events)):
            events += [decode(record) for record in page]
        return events

    async def types(self, run_id: str = "run") -> list[str]:
        """Return the types of all that happened to a run."""
        return [event.type for event in await self.events(run_id)]

    async def status(self, run_id: str = "run") -> str:
        """Return a run's status, by its events alone."""
        return fold(await self.events(run_id)).status


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """Yield a stage with an open engine."""
    stage = Stage()
    async with stage.store:
        await stage.open()
        try:
            yield stage
        finally:
            await stage.close()


def held(**node: Any) -> dict[str, Any]:
    """Return a node whose tool a test holds; it has years to return."""
    return {"tool": "hold", "timeout_s": 1e8, **node}
