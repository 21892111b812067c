"""The world of a run: all that reaches it from outside."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from stenograph.engine.bounds import BOUNDS, Bounds
from stenograph.engine.clock import Clock
from stenograph.engine.core.commands import Asked, Outside
from stenograph.engine.core.edges import Answers, CompiledNode
from stenograph.engine.executor.asking import ASKING_MAX
from stenograph.engine.executor.gates import Gates
from stenograph.engine.executor.processes import Processes
from stenograph.engine.executor.threads import Threads
from stenograph.engine.executor.time_limits import TimeLimits
from stenograph.engine.tools.data_folder import DataFolder
from stenograph.engine.tools.tools import Effects, Registry
from stenograph.journal import Journal

STOP_GRACE_S: Final = 1.0
"""How long a cancelled async tool may take to stop before it is left behind."""


class World(Struct, frozen=True):
    """Storage, tools, time, threads and chance, as the actors of an engine share them.

    ``strays``: the tasks of tools that were told to stop and have not yet. ``folder`` is the data
    folder, from which tools may read files. ``is_traced``: somebody makes spans of its events.
    """

    journal: Journal
    registry: Registry
    clock: Clock
    limits: TimeLimits
    threads: Threads
    asking: Threads
    processes: Processes
    gates: Gates
    strays: set[asyncio.Task[None]]
    folder: DataFolder | None
    is_traced: bool = False
    bounds: Bounds = BOUNDS
    draw: Callable[[], float] = random.random

    def outside(
        self, answers: Mapping[Asked, Answers], *, ahead: int = 0, haste: int | None = None
    ) -> Outside:
        """Return what a decision may know of the world now, and how much it may do."""
        return Outside(
            self._version,
            self._effects,
            self.clock.now_us(),
            self.draw(),
            answers,
            ahead,
            self.bounds,
            haste,
        )

    def is_pure(self, node: CompiledNode) -> bool:
        """Tell whether nothing but its result comes of a node: it says so, or its tool, if it has one."""
        if node.node.effects is not None or node.tool is None:
            return node.node.effects in ("pure", None)
        return self._effects(node.tool) == "pure"

    async def close(self) -> None:
        """Give the tools that were told to stop a moment to tidy up, then end threads and processes."""
        if self.strays:
            await asyncio.wait(self.strays, timeout=STOP_GRACE_S)
        self.limits.close()
        self.threads.close()
        self.asking.close()
        await self.processes.close()

    def _version(self, name: str) -> str | None:
        tool = self.registry.tools.get(name)
        return None if tool is None else tool.version

    def _effects(self, name: str) -> Effects:
        tool = self.registry.tools.get(name)
        return "repeatable" if tool is None else tool.effects


def open_world(
    journal: Journal,
    registry: Registry,
    clock: Clock,
    folder: DataFolder | None,
    bounds: Bounds = BOUNDS,
    *,
    is_traced: bool = False,
) -> World:
    """Return a world in which nothing runs yet."""
    return World(
        journal=journal,
        registry=registry,
        clock=clock,
        limits=TimeLimits(clock),
        threads=Threads(),
        asking=Threads(ASKING_MAX),
        processes=Processes(),
        gates=Gates(clock),
        strays=set(),
        folder=folder,
        is_traced=is_traced,
        bounds=bounds,
    )
