"""Worlds for tests of what runs in one: all is real, and nothing happens there yet."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from stenograph.engine.clock import Clock
from stenograph.engine.executor.world import World, open_world
from stenograph.engine.tools.tools import Registry
from stenograph.journal import MemoryJournal


def world(clock: Clock, **given: Any) -> World:
    """Return a world with a clock, and what else is given."""
    return replace(open_world(MemoryJournal(), Registry(), clock, None), **given)
