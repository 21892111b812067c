"""What travels over HTTP of evidence: what verifying came to, and a run's erasure."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from stenograph.http.shapes.requests import Reason
from stenograph.journal import Finding, Verdict


class VerifyAnswer(Struct, frozen=True, kw_only=True):
    """``GET /runs/{id}/verify``, ``GET /journal/verify``: whether what is stored holds.

    ``sound`` is the last ``seq`` (whole journal: ``offset``) before the first finding; ``records``
    of them were looked at after ``after``, and ``next`` is where to go on, null at the end.
    ``faults`` counts all findings, ``findings`` holds the first.
    """

    ok: bool
    journal: str
    run_id: str | None
    records: Annotated[int, Meta(description="How many records were looked at")]
    runs: Annotated[
        int,
        Meta(description="How many runs, or streams of the journal, begin among them; 1 for a run"),
    ]
    erased: Annotated[int, Meta(description="How many of them are erased")]
    after: int
    sound: int
    next: int | None
    faults: int
    findings: list[Finding]


class EraseRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /runs/{id}/erase``; the whole body may be left out."""

    reason: Reason | None = None


def verify_answer(verdict: Verdict) -> VerifyAnswer:
    """Return a verdict as the outside sees it."""
    return VerifyAnswer(**{name: getattr(verdict, name) for name in VerifyAnswer.__struct_fields__})
