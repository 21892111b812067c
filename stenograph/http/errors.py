"""From exceptions to problem details (RFC 9457): one table of codes, one of exception types."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    SerializationException,
    ValidationException,
)
from litestar.openapi import ResponseSpec

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
from stenograph.http.wire import PROBLEM_TYPE, Problem, run_etag
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


class Kind(NamedTuple):
    """What a code stands for."""

    status: int
    title: str


KINDS: Final[Mapping[str, Kind]] = {
    "bad-request": Kind(400, "The request is not valid HTTP for this server"),
    "not-json": Kind(400, "The body is not JSON"),
    "not-utf8": Kind(400, "The body is not UTF-8"),
    "too-deep": Kind(400, "The body nests too deep"),
    "query-invalid": Kind(400, "The query is not valid"),
    "idempotency-key-invalid": Kind(400, "The idempotency key is not one"),
    "if-match-invalid": Kind(400, "The header If-Match names no entity tag"),
    "token-in-query": Kind(400, "A token stands in the URL"),
    "token-missing": Kind(401, "This needs a token"),
    "token-invalid": Kind(401, "The token is not good"),
    "scope-missing": Kind(403, "The token is not for this"),
    "origin-refused": Kind(403, "The request comes from another site"),
    "not-found": Kind(404, "There is nothing at this path"),
    "graph-not-found": Kind(404, "There is no such graph"),
    "tool-not-found": Kind(404, "There is no such tool"),
    "run-not-found": Kind(404, "There is no such run"),
    "seq-not-reached": Kind(404, "The run has not come that far"),
    "scope-not-found": Kind(404, "No such scope is open at that event"),
    "path-not-found": Kind(404, "The state has nothing at that path"),
    "method-not-allowed": Kind(405, "This path does not take this method"),
    "body-timeout": Kind(408, "The body did not arrive in time"),
    "head-timeout": Kind(408, "The head of the request did not arrive in time"),
    "run-exists": Kind(409, "The id is taken by another run"),
    "run-finished": Kind(409, "The run has ended"),
    "run-imported": Kind(409, "The run was imported, and is only read here"),
    "run-unfinished": Kind(409, "The run has not ended"),
    "not-held": Kind(409, "The run is not held, or has not failed"),
    "run-too-long": Kind(409, "The run has as many events as one may have"),
    "cursor-unknown": Kind(409, "The cursor is not one of this journal"),
    "run-erased": Kind(410, "The run was erased"),
    "precondition-failed": Kind(412, "The run is not as it was to be"),
    "payload-too-large": Kind(413, "The body is too large"),
    "state-too-large": Kind(413, "The state is too large"),
    "unsupported-media-type": Kind(415, "The body must be application/json"),
    "sql-off": Kind(403, "This server answers no SQL"),
    "no-sql": Kind(409, "The journal is in memory, and SQL reads a file"),
    "sql-refused": Kind(422, "The query is not answered"),
    "too-many-queries": Kind(429, "As many queries as may be are under way"),
    "host-refused": Kind(421, "The server does not go by this name"),
    "body-invalid": Kind(422, "The body is not what is asked for"),
    "graph-invalid": Kind(422, "The graph cannot run"),
    "state-not-json": Kind(422, "The state, or what is to go into it, is not JSON"),
    "state-refused": Kind(422, "The state does not fit its graph"),
    "import-refused": Kind(422, "The file is no exported run, or not as it was written"),
    "fork-refused": Kind(422, "The run cannot be forked so"),
    "rerun-refused": Kind(422, "The run cannot be rerun so"),
    "migration-refused": Kind(422, "The run cannot be migrated so"),
    "schema-violated": Kind(422, "A value does not fit the schema of its key"),
    "secret-refused": Kind(422, "What is given for a secret is not a value"),
    "secret-leaked": Kind(422, "A secret stands where everybody can read it"),
    "cannot-reduce": Kind(422, "A value cannot be reduced into the state"),
    "merge-conflict": Kind(422, "What branches changed does not go together"),
    "idempotency-key-reused": Kind(422, "The idempotency key was used for something else"),
    "too-many-keys": Kind(422, "The run remembers as many idempotency keys as it can"),
    "unknown-signal": Kind(422, "The run never waits for this signal"),
    "signal-refused": Kind(422, "The signal does not fit what the run waits for"),
    "rate-limited": Kind(429, "Too many requests"),
    "too-many-runs": Kind(429, "There may be no more runs now"),
    "too-many-signals": Kind(429, "The run keeps as many of this signal as it can"),
    "too-many-imports": Kind(429, "As many imports as may be are under way"),
    "head-too-large": Kind(431, "The head of the request is too large"),
    "internal-error": Kind(500, "The server failed"),
    "history-unreadable": Kind(500, "The history of the run cannot be read by this version"),
    "read-only": Kind(503, "Nothing can be written any more; reading goes on"),
    "journal-busy": Kind(503, "Another program is writing to the journal"),
    "disk-full": Kind(503, "The disk is full: nothing is written until there is room"),
    "journal-unreadable": Kind(503, "The journal cannot be read"),
    "shutting-down": Kind(503, "The server is stopping"),
    "not-ready": Kind(503, "The server should not be sent work now"),
    "too-many-connections": Kind(503, "As many clients as may be are connected"),
    "too-many-subscribers": Kind(503, "As many subscribers as may be follow"),
}
"""Every problem there is, by the code that ends its ``type``."""

ANY_CODES: Final = (
    "bad-request",
    "head-timeout",
    "host-refused",
    "head-too-large",
    "too-many-connections",
)
"""What any request may be answered."""

BODY_CODES: Final = (
    "not-json",
    "not-utf8",
    "too-deep",
    "origin-refused",
    "body-timeout",
    "payload-too-large",
    "unsupported-media-type",
    "body-invalid",
    "shutting-down",
)
"""What any request with a body may be answered."""

ACCESS_CODES: Final = ("token-missing", "token-invalid", "scope-missing", "rate-limited")
"""What any request may be answered that needs a token."""

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


def problems(*codes: str, anybody: bool = False) -> dict[int, ResponseSpec]:
    """Return the answers that an operation documents besides its own, by status.

    ``anybody``: it needs no token, and is not counted.
    """
    titles: dict[int, list[str]] = {}
    common = (*ANY_CODES, "token-in-query", *(() if anybody else ACCESS_CODES))
    gone = ("run-erased",) if "run-not-found" in codes else ()
    for code in dict.fromkeys((*common, *codes, *gone)):
        titles.setdefault(KINDS[code].status, []).append(f"`{code}`: {KINDS[code].title}")
    return {
        status: ResponseSpec(
            Problem, generate_examples=False, description="; ".join(lines), media_type=PROBLEM_TYPE
        )
        for status, lines in titles.items()
    }


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
