"""What tests of streams counted is told at the end of the test run."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.stats.get("passed", [])
    told = [text for each in reports for name, text in each.user_properties if name == "streams"]
    if told:
        terminalreporter.section("streams cut off and taken up again")
        terminalreporter.write_line("\n".join(told))
