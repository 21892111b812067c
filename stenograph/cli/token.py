"""``steno token``: who may ask a server, and for what."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from stenograph.cli.output import Output
from stenograph.cli.settings import output_options, settings, shared
from stenograph.cli.standard import write
from stenograph.cli.times import local

if TYPE_CHECKING:
    from stenograph.http import Token

SCOPES: Final = ("read", "run", "control", "admin")
"""As ``stenograph.http.door.tokens`` has them, which is too heavy to load for a help text."""
UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
EXPIRES_MAX: Final = timedelta(days=3660)
DB: Final = "steno.db"

F = TypeVar("F", bound=Callable[..., Any])


def scopes_of(
    context: click.Context, parameter: click.Parameter, words: tuple[str, ...]
) -> set[str]:
    """Return the scopes that words name, each one or several with commas; raises BadParameter."""
    found = {scope for word in words for scope in word.split(",")}
    for each in sorted(found.difference(SCOPES)):
        raise click.BadParameter(f"{each!r} is no scope; there is {', '.join(SCOPES)}")
    return found


def span_of(
    context: click.Context, parameter: click.Parameter, word: str | None
) -> timedelta | None:
    """Return a length of time: ``90s``, ``15m``, ``12h``, ``30d``, ``8w``; raises BadParameter."""
    if word is None:
        return None
    match = re.fullmatch(r"([0-9]{1,9})([smhdw])", word)
    span = timedelta(seconds=int(match[1]) * UNITS[match[2]]) if match else timedelta()
    if not timedelta() < span <= EXPIRES_MAX:
        raise click.BadParameter(f"{word!r} is no time up to ten years, such as 12h or 30d")
    return span


def store_options(command: F) -> F:
    """Let a command take which file of tokens it is about."""
    for option in (
        shared("--db", metavar="FILE", help=f"The journal that is served.  [default: {DB}]"),
        click.option(
            "--tokens",
            metavar="FILE",
            envvar="STENO_TOKENS",
            help="Their file.  [default: the journal's, FILE.tokens]",
        ),
    ):
        command = option(command)
    return output_options(command)


def store_of(tokens: str | None) -> str:
    """Return where the tokens are: as asked for, else beside the journal, as FILE.tokens.

    Variables say the same as they do to ``steno serve``, so that it finds what is made here.
    """
    return tokens or beside(settings().db or os.environ.get("STENO_DB") or DB)


def beside(path: str) -> str:
    """Return the file of tokens that belongs to a journal's."""
    return f"{path}.tokens"


@click.group(short_help="Make, list and revoke the tokens of a server.")
@shared("--db", metavar="FILE", help=f"The journal that is served.  [default: {DB}]")
@output_options
def token() -> None:
    """Make, list and revoke the tokens that a server asks for.

    They are kept as hashes in a file beside the journal, and a server that was started with that
    file knows of every change within a second.
    """


@token.command(short_help="Make a token, and print it once.")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    metavar="SCOPE",
    callback=scopes_of,
    multiple=True,
    required=True,
    help="What it is good for: read, run, control, admin; again, or with commas, for more.",
)
@click.option(
    "--expires",
    metavar="TIME",
    callback=span_of,
    help="For how long it is good: 12h, 30d.  [default: ever]",
)
@store_options
def create(
    name: str,
    scopes: Any,
    expires: timedelta | None,
    tokens: str | None,
) -> None:
    """Make a token, and print it: only now, as its hash alone is kept.

    NAME is who asked, in events.
    """
    from stenograph.http import create_token

    path, now = store_of(tokens), datetime.now(UTC)
    until = None if expires is None else now + expires
    text = create_token(path, name, scopes, now=now, expires_at=until)
    Output(settings()).talk(
        f"Token {text[6:18]} of {name} is in {path}; it is shown only now: keep it in $STENO_TOKEN"
    )
    write(f"{text}\n".encode())


@token.command("list", short_help="List the tokens, without what is secret.")
@store_options
def list_(tokens: str | None) -> None:
    """List the tokens: their ids and names, and what they are good for; never a secret."""
    from stenograph.http import read_tokens

    output, now = Output(settings()), datetime.now(UTC).timestamp()
    found = list(read_tokens(store_of(tokens)).values())
    if not output.tables:
        output.items([document(each) for each in found])
    elif found:
        head = ("id", "name", "scopes", "created", "expires")
        output.table(head, [row(each, now) for each in found])
    else:
        output.talk("There are no tokens. Make one: steno token create NAME --scope read")


@token.command(short_help="Revoke a token.")
@click.argument("which", metavar="ID|NAME")
@store_options
def revoke(which: str, tokens: str | None) -> None:
    """Revoke the token of an id or a name; its requests, and its streams, end within a second."""
    from stenograph.http import revoke_token

    gone = revoke_token(store_of(tokens), which)
    Output(settings()).talk(f"Token {gone.id} of {gone.name} is revoked")


def document(token: Token) -> dict[str, Any]:
    """Return what everybody may know of a token."""
    return {
        "id": token.id,
        "name": token.name,
        "scopes": token.scopes,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
    }


def row(token: Token, now: float) -> tuple[str, ...]:
    """Return a token as a row."""
    until = "never" if token.expires_at is None else local(token.expires_at.isoformat())
    return (
        token.id,
        token.name,
        ", ".join(token.scopes),
        local(token.created_at.isoformat()),
        f"{until} (expired)" if token.has_expired(now) else until,
    )
