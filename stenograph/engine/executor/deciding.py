"""Where a decision is made: in the event loop if it is soon made, or else on the thread for brief work."""

from __future__ import annotations

from functools import partial
from typing import Final

from stenograph.engine.conditions.expressions import TooLong
from stenograph.engine.core.commands import (
    Advance,
    Cancel,
    Command,
    Migrate,
    Pause,
    Recover,
    Resume,
    Retry,
    Signal,
    Start,
)
from stenograph.engine.core.decide import Decision, decide
from stenograph.engine.core.run import Run
from stenograph.engine.executor.inbox import Errand
from stenograph.engine.executor.world import World
from stenograph.journal import AT_ONCE_BYTES, run_briefly

HASTE: Final = 500_000
"""The parts of work that a decision may do in the loop: about a millisecond, as many may wait for theirs."""
AT_ONCE_SCOPES: Final = 500
"""So many scopes are looked at in some five milliseconds; a fork may open a hundred thousand."""


def decided_at_once(errand: Errand, run: Run, world: World) -> Decision | None:
    """Return what follows from a command, or None when that takes longer than the loop should wait.

    Raises what ``decide`` raises.
    """
    if is_much(errand.command, run):
        return None
    outside = world.outside(errand.answers, ahead=len(errand.said), haste=HASTE)
    try:
        return decide(run, errand.command, outside)
    except TooLong:
        return None


async def decided_beside(errand: Errand, run: Run, world: World) -> Decision:
    """Return what follows from a command, however long it takes; ``run`` must not change meanwhile."""
    outside = world.outside(errand.answers, ahead=len(errand.said))
    return await run_briefly(partial(decide, run, errand.command, outside))


def is_much(command: Command, run: Run) -> bool:
    """Tell whether a command brings much JSON, or meets a value that is large already, or many scopes."""
    match command:
        case Signal(name=name, payload=payload):
            return len(payload) > AT_ONCE_BYTES or any(
                len(scope.state.encoded(name) or b"") > AT_ONCE_BYTES
                for scope in run.scopes.values()
            )
        case Start(graph=graph, state=state, inheritance=inherited):
            data = b"" if inherited is None else inherited.data
            return len(graph) + len(state) + len(data) > AT_ONCE_BYTES
        case Migrate(graph=graph, graphs=graphs):
            pinned = sum(len(bytes(each.graph)) for each in graphs.values())
            return len(graph) + pinned > AT_ONCE_BYTES
        case Resume(result=result) if result is not None:
            return True
        case Pause() | Resume() | Retry() | Cancel() | Recover() | Advance(scopes=None):
            return len(run.scopes) > AT_ONCE_SCOPES
        case Advance(scopes=tuple(scopes)):
            return len(scopes) > AT_ONCE_SCOPES
        case _:
            return False
