"""The standard streams, which may be missing, full, or read by nobody."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import UnsupportedOperation
from typing import TextIO


class CannotWrite(OSError):
    """What stdout is takes no more."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"stdout cannot be written: {error.strerror or error}")


def provide() -> None:
    """Put blank streams where this process was started without stdin, stdout or stderr."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def write(data: bytes) -> None:
    """Write data to stdout, at once; raises BrokenPipeError, CannotWrite."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CannotWrite(error) from error


def silence(stream: TextIO) -> None:
    """Let nothing more come to a stream that takes no more, not even on the way out."""
    with suppress(UnsupportedOperation):  # a stream of no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
