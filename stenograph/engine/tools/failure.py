"""What an exception says, as text of a bounded length."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from stenograph.engine.errors import Misfit
from stenograph.engine.values import clean

TYPE_MAX_CHARS: Final = 200
MESSAGE_MAX_CHARS: Final = 4_096
TRACEBACK_MAX_CHARS: Final = 16_384
_HERE: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep
"""Where the engine is: its own frames tell nobody anything."""


class Failure(Struct, frozen=True, tag="failure"):
    """An error: the names of its type and of its bases, its message, its traceback."""

    types: tuple[str, ...]
    message: str
    traceback: str = ""


def failure_of(error: BaseException) -> Failure:
    """Return what an exception says; never fails, whatever the exception does when asked."""
    if isinstance(error, Misfit):  # ours, and not of the tool's code: there is nothing to trace
        return Failure((error.code,), clean(str(error), MESSAGE_MAX_CHARS))
    kinds = [kind for kind in type(error).__mro__ if kind is not object]
    types = tuple(clean(kind.__name__, TYPE_MAX_CHARS) for kind in kinds)
    message = _asked(lambda: clean(str(error), MESSAGE_MAX_CHARS), "message")
    trace = _asked(lambda: clean(_traceback(error), TRACEBACK_MAX_CHARS), "traceback")
    return Failure(types, message, trace)


def _traceback(error: BaseException) -> str:
    """Return the end of the traceback, from the tool's own first frame on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    lines = traceback.format_exception(type(error), error, trace)
    return "".join(lines)[-TRACEBACK_MAX_CHARS:]


def _asked(ask: Callable[[], str], what: str) -> str:
    """Return what an exception answers: it is a tool's own class, and may do anything instead."""
    try:
        return ask()
    except BaseException as broken:
        return f"(its {what} cannot be had: {type(broken).__name__})"
