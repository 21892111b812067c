"""What can go wrong between a client and its server; what the engine raised comes out as it was.

ClientError
├── ServerUnreachable   no Stenograph server answers there
├── StreamLost          a stream broke off for good, or says what cannot be
└── RequestRefused      a problem that no error of the engine or the journal stands for
"""

from __future__ import annotations

from stenograph.engine import (
    EngineClosed,
    GraphInvalid,
    NotJson,
    RunExists,
    StateTooLarge,
    UnknownEvent,
    UnknownGraph,
    UnknownRun,
)
from stenograph.http.wire import Problem
from stenograph.journal import JournalBusy, JournalFailed, JournalUnreadable


class ClientError(Exception):
    """The base of what a client raises of its own."""


class ServerUnreachable(ClientError):
    """No Stenograph server answers at ``url``."""

    def __init__(self, url: str, why: object) -> None:
        super().__init__(f"no Stenograph server answers at {url} ({why}); start one: steno serve")
        self.url = url


class StreamLost(ClientError):
    """A stream broke off after event ``after``; ask again from there."""

    def __init__(self, after: int, why: object) -> None:
        super().__init__(f"the stream broke off after {after} ({why}); ask again from there")
        self.after, self.why = after, why


class RequestRefused(ClientError):
    """The server refused a request; ``problem`` says why."""

    def __init__(self, problem: Problem) -> None:
        faults = "; ".join(f"{each.pointer or '/'}: {each.detail}" for each in problem.errors[:3])
        whole = faults and faults not in problem.detail
        super().__init__(f"{problem.detail}: {faults}" if whole else problem.detail)
        self.problem = problem


def error_of(problem: Problem, *, run_id: str, graph_id: str) -> Exception:
    """Return the error that a problem stands for; the ids are those that were asked for."""
    match problem.code:
        case "graph-invalid":
            return GraphInvalid(problem.errors, [])
        case "graph-not-found":
            return UnknownGraph(graph_id)
        case "run-not-found":
            return UnknownRun(run_id)
        case "run-exists":
            return RunExists(run_id)
        case "state-not-json" if problem.errors:
            first = problem.errors[0]
            return NotJson(first.pointer.removeprefix("/state"), first.detail)
        case "state-too-large":
            return StateTooLarge()
        case "read-only":
            return JournalFailed()
        case "journal-busy":
            return JournalBusy()
        case "journal-unreadable":
            return JournalUnreadable()
        case "history-unreadable":
            return UnknownEvent()
        case "shutting-down":
            return EngineClosed()
        case _:
            return RequestRefused(problem)
