"""Failures: what a person reads when a command cannot do what it was asked, and its exit code."""

from __future__ import annotations

from typing import IO, Any, Final

import click

from stenograph.cli.output import talk
from stenograph.cli.text import printable

OK: Final = 0
RUN_FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
NO_SUCH_RUN: Final = 4
DAMAGED: Final = 5
CONFLICT: Final = 6
IO_FAILED: Final = 74
NEEDS_A_PERSON: Final = 75
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141
TERMINATED: Final = 143
"""Ctrl-C, a pipe that nobody reads, SIGTERM, as the shell tells of a program they ended. The codes
74 and 75 are EX_IOERR and EX_TEMPFAIL of sysexits.h."""


LATER: Final = {429: CONFLICT, 503: UNREACHABLE}
"""The exit codes of refusals by a server that is asked too much, or cannot do it now."""


class Failure(click.ClickException):
    """A command cannot do what it was asked: one sentence, the cause and what to do."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        vars(self)["exit_code"] = code  # click has it as a constant of the class

    def show(self, file: IO[Any] | None = None) -> None:
        """Say it on stderr, in letters that cannot steer a terminal."""
        lines = f"Error: {self.format_message()}".split("\n")
        talk("\n".join(map(printable, lines)))


def failure_of(error: Exception) -> Failure | None:
    """Return what a person reads of an error of the rooms below; None for what nobody expected."""
    for code, kinds in codes().items():
        if isinstance(error, kinds):
            return refusal_of(error, Failure(str(error) or type(error).__name__, code))
    return None


def refusal_of(error: Exception, failure: Failure) -> Failure:
    """Return the failure, or what a person reads in its place when a server has refused something."""
    from stenograph.http import RequestRefused

    if not isinstance(error, RequestRefused):
        return failure
    missing = error.problem.code == "token-missing"
    sentence = "the server needs a token: give one in $STENO_TOKEN" if missing else failure.message
    return Failure(sentence, LATER.get(error.problem.status, failure.exit_code))


def codes() -> dict[int, tuple[type[Exception], ...]]:
    """Return the exit code of each kind of error. Who asks has already failed, and may be slow."""
    from stenograph.engine import (
        EngineClosed,
        EngineError,
        ExportRefused,
        FilterInvalid,
        KeyReused,
        NotHeld,
        PreconditionFailed,
        RunExists,
        RunFinished,
        RunGone,
        RunImported,
        RunTooLong,
        RunUnfinished,
        TooManyKeys,
        TooManyRuns,
        TooManySignals,
        UnknownEvent,
        UnknownGraph,
        UnknownRun,
    )
    from stenograph.http import (
        CannotTrace,
        PortInUse,
        RequestRefused,
        ServerUnreachable,
        TokensRefused,
    )
    from stenograph.journal import (
        CannotBackUp,
        CannotOpen,
        CannotSign,
        CheckpointRefused,
        CursorUnknown,
        DamagedFile,
        JournalBusy,
        JournalFailed,
        JournalFull,
        JournalInUse,
        JournalUnreadable,
        QueryRefused,
    )

    return {
        NO_SUCH_RUN: (UnknownRun, UnknownGraph, RunGone),
        CONFLICT: (
            RunExists,
            RunFinished,
            RunImported,
            RunUnfinished,
            KeyReused,
            NotHeld,
            PreconditionFailed,
            RunTooLong,
            TooManyKeys,
            TooManyRuns,
            TooManySignals,
            CursorUnknown,
            JournalInUse,
            PortInUse,
        ),
        UNREACHABLE: (ServerUnreachable, EngineClosed, JournalBusy, JournalFull, JournalFailed),
        DAMAGED: (DamagedFile, JournalUnreadable, UnknownEvent, CheckpointRefused, ExportRefused),
        USAGE: (
            EngineError,
            CannotBackUp,
            CannotOpen,
            CannotSign,
            CannotTrace,
            FilterInvalid,
            QueryRefused,
            RequestRefused,
            TokensRefused,
        ),  # of the engine's, all that is left
        IO_FAILED: (OSError,),
    }
