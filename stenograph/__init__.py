"""Stenograph: a graph engine that takes everything down.

Every state has an address, every decision has a reason, every run is a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stenograph.engine import (
    Context,
    Edge,
    Engine,
    EngineClosed,
    EngineError,
    Event,
    Fault,
    Goto,
    Graph,
    GraphInvalid,
    Limits,
    Node,
    NotJson,
    Retry,
    RunExists,
    RunFinished,
    RunView,
    SeqNotReached,
    StateAt,
    StateTooLarge,
    ToolRefused,
    UnknownGraph,
    UnknownRun,
    predicate,
    tool,
)
from stenograph.journal import (
    CannotOpen,
    CursorUnknown,
    JournalError,
    JournalFailed,
    JournalInUse,
    NotAJournal,
)
from stenograph.opening import open  # noqa: A004

if TYPE_CHECKING:
    from stenograph.http import Client, ServerUnreachable, StreamLost

__version__ = "0.1.0"
__all__ = (
    "CannotOpen",
    "Client",
    "Context",
    "CursorUnknown",
    "Edge",
    "Engine",
    "EngineClosed",
    "EngineError",
    "Event",
    "Fault",
    "Goto",
    "Graph",
    "GraphInvalid",
    "JournalError",
    "JournalFailed",
    "JournalInUse",
    "Limits",
    "Node",
    "NotAJournal",
    "NotJson",
    "Retry",
    "RunExists",
    "RunFinished",
    "RunView",
    "SeqNotReached",
    "ServerUnreachable",
    "StateAt",
    "StateTooLarge",
    "StreamLost",
    "ToolRefused",
    "UnknownGraph",
    "UnknownRun",
    "open",
    "predicate",
    "tool",
)

_CLIENT = frozenset({"Client", "ServerUnreachable", "StreamLost"})


def __getattr__(name: str) -> Any:
    """Fetch the client when it is first asked for: the library itself needs no HTTP."""
    if name not in _CLIENT:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from stenograph import http as room  # not under the standard library's name

    return getattr(room, name)
