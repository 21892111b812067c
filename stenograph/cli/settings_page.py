"""The page of settings: every one with its value, as a file that says the same."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any, Final

import click
from msgspec import Struct

from stenograph.cli.serve_options import Setting, keyed, source_of

WIDTH: Final = 80
_DEFAULT: Final = re.compile(r" +\[default: (.+)\]$")


class Fact(Struct, frozen=True):
    """What is to be known of a setting; ``usual`` is what it is when nobody says it."""

    key: str
    flag: str
    variable: str
    unit: str
    range: str
    usual: str
    value: Any
    what: str
    beyond: str


def facts(context: click.Context) -> list[Fact]:
    """Return what is to be known of each setting of a command, in its order."""
    return [_fact(key, option, context) for key, option in keyed(context).items()]


def page(context: click.Context) -> Iterator[str]:
    """Yield the lines of a file with every setting: those that nobody gave are commented out."""
    options = keyed(context)
    for fact in facts(context):
        source = source_of(context, options[fact.key])
        yield from textwrap.wrap(_told(fact), WIDTH, initial_indent="# ", subsequent_indent="# ")
        if source:
            given = context.params[str(options[fact.key].name)]
            yield f"{fact.key} = {_toml(given)}  # {source}"
        else:
            yield f"# {fact.key} = {_toml(fact.value)}"
        yield ""


def _told(fact: Fact) -> str:
    span = " ".join(filter(None, [fact.range, fact.unit]))
    usual = f"default {fact.usual}" if fact.usual else ""
    limits = "; ".join(filter(None, [span, usual]))
    return f"{fact.what} [{limits}]" if limits else fact.what


def _fact(key: str, option: click.Option, context: click.Context) -> Fact:
    what, usual = option.help or "", ""
    unit = beyond = ""
    if isinstance(option, Setting):
        value, usual, unit, beyond = option.usual, option.usual_words, option.unit, option.beyond
    else:
        value = option.get_default(context)
        if said := _DEFAULT.search(what):  # one that stands in the help alone
            what, value = what[: said.start()], said[1]
    return Fact(
        key=key,
        flag="/".join([max(option.opts, key=len), *option.secondary_opts]),
        variable=str(option.envvar),
        unit=unit,
        range=_range(option),
        usual=usual or _shown(value),
        value=_example(option, value),
        what=what,
        beyond=beyond,
    )


def _range(option: click.Option) -> str:
    kind = option.type
    if isinstance(kind, click.Choice):
        return ", ".join(map(str, kind.choices))
    if isinstance(kind, click.IntRange | click.FloatRange):
        least = f"over {_number(kind.min)}" if kind.min_open else _number(kind.min)
        return f"{least} or more" if kind.max is None else f"{least} to {_number(kind.max)}"
    return "true, false" if option.is_flag else ""


def _number(value: float | None) -> str:
    """Return a number in digits, in threes from where they are hard to count."""
    number = value or 0
    return f"{number:,.12g}" if abs(number) >= 10_000 else f"{number:.12g}"


def _shown(value: Any) -> str:
    """Return a default in words; "" for none."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return _number(value)
        case str():
            return value
        case _:
            return ""


def _example(option: click.Option, value: Any) -> Any:
    """Return a value for a file: the default, or where there is none something empty."""
    if option.multiple:
        return []
    return "" if value is None or not isinstance(value, bool | int | float | str) else value


def _toml(value: Any) -> str:
    """Return a value as TOML writes it."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
