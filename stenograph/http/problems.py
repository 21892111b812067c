"""Every problem there is: its code, status and title, and which of them an operation documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from litestar.openapi import ResponseSpec

from stenograph.http.shapes.wire import PROBLEM_TYPE, Problem


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
    "too-many-signals": Kind(429, "The run keeps as many signals as it can"),
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
