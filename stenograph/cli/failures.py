"""Failures: what a person reads when a command cannot do what it was asked, and its exit code."""

from __future__ import annotations

from typing import Final

import click

OK: Final = 0
RUN_FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
NO_SUCH_RUN: Final = 4
CONFLICT: Final = 6
NEEDS_A_PERSON: Final = 75
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141
"""As the shell tells of a program that ended because nobody reads what it writes."""


class Failure(click.ClickException):
    """A command cannot do what it was asked: one sentence, the cause and what to do."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        vars(self)["exit_code"] = code  # click has it as a constant of the class
