"""JSON Schema: what is told of a value that does not fit, and that no schema can do harm."""

from __future__ import annotations

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph.engine.errors import Fault
from stenograph.engine.graphs import schema_levels
from stenograph.engine.graphs.schemas import (
    PATTERNS_MAX,
    SCHEMA_MAX_BYTES,
    Schema,
    check_schema,
    compile_schema,
)
from tests.json_values import JSON

UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
MODEL: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
    "required": ["n"],
    "additionalProperties": False,
}
GRAMMAR: dict[str, Any] = {
    "oneOf": [
        {"properties": {"op": {"const": "add"}, "left": {"$ref": "#"}}, "required": ["op"]},
        {"properties": {"op": {"const": "mul"}, "left": {"$ref": "#"}}, "required": ["op"]},
    ],
    "type": "object",
}


def compiled(schema: Any) -> Schema:
    assert check_schema(schema, "/s") == []
    return compile_schema(schema)


def told(schema: Any, value: Any) -> tuple[str, str]:
    fault = compiled(schema).fault(value)
    assert fault is not None
    return fault.pointer, fault.detail


def refused(schema: Any) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.detail) for fault in check_schema(schema, "/s")]


def nested(key: str, depth: int, inside: Any) -> Any:
    for _ in range(depth):
        inside = {key: inside}
    return inside


@pytest.mark.parametrize(
    ("schema", "value", "pointer", "sentence"),
    [
        ({"type": "integer"}, "x", "", 'expected integer, found "x"'),
        ({"type": "integer"}, {"a": 1}, "", "expected integer, found an object with 1 keys"),
        ({"items": {"type": "null"}}, [None, [1]], "/1", "expected null, found an array of 1 items"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, True, "", "expected integer or null, found true"),
        ({"anyOf": [{"const": 1}, {"minimum": 5}]}, 2, "", "2 is not valid under any of the schemas listed in the 'anyOf' keyword"),
        ({"oneOf": [{}, {}]}, 1, "", "1 is valid under more than one of the schemas listed in the 'oneOf' keyword"),
        ({"oneOf": [{"minimum": 2}]}, 1, "", "1 is less than the minimum of 2"),
        (MODEL, {"n": 1, "next": {"n": "x"}}, "/next/n", 'expected integer, found "x"'),
        (MODEL, {}, "", 'lacks the key "n"'),
        (MODEL, {"n": 1, "a/b": 2}, "", "Additional properties are not allowed ('a/b' was unexpected)"),
        ({"properties": {"a/b": False}}, {"a/b": 1}, "/a~1b", "expected nothing here, found 1"),
        ({"const": [1]}, None, "", "expected an array of 1 items, found null"),
        ({"enum": ["a", "b"]}, "c", "", '"c" is not one of "a" or "b"'),
        ({"minLength": 2}, "x", "", '"x" is shorter than 2 characters'),
        ({"pattern": "^a$"}, "b", "", '"b" does not match "^a$"'),
        (False, 1, "", "expected nothing here, found 1"),
    ],
)  # fmt: skip
def test_a_fault_says_where_and_what_was_expected_and_found(
    schema: Any, value: Any, pointer: str, sentence: str
) -> None:
    assert told(schema, value) == (pointer, sentence)


@given(JSON)
def test_what_fits_has_no_fault(value: Any) -> None:
    assert compiled(True).fault(value) is None
    assert compiled({}).fault(value) is None
    assert compiled({"const": value}).fault(value) is None
    assert compiled({"not": {"const": value}}).fault(value) is not None


def test_formats_are_notes_and_other_drafts_are_known() -> None:
    assert compiled({"format": "email"}).fault("x") is None
    seven = {"$schema": "http://json-schema.org/draft-07/schema#", "format": "email"}
    assert compiled(seven | {"items": [{"type": "null"}]}).fault([1]) == Fault(
        "/0", "expected null, found 1"
    )


@pytest.mark.parametrize("size", [1000, 1_000_000])
@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer"},
        {"enum": [1, 2]},
        {"maxLength": 1},
        {"pattern": "^b"},
        {"not": {"type": ["string", "object"]}},
        {"propertyNames": {"maxLength": 3}, "type": "object"},
        {"additionalProperties": False, "type": "object"},
        {"unevaluatedProperties": False, "type": "object"},
    ],
    ids=str,
)
def test_a_sentence_quotes_little_of_a_value(schema: Any, size: int) -> None:
    for value in ("a" * size, {"a" * size: 1}):
        fault = compiled(schema).fault(value)
        assert fault is None or fault.detail.count("a") < 220
        assert fault is None or len(fault.detail) <= 300


@pytest.mark.parametrize(
    ("schema", "pointer", "sentence"),
    [
        (1, "", "a schema is true, false or an object, not 1"),
        ([], "", "not an array of 0 items"),
        ({1, 2}, "", "not a set"),
        ({"const": float("nan")}, "/const", "is nan"),
        ({"type": "int"}, "/type", "not valid"),
        ({"properties": {"a": {"minimum": "x"}}}, "/properties/a/minimum", 'expected number, found "x"'),
        ({"$schema": "urn:mine"}, "/$schema", "none of the known drafts"),
        ({"$schema": 1}, "/$schema", "none of the known drafts"),
        ({"$ref": "https://example.org/s"}, "/$ref", "nothing is fetched"),
        ({"$ref": "other.json#/a"}, "/$ref", "nothing is fetched"),
        ({"$ref": "#name"}, "/$ref", "nothing is fetched"),
        ({"items": {"$ref": "#/$defs/a"}}, "/items/$ref", "nothing is fetched"),
        ({"allOf": [True, {"$ref": "#/allOf/7"}]}, "/allOf/1/$ref", "nothing is fetched"),
        ({"$ref": "#/title", "title": "t"}, "/$ref", "nothing is fetched"),
        ({"$dynamicRef": "#a"}, "/$dynamicRef", "not supported"),
        ({"items": {"$anchor": "a"}}, "/items/$anchor", "not supported"),
        ({"items": {"$id": "urn:a"}}, "/items/$id", "only a whole schema"),
        ({"$ref": "#"}, "", "refers to itself without going into the value"),
        ({"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#/$defs/a"}}}}, "/$defs/a/not", "refers to itself"),
        ({"pattern": "("}, "/pattern", "linear time"),
        ({"pattern": "(?=a)"}, "/pattern", "linear time"),
        ({"pattern": r"(a)\1"}, "/pattern", "linear time"),
        ({"pattern": "(a{1,1000}){1,1000}"}, "/pattern", "linear time"),
        ({"patternProperties": {"(": True}}, "/patternProperties/(", "linear time"),
        ({"anyOf": [{"pattern": str(n)} for n in range(PATTERNS_MAX + 1)]}, "", "at most 100 patterns"),
        ({"title": "x" * SCHEMA_MAX_BYTES}, "", "at most 65,536 bytes"),
        (nested("not", 33, {}), "", "at most 32 deep"),
        ({"$id": "::"}, "", "Invalid URI reference"),
        ({"$ref": "#/unknown/a", "unknown": {"a": {"type": "int"}}}, "", "Unexpected type"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_schema_that_cannot_be_used_is_refused(schema: Any, pointer: str, sentence: str) -> None:
    first, *_ = refused(schema)
    assert first[0] == "/s" + pointer
    assert sentence in first[1]


def test_all_faults_of_a_schema_are_told_at_once() -> None:
    schema = {"type": "int", "minimum": "x", "required": 1}
    assert {at for at, _ in refused(schema)} == {"/s/type", "/s/minimum", "/s/required"}
    many = {"properties": {f"k{n}": {"minimum": "x"} for n in range(3000)}}
    assert len(refused(many)) == 1


def test_a_large_schema_and_a_long_way_of_references_are_fine() -> None:
    large = {"properties": {f"k{n}": {"type": "null"} for n in range(1000)}}
    assert told(large, {"k999": 1}) == ("/k999", "expected null, found 1")
    defs: dict[str, Any] = {f"d{n}": {"items": {"$ref": f"#/$defs/d{n + 1}"}} for n in range(70)}
    deep = compiled({"$ref": "#/$defs/d0", "$defs": {**defs, "d70": True}})
    assert deep.fault([[[]]]) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/d0", "$defs": {"d999": {}} | {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(999)}},
        {"properties": {f"k{n}": {"$ref": "#", "title": "t"} for n in range(1500)}, "patternProperties": {"k": {}}},
    ],
    ids=["references", "properties"],
)  # fmt: skip
def test_a_schema_that_takes_long_to_count_is_refused(schema: Any) -> None:
    assert "a value would take too long" in refused(schema)[0][1]


def test_names_in_data_are_no_keywords() -> None:
    assert (
        check_schema({"enum": [{"$ref": "https://example.org"}], "default": {"$id": 1}}, "") == []
    )
    assert compiled({"properties": {"$ref": {"type": "null"}}}).fault({"$ref": None}) is None


def test_a_reference_may_lead_anywhere_in_the_schema() -> None:
    schema = {
        "$ref": "#/$defs/a%20b~1c",
        "$defs": {"a b/c": {"items": {"$ref": "#/$defs/list/anyOf/1"}}, "list": {"anyOf": [True, {"type": "null"}]}},
    }  # fmt: skip
    assert told(schema, [None, 1]) == ("/1", "expected null, found 1")
    assert compiled({"allOf": [{"$ref": "#/$defs/t"}], "$defs": {"t": True}}).fault(1) is None


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    assert refused({"$ref": "http://127.0.0.1:9/s"})
    assert refused({"$id": "http://127.0.0.1:9/", "$ref": "s"})


def test_patterns_that_hang_backtracking_matchers_do_not_hang_this_one() -> None:
    pointer, sentence = told({"pattern": "^(a+)+$"}, "a" * 1_000_000 + "!")
    assert (pointer, sentence[-24:]) == ("", '… does not match "^(a+)+$"'[-24:])


def test_text_that_a_pattern_would_take_long_for_does_not_fit() -> None:
    slow = compiled({"pattern": "[ab]*a[ab]{400}c"})
    assert slow.fault("ab" * 1000) is not None
    for schema in (slow, compiled({"not": {"pattern": "[ab]*a[ab]{400}c"}})):
        fault = schema.fault("ab" * 500_000)
        assert fault is not None
        assert "too much text" in fault.detail
    assert compiled({"items": {"pattern": UUID}}).fault(["0" * 8 + "-0000" * 3 + "-" + "0" * 12] * 10_000) is None  # fmt: skip
    names = compiled({"patternProperties": {"[ab]*a[ab]{400}c": True}})
    assert names.fault({"ab": 1}) is None
    assert "too much text" in str(names.fault({"ab" * 500_000: 1}))
    assert compiled({"pattern": "^a"}).fault(1) is None


def test_a_schema_that_branches_into_itself_checks_so_deep_as_it_can() -> None:
    grammar = compiled(GRAMMAR)
    good: dict[str, Any] = {"op": "add"}
    bad: dict[str, Any] = {"op": "sub"}
    for _ in range(3):
        good, bad = {"op": "mul", "left": good}, {"op": "mul", "left": bad}
    assert grammar.fault(good) is None
    assert grammar.fault(bad) is not None
    for _ in range(30):
        good = {"op": "mul", "left": good}
    assert "nests deeper than" in str(grammar.fault(good))


def test_a_schema_may_refer_to_itself_as_deep_as_a_state_goes() -> None:
    value: Any = {"n": 1}
    for _ in range(60):
        value = {"n": 1, "next": value}
    assert compiled(MODEL).fault(value) is None


def test_alternatives_of_alternatives_are_refused() -> None:
    defs: dict[str, Any] = {
        f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(20)
    }
    schema: dict[str, Any] = {"$ref": "#/$defs/d0", "$defs": {**defs, "d20": {"type": "null"}}}
    assert refused(schema) == [
        ("/s", "has too many alternatives of alternatives; a value would take too long")
    ]
    for key in ("items", "additionalProperties"):
        inner = compiled({key: schema["$defs"]["d20"], "$defs": schema["$defs"]})
        assert inner.fault([None]) is None


def test_many_alternatives_over_a_large_value_do_not_fit() -> None:
    wide = compiled({"items": {"anyOf": [{"const": n} for n in range(500)]}})
    assert wide.fault([1, 2]) is None
    assert "too many for a schema" in str(wide.fault([1] * 100_000))


def test_checks_in_two_threads_take_nothing_from_each_other() -> None:
    schema = compile_schema({"items": {"pattern": "^x*$"}})
    value = ["x" * 100] * 12_000  # more than half of what one check may match
    every_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(2) as threads:
            faults = list(threads.map(schema.fault, [value] * 20))
    finally:
        sys.setswitchinterval(every_s)
    assert faults == [None] * 20


@pytest.mark.parametrize(
    ("schema", "item", "few"),
    [
        ({"enum": [n + 0.5 for n in range(5000)]}, 4999.5, 5),
        ({"enum": list(range(5000))}, 0.5, 5),
        ({"enum": [{"a": n} for n in range(3000)]}, {"a": 2999}, 5),
        ({"enum": [*map(str, range(3000)), None]}, "2999", 5),
        ({"dependentRequired": {f"k{n}": [] for n in range(3000)}}, {}, 5),
        ({"dependentSchemas": {f"k{n}": True for n in range(3000)}}, {}, 5),
        ({"multipleOf": 1e-300}, 1e300, 1000),
        ({"multipleOf": 3}, 1e300, 1000),
        ({"allOf": [{"minimum": n + 0.5} for n in range(60)]}, 100.5, 1000),
        ({"allOf": [{"maximum": n + 200} for n in range(200)]}, 100.5, 2000),
        ({"oneOf": [{"const": n} for n in range(200)]}, 199, 1000),
        ({"allOf": [{"pattern": f"^(a|{n})*$"} for n in range(90)]}, "", 1000),
    ],
)
def test_many_values_that_each_take_long_do_not_fit(schema: Any, item: Any, few: int) -> None:
    many = compiled({"items": {"anyOf": [schema, True]}})
    assert many.fault([item] * few) is None
    assert "too many values to check" in str(many.fault([item] * 12_000))


def test_many_values_of_an_ordinary_schema_fit() -> None:
    fields = {
        "share": {"type": "number", "minimum": 0, "maximum": 1.5},
        "kind": {"enum": ["a", "b", None]},
        "name": {"type": "string", "pattern": "^[a-z]+$"},
    }
    rows = compiled({"items": {"properties": fields, "required": ["share"]}})
    assert rows.fault([{"share": 0.5, "kind": "a", "name": "abc"}] * 20_000) is None
    words = compiled({"items": {"enum": [f"w{n}" for n in range(500)]}})
    assert words.fault(["w499"] * 100_000) is None


def test_a_large_value_under_alternatives_is_refused_in_one_sentence() -> None:
    schema = {"anyOf": [{"items": {"type": "integer"}}, {"type": "null"}]}
    assert told(schema, ["x"] * 300_000) == (
        "",
        "does not fit its schema: an array of 300000 items is too large to say where",
    )
    assert told({"items": {"type": "integer"}}, [1] * 300_000 + [None])[0] == "/300000"


def test_a_schema_of_many_states_is_counted_so_far_as_it_pays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schema_levels, "STEPS_MAX", 7)
    deep = compile_schema({"items": {"items": {"items": {"items": {"type": "null"}}}}})
    assert deep.fault([[]]) is None
    assert "nests deeper" in str(deep.fault([[[[None]]]]))


@given(st.recursive(st.sampled_from([True, {}, {"type": "integer"}, {"$ref": "#"}, {"$ref": "#/$defs/a"}, {"pattern": "^(a|a)*$"}, {"required": ["a"]}]), lambda inner: st.dictionaries(st.sampled_from(["items", "not", "if", "then", "contains", "additionalProperties", "propertyNames"]), inner, max_size=3) | st.builds(lambda items: {"anyOf": items}, st.lists(inner, min_size=1, max_size=3)) | st.builds(lambda item: {"$defs": {"a": item}, "properties": {"a": item}}, inner), max_leaves=8), JSON)  # fmt: skip
def test_any_schema_is_refused_or_checks_any_value(schema: Any, value: Any) -> None:
    if not check_schema(schema, ""):
        fault = compile_schema(schema).fault(value)
        assert fault is None or fault.detail


def test_the_library_is_imported_with_the_first_schema() -> None:
    code = "import sys, stenograph.engine; assert 'jsonschema_rs' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
