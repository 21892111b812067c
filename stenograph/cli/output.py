"""Output: stdout is data, stderr is talk; tables on a terminal, JSON in a pipe."""

from __future__ import annotations

import codecs
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, Final

import click
import msgspec

from stenograph.cli.marks import PLAIN, SIGNS, Mark
from stenograph.cli.settings import Settings
from stenograph.cli.standard import silence, write
from stenograph.cli.text import padded, width

ROOM_MIN: Final = 30
"""Fewest columns that are worth wrapping a text into."""


class Output:
    """Says things as the settings ask: JSON as bytes, or lines, in colour where there is any."""

    def __init__(self, settings: Settings) -> None:
        self.terminal = sys.stdout.isatty()
        self.tables = settings.output == "table" or (settings.output == "auto" and self.terminal)
        self.whole = settings.output == "json"
        self.quiet = settings.quiet
        self.colour = wants_colour(settings, self.terminal)
        self.unicode = is_unicode(sys.stdout.encoding)
        self.columns = shutil.get_terminal_size().columns if self.terminal else 0
        self._written = 0

    def talk(self, text: str) -> None:
        """Say something on stderr, unless asked to be quiet."""
        if not self.quiet:
            talk(text)

    def reconnecting(self, after: int) -> None:
        """Say that a stream broke off, and that nothing is lost by that."""
        self.talk(f"-- reconnecting, will resume after {after}")

    def style(self, text: str, colour: str | None = None, *, dim: bool = False) -> str:
        """Return a text in a colour, or faint, where colours are wanted."""
        if not self.colour or not (colour or dim):
            return text
        return click.style(text, fg=colour, dim=dim or None)

    def sign(self, mark: Mark) -> str:
        """Return the sign of a mark, in its colour."""
        sign = SIGNS[mark]
        return self.style(sign.glyph if self.unicode else sign.plain, sign.colour)

    def hanging(self, text: str, indent: int) -> str:
        """Return a text whose later lines, on a terminal, begin below its first."""
        room = self.columns - indent
        if room < ROOM_MIN:
            return text
        lines = textwrap.wrap(text, room, break_on_hyphens=False)
        return ("\n" + " " * indent).join(lines)

    def line(self, text: str = "") -> None:
        """Write a line for people."""
        text = text if self.unicode else text.translate(PLAIN)
        write(text.encode(sys.stdout.encoding, "backslashreplace") + b"\n")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write rows in columns under their heads; nothing is cropped."""
        columns = [max(map(width, column)) for column in zip(head, *rows, strict=True)]
        self.line(self.style(in_columns(head, columns), dim=True))
        for row in rows:
            self.line(in_columns(row, columns))

    def document(self, value: Any) -> None:
        """Write one thing as one JSON document; on a terminal, for the eye."""
        text = msgspec.json.encode(value)
        write((msgspec.json.format(text, indent=2) if self.terminal else text) + b"\n")

    def items(self, items: Sequence[Any]) -> None:
        """Write a list: one document of all when asked for, else one a line."""
        if self.whole:
            self.document(items)
        else:
            write(b"".join(msgspec.json.encode(item) + b"\n" for item in items))

    def records(self, documents: Iterable[bytes]) -> None:
        """Write the next JSON documents of a stream, as they are; one a line, or in one array."""
        lines = []
        for document in documents:
            before = (b",\n" if self._written else b"[\n") if self.whole else b""
            lines.append(before + document + (b"" if self.whole else b"\n"))
            self._written += 1
        write(b"".join(lines))

    def end(self) -> None:
        """Close the array that ``records`` may have opened."""
        if self.whole:
            write(b"\n]\n" if self._written else b"[]\n")


def talk(text: str) -> None:
    """Say a line on stderr, whatever its encoding; where nobody listens, work goes on."""
    encoding = sys.stderr.encoding
    text = text if is_unicode(encoding) else text.translate(PLAIN)
    try:
        click.echo(text.encode(encoding, "backslashreplace"), err=True)
    except OSError:
        silence(sys.stderr)


def is_unicode(encoding: str) -> bool:
    """Tell whether an encoding has our signs."""
    return codecs.lookup(encoding).name == "utf-8"


def wants_colour(settings: Settings, terminal: bool) -> bool:
    """Tell whether to write in colour; by itself, only to a terminal that nobody made plain."""
    if settings.color != "auto":
        return settings.color == "always"
    return terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def in_columns(cells: Sequence[str], columns: Sequence[int]) -> str:
    """Return cells side by side, each as wide as its column."""
    return "  ".join(map(padded, cells, columns)).rstrip()
