"""Tools: the Python functions that nodes call, and predicates, which edges ask."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, Final, Literal, TypeAlias, overload

from msgspec import Struct

from stenograph.engine.errors import ToolRefused

Effects: TypeAlias = Literal["repeatable", "once", "pure"]
Function: TypeAlias = Callable[..., Any]
_EXTRAS: Final = frozenset({"config", "ctx"})


class Goto(Struct, frozen=True):
    """What a tool returns to say itself where the run goes on: a node, ``$end`` or ``$fail``."""

    to: str
    update: Mapping[str, Any] = {}


class Tool:
    """A named function over the state, as nodes call it.

    ``effects``: ``repeatable`` may run again after a crash, ``once`` must not (the run parks for
    a person), ``pure`` has none. ``version`` says which code ran: declared, or a hash of the source.
    """

    def __init__(
        self, function: Function, *, name: str | None, effects: Effects, version: str | None
    ) -> None:
        self.function = function
        self.name = name or getattr(function, "__name__", type(function).__name__)
        self.effects: Effects = effects
        self.version = version or _source_hash(function)
        self.doc = inspect.getdoc(function) or ""
        self.is_async = inspect.iscoroutinefunction(inspect.unwrap(function)) or (
            inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
        )
        self.extras = _extras(self.name, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, as if it were not decorated."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<tool {self.name} {self.version}>"


class Predicate:
    """A named function ``(state) -> bool`` that an edge asks: ``{"when": {"fn": name}}``."""

    def __init__(self, function: Callable[[dict[str, Any]], object], *, name: str | None) -> None:
        self.function = function
        self.name = name or getattr(function, "__name__", type(function).__name__)
        if inspect.iscoroutinefunction(function):
            raise ToolRefused(f"predicate {self.name!r} is async; it must answer at once")

    def __call__(self, state: dict[str, Any]) -> object:
        """Ask the function."""
        return self.function(state)


@overload
def tool(function: Function, /) -> Tool: ...
@overload
def tool(
    *, name: str | None = None, effects: Effects = "repeatable", version: str | None = None
) -> Callable[[Function], Tool]: ...
def tool(
    function: Function | None = None,
    /,
    *,
    name: str | None = None,
    effects: Effects = "repeatable",
    version: str | None = None,
) -> Tool | Callable[[Function], Tool]:
    """Make a tool of a sync or async function ``(state)``, or with ``config`` and ``ctx`` by name.

    It is given a private dict and returns None, a dict of what changed, or ``Goto``. Raises
    ToolRefused for a function that cannot be called so.
    """

    def decorate(function: Function) -> Tool:
        return Tool(function, name=name, effects=effects, version=version)

    return decorate if function is None else decorate(function)


@overload
def predicate(function: Callable[[dict[str, Any]], object], /) -> Predicate: ...
@overload
def predicate(
    *, name: str | None = None
) -> Callable[[Callable[[dict[str, Any]], object]], Predicate]: ...
def predicate(
    function: Callable[[dict[str, Any]], object] | None = None, /, *, name: str | None = None
) -> Predicate | Callable[[Callable[[dict[str, Any]], object]], Predicate]:
    """Make a predicate of a function ``(state) -> bool``, for edges to ask by its name."""

    def decorate(function: Callable[[dict[str, Any]], object]) -> Predicate:
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
                self.add(tool(source))

    def _put(self, known: dict[str, Any], new: Tool | Predicate) -> None:
        old = known.setdefault(new.name, new)
        if old is not new and old.function is not new.function:
            kind = type(new).__name__.lower()
            raise ToolRefused(
                f"two {kind}s are called {new.name!r}: {_place(old)} and {_place(new)}; "
                f"give one another name: @{kind}(name=…)"
            )


def _extras(name: str, function: Function) -> frozenset[str]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise ToolRefused(f"tool {name!r} cannot be called: {error}") from None
    first, *rest = parameters or [None]
    if first is None or first.kind in (first.KEYWORD_ONLY, first.VAR_KEYWORD):
        raise ToolRefused(f"tool {name!r} takes no state: its first parameter must be the state")
    wanted = {p.name for p in rest if p.name in _EXTRAS and p.kind is not p.POSITIONAL_ONLY}
    unknown = [p.name for p in rest if p.name not in wanted and _required(p)]
    if unknown:
        raise ToolRefused(
            f"tool {name!r} asks for {', '.join(unknown)}; after the state a tool may ask for "
            "config and ctx"
        )
    return frozenset(wanted)


def _required(parameter: inspect.Parameter) -> bool:
    variable = (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and parameter.kind not in variable


def _source_hash(function: Function) -> str:
    try:
        source = inspect.getsource(inspect.unwrap(function))
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        source = code.co_code.hex() if code else repr(type(function))
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def _place(thing: Tool | Predicate) -> str:
    module = getattr(thing.function, "__module__", "?")
    return f"{module}.{getattr(thing.function, '__qualname__', thing.name)}"
