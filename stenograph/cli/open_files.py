"""Open files: how many this process may have, and how many connections that is enough for."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Final

from stenograph.cli.failures import USAGE, Failure

OTHER_FILES: Final = 100
"""What is open besides connections: the journal and its readers, workers, the log, a user's files."""
CONNECTIONS: Final = 12_000
"""How many connections a server takes by itself, however many files it may open."""


def raise_limit() -> int:
    """Let this process open as many files as it may allow itself, and return how many these are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # some systems allow less than they say
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return 2**31 if soft == resource.RLIM_INFINITY else soft


def connections_within(files: int, asked: int | None) -> int:
    """Return how many connections to take where so many ``files`` may be open.

    Raises Failure when more were asked for than fit.
    """
    most = max(1, files - OTHER_FILES)
    if asked is None:
        return min(most, CONNECTIONS)
    if asked > most:
        told = f"{asked:,} connections need more than the {files:,} files that may be open here"
        raise Failure(f"{told}: ask for at most {most:,}, or raise the limit (ulimit -n)", USAGE)
    return asked
