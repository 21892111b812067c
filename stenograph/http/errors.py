"""From exceptions to problem details (RFC 9457): which code each is, and what is told of it."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    SerializationException,
    ValidationException,
)

from stenograph.engine import (
    CannotReduce,
    EngineClosed,
    ExportRefused,
    Fault,
    FilterInvalid,
    ForkRefused,
    GraphInvalid,
    KeyReused,
    MergeConflict,
    MigrationRefused,
    NotHeld,
    NotJson,
    PathNotFound,
    PreconditionFailed,
    RerunRefused,
    RunExists,
    RunFinished,
    RunGone,
    RunImported,
    RunTooLong,
    RunUnfinished,
    SchemaViolated,
    ScopeNotFound,
    SecretLeaked,
    SecretRefused,
    SeqNotReached,
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
from stenograph.http.asked import request_id
from stenograph.http.problems import KINDS
from stenograph.http.shapes.wire import PROBLEM_TYPE, Problem, run_etag
from stenograph.journal import (
    AppendTooLarge,
    CursorUnknown,
    JournalBusy,
    JournalFailed,
    JournalFull,
    JournalUnreadable,
    QueryRefused,
)

LOG: Final = logging.getLogger("stenograph.http")

CODES: Final[Mapping[type[Exception], str]] = {
    GraphInvalid: "graph-invalid",
    UnknownGraph: "graph-not-found",
    UnknownRun: "run-not-found",
    RunExists: "run-exists",
    RunFinished: "run-finished",
    RunUnfinished: "run-unfinished",
    RunImported: "run-imported",
    ExportRefused: "import-refused",
    RunGone: "run-erased",
    KeyReused: "idempotency-key-reused",
    TooManyKeys: "too-many-keys",
    PreconditionFailed: "precondition-failed",
    NotHeld: "not-held",
    RunTooLong: "run-too-long",
    UnknownSignal: "unknown-signal",
    SignalRefused: "signal-refused",
    TooManySignals: "too-many-signals",
    TooManyRuns: "too-many-runs",
    StateRefused: "state-refused",
    ForkRefused: "fork-refused",
    RerunRefused: "rerun-refused",
    MigrationRefused: "migration-refused",
    SchemaViolated: "schema-violated",
    SecretRefused: "secret-refused",
    SecretLeaked: "secret-leaked",
    CannotReduce: "cannot-reduce",
    MergeConflict: "merge-conflict",
    SeqNotReached: "seq-not-reached",
    ScopeNotFound: "scope-not-found",
    PathNotFound: "path-not-found",
    NotJson: "state-not-json",
    StateTooLarge: "state-too-large",
    AppendTooLarge: "payload-too-large",
    CursorUnknown: "cursor-unknown",
    FilterInvalid: "query-invalid",
    JournalFailed: "read-only",
    JournalBusy: "journal-busy",
    JournalFull: "disk-full",
    JournalUnreadable: "journal-unreadable",
    QueryRefused: "sql-refused",
    UnknownEvent: "history-unreadable",
    EngineClosed: "shutting-down",
    NotFoundException: "not-found",
    MethodNotAllowedException: "method-not-allowed",
}
"""What the rooms below and the framework raise, and the code it becomes."""

_RETRY_AFTER: Final = {
    "journal-busy": "1",
    "disk-full": "5",
    "shutting-down": "5",
    "not-ready": "5",
    "too-many-queries": "5",
    "too-many-imports": "5",
    "too-many-runs": "5",
    "too-many-connections": "5",
    "too-many-subscribers": "5",
}
_DETAIL_MAX: Final = 2000
_FIELD_FAULTS: Final = (
    (r"unknown field `(.+)`", "is no field of this request"),
    (r"missing required field `(.+)`", "is missing"),
)


class Refused(Exception):
    """A request that is refused here, before the engine is asked: code, detail, faults, headers."""

    def __init__(
        self,
        code: str,
        detail: str,
        faults: Iterable[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code, self.faults, self.headers = code, list(faults), dict(headers or {})


def problem_of(error: Exception, instance: str | None = None) -> Problem:
    """Return what the outside is told of an error; what nobody expected is logged, and told by id."""
    match error:
        case Refused(code=code, faults=faults):
            return _problem(code, str(error), instance, faults)
        case NotJson(path=path, reason=reason):
            return _problem("state-not-json", str(error), instance, [Fault(path, reason)])
        case ValidationException():
            return _invalid(error, instance)
        case HTTPException() if isinstance(error.__cause__, SerializationException):
            return _problem("not-json", _why_not_json(error.__cause__), instance)
    for kind in type(error).__mro__:
        if kind in CODES:
            several = getattr(error, "faults", ())
            return _problem(CODES[kind], _detail(error), instance, several)
    if isinstance(error, HTTPException) and error.status_code < 500:
        return _problem("bad-request", error.detail, instance)
    return _unexpected(error, instance)


def respond(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a request with the problem that an error is."""
    problem = problem_of(error, request.scope["path"])
    headers = dict(getattr(error, "headers", None) or {})
    if isinstance(error, PreconditionFailed):
        headers["ETag"] = run_etag(request.app.state["engine"].journal.id, error.head)
    _let_go(error)
    return answer_of(problem, headers)


def answer_of(problem: Problem, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    """Return a problem as an answer."""
    headers = dict(headers or {})
    if problem.code in _RETRY_AFTER:
        headers["Retry-After"] = _RETRY_AFTER[problem.code]
    return Response(
        msgspec.json.encode(problem),
        status_code=problem.status,
        media_type=PROBLEM_TYPE,
        headers=headers,
    )


def _let_go(error: BaseException) -> None:
    """Forget where an error came from: its traceback holds the frames, and they hold body and error.

    In such a circle a body lies decoded until the garbage collector comes, which then takes long.
    """
    known: set[int] = set()
    chain: BaseException | None = error
    while chain is not None and id(chain) not in known:  # raised again, one may lead to itself
        known.add(id(chain))
        chain.__traceback__ = None
        chain = chain.__cause__ or chain.__context__


def _problem(code: str, detail: str, instance: str | None, faults: Iterable[Fault] = ()) -> Problem:
    kind = KINDS[code]
    if len(detail) > _DETAIL_MAX:
        detail = detail[:_DETAIL_MAX] + "…"
    return Problem(
        type=f"/problems/{code}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=instance,
        errors=list(faults),
        request_id=request_id(),
    )


def _unexpected(error: Exception, instance: str | None) -> Problem:
    known = request_id() or secrets.token_hex(8)
    LOG.error("request %s (%r) failed", known, instance, exc_info=error)
    detail = f"this was not expected; the server's log tells more under request {known}"
    problem = _problem("internal-error", detail, instance)
    return msgspec.structs.replace(problem, request_id=known)


def _detail(error: Exception) -> str:
    match error:
        case MethodNotAllowedException():
            allowed = (error.headers or {}).get("allow", "")
            return f"this path takes {allowed}"
        case NotFoundException():
            return "there is nothing at this path; /docs lists what there is"
        case _:
            return str(error)


def _why_not_json(error: BaseException) -> str:
    reason = str(error).strip() or "it cannot be parsed"
    return f"the body must be one JSON value in UTF-8: {reason}"


def _invalid(error: ValidationException, instance: str | None) -> Problem:
    """Tell of a body or a query that does not fit, as the framework's list of messages."""
    found = error.extra if isinstance(error.extra, list) else []
    # A body that may be left out is told of as missing when anything else is wrong.
    found = [each for each in found if each["message"] != "'data'"] or found
    faults = [_fault(each["message"], each.get("key", "")) for each in found]
    if missing := re.match(r"Missing required \w+ parameter '(\w+)'", error.detail):
        faults = [Fault(_pointer([missing[1]]), "is missing")]
    in_body = any(each.get("source") == "body" or each.get("key") == "data" for each in found)
    detail = "; ".join(f"{fault.pointer or 'the body'}: {fault.detail}" for fault in faults[:3])
    return _problem("body-invalid" if in_body else "query-invalid", detail, instance, faults)


def _fault(message: str, key: str) -> Fault:
    """Turn a message at ``limits.steps`` into a fault at ``/limits/steps``."""
    names = re.findall(r"[^.\[\]]+", "" if key == "data" else key)
    if message == "'data'":
        return Fault("", "the request has no body; send a JSON object")
    for pattern, detail in _FIELD_FAULTS:
        if match := re.search(pattern, message):
            return Fault(_pointer([*names, match[1]]), detail)
    return Fault(_pointer(names), message)


def _pointer(names: Iterable[str]) -> str:
    return "".join(
        "/" + name.replace("~", "~0").replace("/", "~1") for name in names if name != "..."
    )
