"""What can go wrong in the engine.

EngineError
├── GraphInvalid     the graph cannot run: every fault with its pointer
├── UnknownGraph     no graph of that id or version
├── UnknownRun       no run of that id
├── RunExists        the id is taken by another run
├── RunFinished      the run has ended; what was asked needs a live one
├── SeqNotReached    the run has not come that far
├── NotJson          a value that JSON cannot say, with its pointer
├── StateTooLarge    a state over its limit
├── EngineClosed     the engine was closed before the answer was known
└── ToolRefused      a function that cannot serve as a tool, or a name taken twice
"""

from __future__ import annotations

from msgspec import Struct


class EngineError(Exception):
    """The base of all errors of this room."""


class Fault(Struct, frozen=True):
    """One thing that is wrong (or doubtful) in a graph: ``pointer`` is a JSON pointer into it."""

    pointer: str
    detail: str


class GraphInvalid(EngineError):
    """The graph cannot run; ``faults`` names everything that is wrong, ``warnings`` the rest."""

    def __init__(self, faults: list[Fault], warnings: list[Fault]) -> None:
        first = "; ".join(f"{fault.pointer or '/'}: {fault.detail}" for fault in faults[:3])
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        super().__init__(f"the graph cannot run: {first}{more}")
        self.faults, self.warnings = faults, warnings


class UnknownGraph(EngineError):
    """There is no graph of that id, or it has no such version."""

    def __init__(self, graph_id: str) -> None:
        super().__init__(f"there is no graph {graph_id!r}; create it first")
        self.graph_id = graph_id


class UnknownRun(EngineError):
    """There is no run of that id."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no run {run_id!r}")
        self.run_id = run_id


class RunExists(EngineError):
    """The id is taken by another run."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is already a run {run_id!r}; choose another id, or leave it out")
        self.run_id = run_id


class RunFinished(EngineError):
    """The run has ended, and what was asked needs a live one."""

    def __init__(self, run_id: str, status: str) -> None:
        super().__init__(f"run {run_id} has ended: it is {status}")
        self.run_id, self.status = run_id, status


class SeqNotReached(EngineError):
    """The run has not come that far."""

    def __init__(self, run_id: str, *, asked: int, head: int) -> None:
        super().__init__(f"run {run_id} has no event {asked}; ask for one from 1 to {head}")
        self.run_id, self.asked, self.head = run_id, asked, head


class NotJson(EngineError):
    """A value that JSON cannot say; ``path`` is the JSON pointer of the first one."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path or 'the value'} {reason}")
        self.path, self.reason = path, reason


class StateTooLarge(EngineError):
    """A state, or one change of it, is over its limit."""


class EngineClosed(EngineError):
    """The engine was closed before the answer was known; the journal knows what became of it."""

    def __init__(self) -> None:
        super().__init__("the engine was closed; the run goes on when it is opened again")


class ToolRefused(EngineError, ValueError):
    """A function that cannot serve as a tool, or a name that is taken by another."""
