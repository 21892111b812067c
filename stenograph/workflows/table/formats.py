"""Formats: the one pattern that the values of a text column follow, if there is one."""

from __future__ import annotations

import re
from typing import Final, Literal

import polars as pl
from msgspec import Struct

from stenograph.workflows.table.columns import few

STRANGERS_MAX: Final = 0.02
"""Most values that do not follow a pattern that was read off the others."""

SHAPE_MAX: Final = 40
VALUES_MIN: Final = 10

KNOWN: Final = {
    "e-mail address": r"^[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}$",
    "URL": r"^(?:https?|ftp)://[^\s/]+\S*$",
    "UUID": r"^[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$",
    "IPv4 address": r"^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)$",
    "time of day": r"^(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?$",
}
"""Formats that have a name; all but a few of the values follow one."""

_CLASSES: Final = {"A": r"\p{Lu}", "a": r"[\p{L}--\p{Lu}]", "9": r"\d"}


class Format(Struct, frozen=True):
    """A pattern, as a regular expression, and what it is called.

    ``letters`` says which case all its letters have. ``loose`` is the pattern with anything or
    nothing between its parts, and ``parts`` how they stand together.
    """

    name: str
    pattern: str
    letters: Literal["upper", "lower", ""] = ""
    loose: str = ""
    parts: str = ""


def find(values: pl.Series) -> Format | None:
    """Return the format of a column of text, or None when it has none."""
    values = values.drop_nulls()
    for name, pattern in KNOWN.items():
        if values.str.contains(pattern).sum() >= max(1, len(values) - few(len(values))):
            return Format(name, pattern)
    # The letters of a known format are any: hexadecimal digits, say, have no shape.
    loose = _dominant(_shapes(values, "+"))
    if loose is None or "9" not in loose or len(loose) > SHAPE_MAX:
        return None
    exact = _dominant(_shapes(values, ""))
    many, shape = ("+", loose) if exact is None else ("", exact)
    runs = _runs(shape, many)
    pattern = "^" + "".join(run for run, _ in runs) + "$"
    letters: Literal["upper", "lower", ""] = ""
    if ("A" in shape) != ("a" in shape):
        letters = "upper" if "A" in shape else "lower"
    if exact is None:  # of 1234 nobody knows whether it is 12.3.4
        return Format(f"pattern {shape}", pattern, letters)
    classes = [run for run, is_class in runs if is_class]
    places = iter(range(1, len(classes) + 1))
    parts = "".join(f"${{{next(places)}}}" if is_class else _literal(run) for run, is_class in runs)
    between = r"[\W_]*"
    loosely = f"^{between.join(f'({run})' for run in classes)}$"
    return Format(f"pattern {shape}", pattern, letters, loosely, parts)


def _shapes(values: pl.Series, many: str) -> pl.Series:
    for letter in "9Aa":
        values = values.str.replace_all(_CLASSES[letter] + many, letter)
    return values


def _dominant(shapes: pl.Series) -> str | None:
    if len(shapes) < VALUES_MIN:
        return None
    top = shapes.value_counts(sort=True).row(0)
    strangers = max(STRANGERS_MAX * len(shapes), 1.0)
    return str(top[0]) if len(shapes) - top[1] <= strangers else None


def _runs(shape: str, many: str) -> list[tuple[str, bool]]:
    """Return a shape in parts, as regular expressions, and whether each is of letters or digits."""
    runs: list[tuple[str, bool]] = []
    for run in re.finditer(r"(.)\1*", shape):
        letter, length = run[1], len(run[0])
        letters = _CLASSES.get(letter)
        if letters is None:
            runs.append((re.escape(run[0]), False))
        elif many:
            runs.append((f"{letters}+" * length, True))
        else:
            runs.append((letters + (f"{{{length}}}" if length > 1 else ""), True))
    return runs


def _literal(escaped: str) -> str:
    return re.sub(r"\\(.)", r"\1", escaped).replace("$", "$$")
