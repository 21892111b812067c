"""The file with settings: TOML, each key the name of an option."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from stenograph.cli.failures import USAGE, Failure


def read_config(path: str, options: Mapping[str, click.Option]) -> dict[str, Any]:
    """Return what a file sets, by its keys, which are those of ``options``.

    Raises Failure with the file, the key and what is wrong; ranges are looked at by the options.
    """
    try:
        found = tomllib.loads(Path(path).read_text("utf-8-sig"))
    except OSError as error:
        raise Failure(f"{path}: cannot be read: {error.strerror or error}", USAGE) from error
    except UnicodeDecodeError as error:
        raise Failure(f"{path}: byte {error.start} is not UTF-8", USAGE) from error
    except tomllib.TOMLDecodeError as error:
        raise Failure(f"{path}: is no TOML: {error}", USAGE) from error
    except RecursionError:
        raise Failure(f"{path}: is nested too deep: no setting needs that", USAGE) from None
    for key, value in found.items():
        if key not in options:
            raise Failure(f"{path}: there is no setting {key!r}{_hint(key, options)}", USAGE)
        if why := _mismatch(value, options[key]):
            raise Failure(f"{path}: {key} is {why}, not {_kind_of(value)}", USAGE)
        if any("\0" in each for each in (value if isinstance(value, list) else [str(value)])):
            raise Failure(f"{path}: {key} has a character U+0000, which no name has", USAGE)
    return found


def _hint(key: str, known: Iterable[str]) -> str:
    near = get_close_matches(key.replace("-", "_"), list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else "; steno serve --settings lists them"


def _mismatch(value: Any, option: click.Option) -> str:
    """Return what an option is, where a value is something else."""
    if option.multiple:
        is_right = isinstance(value, list) and all(isinstance(each, str) for each in value)
        return "" if is_right else "a list of texts"
    if isinstance(value, bool) or option.is_flag:
        return "" if isinstance(value, bool) and option.is_flag else _what(option)
    match option.type:
        case click.IntRange():
            return "" if isinstance(value, int) else _what(option)
        case click.FloatRange():
            return "" if isinstance(value, int | float) else _what(option)
        case _:
            return "" if isinstance(value, str) else _what(option)


def _what(option: click.Option) -> str:
    if option.is_flag:
        return "true or false"
    match option.type:
        case click.IntRange():
            return "a whole number"
        case click.FloatRange():
            return "a number"
        case _:
            return "text"


def _kind_of(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return f"{value}"
        case str():
            return "text"
        case list():
            return "a list of other things" if value else "a list"
        case dict():
            return "a table"
        case _:
            return "a time"
