"""How events travel: in pages and lines, and as the messages of sockets."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import UNSET, Raw, Struct, UnsetType

from stenograph.engine import ErrorInfo
from stenograph.http.shapes.wire import Problem, Status


class EventEnvelope(Struct, frozen=True, kw_only=True):
    """An event as every page, line and frame holds it, byte for byte the same."""

    offset: int
    run_id: str
    seq: int
    at: str
    type: str
    data: Raw
    hash: str


class EventsPage(Struct, frozen=True, kw_only=True):
    """A page of events of a run, or of the whole journal.

    ``after`` is the cursor to go on from: the ``seq`` (whole journal: ``offset``) of the page's
    last event, or what was asked for when there is none; with a filter, of the last event that was
    looked at, so that a page without events may have more after it. ``head`` is the last there is;
    ``end`` is true when the run has ended and nothing follows this page.
    """

    events: list[EventEnvelope]
    after: int
    head: int
    end: bool
    journal: str


class LogMessage(Struct, frozen=True, kw_only=True, tag_field="type", tag="log"):
    """A socket's message for one event.

    On a ``state.patched`` ``node`` names who changed the state, and ``result`` maps each changed
    key to its new value: whole, or the list of the items that a list grew by, or null when it
    was removed.
    """

    log: EventEnvelope
    node: str | UnsetType = UNSET
    result: dict[str, Raw] | UnsetType = UNSET


class LogsMessage(Struct, frozen=True, kw_only=True, tag_field="type", tag="logs"):
    """With ``?batch=1``: all events of a page in one frame; ``seq`` (``offset``) is the cursor.

    With a filter it may lie beyond the last of them.
    """

    logs: list[EventEnvelope]
    seq: int | UnsetType = UNSET
    offset: int | UnsetType = UNSET
    journal: str


class CursorMessage(Struct, frozen=True, kw_only=True, tag_field="type", tag="cursor"):
    """How far a filtered stream has come: nothing up to ``seq`` (``offset``) that passes is missing.

    Sent after a silence of 15 seconds, and before the last message, where events were left out.
    """

    seq: int | UnsetType = UNSET
    offset: int | UnsetType = UNSET
    journal: str


class StatusMessage(Struct, frozen=True, kw_only=True, tag_field="type", tag="status"):
    """The last message of a run's socket (``done``), and the first one of ``/ws/execute``.

    ``seq`` is the last event that was sent before it: 0 in the first message.
    """

    status: Status
    done: bool
    seq: int
    run_id: str
    graph_id: str
    journal: str
    message: str
    error: ErrorInfo | None


class ErrorMessage(Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """What a socket says before it closes with 4400, 4404 or 4409."""

    problem: Problem


SocketMessage: TypeAlias = LogMessage | LogsMessage | CursorMessage | StatusMessage | ErrorMessage
