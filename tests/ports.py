"""Ports that nothing listens on: any one, or the one that the documents name."""

from __future__ import annotations

import os
import socket

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def need_port_8000() -> None:
    """Skip the test when something else listens there; where CI runs, fail."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 8000))
        except OSError:
            if os.environ.get("CI"):
                raise
            pytest.skip("something else listens on port 8000, which the documents name")
