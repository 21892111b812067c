"""Figures: what tests counted, told at the end of the test run, in whatever process they ran."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

Figure: TypeAlias = Callable[[str], None]

NAME = "figure"


def figures(reports: list[pytest.TestReport]) -> list[str]:
    """Return what the tests that passed have told, in their order."""
    told = (each for report in reports for each in report.user_properties)
    return [str(text) for name, text in told if name == NAME]
