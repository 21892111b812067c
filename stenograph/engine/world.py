"""The world of a run: all that reaches it from outside."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping

from msgspec import Struct

from stenograph.engine.clock import Clock
from stenograph.engine.commands import Asked, Outside
from stenograph.engine.edges import Answers
from stenograph.engine.gates import Gates
from stenograph.engine.processes import Processes
from stenograph.engine.threads import Threads
from stenograph.engine.tools import Effects, Registry
from stenograph.journal import Journal


class World(Struct, frozen=True):
    """Storage, tools, time, threads and chance, as the actors of an engine share them."""

    journal: Journal
    registry: Registry
    clock: Clock
    threads: Threads
    asking: Threads
    processes: Processes
    gates: Gates
    strays: set[asyncio.Task[None]]
    draw: Callable[[], float] = random.random

    def outside(self, answers: Mapping[Asked, Answers]) -> Outside:
        """Return what a decision may know of the world now."""
        return Outside(self._version, self._effects, self.clock.now_us(), self.draw(), answers)

    def _version(self, name: str) -> str | None:
        tool = self.registry.tools.get(name)
        return None if tool is None else tool.version

    def _effects(self, name: str) -> Effects:
        tool = self.registry.tools.get(name)
        return "repeatable" if tool is None else tool.effects
