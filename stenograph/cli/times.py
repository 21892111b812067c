"""Times as the wire has them, for people."""

from __future__ import annotations

from datetime import datetime


def seconds_between(start: str, end: str) -> float:
    """Return how many seconds lie between two times."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def local(at: str) -> str:
    """Return a time as a clock here shows it: ``2026-11-20 23:55:01``."""
    return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M:%S}"
