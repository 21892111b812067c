"""What is asked of every command: where the runs are, and how to say things."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias, TypeVar

import click
from msgspec import Struct

Format: TypeAlias = Literal["auto", "table", "json", "ndjson"]
When: TypeAlias = Literal["auto", "always", "never"]

DEFAULT_URL: Final = "http://127.0.0.1:8000"

F = TypeVar("F", bound=Callable[..., Any])


class Settings(Struct):
    """The options that every command takes; ``more``: exported runs to be read beside that of ``db``."""

    url: str | None = None
    token: str | None = None
    db: str | None = None
    more: tuple[str, ...] = ()
    output: Format = "auto"
    color: When = "auto"
    quiet: bool = False

    @property
    def server(self) -> str:
        """The server's URL: as asked for, else as the environment says."""
        return self.url or os.environ.get("STENO_URL") or DEFAULT_URL

    @property
    def key(self) -> str | None:
        """The server's token: as given, else as the environment says."""
        return self.token or os.environ.get("STENO_TOKEN") or None


def settings() -> Settings:
    """Return the settings of the command that runs."""
    return click.get_current_context().ensure_object(Settings)


def output_options(command: F) -> F:
    """Let a command take how to say things."""
    for option in (QUIET, COLOR, OUTPUT):
        command = option(command)
    return command


def place_options(command: F) -> F:
    """Let a command take where the runs are, too."""
    for option in (DB, TOKEN, URL):
        command = option(command)
    return output_options(command)


def set_one(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Set what an option says; a command's own options come after those of the whole."""
    found = context.ensure_object(Settings)
    if value is not None and parameter.name is not None:
        setattr(found, parameter.name, value)
    if found.url and found.db:
        raise click.UsageError("--url and --db exclude each other: runs are in one place")


def shared(*names: str, **options: Any) -> Callable[[F], F]:
    """Declare an option whose value goes into the settings."""
    return click.option(*names, expose_value=False, default=None, callback=set_one, **options)


URL: Final = shared(
    "--url", metavar="URL", help=f"The server; else $STENO_URL, then {DEFAULT_URL}."
)
TOKEN: Final = shared(
    "--token",
    metavar="TOKEN",
    help="The server's token; better in $STENO_TOKEN, as other users see command lines.",
)
DB: Final = shared("--db", metavar="FILE", help="Read the journal in this file, without a server.")
OUTPUT: Final = shared(
    "-o",
    "--output",
    type=click.Choice(["auto", "table", "json", "ndjson"]),
    help="auto: tables on a terminal, JSON in a pipe.",
)
COLOR: Final = shared(
    "--color", type=click.Choice(["auto", "always", "never"]), help="auto heeds NO_COLOR."
)
QUIET: Final = shared(
    "-q", "--quiet", is_flag=True, flag_value=True, help="Say nothing on stderr but errors."
)
