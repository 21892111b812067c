"""The options of ``steno serve``: each can be a flag, an environment variable, a key of a file.

Those of Settings and Bounds are made of their fields, so that what is said of one stands in one
place. They are made when a server starts: other commands begin without them.
"""

from __future__ import annotations

import gc
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cache
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import click
from click.core import ParameterSource
from msgspec import Meta, Struct
from msgspec.structs import fields

from stenograph.cli.failures import USAGE, Failure

FLAGS_ALONE: Final = frozenset({"config", "help", "lifeline", "quiet", "reload", "settings"})
"""What is for one start alone: no variable and no file says it."""
OTHER_VARIABLES: Final = frozenset({"STENO_CONFIG", "STENO_TOKEN", "STENO_URL"})
"""What variables say that are no settings of a server."""
_BRIEF: Final = "stenograph.brief"
_FILE: Final = "stenograph.file"


class Finite(click.FloatRange):
    """A number in a range; NaN and infinity are in none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number; raises BadParameter."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number to count with.", param, ctx)
        return number


class Setting(click.Option):
    """An option made of a field of Settings or Bounds; ``default`` is that of ``steno serve``."""

    def __init__(self, name: str, hint: Any, default: Any) -> None:
        kind, meta = _parted(hint)
        flag = "--" + name.replace("_", "-")
        names = [f"{flag}/--no-{flag[2:]}"] if kind is bool else [flag]
        super().__init__(
            [name, *names],
            help=meta.description,
            hidden=True,  # they would be three pages; --settings shows them
            default=None,
            multiple=get_origin(kind) is frozenset,
            type=_type_of(kind, meta),
        )
        extra = meta.extra or {}
        self.unit: str = extra.get("unit", "")
        self.beyond: str = extra.get("beyond", "")
        self.usual = default
        self.usual_words: str = extra.get("default", "")


class ServeCommand(click.Command):
    """A command whose options are settings as well."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _name_variables(self.params)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options; for the help, which is to be quick and short, its own alone."""
        params = super().get_params(ctx)
        if ctx.meta.get(_BRIEF):
            return params
        own = {each.name for each in params}
        return [*params, *(each for each in setting_options() if each.name not in own)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the words apart, and look into the environment and the file.

        Raises UsageError, or Failure for what is wrong with a variable or the file.
        """
        ctx.meta[_BRIEF] = not {"-h", "--help"}.isdisjoint(args)
        ctx.with_resource(collecting_no_garbage())
        try:
            return self._parse(ctx, args)
        except BaseException:
            ctx.close()  # nobody else does where a command is not to be run
            raise

    def _parse(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.BadParameter as error:
            raise _placed(ctx, error) or error from None


@contextmanager
def collecting_no_garbage() -> Iterator[None]:
    """Let alone what a start makes, which stays: to look through it is a good part of a start.

    A server that is up collects garbage again (``Serving.started``), and so does what failed.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def read_file(context: click.Context, parameter: click.Parameter, path: str | None) -> str | None:
    """Read the file with settings, if there is one, and return its path."""
    if path is not None and not context.resilient_parsing:
        from stenograph.cli.config_file import read_config

        options = keyed(context)
        found = read_config(path, options)
        context.meta[_FILE] = path
        context.default_map = {str(options[key].name): value for key, value in found.items()}
    return path


def keyed(context: click.Context) -> dict[str, click.Option]:
    """Return the options that a variable or a file may set, by their keys."""
    options = [
        each for each in context.command.get_params(context) if isinstance(each, click.Option)
    ]
    return {key: each for each in options if (key := key_of(each)) not in FLAGS_ALONE}


def key_of(option: click.Parameter) -> str:
    """Return what an option is called in a file: ``body_bytes`` for ``--body-bytes``."""
    return max(option.opts, key=len).lstrip("-").replace("-", "_")


def is_given(context: click.Context, name: str) -> bool:
    """Tell whether an option was given in any way."""
    return context.get_parameter_source(name) not in (None, ParameterSource.DEFAULT)


def source_of(context: click.Context, option: click.Parameter) -> str:
    """Return where an option was given: its flag, its variable or the file; "" for nowhere."""
    match context.get_parameter_source(str(option.name)):
        case ParameterSource.ENVIRONMENT:
            return f"${option.envvar}"
        case ParameterSource.DEFAULT_MAP:
            return str(context.meta[_FILE])
        case ParameterSource.COMMANDLINE:
            return max(option.opts, key=len)
        case _:
            return ""


def misspelt_variables(context: click.Context) -> Iterator[tuple[str, str]]:
    """Yield each variable that looks like that of a setting and is none, with the one it is like.

    Only those that look like one: a cluster may set ``STENO_SERVICE_HOST`` and others of its own.
    """
    known = [str(each.envvar) for each in keyed(context).values()]
    ours = {name for name in os.environ if name.startswith("STENO_")}
    for name in sorted(ours.difference(known, OTHER_VARIABLES)):
        if near := get_close_matches(name, known, n=1, cutoff=0.85):
            yield name, near[0]


def given_to(context: click.Context, kind: type[Struct]) -> dict[str, Any]:
    """Return the fields of Settings or Bounds that were given, with their values."""
    return {
        each.name: frozenset(value) if isinstance(value, tuple) else value
        for each in fields(kind)
        if is_given(context, each.name) and (value := context.params[each.name]) is not None
    }


def words_of(context: click.Context, but: frozenset[str]) -> list[str]:
    """Return the flags that were given, as the command line of another process, but for some."""
    words = []
    for option in context.command.get_params(context):
        source = context.get_parameter_source(str(option.name))
        if source is ParameterSource.COMMANDLINE and key_of(option) not in but:
            words += _spelled(option, context)
    return words


@cache
def setting_options() -> tuple[Setting, ...]:
    """Return an option for each field of Settings and Bounds."""
    from stenograph.engine import Bounds
    from stenograph.http import Settings

    found = []
    for kind in (Settings, Bounds):
        hints = get_type_hints(kind, include_extras=True)
        for each in fields(kind):
            if each.name != "bounds":
                found.append(Setting(each.name, hints[each.name], each.default))
    _name_variables(found)
    return tuple(found)


def _name_variables(options: Sequence[click.Parameter]) -> None:
    for each in options:
        if key_of(each) not in FLAGS_ALONE:
            each.envvar = f"STENO_{key_of(each).upper()}"


def _parted(hint: Any) -> tuple[Any, Meta]:
    """Return the kind of a field, without the None that it may be, and what is said of it."""
    kind, meta = get_args(hint)
    inner = [each for each in get_args(kind) if each is not type(None)]
    return (inner[0] if type(None) in get_args(kind) else kind), meta


def _type_of(kind: Any, meta: Meta) -> click.ParamType[Any] | None:
    if kind is int:
        return click.IntRange(meta.ge, meta.le)  # type: ignore[arg-type]
    if kind is float:
        least = meta.ge if meta.gt is None else meta.gt
        return Finite(least, meta.le, min_open=meta.gt is not None)
    if kind is bool:
        return None
    return click.Choice(get_args(kind)) if get_origin(kind) is Literal else click.STRING


def _placed(ctx: click.Context, error: click.BadParameter) -> Failure | None:
    """Return what is wrong with a variable or the file; None for a flag."""
    if error.param is None or ctx.get_parameter_source(str(error.param.name)) in (
        None,
        ParameterSource.COMMANDLINE,
    ):
        return None
    where = source_of(ctx, error.param)
    key = "" if where.startswith("$") else f" {key_of(error.param)}:"
    return Failure(f"{where}:{key} {error.message}", USAGE)


def _spelled(option: click.Parameter, context: click.Context) -> list[str]:
    """Return an option as words."""
    value, flag = context.params.get(str(option.name)), max(option.opts, key=len)
    if isinstance(option, click.Option) and option.is_flag:
        return [flag if value else option.secondary_opts[0]]
    several = value if isinstance(value, tuple) else (value,)
    return [f"{flag}={each}" for each in several]
