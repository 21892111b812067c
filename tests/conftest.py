"""Options of the test run, and the signals that its processes begin with."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.figures import NAME, Figure, figures


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kills", type=int, default=20, help="how often the server is killed under load (20)"
    )
    parser.addoption(
        "--cuts", type=int, default=400, help="how often subscribers of streams are cut off (400)"
    )
    parser.addoption(
        "--fault-every", type=int, default=9, help="the disk fails at every n-th of its calls (9)"
    )


def pytest_configure() -> None:
    """Heed Ctrl-C, as every process started here then does: a shell's background job does not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """What tells a figure, or a few lines of them, at the end of the test run."""
    return lambda text: record_property(NAME, text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if told := figures(terminalreporter.stats.get("passed", [])):
        terminalreporter.section("figures")
        terminalreporter.write_line("\n".join(told))
