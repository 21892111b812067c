"""Output: stdout is data, stderr is talk; tables on a terminal, JSON in a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from stenograph.cli.marks import PLAIN, SIGNS, Mark
from stenograph.cli.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console


class Output:
    """Says things as the settings ask: JSON as bytes, and lines, in colour where there is any."""

    def __init__(self, settings: Settings) -> None:
        terminal = sys.stdout.isatty()
        self.quiet = settings.quiet
        self.terminal = terminal
        self.tables = settings.output == "table" or (settings.output == "auto" and terminal)
        self.one_document = settings.output == "json"
        self.colour = wants_colour(settings, terminal)
        self.unicode = is_unicode(sys.stdout.encoding)

    def talk(self, text: str) -> None:
        """Say something on stderr, unless asked to be quiet."""
        if not self.quiet:
            talk(text)

    def line(self, text: str, *, mark: Mark | None = None, dim: bool = False) -> None:
        """Write a line for people to stdout, in the colour of a mark."""
        colour = SIGNS[mark].colour if mark else None
        text = text if self.unicode else text.translate(PLAIN)
        if self.colour and (colour or dim):
            text = click.style(text, fg=colour, dim=dim or None)
        self.write(text.encode(sys.stdout.encoding, "backslashreplace") + b"\n")

    def sign(self, mark: Mark) -> str:
        """Return the sign of a mark."""
        return SIGNS[mark].glyph if self.unicode else SIGNS[mark].plain

    def document(self, value: Any) -> None:
        """Write one thing as one JSON document."""
        text = msgspec.json.encode(value)
        if self.one_document and self.terminal:
            text = msgspec.json.format(text, indent=2)
        self.write(text + b"\n")

    def items(self, items: Sequence[Any]) -> None:
        """Write a list: a JSON document a line, or one document of all."""
        if self.one_document:
            self.document(items)
        else:
            self.write(b"".join(msgspec.json.encode(item) + b"\n" for item in items))

    def lines(self, documents: Iterable[bytes]) -> None:
        """Write JSON documents as they are, one a line."""
        self.write(b"".join(document + b"\n" for document in documents))

    def write(self, data: bytes) -> None:
        """Write bytes to stdout at once."""
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def console(self) -> Console:
        """Return a console of rich's, for tables: as wide as the terminal, and never cropped."""
        from rich.console import Console

        return Console(
            file=sys.stdout,
            force_terminal=self.colour,
            no_color=not self.colour,
            highlight=False,
            markup=False,
            emoji=False,
            width=terminal_width() if self.terminal else 1000,
        )


def talk(text: str) -> None:
    """Say a line on stderr, whatever its encoding."""
    if not is_unicode(sys.stderr.encoding):
        text = text.translate(PLAIN)
    click.echo(text.encode(sys.stderr.encoding, "backslashreplace"), err=True)
