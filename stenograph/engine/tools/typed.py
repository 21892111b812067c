"""Typed tools: which types a function declares, and calling it as if it took and returned dicts.

What such a tool changes is found by comparing the fields of its object, as JSON, before and after:
so a default that nobody touched is not written, and a list that grew within it is.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from types import NoneType, SimpleNamespace, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    NewType,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from msgspec import Struct

from stenograph.engine.errors import Fault, Misfit, ToolRefused
from stenograph.engine.tools.goto import Goto
from stenograph.engine.tools.shapes import Shape, is_object, shape_of, to_fields, to_plain


class Types(Struct, frozen=True):
    """The types that a tool declares for its state, its config and what it returns, if any."""

    state: Shape | None = None
    config: Shape | None = None
    returns: Shape | None = None

    @property
    def are_none(self) -> bool:
        """Whether there are none."""
        return self.state is None and self.config is None and self.returns is None

    @property
    def state_schema(self) -> dict[str, Any] | None:
        """The JSON Schema of the state's type; None when there is none."""
        return _schema_of(self.state)

    @property
    def config_schema(self) -> dict[str, Any] | None:
        """The JSON Schema of the config's type, likewise."""
        return _schema_of(self.config)

    @property
    def returns_schema(self) -> dict[str, Any] | None:
        """The JSON Schema of the type that is returned, likewise."""
        return _schema_of(self.returns)

    def config_fault(self, config: Mapping[str, Any]) -> Fault | None:
        """Return the first thing in a node's config that does not fit, or None; never raises."""
        if self.config is None:
            return None
        try:
            self.config.make(config, "config")
        except Misfit as misfit:
            return Fault(misfit.path, misfit.reason)
        except Exception as error:  # of a validator that is the user's own
            return Fault("", f"cannot be checked: {type(error).__name__}")
        return None


def types_of(what: str, function: Callable[..., Any]) -> Types:
    """Return the types that a tool or predicate declares; raises ToolRefused, which begins with ``what``."""
    signature = inspect.signature(function)
    first, *_ = signature.parameters.values()
    config = signature.parameters.get("config")
    names = getattr(_plain_function(function), "__globals__", {})

    def taken(parameter: inspect.Parameter) -> Shape | None:
        try:
            return _only_shape(_resolved(parameter.annotation, names))
        except _Unresolved as error:
            raise ToolRefused(
                f"{what}: the type {parameter.annotation!r} of {parameter.name!r} cannot be resolved "
                f"({error}); define it at the top of a module, not under TYPE_CHECKING"
            ) from None
        except ToolRefused as error:
            raise ToolRefused(f"{what}: the type of {parameter.name!r}, {error}") from None

    return Types(
        taken(first),
        None if config is None or config is first else taken(config),
        _returned_shape(signature.return_annotation, names),
    )


def caller_of(function: Callable[..., Any], types: Types) -> Callable[..., Any]:
    """Return what calls a tool on a dict; for a tool without types that is the function itself.

    The dict is changed as the tool changed its object; what comes back is what a tool may return.
    Calls raise Misfit, and what the function raises.
    """
    if types.are_none:
        return function

    def call(state: dict[str, Any], **extras: Any) -> Any:
        if types.config is not None and "config" in extras:
            extras["config"] = types.config.make(extras["config"], "config")
        loan = Loan(types.state, state)
        value = function(loan.given, **extras)
        return loan.later(value) if inspect.isawaitable(value) else loan.settle(value)

    return call


def asker_of(function: Callable[[Any], object], types: Types) -> Callable[[Any], object]:
    """Return what asks a predicate about a dict."""
    shape = types.state
    return function if shape is None else lambda state: function(shape.make(shape.reads(state)))


class Loan:
    """A state handed out as an object; ``settle`` does to the dict what was done to that."""

    def __init__(self, shape: Shape | None, state: dict[str, Any]) -> None:
        self._is_typed, self._state = shape is not None, state
        self.given = state if shape is None else shape.make(shape.reads(state))
        self._seen = _packed(to_fields(self.given)) if self._is_typed else {}

    def settle(self, value: Any) -> Any:
        """Change the dict as the object was changed; return as a dict, None or Goto what came back."""
        if self._is_typed:
            after = to_fields(self.given)
            for key in self._seen.keys() - after.keys():
                self._state.pop(key, None)
            self._state.update(self._differing(after))
            self._seen = _packed(after)
        if isinstance(value, Goto):
            return Goto(value.to, self._returned(value.update) or {})
        return self._returned(value)

    async def later(self, value: Awaitable[Any]) -> Any:
        """Wait for what an async tool returns, and settle."""
        return self.settle(await value)

    def _differing(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return those fields that are not as the object had them when it was last looked at."""
        packed = _packed(fields)
        return {
            key: value
            for key, value in fields.items()
            if packed[key] is None or packed[key] != self._seen.get(key)
        }

    def _returned(self, value: Any) -> Any:
        if value is self.given:
            return value if not self._is_typed else None
        if is_object(value):
            fields = to_fields(value)
            is_next = type(value) is type(self.given)  # the same state, with other values
            return self._differing(fields) if is_next else fields
        if self._is_typed and isinstance(value, Mapping):
            return {key: to_plain(each, key) for key, each in value.items()}
        return value


def _schema_of(shape: Shape | None) -> dict[str, Any] | None:
    return None if shape is None else shape.schema


class _Unresolved(Exception):
    """A name in an annotation stands for nothing that can be found."""


_UNTYPED: Final = re.compile(
    r"([\w.]+\.)?(dict|Dict|Mapping|MutableMapping|Any|object)\b(?!\.)(\[.*\])?", re.DOTALL
)
"""Annotations that say no more than that it is a dict."""


def _resolved(annotation: Any, names: dict[str, Any]) -> Any:
    """Return what an annotation stands for; raises _Unresolved."""
    if isinstance(annotation, str) and _UNTYPED.fullmatch(annotation.strip()):
        return Any
    try:
        holder: Any = SimpleNamespace(__annotations__={"it": annotation})
        found = get_type_hints(holder, globalns=names, include_extras=True)["it"]
    except Exception as error:
        raise _Unresolved(str(error)) from None
    return getattr(found, "__value__", found)  # of an alias by a type statement


def _returned_shape(annotation: Any, names: dict[str, Any]) -> Shape | None:
    """Return the one typed thing that a tool says it returns, maybe among others."""
    try:
        found = _resolved(annotation, names)
        some = get_args(found) if get_origin(found) in (Union, UnionType) else [found]
        return _shape_among([each for each in some if each not in (NoneType, Goto)], written=True)
    except (_Unresolved, ToolRefused):  # it is not read, and need not be known
        return None


def _only_shape(kind: Any) -> Shape | None:
    """Return the shape of what is taken: a state or config is never null, and of one type."""
    kind = _bare(kind)
    ways = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    shapes = [shape_of(_bare(way)) for way in ways if way is not NoneType]
    if len(shapes) > 1 and all(shapes):
        raise ToolRefused(f"{kind}, leaves open which it is; name one")
    return shapes[0] if len(shapes) == 1 else None


def _shape_among(kinds: list[Any], *, written: bool = False) -> Shape | None:
    shapes = [shape for kind in kinds if (shape := shape_of(_bare(kind), written=written))]
    return shapes[0] if shapes else None


def _bare(kind: Any) -> Any:
    """Return the type that is behind Annotated, a NewType or a bound type variable."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif isinstance(kind, NewType):
            kind = kind.__supertype__
        elif isinstance(kind, TypeVar) and kind.__bound__ is not None:
            kind = kind.__bound__
        else:
            return kind


def _plain_function(function: Any) -> Any:
    """Return the function in whose module the annotations of a callable stand."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    return function if inspect.isroutine(function) else type(function).__call__


def _packed(fields: Mapping[str, Any]) -> dict[str, bytes | str | None]:
    """Return each value as bytes, which differ where values do; None for what JSON cannot say."""
    return {key: _pack(value) for key, value in fields.items()}


def _pack(value: Any) -> bytes | str | None:
    if value.__class__ is str:  # as it is: nobody can change it, however long it is
        return value
    try:
        return msgspec.msgpack.encode(value)  # unlike JSON it tells NaN from null
    except Exception:
        return None
