"""What one append may hold: checked before it reaches a journal, so that no append fails others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from stenograph.journal.errors import AppendTooLarge
from stenograph.journal.protocol import (
    ADOPT_MAX_BYTES,
    ADOPT_MAX_RECORDS,
    APPEND_MAX_BYTES,
    APPEND_MAX_RECORDS,
    RECORD_MAX_BYTES,
)
from stenograph.journal.record import RUN_ID, TIME, TYPE, NewRecord

LABELS_MAX: Final = 64
"""Most labels of one append, or of one search."""
LABEL_MAX_BYTES: Final = 1024
"""Most bytes of a label's key, and of its value."""
SECRET_NAME_MAX_CHARS: Final = 300
"""Longest name of a secret."""


def check_append(
    run_id: str,
    records: Sequence[NewRecord],
    labels: Mapping[str, str],
    secrets: Mapping[str, bytes],
    *,
    whole: bool = False,
) -> int:
    """Return how many bytes the append holds, in data and secrets; ``whole``: a stream is adopted.

    Raises AppendTooLarge over a limit, ValueError where something is not what it should be.
    """
    check_run_id(run_id)
    if not records:
        raise ValueError(f"{run_id}: an append holds at least one record")
    most = ADOPT_MAX_RECORDS if whole else APPEND_MAX_RECORDS
    if len(records) > most:
        raise AppendTooLarge(f"{run_id}: {len(records)} records in one append; at most {most}")
    check_labels(labels)
    size = 0
    at: str | None = None
    for record in records:
        check_type(record.type)
        if record.at != at:  # most often all have one
            check_time(at := record.at)
        size += checked_size(record.data)
    if secrets:
        size += secrets_size(run_id, secrets)
    most = ADOPT_MAX_BYTES if whole else APPEND_MAX_BYTES
    if size > most:
        raise AppendTooLarge(f"{run_id}: {size} bytes in one append; at most {most}")
    return size


@lru_cache(maxsize=1024)
def check_run_id(run_id: str) -> None:
    """Raise ValueError for what is no id of a run or of a graph's stream."""
    if not RUN_ID.fullmatch(run_id):
        raise ValueError(f"run id {run_id[:140]!r}: must match {RUN_ID.pattern}")


def check_labels(labels: Mapping[str, str]) -> None:
    """Raise AppendTooLarge for too many labels or a long one, ValueError for what is no text."""
    if len(labels) > LABELS_MAX:
        raise AppendTooLarge(f"{len(labels)} labels; at most {LABELS_MAX}")
    for pair in labels.items():
        for text in pair:
            # Strict UTF-8: half a surrogate pair is refused here, not inside a commit.
            if len(text.encode()) > LABEL_MAX_BYTES:
                raise AppendTooLarge(f"label {text[:40]!r}…: at most {LABEL_MAX_BYTES} bytes")


def secrets_size(run_id: str, secrets: Mapping[str, bytes]) -> int:
    """Return how many bytes names and values have; no message quotes them.

    Raises AppendTooLarge for a long name, ValueError or TypeError for what is none, or no bytes.
    """
    size = 0
    for name, value in secrets.items():
        if not name:
            raise ValueError(
                f"{run_id}: a secret has a name of 1 to {SECRET_NAME_MAX_CHARS} characters"
            )
        if len(name) > SECRET_NAME_MAX_CHARS:
            most = f"at most {SECRET_NAME_MAX_CHARS}"
            raise AppendTooLarge(f"{run_id}: a secret's name of {len(name)} characters; {most}")
        if not isinstance(value, bytes):
            raise TypeError(f"a secret's value must be bytes, not {type(value).__name__}")
        size += len(name.encode()) + len(value)
    return size


@lru_cache(maxsize=256)
def check_type(text: str) -> None:
    """Raise ValueError for a type that the envelope cannot carry as it is."""
    if not TYPE.fullmatch(text):
        raise ValueError(f"type {text[:140]!r}: must match {TYPE.pattern}")


@lru_cache(maxsize=256)
def check_time(text: str) -> None:
    """Raise ValueError for what is no time as the protocol writes it."""
    if not TIME.fullmatch(text):
        raise ValueError(f"time {text[:40]!r}: must look like 2026-11-20T22:55:01.123456Z")


def checked_size(data: bytes) -> int:
    """Return the size of a record's data; raise AppendTooLarge, or TypeError if not bytes."""
    if not isinstance(data, bytes):
        raise TypeError(f"data must be bytes, not {type(data).__name__}")
    if len(data) > RECORD_MAX_BYTES:
        raise AppendTooLarge(f"a record of {len(data)} bytes; at most {RECORD_MAX_BYTES}")
    return len(data)
