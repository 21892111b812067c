"""Who asks: the request under way, as whatever is done for it can find out; its id, its trace."""

from __future__ import annotations

import re
from contextvars import ContextVar
from itertools import count
from secrets import token_hex
from typing import Final

from stenograph.engine import sane_traceparent

ID_HEADER: Final = b"x-request-id"
TRACE_HEADER: Final = b"traceparent"

# It goes into every line of the log: so nothing that may be a token is an id.
_SANE: Final = re.compile(rb"(?!.*steno_)[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_PROCESS: Final = token_hex(6)
_NUMBERS: Final = count(1)


class Asked:
    """A request: what of its headers outlives it. Tasks that it begins keep it, so it is small."""

    __slots__ = ("_given", "_id", "traceparent")

    def __init__(self, headers: dict[bytes, bytes]) -> None:
        self._given = headers.get(ID_HEADER)
        self._id = ""
        self.traceparent = headers.get(TRACE_HEADER)
        """As it was sent, not looked at yet; or the span that was made of the request, if one was."""

    @property
    def is_named(self) -> bool:
        """Whether the client has given the request an id that it will look for."""
        return self._given is not None

    @property
    def id(self) -> str:
        """The client's id of the request, if that is sane; else one of our own."""
        if not self._id:
            given = self._given
            is_sane = given is not None and _SANE.fullmatch(given) is not None
            self._id = given.decode() if given and is_sane else f"{_PROCESS}-{next(_NUMBERS)}"
        return self._id


ASKED: Final[ContextVar[Asked | None]] = ContextVar("asked", default=None)
"""The request under way; also in the tasks that it has begun, as those of a run."""


def traceparent() -> str | None:
    """Return the trace that the request under way belongs to, or None where it says none."""
    asked = ASKED.get()
    if asked is None or asked.traceparent is None:
        return None
    return sane_traceparent(asked.traceparent.decode("latin-1"))


def request_id() -> str | None:
    """Return the id of the request under way, or None where there is none."""
    asked = ASKED.get()
    return None if asked is None else asked.id
