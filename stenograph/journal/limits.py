"""What one append may hold: checked before it reaches a journal, so that no append fails others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from stenograph.journal.errors import AppendTooLarge
from stenograph.journal.protocol import APPEND_MAX_BYTES, APPEND_MAX_RECORDS, RECORD_MAX_BYTES
from stenograph.journal.record import NewRecord

LABELS_MAX: Final = 64
"""Most labels of one append, or of one search."""
LABEL_MAX_BYTES: Final = 1024
"""Most bytes of a label's key, and of its value."""

RUN_ID: Final = re.compile(r"(?:graph/)?[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
TYPE: Final = re.compile(r"[a-z][a-z0-9_.]{0,127}")
TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


def check_append(run_id: str, records: Sequence[NewRecord], labels: Mapping[str, str]) -> int:
    """Return how many bytes of data the append holds.

    Raises AppendTooLarge over a limit, ValueError where something is not what it should be.
    """
    if not RUN_ID.fullmatch(run_id):
        raise ValueError(f"run id {run_id[:140]!r}: must match {RUN_ID.pattern}")
    if not records:
        raise ValueError(f"{run_id}: an append holds at least one record")
    if len(records) > APPEND_MAX_RECORDS:
        raise AppendTooLarge(
            f"{run_id}: {len(records)} records in one append; at most {APPEND_MAX_RECORDS}"
        )
    check_labels(labels)
    size = sum(checked_size(run_id, record) for record in records)
    if size > APPEND_MAX_BYTES:
        raise AppendTooLarge(f"{run_id}: {size} bytes in one append; at most {APPEND_MAX_BYTES}")
    return size


def check_labels(labels: Mapping[str, str]) -> None:
    """Raise AppendTooLarge for too many labels or a long one, ValueError for what is no text."""
    if len(labels) > LABELS_MAX:
        raise AppendTooLarge(f"{len(labels)} labels; at most {LABELS_MAX}")
    for pair in labels.items():
        for text in pair:
            # Strict UTF-8: half a surrogate pair is refused here, not inside a commit.
            if len(text.encode()) > LABEL_MAX_BYTES:
                raise AppendTooLarge(f"label {text[:40]!r}…: at most {LABEL_MAX_BYTES} bytes")


def checked_size(run_id: str, record: NewRecord) -> int:
    """Return the size of a record's data; raise as ``check_append`` does."""
    if not TYPE.fullmatch(record.type):
        raise ValueError(f"{run_id}: type {record.type[:140]!r}: must match {TYPE.pattern}")
    if not TIME.fullmatch(record.at):
        raise ValueError(
            f"{run_id}: time {record.at[:40]!r}: must look like 2026-11-20T22:55:01.123456Z"
        )
    if not isinstance(record.data, bytes):
        raise TypeError(f"{run_id}: data must be bytes, not {type(record.data).__name__}")
    if len(record.data) > RECORD_MAX_BYTES:
        raise AppendTooLarge(
            f"{run_id}: a record of {len(record.data)} bytes; at most {RECORD_MAX_BYTES}"
        )
    return len(record.data)
