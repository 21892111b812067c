"""Escapes: text of strangers as it may be shown, on a terminal or in a line of a log."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return text that cannot steer a terminal: what does not print is spelled as an escape."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
