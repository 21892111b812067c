"""Conditions: what a request says of itself in `Idempotency-Key`, and of the run in `If-Match`."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final, TypedDict

from litestar import Request
from litestar.datastructures import ResponseHeader
from litestar.openapi.spec import OpenAPIType, Parameter, Schema
from litestar.response import Response

from stenograph.engine import Engine, RunView
from stenograph.http.errors import Refused
from stenograph.http.operations.answers import OptionalBody
from stenograph.http.operations.queries import check_key
from stenograph.http.shapes.requests import KEY_HEADER, KEY_WORDS
from stenograph.http.shapes.views import run_answer
from stenograph.http.shapes.wire import RunAnswer, run_etag

CONDITION_CODES: Final = ("if-match-invalid", "precondition-failed")
KEY_CODES: Final = (
    "idempotency-key-invalid",
    "idempotency-key-reused",
    "too-many-keys",
    "secret-leaked",
)

ETAG: Final = ResponseHeader(
    name="ETag",
    description="The run as it is told here; for `If-Match` of what is asked of it next",
    documentation_only=True,
)
REPLAYED: Final = ResponseHeader(
    name="Idempotency-Replayed",
    description="`true`: this was asked before with the same key, and nothing was done again",
    documentation_only=True,
)
_TEXT: Final = Schema(type=OpenAPIType.STRING)
_IF_MATCH: Final = Parameter(
    name="If-Match",
    param_in="header",
    schema=_TEXT,
    description="The `ETag` of the run as you know it, or several: where the run has moved on since, "
    "nothing is done, and the answer is 412. `*`: whatever it is",
)
_KEY: Final = Parameter(
    name=KEY_HEADER,
    param_in="header",
    schema=_TEXT,
    description=f"{KEY_WORDS}; the same again to the same path, with the same body, does nothing, "
    "and is answered with the run as it is then, and `Idempotency-Replayed: true`",
)
_TAG: Final = re.compile(r'[ \t,]*(?P<weak>W/)?"(?P<opaque>[^\x00-\x20"\x7f]*)"[ \t]*(?=,|$)')
_RUN_TAG: Final = re.compile(r"(?P<journal>.+)-(?P<seq>[1-9][0-9]{0,18})")


class Conditional(OptionalBody):
    """An operation that takes `If-Match`.

    It is only told of here, and read by ``moment_of``: a parameter costs what ten such looks cost.
    """

    def __init__(self, **told: Any) -> None:
        super().__init__(**told)
        self.parameters = [*(self.parameters or []), _IF_MATCH]


class Keyed(Conditional):
    """An operation that takes `If-Match` and `Idempotency-Key`."""

    def __init__(self, **told: Any) -> None:
        super().__init__(**told)
        self.parameters = [*(self.parameters or []), _KEY]


class KeyedWithBody(Keyed):
    """As ``Keyed``, and its body may not be left out."""

    needs_body: ClassVar[bool] = True


class Moment(TypedDict):
    """The option of the engine's calls that `If-Match` stands for."""

    if_seq: frozenset[int] | None


class Conditions(Moment):
    """The options that both headers stand for."""

    key: str | None


def moment_of(request: Request[Any, Any, Any], engine: Engine) -> Moment:
    """Return what the `If-Match` of a request says; raises Refused."""
    tags = [value for name, value in request.scope["headers"] if name == b"if-match"]
    if not tags:
        return {"if_seq": None}
    return {"if_seq": seqs_in(b",".join(tags).decode("latin-1"), engine.journal.id)}


def conditions_of(request: Request[Any, Any, Any], engine: Engine) -> Conditions:
    """Return what `If-Match` and `Idempotency-Key` of a request say; raises Refused."""
    keys = [value for name, value in request.scope["headers"] if name == b"idempotency-key"]
    if len(keys) > 1:
        raise Refused("idempotency-key-invalid", f"{KEY_HEADER} stands there twice")
    key = keys[0].decode("latin-1") if keys else None
    check_key(key)
    return {**moment_of(request, engine), "key": key}


def seqs_in(header: str, journal_id: str) -> frozenset[int] | None:
    """Return the events of which an ``If-Match`` wants one to be the run's last; None: any (``*``).

    A weak tag never matches (RFC 9110, 13.1.1), nor does one of another journal. Raises Refused.
    """
    if header.strip(" \t") == "*":
        return None
    seqs, at = set[int](), 0
    while tag := _TAG.match(header, at):
        at = tag.end()
        own = _RUN_TAG.fullmatch(tag["opaque"])
        if own and own["journal"] == journal_id and not tag["weak"]:
            seqs.add(int(own["seq"]))
    if at == 0 or header[at:].strip(" \t,"):
        detail = (
            'If-Match is * or the ETag of a run, in its quotes; several stand with a "," between'
        )
        raise Refused("if-match-invalid", detail)
    return frozenset(seqs)


def answered(engine: Engine, run: RunView, status_code: int = 200) -> Response[RunAnswer]:
    """Return a run as what was asked of it left it, with what names it so."""
    headers = headers_of(engine, run.seq, replayed=run.replayed)
    return Response(run_answer(run), status_code=status_code, headers=headers)


def headers_of(engine: Engine, seq: int, *, replayed: bool) -> dict[str, str]:
    """Return what an answer says of the run beside its body."""
    headers = {"ETag": run_etag(engine.journal.id, seq)}
    return {**headers, "Idempotency-Replayed": "true"} if replayed else headers
