"""JSON Schema: what is wrong with one, and what in a value does not fit it.

Nothing is ever fetched, every pattern is matched in linear time, and the work is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from stenograph.engine.errors import Fault, NotJson
from stenograph.engine.graphs.schema_costs import COSTS_MAX
from stenograph.engine.graphs.schema_levels import Levels, count, nodes_of
from stenograph.engine.values import canonical, clean, clip, encode, nested_deeper, pointer

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError, Validator

SCHEMA_MAX_BYTES: Final = 64 * 1024
SCHEMA_MAX_DEPTH: Final = 32
PATTERNS_MAX: Final = 100
FAULTS_MAX: Final = 20
WORK_MAX: Final = 64 * 1024 * 1024
"""Most bytes of JSON, times the ways in which a schema may look at each of its values."""
PATTERN_MAX_KIB: Final = 256
TEXT_MAX: Final = 2 * 1024 * 1024
"""Most characters to match, times the KiB that their pattern takes: 0.01 to 0.2 seconds, by the pattern."""
TOLD_MAX_BYTES: Final = 10_000
"""Up to so many bytes of JSON, times ways, are told apart where a schema has alternatives."""

_DRAFTS: Final = {
    "https://json-schema.org/draft/2020-12/schema": "Draft202012Validator",
    "https://json-schema.org/draft/2019-09/schema": "Draft201909Validator",
    "http://json-schema.org/draft-07/schema": "Draft7Validator",
}
_DRAFT: Final = next(iter(_DRAFTS))
_NOT_HERE: Final = ("$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef")
_ALTERNATIVES: Final = ("anyOf", "oneOf")
_MASK: Final = "\x00"
_SHOWN_MAX_CHARS: Final = 100
_MESSAGE_MAX_CHARS: Final = 200
_SENTENCE_MAX_CHARS: Final = 300


class Effort:
    """What checks that are made together may yet cost: looks at values, and text to match."""

    __slots__ = ("looks", "text")

    def __init__(self, looks: int = COSTS_MAX, text: int = TEXT_MAX) -> None:
        self.looks, self.text = looks, text


_UNDER_WAY: Final[ContextVar[Effort]] = ContextVar("under_way")
"""Of the check that is under way: threads share schemas, each has its own."""


def check_schema(schema: object, path: str) -> list[Fault]:
    """Return what is wrong with a schema; the pointers begin with ``path``.

    A schema is true, false or an object, of draft 2020-12 unless ``$schema`` says 2019-09 or 7; at
    most 64 KiB and 32 deep. ``$ref`` leads to a place in it (``#`` or ``#/…``). ``format`` is a note.
    """
    if isinstance(schema, bool):
        return []
    if not isinstance(schema, dict):
        return [Fault(path, f"a schema is true, false or an object, not {_shown(schema)}")]
    try:
        data, plain = canonical(schema, path)
    except NotJson as error:
        return [Fault(error.path, error.reason)]
    if len(data) > SCHEMA_MAX_BYTES:
        what = f"a schema has at most {SCHEMA_MAX_BYTES:,} bytes of JSON, this one {len(data):,}"
        return [Fault(path, what)]
    if nested_deeper(data, SCHEMA_MAX_DEPTH):
        return [Fault(path, f"a schema nests at most {SCHEMA_MAX_DEPTH} deep")]
    faults = _faults(plain)
    return [Fault(clip(path + fault.pointer), fault.detail) for fault in faults[:FAULTS_MAX]]


def compile_schema(schema: bool | dict[str, Any]) -> Schema:
    """Return a schema ready to check values; ``check_schema`` must have found nothing wrong."""
    return Schema(schema)


class Schema:
    """A compiled JSON Schema."""

    __slots__ = ("_has_alternatives", "_levels", "_name_kib", "_validator", "source")

    def __init__(self, source: bool | dict[str, Any]) -> None:
        self.source = source
        self._validator = _compiled(source)
        self._levels, self._has_alternatives, self._name_kib = Levels(1), False, 0
        if isinstance(source, dict):
            nodes = nodes_of(source)
            self._levels = count({at: node for at, (_, node) in nodes.items()})
            every = [each for each, _ in nodes.values()]
            self._has_alternatives = any(key in each for each in every for key in _ALTERNATIVES)
            self._name_kib = sum(
                _kib(name) or 0 for each in every for name in each.get("patternProperties", ())
            )

    def fault(self, value: Any, effort: Effort | None = None) -> Fault | None:
        """Return the first thing in a JSON value that does not fit, or None; never raises.

        The pointer leads into the value. A value that would take too long to check does not fit;
        ``effort`` is what is left for it and others.
        """
        effort = effort or Effort()
        data, text = encode(value), effort.text
        if reason := self._too_much(data, effort):
            return Fault("", reason)
        _UNDER_WAY.set(effort)
        fits = self._validator.is_valid(value)
        if effort.text < 0:
            return Fault("", _TOO_MUCH_TEXT)
        return None if fits else self._told(value, len(data), Effort(text=text))

    def _too_much(self, data: bytes, effort: Effort) -> str | None:
        depth, size = self._levels.depth, len(data)
        if depth is not None and nested_deeper(data, depth):
            return f"nests deeper than the {depth} levels that its schema can check in bounded time"
        if self._levels.ways * size > WORK_MAX:
            return f"has {size:,} bytes of JSON, too many for a schema with so many alternatives"
        effort.looks -= self._levels.cost.of(data)
        if effort.looks < 0:
            return f"has {size:,} bytes of JSON, too many values to check by schemas at one time"
        effort.text -= self._name_kib * size
        return _TOO_MUCH_TEXT if effort.text < 0 else None

    def _told(self, value: Any, size: int, effort: Effort) -> Fault:
        # To tell of alternatives the library collects all errors in all of them.
        if self._has_alternatives and self._levels.ways * size > TOLD_MAX_BYTES:
            return Fault("", f"does not fit its schema: {_shown(value)} is too large to say where")
        _UNDER_WAY.set(effort)
        return next(_told(self._validator, value))


_TOO_MUCH_TEXT: Final = (
    "has too much text for the patterns of its schema; use maxLength, or a simpler pattern"
)


def _library() -> Any:
    import jsonschema_rs  # it has megabytes, and most graphs have no schema

    return jsonschema_rs


def _draft_of(schema: bool | dict[str, Any]) -> str:
    named = schema.get("$schema", _DRAFT) if isinstance(schema, dict) else _DRAFT
    return named.removesuffix("#") if isinstance(named, str) else ""


def _compiled(schema: bool | dict[str, Any]) -> Validator:
    library = _library()

    class Pattern:
        """The keyword ``pattern``, within a budget."""

        def __init__(self, parent: dict[str, Any], pattern: str, path: list[str | int]) -> None:
            self._pattern, self._kib = pattern, _kib(pattern) or PATTERN_MAX_KIB
            self._is_valid = _pattern_validator(pattern, self._kib).is_valid

        def validate(self, value: Any) -> None:
            if isinstance(value, str):
                effort = _UNDER_WAY.get()
                effort.text -= self._kib * len(value)
                if effort.text < 0 or not self._is_valid(value):
                    raise ValueError(f"{_MASK} does not match {encode(self._pattern).decode()}")

    validator: Validator = getattr(library, _DRAFTS[_draft_of(schema)])(
        schema,
        validate_formats=False,
        offline=True,
        mask=_MASK,
        keywords={"pattern": Pattern},
        pattern_options=library.RegexOptions(size_limit=PATTERN_MAX_KIB * 1024),
    )
    return validator


def _pattern_validator(pattern: str, kib: int) -> Validator:
    library = _library()
    options = library.RegexOptions(size_limit=kib * 1024, dfa_size_limit=1024 * 1024)
    validator: Validator = library.Draft202012Validator(
        {"pattern": pattern}, pattern_options=options, offline=True
    )
    return validator


def _kib(pattern: str) -> int | None:
    """Return how much a pattern takes when compiled, as a power of two; None if it cannot be."""
    kib = 1
    while kib <= PATTERN_MAX_KIB:
        try:
            _pattern_validator(pattern, kib)
        except ValueError:
            kib *= 2
        else:
            return kib
    return None


def _faults(schema: dict[str, Any]) -> list[Fault]:
    draft = _draft_of(schema)
    if draft not in _DRAFTS:
        return [Fault("/$schema", f"is none of the known drafts: {', '.join(_DRAFTS)}")]
    all_of_them = len(encode(schema)) <= TOLD_MAX_BYTES
    if faults := list(_told(_meta(draft), schema, all_of_them=all_of_them)):
        return faults
    try:
        nodes = nodes_of(schema)
    except LookupError as error:
        return [Fault(f"{error.args[0]}/$ref", _REF)]
    faults = [fault for at, (each, _) in nodes.items() for fault in _refused(each, at)]
    return faults or _patterns(nodes) or _counted(nodes, schema)


@cache
def _meta(draft: str) -> Validator:
    """Return what checks the schemas of a draft: to compile it takes longer than most checks."""
    validator: Validator = getattr(_library(), _DRAFTS[draft])(
        {"$ref": draft}, offline=True, mask=_MASK
    )
    return validator


_REF: Final = "leads to no schema within this one; write # or #/$defs/NAME, nothing is fetched"


def _refused(schema: dict[str, Any], at: str) -> Iterator[Fault]:
    if isinstance(ref := schema.get("$ref"), str) and ref != "#" and not ref.startswith("#/"):
        yield Fault(f"{at}/$ref", _REF)
    for key in _NOT_HERE:
        if key in schema:
            yield Fault(at + pointer(key), "is not supported; use $ref with #/$defs/NAME")
    if at and "$id" in schema:
        yield Fault(f"{at}/$id", "only a whole schema may have an $id")


def _patterns(nodes: dict[str, Any]) -> list[Fault]:
    found = [
        (at + pointer("pattern"), each["pattern"])
        for at, (each, _) in nodes.items()
        if "pattern" in each
    ] + [
        (at + pointer("patternProperties", name), name)
        for at, (each, _) in nodes.items()
        for name in each.get("patternProperties", ())
    ]
    if len(found) > PATTERNS_MAX:
        return [Fault("", f"a schema has at most {PATTERNS_MAX} patterns, this one {len(found):,}")]
    why = "is no pattern that can be matched in linear time: no look-around, no back reference, no repetition of thousands"
    return [Fault(at, why) for at, pattern in found if _kib(pattern) is None]


def _counted(nodes: dict[str, Any], schema: dict[str, Any]) -> list[Fault]:
    try:
        levels = count({at: node for at, (_, node) in nodes.items()})
    except RecursionError as error:
        return [Fault(str(error.args[0]), "refers to itself without going into the value")]
    if levels.depth is not None and levels.depth < 1:
        return [Fault("", "has too many alternatives of alternatives; a value would take too long")]
    try:
        Schema(schema)
    except ValueError as error:  # what the library alone knows
        return [Fault("", clean(str(error).partition("\n")[0], _SENTENCE_MAX_CHARS))]
    return []


def _told(validator: Validator, value: Any, *, all_of_them: bool = False) -> Iterator[Fault]:
    """Yield what does not fit; the library collects all errors at once when asked for all."""
    for error in validator.iter_errors(value) if all_of_them else _first(validator, value):
        best = _best(error)
        yield Fault(clip(pointer(*best.instance_path)), _sentence(best, value))


def _first(validator: Validator, value: Any) -> list[ValidationError]:
    try:
        validator.validate(value)
    except _library().ValidationError as error:
        return [error]
    return []


def _best(error: ValidationError) -> ValidationError:
    """Return of an error with alternatives the one that went furthest into the value."""
    context = getattr(error.kind, "context", None) or []
    firsts = [branch[0] for branch in context if branch]
    if not firsts:
        return error
    deepest = max(firsts, key=lambda each: len(each.instance_path))
    deeper = len(deepest.instance_path) > len(error.instance_path)
    return _best(deepest) if deeper or len(firsts) == 1 else error


def _sentence(error: ValidationError, root: Any) -> str:
    """Return what was expected and what was found, in at most 300 characters."""
    found = root
    for key in error.instance_path:
        found = found[key]
    shown = _shown(found)
    kind: Any = error.kind  # a class a keyword, each with attributes of its own
    types = _types(error)
    match kind.name:
        case _ if types:
            text = f"expected {' or '.join(types)}, found {shown}"
        case "required" if hasattr(kind, "property"):
            text = f"lacks the key {_shown(kind.property)}"
        case "falseSchema":
            text = f"expected nothing here, found {shown}"
        case "const":
            text = f"expected {_shown(kind.expected_value)}, found {shown}"
        case _:
            message = error.message[:_MESSAGE_MAX_CHARS].replace(_MASK, shown, 2)
            text = message.replace(_MASK, "…")
    return text if len(text) <= _SENTENCE_MAX_CHARS else text[: _SENTENCE_MAX_CHARS - 1] + "…"


def _types(error: ValidationError) -> list[str]:
    """Return the types that were expected, of alternatives too when they fail by type alone."""
    if isinstance(types := getattr(error.kind, "types", None), list):
        return types
    context = getattr(error.kind, "context", None) or []
    firsts = [branch[0] for branch in context if branch]
    types_of_each = [getattr(first.kind, "types", []) for first in firsts]
    if len(firsts) < len(context) or not all(types_of_each):
        return []
    return list(dict.fromkeys(name for types in types_of_each for name in types))


def _shown(value: object) -> str:
    """Return a value as an error may quote it: scalars cut, and of others what they are."""
    match value:
        case dict():
            return f"an object with {len(value)} keys"
        case list() | tuple():
            return f"an array of {len(value)} items"
        case str():
            text = msgspec.json.encode(clean(value, _SHOWN_MAX_CHARS)).decode()
            return text if len(text) <= _SHOWN_MAX_CHARS else text[: _SHOWN_MAX_CHARS - 1] + "…"
        case None | bool() | int() | float():
            return msgspec.json.encode(value).decode()
        case _:
            return f"a {type(value).__name__}"
