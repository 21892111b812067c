"""What travels over the classic API: one request and one answer with all there is."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from stenograph.engine import ErrorInfo, Fault, Limits, WaitView
from stenograph.http.shapes.requests import Delay
from stenograph.http.shapes.wire import GraphId, Id, State, Status, Tags

LOGS_MAX: Final = 1000
"""Most visits that a classic answer shows: the last ones."""
CLASSIC_MAX_BYTES: Final = 256 * 1024
"""Up to this size a classic answer shows the state after each visit, then where to find it."""


class RunRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /graph/run`` and ``/graph/run-async``.

    ``wait`` (true by default) and ``background`` say the same with opposite sense.
    """

    graph_id: GraphId
    initial_state: State | None = None
    state: State | None = None
    input: State | None = None
    wait: bool | None = None
    background: bool | None = None
    run_id: Id | None = None
    delay_s: Delay = 0.0
    tags: Tags | None = None
    limits: Limits | None = None


class GraphCreatedAnswer(Struct, frozen=True, kw_only=True):
    """``POST /graph/create``; ``id`` and ``graph_id`` are the same."""

    graph_id: str
    id: str
    version: str
    name: str | None
    message: str
    warnings: list[Fault]


class LogEntry(Struct, frozen=True, kw_only=True):
    """One visit of a node, in the run (``scope`` is ``/``) or in a branch of it.

    ``seq`` is that of its last event. ``state`` is the state of the run right after the visit
    while the whole answer stays under 256 KiB; then ``state_url`` says where it can be read.
    """

    node: str
    node_id: str
    tool: str | None
    status: Literal["running", "ok", "error", "timeout", "interrupted"]
    started_at: str
    finished_at: str | None
    timestamp: str
    duration_ms: float | None
    message: str
    error: ErrorInfo | None
    seq: int
    scope: str
    visit: int
    attempts: int
    to: str | None
    state: Raw | UnsetType = UNSET
    state_url: str | UnsetType = UNSET


class ClassicAnswer(Struct, frozen=True, kw_only=True):
    """``POST /graph/run``, ``/graph/run-async``, ``GET /graph/state/{run_id}``.

    ``logs``, ``log`` and ``execution_log`` are one list under three names; so are ``state`` and
    ``current_state``, and once it is done ``final_state``. ``current_node`` is the first of
    ``current_nodes``, which are several while branches run; ``waits`` tells what it waits for.
    ``seq`` and ``head`` are the last event that is in here. ``next`` is where the earlier visits
    are, when not all are shown.
    """

    run_id: str
    id: str
    graph_id: str
    status: Status
    done: bool
    message: str
    state: Raw
    current_state: Raw
    final_state: Raw | UnsetType = UNSET
    logs: list[LogEntry]
    log: list[LogEntry]
    execution_log: list[LogEntry]
    error: ErrorInfo | None
    errors: list[ErrorInfo]
    current_node: str | None
    current_nodes: list[str]
    waits: list[WaitView]
    created_at: str
    started_at: str | None
    updated_at: str
    finished_at: str | None
    seq: int
    head: int
    next: str | None
