"""The run at work: which one whatever is being done belongs to, for logs to tell."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

CURRENT: Final[ContextVar[str | None]] = ContextVar("run", default=None)


def current_run() -> str | None:
    """Return the id of the run that this task works for, or None: also in its async tools."""
    return CURRENT.get()
