"""What travels over HTTP: every answer, as structs; the same words as in Python.

Times are RFC 3339 in UTC with microseconds. Values that the journal holds as JSON text (states,
graphs, events) are ``Raw``: they leave as the bytes that are stored, and are never encoded again.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from stenograph.engine import ErrorInfo, Fault, Origin, ParkedView, Visit, WaitView

API_VERSION: Final = "1"
"""Of the paths and shapes here; what is only added does not change it."""

ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}(?!\n)$"
RESERVED_IDS: Final = frozenset({"execute", "import", "journal", "logs", "monitor", "runs"})
"""Ids that no run may have: their socket paths mean something else."""

PAGE_DEFAULT: Final = 50
EVENTS_DEFAULT: Final = 500
LIMIT_MAX: Final = 1000
"""Most items of any page; who asks for more gets this many."""
WAIT_DEFAULT_S: Final = 60
WAIT_MAX_S: Final = 300
"""Longest wait that ``Prefer: wait=S`` can ask for; a longer one is cut to it."""
JOURNAL_HEADER: Final = "Stenograph-Journal"
"""The journal's id, on every answer with events and on the handshake of every socket."""
HEAD_HEADER: Final = "Stenograph-Head"
"""The seq (for the whole journal: the offset) of the last event when an answer began."""

PROBLEM_TYPE: Final = "application/problem+json"
NDJSON_TYPE: Final = "application/x-ndjson"
SSE_TYPE: Final = "text/event-stream"
GZIP_TYPE: Final = "application/gzip"

CLOSE_NORMAL: Final = 1000
CLOSE_INTERNAL_ERROR: Final = 1011
CLOSE_RESTART: Final = 1012
"""The server stops; come again with the last seq that you hold."""
CLOSE_TRY_LATER: Final = 1013
CLOSE_OURS: Final = 4000
"""Close codes of our own are this and the HTTP status that a request would be answered."""
CLOSE_BAD_REQUEST: Final = 4400
CLOSE_NOT_FOUND: Final = 4404
CLOSE_CURSOR_UNKNOWN: Final = 4409

Id: TypeAlias = Annotated[
    str,
    Meta(
        pattern=ID_PATTERN,
        description="1 to 128 letters, digits and . _ : -, the first a letter or digit",
        examples=["r-2b1c9f0a6d3e4f58"],
    ),
]
Status: TypeAlias = Literal[
    "running", "waiting", "paused", "parked", "cancelling", "completed", "failed", "cancelled"
]
STATUSES: Final[tuple[str, ...]] = get_args(Status)
DONE: Final[frozenset[str]] = frozenset({"completed", "failed", "cancelled"})
"""The statuses of a run that has ended."""
GOING: Final[frozenset[str]] = frozenset({"running", "cancelling"})
"""The statuses of a run that has something to do by itself; in all others it is at rest."""

STATE_KEYS_MAX: Final = 10_000
"""Keys that a client may give a state: each step looks at them all, which with ten times as many takes
longer than others should wait. What stands under a key may have any number."""
State: TypeAlias = Annotated[
    dict[str, Any],
    Meta(max_length=STATE_KEYS_MAX, description="A JSON object", examples=[{"issues_open": 1}]),
]
TAGS_MAX: Final = 32
"""Tags that a client may give a run, and so ask for."""
Tags: TypeAlias = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=128)], Annotated[str, Meta(max_length=255)]],
    Meta(max_length=TAGS_MAX, description="Names and values to find runs by"),
]
Schema: TypeAlias = Annotated[dict[str, Any], Meta(description="A JSON Schema")]
GraphId: TypeAlias = Annotated[
    str, Meta(max_length=255, description="id or id@version", examples=["code-review"])
]


def run_etag(journal_id: str, seq: int) -> str:
    """Return the entity tag of a run after event ``seq``: of what it is, and of its state."""
    return f'"{journal_id}-{seq}"'


# --- problems ---------------------------------------------------------------------------------


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong (RFC 9457). ``type`` is ``/problems/<code>``; act on that, show ``detail``."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[Fault] = []
    request_id: str | None = None

    @property
    def code(self) -> str:
        """The last part of ``type``: ``run-not-found``."""
        return self.type.rpartition("/")[2]


# --- graphs and tools -------------------------------------------------------------------------


class GraphAnswer(Struct, frozen=True, kw_only=True):
    """One version of a graph; ``graph`` is its canonical form, ``version`` the SHA-256 of that."""

    id: str
    graph_id: str
    version: str
    name: str | None
    created_at: str
    graph: Raw
    warnings: list[Fault] = []


class GraphItem(Struct, frozen=True, kw_only=True):
    """A graph as the list shows it: its newest version, and how many there are."""

    id: str
    graph_id: str
    name: str | None
    version: str
    versions: int
    created_at: str
    updated_at: str


class GraphVersionItem(Struct, frozen=True, kw_only=True):
    """A version as the list of versions shows it; ``url`` is where it can be read."""

    version: str
    name: str | None
    created_at: str
    url: str


class ValidationAnswer(Struct, frozen=True, kw_only=True):
    """``POST /graphs/validate``: every fault and doubt; ``canonical`` is null when not valid."""

    valid: bool
    errors: list[Fault]
    warnings: list[Fault]
    version: str | None
    canonical: Raw | None


class ToolRate(Struct, frozen=True):
    """At most ``limit`` starts in any ``per_s`` seconds."""

    limit: int
    per_s: float


class ToolItem(Struct, frozen=True, kw_only=True):
    """A tool that nodes may name. ``effects``: ``repeatable``, ``once`` or ``pure``.

    ``process``: it runs in a worker process. ``limit``: so many attempts of it at once at most;
    ``rate``: so many starts in a time. The schemas are JSON Schema of the types that it declares,
    and null where it declares none.
    """

    name: str
    version: str
    effects: Literal["repeatable", "once", "pure"]
    doc: str
    is_async: bool
    process: bool
    limit: int | None
    rate: ToolRate | None
    state_schema: Schema | None
    config_schema: Schema | None
    returns_schema: Schema | None


class PredicateItem(Struct, frozen=True, kw_only=True):
    """A predicate that edges may ask; ``state_schema`` as for a tool."""

    name: str
    doc: str
    state_schema: Schema | None


class GraphList(Struct, frozen=True, kw_only=True):
    """A page of graphs, newest first; ``next`` is the ``cursor`` of the page after it, or null."""

    items: list[GraphItem]
    next: str | None


class GraphVersionList(Struct, frozen=True, kw_only=True):
    """The versions of a graph, oldest first."""

    items: list[GraphVersionItem]
    next: str | None = None


class ToolList(Struct, frozen=True, kw_only=True):
    """The registered tools by name, and the predicates that edges may ask: their names, and more."""

    items: list[ToolItem]
    predicates: list[str]
    predicate_items: list[PredicateItem]
    next: str | None = None


# --- runs -------------------------------------------------------------------------------------


class RunAnswer(Struct, frozen=True, kw_only=True):
    """A run at one moment, after event ``seq``; ``id`` and ``run_id`` are the same.

    ``current`` names the nodes it stands in, ``waits`` tells what it waits for, the first 100 of
    each. ``done`` tells whether it has ended, ``replayed`` whether an earlier request asked for this,
    ``origin`` the event of another run that it goes on from. One that was ``imported`` is only read
    and forked here, whatever its status.
    """

    id: str
    run_id: str
    graph_id: str
    version: str
    status: Status
    done: bool
    seq: int
    steps: int
    current: list[str]
    waits: list[WaitView]
    tags: dict[str, str]
    error: ErrorInfo | None
    reason: str
    created_at: str
    updated_at: str
    finished_at: str | None
    parked: ParkedView | None = None
    origin: Origin | None = None
    replayed: bool = False
    imported: bool = False
    erased: bool = False


class RunItem(Struct, frozen=True, kw_only=True):
    """A run as the list shows it.

    One that was ``imported`` is only read and forked here; of one that was ``erased`` there is no more.
    """

    id: str
    run_id: str
    graph_id: str
    status: Status
    done: bool
    seq: int
    tags: dict[str, str]
    created_at: str
    updated_at: str
    origin: str | None = None
    imported: bool = False
    erased: bool = False


class RunList(Struct, frozen=True, kw_only=True):
    """A page of runs, newest first; ``next`` is the ``cursor`` of the page after it, or null."""

    items: list[RunItem]
    next: str | None


class StateAnswer(Struct, frozen=True, kw_only=True):
    """The state of a run after event ``seq``."""

    run_id: str
    seq: int
    status: Status
    state: Raw


class VisitList(Struct, frozen=True, kw_only=True):
    """A page of the visits of a run, in the order of entry; ``next`` as in every list."""

    items: list[Visit]
    next: str | None


# --- queries ----------------------------------------------------------------------------------


class SqlAnswer(Struct, frozen=True, kw_only=True):
    """What a query found; ``truncated`` when there was more. Blobs are hexadecimal digits."""

    columns: list[str]
    rows: list[list[Any]]
    truncated: bool


# --- operations -------------------------------------------------------------------------------


class Check(Struct, frozen=True):
    """One thing that was looked at: whether it is as it should be, and what was found."""

    ok: bool
    detail: str


class HealthAnswer(Struct, frozen=True, kw_only=True):
    """``/healthz`` and ``/readyz``; 503 with a problem instead, and its ``checks``, if one fails.

    ``version`` is that of the API. Where tokens are needed, who comes without one that may read is
    told ``status`` alone. ``warnings`` are of what is wrong and does not keep it from its work.
    """

    status: Literal["ok"]
    version: str | UnsetType = UNSET
    journal: str | UnsetType = UNSET
    recovered: Annotated[int | UnsetType, Meta(description="unfinished runs taken up at start")] = (
        UNSET
    )
    warnings: list[str] | UnsetType = UNSET
    checks: dict[str, Check] | UnsetType = UNSET


class HealthProblem(Problem, frozen=True, kw_only=True):
    """Why a server is not well: the first check that fails, and all of them."""

    checks: dict[str, Check]
