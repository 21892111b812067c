"""JSON values: one encoding, exact bounds, and the place of whatever JSON cannot say."""

from __future__ import annotations

import json
import re
from collections import OrderedDict, defaultdict, namedtuple
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph.engine.errors import NotJson
from stenograph.engine.values import (
    SHOWN_MAX_CHARS,
    VALUE_MAX_DEPTH,
    canonical,
    clean,
    clip,
    encode,
    is_canonical,
    is_utf8,
    look_up,
    nested_deeper,
    outweighs,
    plain_key,
    pointer,
)
from tests.json_values import JSON

MIB = 1024 * 1024


class Colour(StrEnum):
    RED = "red"


class Mixed(str, Enum):  # noqa: UP042, as older code spells it: its str() is not its text
    RED = "red"


class Size(IntEnum):
    L = 3


class Loud(str):
    def __str__(self) -> str:
        return self.upper()


class Count(int):
    def __int__(self) -> int:
        return 99


class Ratio(float):
    def __float__(self) -> float:
        return 9.9


Point = namedtuple("Point", "x y")


class Record(msgspec.Struct):
    a: int = 1


class Liar(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no")


def deep(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"k": value}
    return value


def refusal(value: object) -> tuple[str, str]:
    with pytest.raises(NotJson) as caught:
        canonical(value, "/key")
    return caught.value.path, caught.value.reason


@given(JSON)
def test_a_json_value_comes_back_equal_fresh_and_as_pythons_own_parser_reads_it(value: Any) -> None:
    data, decoded = canonical(value, "/key")
    assert decoded == value == json.loads(data)
    assert decoded is not value or not isinstance(value, list | dict)


UNDERNEATH: dict[str, tuple[Any, Any]] = {
    "tuples": ((1, (2, [3])), [1, [2, [3]]]),
    "named tuple": (Point(1, 2), [1, 2]),
    "tuple in a dict": ({"t": (1,)}, {"t": [1]}),
    "StrEnum": (Colour.RED, "red"),
    "Enum of str": (Mixed.RED, "red"),
    "IntEnum": (Size.L, 3),
    "str": (Loud("red"), "red"),
    "int": (Count(3), 3),
    "float": (Ratio(2.5), 2.5),
    "keys": ({Colour.RED: 1, Loud("b"): 2}, {"red": 1, "b": 2}),
    "key of an Enum of str": ({Mixed.RED: 1}, {"red": 1}),
    "OrderedDict": (OrderedDict(a=1), {"a": 1}),
    "defaultdict": (defaultdict(list, {"a": [1]}), {"a": [1]}),
    "bool": (True, True),
}


@pytest.mark.parametrize("name", UNDERNEATH)
def test_subclasses_of_json_types_are_what_they_are_underneath(name: str) -> None:
    value, plain = UNDERNEATH[name]
    data, decoded = canonical(value, "/key")
    assert decoded == plain == json.loads(data)
    assert type(decoded) is type(plain)


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63)])
def test_the_largest_and_the_least_integer_are_kept_exactly(value: int) -> None:
    assert canonical([value], "/key") == (b"[%d]" % value, [value])


@pytest.mark.parametrize(
    "value",
    [2**63, -(2**63) - 1, 2**64, -(2**64), 10**5000],
    ids=["2^63", "-2^63-1", "2^64", "-2^64", "too long to be written at all"],
)
def test_an_integer_beyond_them_is_refused(value: int) -> None:
    assert refusal({"n": [0, value]}) == (
        "/key/n/1",
        "is an integer beyond ±2^63; keep it as text",
    )


@given(JSON)
def test_canonical_text_is_known_from_any_other(value: Any) -> None:
    data, decoded = canonical(value, "")
    has_long_row = re.search(rb"[0-9]{19}", data) is not None
    assert is_canonical(data, decoded) is not has_long_row
    assert not is_canonical(data + b" ", decoded)


@pytest.mark.parametrize("data", [b"9" * 25, b"-" + b"9" * 400, b"[" * 65 + b"]" * 65, b"1.0e2"])
def test_text_that_canonical_refuses_or_would_write_otherwise_is_not(data: bytes) -> None:
    assert not is_canonical(data, msgspec.json.decode(data))


def test_long_digits_in_a_text_or_a_fraction_are_no_integer() -> None:
    value = {"id": "9" * 40, "f": 1e300, "now_ns": 1_800_000_000_000_000_000}
    assert canonical(value, "/key")[1] == value


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        (float("nan"), "/key", "is nan, which JSON cannot write; use null or text"),
        ([float("inf")], "/key/0", "is inf, which JSON cannot write; use null or text"),
        ({"a": -float("inf")}, "/key/a", "is -inf, which JSON cannot write; use null or text"),
        ([Ratio("nan")], "/key/0", "is nan, which JSON cannot write; use null or text"),
        ({1: 2}, "/key", "has the key 1; keys are text"),
        ({"a": {None: 2}}, "/key/a", "has the key None; keys are text"),
        ({"a": [{b"x": 2}]}, "/key/a/0", "has the key b'x'; keys are text"),
        ({Size.L: 2}, "/key", "has the key <Size.L: 3>; keys are text"),
        ({"\ud800": 1}, "/key", "has the key '\\ud800'; keys are text"),
        (["\udfff"], "/key/0", "is text with a lone surrogate, which UTF-8 cannot write"),
        ({"a/b": {"~": b"x"}}, "/key/a~1b/~0", "is of type bytes; a state holds JSON values only"),
        ((1, {2}), "/key/1", "is of type set; a state holds JSON values only"),
    ],
)
def test_what_json_cannot_say_is_refused_with_its_place(
    value: object, path: str, reason: str
) -> None:
    assert refusal(value) == (path, reason)


@pytest.mark.parametrize(
    "value",
    [
        b"bytes",
        bytearray(b"bytes"),
        {1},
        frozenset({1}),
        datetime(2026, 1, 1, tzinfo=UTC),
        Decimal("1.5"),
        uuid4(),
        Record(),
        msgspec.Raw(b"1"),
        msgspec.UNSET,
        MappingProxyType({"a": 1}),
        object(),
        range(3),
        1j,
        len,
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_types_are_refused_even_where_an_encoder_has_a_form_for_them(value: object) -> None:
    kind = type(value).__name__
    assert refusal({"a": [value]}) == (
        "/key/a/0",
        f"is of type {kind}; a state holds JSON values only",
    )


def test_the_first_of_several_offenders_is_named() -> None:
    assert refusal({"a": [1, {"b": {2}}], "c": float("nan")})[0] == "/key/a/1/b"


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    path, reason = refusal(loop)
    assert path == "/key" + "/loop" * VALUE_MAX_DEPTH
    assert reason == "nests deeper than 64, or contains itself"


def test_values_nest_to_a_depth_and_no_further() -> None:
    assert canonical(deep(VALUE_MAX_DEPTH), "/key")[1] == deep(VALUE_MAX_DEPTH)
    assert "nests deeper than 64" in refusal(deep(VALUE_MAX_DEPTH + 1))[1]
    assert "nests deeper than 64" in refusal(deep(100_000))[1]


def test_width_is_no_depth() -> None:
    value: list[Any] = [[{"a": []}] for _ in range(1000)]
    assert canonical(value, "/key")[1] == value


def test_what_raises_while_it_is_encoded_is_said_to_be_no_json() -> None:
    class Shy(str):
        def __eq__(self, other: object) -> bool:
            raise RuntimeError("do not compare me")

        __hash__ = str.__hash__

    assert refusal(Shy("a")) == ("/key", "cannot be written as JSON: do not compare me")


@pytest.mark.parametrize("kind", [str, float, type(None)])
def test_what_only_says_that_it_is_of_a_json_type_is_refused(kind: type) -> None:
    class Pretends:
        __class__ = property(lambda self: kind)

        def isascii(self) -> bool:
            return True

        def __float__(self) -> float:
            return 1.0

    assert refusal(Pretends())[0] == "/key"


def test_a_key_of_megabytes_makes_no_error_of_megabytes() -> None:
    path, reason = refusal({"k" * MIB: {1: 1}})
    assert len(path) <= SHOWN_MAX_CHARS + 1
    assert path.startswith("/key/kkk")
    assert len(refusal({b"k" * MIB: 1})[1]) < 2 * SHOWN_MAX_CHARS
    assert reason == "has the key 1; keys are text"


def test_a_key_of_a_state_is_made_plain() -> None:
    assert plain_key(Loud("a")) == "a"
    assert type(plain_key(Mixed.RED)) is str
    for key in (1, None, b"a", "\ud800"):
        with pytest.raises(NotJson, match="keys are text"):
            plain_key(key)


def test_encoding_is_compact_utf8() -> None:
    assert encode({"ä": [1, "€", None, True]}) == '{"ä":[1,"€",null,true]}'.encode()


@pytest.mark.parametrize(
    ("keys", "expected"),
    [((), ""), (("a", 0), "/a/0"), (("a/b", "m~n", "~1", ""), "/a~1b/m~0n/~01/")],
)
def test_pointers_escape_as_the_rfc_says(keys: tuple[object, ...], expected: str) -> None:
    assert pointer(*keys) == expected


@given(st.text(st.characters()))
def test_text_is_utf8_unless_a_surrogate_stands_alone(text: str) -> None:
    assert is_utf8(text) is not any("\ud800" <= char <= "\udfff" for char in text)


@given(st.text(st.characters()), st.integers(0, 20))
def test_cleaned_text_is_utf8_and_cut(text: str, limit: int) -> None:
    assert is_utf8(clean(text, limit))
    assert len(clean(text, limit)) == min(len(text), limit)


def test_clipped_text_keeps_both_ends() -> None:
    assert clip("a" * SHOWN_MAX_CHARS) == "a" * SHOWN_MAX_CHARS
    assert clip("<" + "a" * MIB + ">") == "<" + "a" * 499 + "…" + "a" * 499 + ">"


def depth_of(text: bytes) -> int:
    """The plain way: a character at a time; a backslash outside of text is no JSON, but escapes."""
    depth = deepest = 0
    within = escaped = False
    for char in text.decode("latin-1"):
        was_escaped, escaped = escaped, char == "\\" and not escaped
        if char == '"':
            within ^= not was_escaped
        elif within:
            continue
        elif char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


BRACKETS = st.recursive(
    st.text('[]{}"\\a', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text('[]{}"\\', max_size=3), inner, max_size=3)
    ),
    max_leaves=20,
)
"""Values whose texts and keys have brackets, quotes and backslashes."""


@given(BRACKETS, st.integers(0, 8))
def test_depth_is_told_without_parsing_also_past_brackets_in_texts(value: Any, limit: int) -> None:
    text = json.dumps(value).encode()
    assert nested_deeper(text, limit) is (depth_of(text) > limit)


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        (b"[[],[],{}]", 2),
        (b"{{},{},[]}", 2),
        (b"[[[]],[{}],[[]]]", 3),
        (b'{"a":{"b":{}},"c":{"d":[]}}', 3),
        (b'["[[[",[]]', 2),
        (b'["\\"[[[",[]]', 2),
        (b'["\\\\",[[]]]', 3),
    ],
)
def test_depth_is_that_of_the_deepest_and_not_of_all(text: bytes, depth: int) -> None:
    assert nested_deeper(text, depth - 1)
    assert not nested_deeper(text, depth)


@given(st.text('[]{}"\\a', max_size=40).map(str.encode), st.integers(0, 8))
def test_depth_is_told_of_what_is_no_json_as_well(text: bytes, limit: int) -> None:
    assert nested_deeper(text, limit) is (depth_of(text) > limit)


@given(BRACKETS, st.integers(0, 60), st.text('[]{}"\\a,:', max_size=20))
def test_what_a_parser_opens_before_it_stops_is_counted_whatever_follows(
    value: Any, end: int, rest: str
) -> None:
    begin = json.dumps(value).encode()[:end]
    assert nested_deeper(begin + rest.encode(), depth_of(begin) - 1) or depth_of(begin) == 0


@pytest.mark.parametrize(
    ("unit", "too_deep"),
    [
        (b"[", True),
        (b"[{", True),
        (b"[]", False),
        (b"{[]}", False),
        (b'"', False),
        (b"\\", False),
        (b'\\"', False),
        (b'"\\"', False),
        (b'a"', False),
        (b"\xff", False),
    ],
)
@pytest.mark.parametrize("end", [b"", b"\\", b'"'])
def test_a_megabyte_of_anything_is_looked_at_once(unit: bytes, too_deep: bool, end: bytes) -> None:
    """With a scan that starts over at each quote, these would take minutes."""
    opened = b"[]" * 40 + b'"' + b'\\"' * 3 + b'"'
    text = opened + unit * (MIB // len(unit)) + end
    assert nested_deeper(text, 64) is too_deep
    assert nested_deeper(b"[]" * 40 + b'"' + unit * (MIB // len(unit)) + end, 64) is (
        depth_of(b'"' + unit * 200) > 64
    )


def test_a_key_that_cannot_be_shown_is_refused_all_the_same() -> None:
    assert refusal({10**5000: 1}) == ("/key", "has a key of type int; keys are text")


def test_a_dict_that_hides_its_items_raises_what_it_raises() -> None:
    with pytest.raises(RuntimeError, match="no"):
        canonical(Liar(a={1}), "/key")


@pytest.mark.parametrize("path", ["a.b", "a.b.c", "b"])
def test_a_path_through_what_is_no_object_leads_nowhere(path: str) -> None:
    with pytest.raises(KeyError):
        look_up({"a": 1}, path)


@given(JSON)
def test_what_is_small_outweighs_little(value: Any) -> None:
    assert not outweighs(value, 64 * len(encode(value)))


@pytest.mark.parametrize(
    "value",
    ["x" * 641, ["x" * 300] * 3, {"k" * 600: 1}, [[]] * 11, {"a": {"b": [1] * 9}}, (1,) * 11],
)
def test_long_texts_and_many_parts_outweigh(value: Any) -> None:
    assert outweighs(value, 640)


def test_a_value_that_holds_itself_outweighs_anything() -> None:
    held: list[Any] = []
    held.append(held)
    assert outweighs(held, 1000)


class Touchy(dict[str, Any]):
    """Raises whatever it is asked, also of which class it is."""

    def refuse(self, *asked: object) -> Any:
        raise RuntimeError(f"asked {asked}")

    __class__ = property(refuse)
    __len__ = __iter__ = keys = values = items = refuse


def test_an_object_that_is_no_json_is_not_asked() -> None:
    assert not outweighs([Touchy(a=["x"] * 200)], 100)
