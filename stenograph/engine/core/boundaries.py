"""Boundaries: after which events a run can be taken up, as nothing of a step is missing there."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from stenograph.engine.core.events import (
    TERMINAL,
    Event,
    ForkJoined,
    NodeExited,
    RunCancelling,
    StatePatched,
    TimerFired,
    TimerSet,
    TransitionTaken,
    WaitResolved,
)

_HALF_WAY: Final = (NodeExited, TimerFired, RunCancelling)
"""What follows from these is decided with them, and cannot be decided again."""


def last_boundary(events: Iterable[Event | None]) -> int:
    """Return the last seq after which a run can be taken up; the last event only says what follows.

    ``events`` begin with one that a step may begin with, or right after a boundary; None stands for
    what has not happened yet. Returns 0 when there is no boundary among them.
    """
    found = 0
    is_whole = False
    for event, following in pairwise(events):
        assert event is not None, "only what comes last may not have happened"
        is_whole = _is_whole_after(event, is_whole)
        belongs = following is not None and isinstance(following.data, TimerSet | StatePatched)
        if is_whole and not belongs:
            found = event.seq
    return found


def _is_whole_after(event: Event, was_whole: bool) -> bool:
    """Tell whether all is decided that follows from an event and those before it."""
    match event.data:
        case StatePatched():
            return was_whole  # of a join it is the last word, of a node not
        case TransitionTaken(to=to, fork=fork):
            return not fork and not to.startswith("$")
        case ForkJoined(error=error):
            return error is None
        case WaitResolved(attempt=attempt):
            return attempt == 0  # before the first node: that is still to be entered
        case data:
            return not isinstance(data, _HALF_WAY) and event.type not in TERMINAL
