"""What can go wrong between a client and its server; what the engine raised comes out as it was.

ClientError
├── ServerUnreachable   no Stenograph server answers there
├── ClientClosed        the client was closed, before the call or while it waited
├── StreamLost          a stream broke off for good, or says what cannot be
│   └── OutOfSequence   an event came that is not the next one
└── RequestRefused      a problem that no error of the engine or the journal stands for
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeVar

from msgspec import Struct

from stenograph.engine import (
    CannotReduce,
    EngineClosed,
    ExportRefused,
    Fault,
    ForkRefused,
    GraphInvalid,
    KeyReused,
    MergeConflict,
    MigrationRefused,
    NotJson,
    PathNotFound,
    RerunRefused,
    RunExists,
    RunGone,
    RunImported,
    RunTooLong,
    RunUnfinished,
    SchemaViolated,
    ScopeNotFound,
    SecretLeaked,
    SecretRefused,
    SignalRefused,
    StateRefused,
    StateTooLarge,
    TooManyKeys,
    TooManyRuns,
    TooManySignals,
    UnknownEvent,
    UnknownGraph,
    UnknownRun,
    UnknownSignal,
)
from stenograph.http.shapes.wire import Problem
from stenograph.journal import JournalBusy, JournalFailed, JournalFull, JournalUnreadable

E = TypeVar("E", bound=Exception)


class ClientError(Exception):
    """The base of what a client raises of its own."""


class ServerUnreachable(ClientError):
    """No Stenograph server answers at ``url``."""

    def __init__(self, url: str, why: object) -> None:
        shown = re.sub(r"//[^/@]*@", "//", url)  # a password is not for everybody who reads this
        super().__init__(f"no Stenograph server answers at {shown} ({why}); start one: steno serve")
        self.url = url


class StreamLost(ClientError):
    """A stream broke off after event ``after``; ask again from there."""

    def __init__(self, after: int, why: object) -> None:
        super().__init__(f"the stream broke off after {after} ({why}); ask again from there")
        self.after, self.why = after, why


class OutOfSequence(StreamLost):
    """A stream left an event out, or sent one again: ``expected`` was due, ``actual`` came.

    Both are a seq, or of the whole journal an offset. Nothing after ``after`` was handed out.
    """

    def __init__(self, after: int, *, expected: int, actual: int) -> None:
        super().__init__(after, f"event {expected} was due, and {actual} came")
        self.expected, self.actual = expected, actual


class ClientClosed(ClientError):
    """The client was closed, before the call or while it waited; what runs on the server goes on."""

    def __init__(self) -> None:
        super().__init__("the client is closed; what runs on the server goes on")


class RequestRefused(ClientError):
    """The server refused a request; ``problem`` says why."""

    def __init__(self, problem: Problem) -> None:
        shown = problem.errors[:3]
        faults = "; ".join(f"{each.pointer or '/'}: {each.detail}" for each in shown)
        whole = any(each.detail not in problem.detail for each in shown)
        super().__init__(f"{problem.detail}: {faults}" if whole else problem.detail)
        self.problem = problem


class About(Struct, frozen=True):
    """What a question was about, for the error that may come back."""

    run_id: str = ""
    graph_id: str = ""
    signal: str = ""
    key: str | None = None
    at: int = 0
    after: int = 0
    within: str = "/state"
    """Where in the body the caller's own values stood."""


def error_of(problem: Problem, about: About) -> Exception:
    """Return the error that a problem stands for, but for what only the server can tell."""
    match problem.code:
        case "graph-invalid":
            return GraphInvalid(problem.errors, [])
        case "graph-not-found":
            return UnknownGraph(about.graph_id)
        case "run-not-found":
            return UnknownRun(about.run_id)
        case "run-exists":
            return RunExists(about.run_id)
        case "idempotency-key-reused":
            return KeyReused(about.key, about.run_id)
        case "unknown-signal":
            return UnknownSignal(about.run_id, about.signal, [])
        case "signal-refused":
            return SignalRefused(about.signal, problem.errors)
        case "too-many-signals":
            return TooManySignals(about.run_id, about.signal, "as many signals as it can")
        case "fork-refused":
            return ForkRefused(about.run_id, problem.errors)
        case "rerun-refused":
            return RerunRefused(about.run_id, problem.errors)
        case "migration-refused":
            return MigrationRefused(about.run_id, problem.errors)
        case "state-refused":
            return StateRefused(_in_values(problem.errors, about))
        case "state-not-json" if problem.errors:
            first = _in_values(problem.errors, about)[0]
            return NotJson(first.pointer, first.detail)
        case code if kind := _PLAIN.get(code):
            return _as_told(kind, problem.detail)
        case _:
            return RequestRefused(problem)


def _in_values(faults: list[Fault], about: About) -> list[Fault]:
    """Return faults with pointers into the caller's own values, instead of into the body."""
    return [Fault(fault.pointer.removeprefix(about.within), fault.detail) for fault in faults]


def _as_told(kind: type[E], detail: str) -> E:
    """Return an error with the server's words alone: its facts stayed behind with the server."""
    return kind.__new__(kind, detail)


_PLAIN: Final[Mapping[str, type[Exception]]] = {
    "cannot-reduce": CannotReduce,
    "disk-full": JournalFull,
    "history-unreadable": UnknownEvent,
    "journal-busy": JournalBusy,
    "journal-unreadable": JournalUnreadable,
    "merge-conflict": MergeConflict,
    "path-not-found": PathNotFound,
    "read-only": JournalFailed,
    "import-refused": ExportRefused,
    "run-erased": RunGone,
    "run-imported": RunImported,
    "run-too-long": RunTooLong,
    "run-unfinished": RunUnfinished,
    "schema-violated": SchemaViolated,
    "scope-not-found": ScopeNotFound,
    "secret-leaked": SecretLeaked,
    "secret-refused": SecretRefused,
    "shutting-down": EngineClosed,
    "state-too-large": StateTooLarge,
    "too-many-keys": TooManyKeys,
    "too-many-runs": TooManyRuns,
}
"""Problems whose whole tale is their detail."""
