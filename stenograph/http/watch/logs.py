"""Logs: how what the program says of itself is written, in lines for people or for machines.

By the standard library, which every package here logs with anyway; a line of JSON is one call of
msgspec's, which is there anyway. What a line is about, the request and the run, comes by itself.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import msgspec

from stenograph.engine import current_run
from stenograph.http.asked import request_id
from stenograph.http.escapes import printable
from stenograph.http.settings import Settings

TEXT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s%(about)s"

TALKATIVE: Final = ("aiosqlite", "httpx", "httpcore")
"""They log whole URLs, and all that a statement is given: in those may stand what is secret."""


def configure_logs(settings: Settings, stream: TextIO | None = None) -> None:
    """Have all logs of the process written to ``stream`` (stderr), as the settings say."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(note_about)
    is_json = settings.log_format == "json"
    handler.setFormatter(JsonLines() if is_json else TextLines(TEXT))
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def note_about(record: logging.LogRecord) -> bool:
    """Note in a record which request and which run it is about; done where it is logged."""
    found = {"request_id": request_id(), "run_id": current_run()}
    fields: dict[str, Any] = {name: value for name, value in found.items() if value is not None}
    record.__dict__["found"] = fields
    record.__dict__["about"] = "".join(f" {name}={value}" for name, value in fields.items())
    return True


class TextLines(logging.Formatter):
    """Writes a record as one line for people, below which its traceback stands, if it has one.

    What does not print, line ends too, is spelled as an escape: a tool may log what a stranger
    wrote, which is neither to look like a line of its own nor to steer a terminal.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        """Return the lines of a traceback."""
        return "\n".join(map(printable, super().formatException(ei).split("\n")))


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON: ``time``, ``level``, ``logger``, ``message``, and more.

    More are ``request_id`` and ``run_id`` where there is one, the ``fields`` that a record was logged
    with, and the ``error`` of one, with its traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = datetime.fromtimestamp(record.created, UTC)
        told: dict[str, Any] = {
            "time": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **record.__dict__.get("found", {}),
            **record.__dict__.get("fields", {}),
        }
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return encoded(told)


def encoded(told: dict[str, Any]) -> str:
    """Return a line's fields as JSON; half characters, which no JSON holds, become ``?``."""
    clean = {
        name: value.encode(errors="replace").decode() if isinstance(value, str) else value
        for name, value in told.items()
    }
    return msgspec.json.encode(clean).decode()
