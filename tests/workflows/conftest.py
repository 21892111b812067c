"""What tests measured is told at the end of the test run."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.stats.get("passed", []):
        if told := [text for name, text in report.user_properties if name == "measured"]:
            terminalreporter.section("anomalies planted and found")
            terminalreporter.write_line("\n".join(told))
