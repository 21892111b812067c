"""Stenograph: a graph engine that takes everything down.

Every state has an address, every decision has a reason, every run is a file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stenograph.engine import (
        Bounds,
        CannotReduce,
        Concurrency,
        Context,
        DataRefused,
        Edge,
        Engine,
        EngineClosed,
        EngineError,
        Event,
        ExportedRun,
        ExportRefused,
        Fault,
        Goto,
        Graph,
        GraphInvalid,
        KeyReused,
        Limits,
        MergeConflict,
        Node,
        NotHeld,
        NotJson,
        PathNotFound,
        PreconditionFailed,
        Rate,
        Retry,
        RunExists,
        RunFinished,
        RunImported,
        RunTooLong,
        RunView,
        SchemaViolated,
        ScopeNotFound,
        SecretLeaked,
        SecretRefused,
        SeqNotReached,
        SignalRefused,
        Site,
        StateAt,
        StateKey,
        StateRefused,
        StateTooLarge,
        ToolRefused,
        TooManyKeys,
        TooManyRuns,
        TooManySignals,
        UnknownGraph,
        UnknownRun,
        UnknownSignal,
        Wait,
        WriteRefused,
        predicate,
        read_export,
        tool,
    )
    from stenograph.http import (
        Client,
        ClientClosed,
        OutOfSequence,
        ServerUnreachable,
        StreamLost,
        SyncClient,
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

__version__ = "0.1.0"
__all__ = (
    "Bounds",
    "CannotOpen",
    "CannotReduce",
    "Client",
    "ClientClosed",
    "Concurrency",
    "Context",
    "CursorUnknown",
    "DataRefused",
    "Edge",
    "Engine",
    "EngineClosed",
    "EngineError",
    "Event",
    "ExportRefused",
    "ExportedRun",
    "Fault",
    "Goto",
    "Graph",
    "GraphInvalid",
    "JournalError",
    "JournalFailed",
    "JournalInUse",
    "KeyReused",
    "Limits",
    "MergeConflict",
    "Node",
    "NotAJournal",
    "NotHeld",
    "NotJson",
    "OutOfSequence",
    "PathNotFound",
    "PreconditionFailed",
    "Rate",
    "Retry",
    "RunExists",
    "RunFinished",
    "RunImported",
    "RunTooLong",
    "RunView",
    "SchemaViolated",
    "ScopeNotFound",
    "SecretLeaked",
    "SecretRefused",
    "SeqNotReached",
    "ServerUnreachable",
    "SignalRefused",
    "Site",
    "StateAt",
    "StateKey",
    "StateRefused",
    "StateTooLarge",
    "StreamLost",
    "SyncClient",
    "TooManyKeys",
    "TooManyRuns",
    "TooManySignals",
    "ToolRefused",
    "UnknownGraph",
    "UnknownRun",
    "UnknownSignal",
    "Wait",
    "WriteRefused",
    "open",
    "predicate",
    "read_export",
    "tool",
)

_HOMES = {
    "stenograph.http": {
        "Client",
        "ClientClosed",
        "OutOfSequence",
        "ServerUnreachable",
        "StreamLost",
        "SyncClient",
    },
    "stenograph.journal": {
        "CannotOpen",
        "CursorUnknown",
        "JournalError",
        "JournalFailed",
        "JournalInUse",
        "NotAJournal",
    },
    "stenograph.opening": {"open"},
}


def __getattr__(name: str) -> Any:
    """Fetch a public name when it is first asked for: the command line begins without them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((home for home, names in _HOMES.items() if name in names), "stenograph.engine")
    value = globals()[name] = getattr(import_module(home), name)
    return value
