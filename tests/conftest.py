"""Options of the test run, and the signals that its processes begin with."""

from __future__ import annotations

import signal

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kills", type=int, default=20, help="how often the server is killed under load (20)"
    )
    parser.addoption(
        "--cuts", type=int, default=400, help="how often subscribers of streams are cut off (400)"
    )


def pytest_configure() -> None:
    """Heed Ctrl-C, as every process started here then does: a shell's background job does not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
