"""Ports that nothing listens on: any one, or the one that the documents name."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def port_8000() -> Iterator[None]:
    """Have it to oneself; other sessions of these tests on this machine wait for their turn.

    Skip the test when something else listens there; where CI runs, fail.
    """
    with Path(tempfile.gettempdir(), "stenograph-tests-port-8000").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        _need_port_8000()
        yield


def _need_port_8000() -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 8000))
        except OSError:
            if os.environ.get("CI"):
                raise
            pytest.skip("something else listens on port 8000, which the documents name")
