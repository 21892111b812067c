"""Types that a tool may declare for its state: making objects of them, and JSON of those again.

A type is a msgspec Struct, a dataclass, a TypedDict or, where pydantic is imported already, a model.
"""

from __future__ import annotations

import dataclasses
import re
import sys
import typing
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final, get_origin

import msgspec
from msgspec import UNSET, Raw, Struct, inspect
from msgspec.structs import fields as fields_of

from stenograph.engine.errors import Misfit, ToolRefused
from stenograph.engine.tools.unfit import place_of
from stenograph.engine.values import encode, pointer


def shape_of(kind: Any, *, written: bool = False) -> Shape | None:
    """Return how objects of a type are made and told of, or None for what is no such type.

    ``written``: it is a type of what is returned, whose schema may differ from that of what is
    taken. Raises ToolRefused for a type that cannot be read from JSON.
    """
    origin = get_origin(kind) or kind
    if not isinstance(origin, type):
        return None
    if _is_model(origin):
        if getattr(origin, "__pydantic_root_model__", False):
            raise ToolRefused(f"{origin.__qualname__} is a RootModel; take a model with fields")
        return ModelShape(kind, written)
    if hasattr(origin, "__pydantic_validator__"):  # msgspec would pass its validators by
        raise ToolRefused(
            f"{origin.__qualname__} is a dataclass of pydantic; take a model, or a plain dataclass"
        )
    known = issubclass(origin, Struct) or dataclasses.is_dataclass(origin) or _is_typeddict(origin)
    return PlainShape(kind, origin) if known else None


def is_object(value: object) -> bool:
    """Tell whether a value is an object of such a type, and so a mapping of its fields."""
    kind = type(value)
    return issubclass(kind, Struct) or dataclasses.is_dataclass(kind) or _is_model(kind)


def to_fields(value: Any) -> dict[str, Any]:
    """Return the fields of an object of such a type, or the items of a dict, as plain JSON values.

    They go by the names that they have in JSON; what is UNSET is left out. Raises Misfit.
    """
    kind = type(value)
    if _is_model(kind):
        return _model_fields(value)
    if issubclass(kind, Struct):
        found = {each.encode_name: getattr(value, each.name, UNSET) for each in fields_of(kind)}
    elif dataclasses.is_dataclass(kind):
        found = {each.name: getattr(value, each.name, UNSET) for each in dataclasses.fields(kind)}
    else:
        found = value
    return {key: to_plain(each, key) for key, each in found.items() if each is not UNSET}


def to_plain(value: Any, key: object) -> Any:
    """Return a value as plain JSON values: dicts, lists, scalars. Raises Misfit, which names ``key``."""
    try:
        return msgspec.to_builtins(value, str_keys=True, enc_hook=_other)
    except Misfit:
        raise
    except Exception as error:
        raise Misfit("not-json", pointer(key), f"cannot be written as JSON: {error}") from None


class Shape(ABC):
    """A type for a state or a config. ``keys`` are what it reads of a state; None for all."""

    keys: frozenset[str] | None

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    @abstractmethod
    def make(self, values: Mapping[str, Any], what: str = "state") -> Any:
        """Return an object of the type; raises Misfit where ``values`` do not fit it."""

    @cached_property
    def schema(self) -> dict[str, Any] | None:
        """The JSON Schema of the type; None when it has none."""
        try:
            schema: dict[str, Any] = msgspec.json.decode(encode(self._schema()))
        except Exception:  # of what is in a type, not all can be told, and some is the user's code
            return None
        return schema

    @abstractmethod
    def _schema(self) -> dict[str, Any]: ...

    def reads(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return what of ``values`` the type asks for, past a draft's own methods: to be read only."""
        keys: Iterable[str] = dict.keys(values) if self.keys is None else self.keys
        return {key: dict.__getitem__(values, key) for key in keys if key in values}


class PlainShape(Shape):
    """A type that msgspec reads: a Struct, a dataclass, a TypedDict."""

    def __init__(self, kind: Any, origin: type) -> None:
        super().__init__(kind)
        if issubclass(origin, Struct) and origin.__struct_config__.array_like:
            raise ToolRefused(
                f"{origin.__qualname__} is written as a list, and a state is an object"
            )
        self.keys = _keys(kind, origin)
        try:
            self._decoder = msgspec.json.Decoder(kind, dec_hook=_model_within)
            self._texts = _texts(kind) if _is_typeddict(origin) else []
        except (TypeError, NameError) as error:
            raise ToolRefused(f"{origin.__qualname__} cannot be read from JSON: {error}") from None

    def make(self, values: Mapping[str, Any], what: str = "state") -> Any:
        """Return an object of the type; raises Misfit where ``values`` do not fit it."""
        # Text that may be any needs no conversion, however long it is.
        held = {key: values[key] for key in self._texts if values.get(key).__class__ is str}
        try:
            made = self._decoder.decode(encode({**values, **dict.fromkeys(held, "")}))
            return {**made, **held} if held else made
        except msgspec.ValidationError as error:
            where = place_of(str(error), values, self._complaint)
            raise Misfit(f"{what}-mismatch", *_told(str(error), where)) from None

    def _complaint(self, values: Mapping[str, Any]) -> str:
        try:
            self._decoder.decode(encode(values))
        except msgspec.ValidationError as error:
            return str(error)
        return ""

    def _schema(self) -> dict[str, Any]:
        return msgspec.json.schema(self.kind)


class ModelShape(Shape):
    """A pydantic model."""

    def __init__(self, kind: Any, written: bool) -> None:
        super().__init__(kind)
        self._mode = "serialization" if written else "validation"
        # A model that asks for what it does not name is given the whole state.
        self.keys = None if kind.model_config.get("extra") == "allow" else _aliases(kind)
        if not written:
            _refuse_lost_fields(kind)

    def make(self, values: Mapping[str, Any], what: str = "state") -> Any:
        """Return an object of the type; raises Misfit where ``values`` do not fit it."""
        try:
            return self.kind.model_validate_json(encode(values))
        except sys.modules["pydantic"].ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            raise Misfit(f"{what}-mismatch", *_model_told(first, values)) from None

    def _schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = self.kind.model_json_schema(mode=self._mode)
        return schema


_WORDS: Final = {
    "array": "a list",
    "bool": "true or false",
    "dict": "an object",
    "float": "a number",
    "int": "an integer",
    "list": "a list",
    "model": "an object",
    "null": "null",
    "object": "an object",
    "set": "a list",
    "str": "text",
    "string": "text",
    "tuple": "a list",
}
"""What the libraries call the types of JSON, and what we do."""
_EXPECTED: Final = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_CHOICE: Final = re.compile(r"Expected `str` matching regex '\^\(([\w|-]+)\)\$'")
_BOUND: Final = re.compile(r"Expected `(\w+)`( of length)? (<=|>=|<|>) (\S+)")
_BOUNDS: Final = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}
_COUNTED: Final = {"str": "characters", "bytes": "bytes", "object": "keys"}
_FIELD: Final = re.compile(r"Object (missing required|contains unknown) field `(.+)`")
_OF_TYPE: Final = re.compile(r"([a-z]+)_(?:type|parsing|from_float)")


def _told(message: str, where: list[Any]) -> tuple[str, str]:
    """Return a place as a JSON pointer, and what msgspec says is wrong there."""
    text = message.partition(" - at ")[0]
    if found := _FIELD.fullmatch(text):
        why = "is missing" if found[1].startswith("missing") else "is a key that its type forbids"
        return pointer(*where, found[2]), why
    if found := _CHOICE.fullmatch(text):
        return pointer(*where), f"is one of {found[1].replace('|', ', ')}"
    if found := _BOUND.fullmatch(text):
        bound = f"{_BOUNDS[found[3]]} {found[4]}"
        counted = f"has {bound} {_COUNTED.get(found[1], 'items')}"
        return pointer(*where), counted if found[2] else f"is {bound}"
    if found := _EXPECTED.fullmatch(text):
        return pointer(*where), _is_not(found[2], found[1].split(" | "))
    return pointer(*where), f"does not fit: {text[:1].lower()}{text[1:]}"


def _model_told(error: Mapping[str, Any], values: Any) -> tuple[str, str]:
    """Return the place that pydantic tells of, as a JSON pointer, and what is wrong there."""
    kind, where = error["type"], error["loc"]
    steps = _steps(where, values, last_is_missing=kind == "missing")
    if kind == "missing":
        return pointer(*steps), "is missing"
    if kind == "extra_forbidden":
        return pointer(*steps), "is a key that its type forbids"
    found = _OF_TYPE.fullmatch(kind)
    if found and found[1] in _WORDS:
        return pointer(*steps), _is_not(_json_type(error["input"]), [found[1]])
    return pointer(*steps), f"does not fit: {error['msg']}"


def _steps(where: tuple[Any, ...], values: Any, *, last_is_missing: bool) -> list[Any]:
    """Return the keys of a place; among them pydantic names the ways of unions, which are left out."""
    steps, value = [], values
    for step in where[:-1] if last_is_missing else where:
        is_key = isinstance(value, dict) and step in value
        is_index = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if is_key or is_index:
            steps.append(step)
            value = value[step]
    return [*steps, where[-1]] if last_is_missing else steps


def _is_not(found: str, expected: list[str]) -> str:
    wanted = " or ".join(dict.fromkeys(_WORDS.get(each, each) for each in expected))
    is_fraction = found == "float" and "int" in expected
    return f"is {'a fraction' if is_fraction else _WORDS.get(found, found)}, not {wanted}"


def _json_type(value: object) -> str:
    return "null" if value is None else type(value).__name__


def _is_model(kind: Any) -> bool:
    """Tell whether a type is a pydantic model, which it can only be where pydantic is imported."""
    model = getattr(sys.modules.get("pydantic"), "BaseModel", None)
    return model is not None and issubclass(kind, model)


def _is_typeddict(kind: type) -> bool:
    # typing_extensions has a TypedDict of its own, which typing does not know.
    return typing.is_typeddict(kind) or (
        issubclass(kind, dict) and hasattr(kind, "__required_keys__")
    )


def _keys(kind: Any, origin: Any) -> frozenset[str]:
    if issubclass(origin, Struct):
        return frozenset(each.encode_name for each in fields_of(kind))
    if dataclasses.is_dataclass(origin):
        return frozenset(each.name for each in dataclasses.fields(origin))
    return frozenset(origin.__required_keys__ | origin.__optional_keys__)


def _refuse_lost_fields(kind: Any) -> None:
    """Raise ToolRefused for a field that is written where it is not read: a change would be lost."""
    read = _aliases(kind)
    for name, field in kind.model_fields.items():
        key = field.serialization_alias or field.alias or name
        if key not in read and not field.exclude:
            raise ToolRefused(
                f"{kind.__qualname__} writes {name!r} as {key!r} and reads it under another name: "
                "give it one alias for both"
            )


def _texts(kind: Any) -> list[str]:
    """Return the keys of a TypedDict whose values may be any text."""
    found: Any = inspect.type_info(kind)
    return [each.encode_name for each in found.fields if _takes_any_text(each.type)]


def _takes_any_text(info: inspect.Type) -> bool:
    while isinstance(info, inspect.Metadata):
        info = info.type
    ways = info.types if isinstance(info, inspect.UnionType) else [info]
    return inspect.StrType() in ways


def _aliases(kind: Any) -> frozenset[str]:
    """Return all keys by which a model may read its fields."""
    by_name = any(kind.model_config.get(each) for each in ("populate_by_name", "validate_by_name"))
    keys: set[str] = set()
    for name, field in kind.model_fields.items():
        alias = field.validation_alias
        ways = getattr(alias, "choices", [alias])
        keys |= {way if isinstance(way, str) else way.path[0] for way in ways if way is not None}
        if by_name or alias is None:
            keys.add(name)
    return frozenset(keys)


def _model_fields(model: Any) -> dict[str, Any]:
    names = {*type(model).model_fields, *(model.model_extra or ())}
    try:
        fields: dict[str, Any] = model.model_dump(
            mode="json", by_alias=True, include=names, warnings=False
        )
    except Exception as error:
        reason = f"of {type(model).__name__} cannot be written as JSON: {error}"
        raise Misfit("not-json", "a field", reason) from None
    if not isinstance(fields, dict):
        told = f"is written by its serializer as {type(fields).__name__}, not as an object"
        raise Misfit("not-json", "the model", f"{type(model).__name__} {told}")
    return fields


def _model_within(kind: type, value: Any) -> Any:
    """Return a model that stands within another type; raises ValueError, to which a place is added."""
    if not _is_model(kind):
        raise ValueError(f"is of type {kind.__name__}, which cannot be read from JSON")
    try:
        return kind.model_validate_json(encode(value))  # type: ignore[attr-defined]
    except sys.modules["pydantic"].ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        path, why = _model_told(first, value)
        raise ValueError(f"{path} {why}".strip()) from None


def _other(value: Any) -> Any:
    """Return as plain values what msgspec does not know."""
    if isinstance(value, Raw):
        return msgspec.json.decode(value)
    if _is_model(type(value)):
        return _model_fields(value)
    raise TypeError(f"it holds an object of type {type(value).__name__}")
