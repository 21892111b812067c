"""Tools: the Python functions that nodes call, and predicates, which edges ask."""

from __future__ import annotations

import functools
import hashlib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, ModuleType
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args, overload

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import astuple

from stenograph.engine.errors import ToolRefused
from stenograph.engine.tools.goto import NEXT_NODE as NEXT_NODE
from stenograph.engine.tools.goto import Goto as Goto
from stenograph.engine.tools.targets import check_findable, target_of
from stenograph.engine.tools.typed import Types, asker_of, caller_of, types_of
from stenograph.engine.values import is_utf8

Effects: TypeAlias = Literal["repeatable", "once", "pure"]
Function: TypeAlias = Callable[..., Any]
Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=31 * 86_400)]
COUNT_MAX: Final = 1_000_000
_EXTRAS: Final = frozenset({"config", "ctx"})
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]{1,128}")


class Rate(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """At most ``limit`` starts in any ``per_s`` seconds."""

    limit: Annotated[int, Meta(ge=1, le=COUNT_MAX)]
    per_s: Seconds = 1.0


class Tool:
    """A named function over the state, as nodes call it.

    ``effects``: ``repeatable`` may run again after a crash, ``once`` must not (the run parks for
    a person), ``pure`` has none. ``version`` says which code ran: declared, or a hash of the source.
    ``process``: it runs in a worker process. ``limit``: so many attempts of it at once in an engine
    at most; ``rate``: so many that start in a time.
    """

    def __init__(
        self,
        function: Function,
        *,
        name: str | None,
        effects: Effects,
        version: str | None,
        process: bool = False,
        limit: int | None = None,
        rate: Rate | tuple[int, float] | None = None,
    ) -> None:
        self.function: Function = function.function if isinstance(function, Tool) else function
        function = self.function
        self.name = _checked("name", _name_of(function) if name is None else name)
        if effects not in get_args(Effects):
            raise ToolRefused(
                f"tool {self.name!r}: effects are repeatable, once or pure, not {effects!r}"
            )
        self.effects: Effects = effects
        self.version = _checked("version", _source_hash(function) if version is None else version)
        self.doc = inspect.getdoc(_inner(function)) or ""
        self.is_async = _is_async(function)
        self.extras = _extras(self.name, function)
        self.process = _checked_process(self, process)
        self.limit = _checked_limit(self.name, limit)
        self.rate = _checked_rate(self.name, rate)
        self.is_gated = self.limit is not None or self.rate is not None

    @functools.cached_property
    def types(self) -> Types:
        """The types that it declares; raises ToolRefused for one that cannot be found or read.

        They are looked for when it is registered: before, its module may not be loaded to the end.
        """
        return types_of(f"tool {self.name!r}", self.function)

    @functools.cached_property
    def call(self) -> Function:
        """What calls it on a dict, which is changed as the tool changed its state."""
        return caller_of(self.function, self.types)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, as if it were not decorated."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<tool {self.name} {self.version}>"


class Predicate:
    """A named function ``(state) -> bool`` that an edge asks: ``{"when": {"fn": name}}``."""

    def __init__(self, function: Callable[[Any], object], *, name: str | None) -> None:
        self.function: Function = function.function if isinstance(function, Predicate) else function
        function = self.function
        self.doc = inspect.getdoc(_inner(function)) or ""
        self.name = _checked("name", _name_of(function) if name is None else name)
        if _is_async(function):
            raise ToolRefused(f"predicate {self.name!r} is async; it must answer at once")
        rest = _beside_state("predicate", self.name, function)
        if required := [p.name for p in rest if _is_required(p)]:
            raise ToolRefused(
                f"predicate {self.name!r} asks for {', '.join(required)}; it is given the state only"
            )

    @functools.cached_property
    def types(self) -> Types:
        """The type that it declares for the state; raises ToolRefused, as for a tool."""
        return types_of(f"predicate {self.name!r}", self.function)

    @functools.cached_property
    def ask(self) -> Callable[[dict[str, Any]], object]:
        """What asks it about a dict."""
        return asker_of(self.function, self.types)

    def __call__(self, state: Any) -> object:
        """Ask the function, as if it were not decorated."""
        return self.function(state)


@overload
def tool(function: Function, /) -> Tool: ...
@overload
def tool(
    *,
    name: str | None = None,
    effects: Effects = "repeatable",
    version: str | None = None,
    process: bool = False,
    limit: int | None = None,
    rate: Rate | tuple[int, float] | None = None,
) -> Callable[[Function], Tool]: ...
def tool(
    function: Function | None = None,
    /,
    *,
    name: str | None = None,
    effects: Effects = "repeatable",
    version: str | None = None,
    process: bool = False,
    limit: int | None = None,
    rate: Rate | tuple[int, float] | None = None,
) -> Tool | Callable[[Function], Tool]:
    """Make a tool of a sync or async function ``(state)``, or with ``config`` and ``ctx`` by name.

    It is given a private dict, or an object of the Struct, dataclass, TypedDict or pydantic model
    that its parameter is annotated with, and returns None, what changed, or ``Goto``. With
    ``process=True`` it runs in a worker process, which is the place for what computes for long:
    it has a processor of its own and is stopped, not left behind, when its time is over.
    ``limit=2`` lets at most two attempts run at once, ``rate=(10, 60)`` at most ten start in any
    60 s; the others wait, and that is not their time. Raises ToolRefused for a function that
    cannot be called so.
    """

    def decorate(function: Function) -> Tool:
        return Tool(
            function,
            name=name,
            effects=effects,
            version=version,
            process=process,
            limit=limit,
            rate=rate,
        )

    return decorate if function is None else decorate(function)


@overload
def predicate(function: Callable[[Any], object], /) -> Predicate: ...
@overload
def predicate(*, name: str | None = None) -> Callable[[Callable[[Any], object]], Predicate]: ...
def predicate(
    function: Callable[[Any], object] | None = None, /, *, name: str | None = None
) -> Predicate | Callable[[Callable[[Any], object]], Predicate]:
    """Make a predicate of a function ``(state) -> bool``, for edges to ask by its name."""

    def decorate(function: Callable[[Any], object]) -> Predicate:
        return Predicate(function, name=name)

    return decorate if function is None else decorate(function)


Source: TypeAlias = Tool | Predicate | ModuleType | Function
"""Where tools come from: one itself, a function, or a module that holds some."""


class Registry:
    """The tools and predicates that an engine knows, by name."""

    def __init__(self, sources: Iterable[Source] = ()) -> None:
        self.tools: dict[str, Tool] = {}
        self.predicates: dict[str, Predicate] = {}
        for source in sources:
            self.add(source)

    def add(self, source: Source) -> None:
        """Add what ``source`` offers; raises ToolRefused when a name is taken by another."""
        match source:
            case Tool():
                self._put(self.tools, source)
            case Predicate():
                self._put(self.predicates, source)
            case ModuleType():
                for thing in vars(source).values():
                    if isinstance(thing, Tool | Predicate):
                        self.add(thing)
            case _:
                self._put(self.tools, self._known(tool(source)))

    def _known(self, new: Tool) -> Tool:
        """Return what a plain function was declared as before, when it was."""
        old = self.tools.get(new.name)
        return old if old is not None and old.function == new.function else new

    def _put(self, known: dict[str, Any], new: Tool | Predicate) -> None:
        if isinstance(new, Tool) and new.process:
            target_of(new.name, new.function)
        _ = new.types  # or raises ToolRefused, before anything is run
        old = known.setdefault(new.name, new)
        if not _is_same(old, new):
            kind = type(new).__name__.lower()
            raise ToolRefused(
                f"two {kind}s are called {new.name!r}: {_place(old.function)} and {_place(new.function)}; "
                f"give one another name: @{kind}(name=…)"
            )


def _is_same(old: Tool | Predicate, new: Tool | Predicate) -> bool:
    """Tell whether two are one: the same function, declared alike."""
    # A method is a new object at each look, and equal.
    return old.function == new.function and all(
        getattr(old, each, None) == getattr(new, each, None) for each in _DECLARED
    )


_DECLARED: Final = ("effects", "version", "process", "limit", "rate")


def _checked(what: str, given: object) -> str:
    if isinstance(given, str) and _NAME.fullmatch(given) and is_utf8(given):
        return given
    rule = "1 to 128 characters, none of them a control character"
    raise ToolRefused(f"{given!r:.200} is no {what} for a tool or predicate; it is text of {rule}")


def _checked_process(tool: Tool, given: object) -> bool:
    if not isinstance(given, bool):
        raise ToolRefused(f"tool {tool.name!r}: process is True or False, not {given!r:.200}")
    if given and tool.is_async:
        raise ToolRefused(
            f"tool {tool.name!r} cannot run in a process of its own: it is async; "
            "write it with def, or leave process=True out"
        )
    if given:
        check_findable(tool.name, tool.function)
    return given


def _checked_limit(name: str, given: object) -> int | None:
    fine = isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= COUNT_MAX
    if given is None or fine:
        return given  # type: ignore[return-value]
    raise ToolRefused(
        f"tool {name!r}: limit is a number from 1 to {COUNT_MAX:,}, not {given!r:.200}"
    )


def _checked_rate(name: str, given: Any) -> Rate | None:
    if given is None:
        return None
    try:
        limit, per_s = astuple(given) if isinstance(given, Rate) else given
        return msgspec.convert({"limit": limit, "per_s": per_s}, Rate)
    except (TypeError, ValueError):
        raise ToolRefused(
            f"tool {name!r}: rate is (starts, seconds), 1 to {COUNT_MAX:,} starts in at most "
            f"31 days, not {given!r:.200}"
        ) from None


def _name_of(function: Any) -> str:
    """Return the name that a function has by itself."""
    inner = _inner(function)
    name: str = getattr(inner, "__name__", type(inner).__name__)
    if name == "<lambda>":
        raise ToolRefused("a lambda has no name; write a function with def, or give it one: name=…")
    return name


def _inner(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _is_async(function: Function) -> bool:
    call = getattr(type(function), "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def _extras(name: str, function: Function) -> frozenset[str]:
    """Return which of ``config`` and ``ctx`` a tool asks for by name."""
    rest = _beside_state("tool", name, function)
    wanted = {p.name for p in rest if p.name in _EXTRAS and p.kind in _BY_NAME}
    if unknown := [p.name for p in rest if p.name not in wanted and _is_required(p)]:
        raise ToolRefused(
            f"tool {name!r} asks for {', '.join(unknown)}; after the state a tool may ask for "
            "config and ctx"
        )
    return frozenset(wanted)


_BY_NAME: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_BY_PLACE: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)


def _beside_state(kind: str, name: str, function: Function) -> list[inspect.Parameter]:
    """Return the parameters after the first, which takes the state; raises ToolRefused."""
    if isinstance(function, type):
        raise ToolRefused(f"{kind} {name!r} is a class; give a function, or an object to be called")
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise ToolRefused(f"{kind} {name!r} cannot be called: {error}") from None
    if not parameters or parameters[0].kind not in _BY_PLACE or parameters[0].name in _EXTRAS:
        raise ToolRefused(f"{kind} {name!r} takes no state: its first parameter must be the state")
    return parameters[1:]


def _is_required(parameter: inspect.Parameter) -> bool:
    variable = (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and parameter.kind not in variable


def _source_hash(function: Any) -> str:
    """Return a hash of the source, or of the code where there is no source."""
    function = inspect.unwrap(_inner(function))
    if not inspect.isroutine(function):
        function = type(function)
    try:
        source = inspect.getsource(function)
    except Exception:  # there is none, or it is no Python any more
        called = function.__call__ if isinstance(function, type) else function
        code = getattr(called, "__code__", None)
        source = _place(function) if code is None else "\n".join(_code_text(code))
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def _code_text(code: CodeType) -> Iterator[str]:
    """Yield what makes code what it is; its own repr names a place in memory."""
    yield f"{code.co_code.hex()} {code.co_names}"
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_text(constant)
        else:
            yield repr(sorted(constant, key=repr) if isinstance(constant, frozenset) else constant)


def _place(function: Any) -> str:
    qualname = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{getattr(function, '__module__', '?')}.{qualname}"
