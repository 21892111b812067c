"""The language of conditions: what may be written, what it means, and what is recorded of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from types import MappingProxyType
from typing import Any

import pytest

from stenograph.engine.conditions.expressions import (
    RESERVED,
    EvaluationError,
    Verdict,
    View,
    compile_expression,
    shown,
)

STATE: dict[str, Any] = {
    "issues_open": 0,
    "review": {"score": 7, "by": "ada", "odd key": 1, "notes": {"from": "bob"}},
    "items": [{"name": "a"}, {"name": "b"}],
    "title": "draft",
    "nothing": None,
    "done": False,
    "ratio": 0.5,
    "item": "the state's own",
    "long": "x" * 200,
}


def verdict(text: str, state: Mapping[str, Any] = STATE, /, **bindings: Any) -> Verdict:
    return compile_expression(text).evaluate(View(state, bindings))


def value(text: str, **bindings: Any) -> Any:
    return verdict(text, **bindings).value


def read(text: str, **bindings: Any) -> dict[str, Any]:
    return verdict(text, **bindings).read


def error(text: str, state: Mapping[str, Any] = STATE, /, **bindings: Any) -> EvaluationError:
    with pytest.raises(EvaluationError) as caught:
        verdict(text, state, **bindings)
    return caught.value


class TestNames:
    def test_a_name_is_a_key_of_the_state(self) -> None:
        assert verdict("issues_open == 0") == Verdict(True, True, {"issues_open": 0})

    @pytest.mark.parametrize("name", ["state", "context"])
    def test_state_and_context_are_the_whole_state(self, name: str) -> None:
        assert value(f"{name}.review.score") == 7
        assert value(f"{name} == {name}") is True
        assert value(f"len({name})") == len(STATE)

    def test_a_reserved_name_wins_over_a_key_of_the_state(self) -> None:
        assert value("item", item="bound") == "bound"
        assert value('state["item"]', item="bound") == "the state's own"

    @pytest.mark.parametrize("name", ["error", "index", "item", "visit"])
    def test_a_reserved_name_that_is_not_bound_here_is_an_error(self, name: str) -> None:
        assert error(name).message.startswith(f"there is no `{name}` here")

    def test_any_bound_name_wins_over_a_key_of_the_state(self) -> None:
        assert value("title + chunk", title="t", chunk="c") == "tc"

    def test_an_unknown_name_is_an_error_that_says_where_and_what_is_near(self) -> None:
        unknown = error("  1 < issue_open")
        assert unknown.message == "the state has no key `issue_open`; did you mean `issues_open`?"
        assert unknown.position == 6
        assert str(unknown) == f"at column 6: {unknown.message}"

    def test_a_name_near_to_a_bound_one_is_told_so(self) -> None:
        assert error("visits", visit=1).message.endswith("did you mean `visit`?")

    def test_suggestions_look_at_the_first_keys_of_a_large_state(self) -> None:
        keys = Keys()
        assert error("missing", keys).message == "the state has no key `missing`"
        assert keys.seen <= 201

    def test_nothing_near_suggests_nothing(self) -> None:
        assert error("quux").message == "the state has no key `quux`"

    def test_a_name_of_a_function_is_a_key_like_any_other_until_it_is_called(self) -> None:
        assert verdict("max(len, 3) == 5", {"len": 5}).truth

    def test_the_reserved_names_are_these(self) -> None:
        assert {"state", "context", "error", "item", "index", "visit"} == RESERVED

    def test_names_may_be_of_any_script(self) -> None:
        assert verdict("größe > 1 and हिन्दी == 2", {"größe": 2, "हिन्दी": 2}).truth


class TestLookUps:
    @pytest.mark.parametrize(
        "text",
        ["review.score", 'review["score"]', 'review.get("score")', 'review.get("score", 0)'],
    )
    def test_a_dot_a_bracket_and_get_look_the_same_key_up(self, text: str) -> None:
        assert verdict(text) == Verdict(7, True, {"review.score": 7})

    def test_a_dot_is_a_key_and_never_an_attribute(self) -> None:
        assert value("d.keys", d={"keys": 1, "get": 2}) == 1
        assert value("d.get", d={"get": 2}) == 2
        assert error("review.keys").message == "`review` has no key `keys`"
        assert (
            error("title.upper").message == "`title` is a text; `upper` cannot be looked up in it"
        )

    def test_a_list_is_indexed_by_number_from_either_end(self) -> None:
        assert value("items[0].name + items[-1].name + items[issues_open].name") == "aba"

    def test_a_text_is_indexed_as_in_python(self) -> None:
        assert value("title[0]") == "d"

    def test_get_answers_its_default_or_null(self) -> None:
        assert value('review.get("missing")') is None
        assert value('review.get("missing", 3)') == 3
        assert value('state.get("a", {}).get("b", "c")') == "c"

    def test_get_is_only_a_dicts(self) -> None:
        assert error('items.get("name")').message == "`items` is a list; .get is a dict's"

    def test_get_of_a_key_that_is_no_key_is_an_error(self) -> None:
        assert error("review.get(items)").message == ".get needs a text, not a list"

    def test_a_missing_key_says_where_and_what_is_near(self) -> None:
        missing = error("review.scores > 3")
        assert missing.message == "`review` has no key `scores`; did you mean `score`?"
        assert missing.position == 7

    def test_an_index_beyond_the_list_says_how_long_it_is(self) -> None:
        assert error("items[2]").message == "`items` has 2 items, and none at [2]"

    def test_what_cannot_be_looked_into_says_what_it_is(self) -> None:
        assert error("nothing.a").message == "`nothing` is null; `a` cannot be looked up in it"
        assert "a truth value; `a`" in error("done.a").message
        assert "is a dict; a number cannot" in error("review[0]").message
        assert "is a list; null cannot" in error("items[nothing]").message

    def test_a_look_up_may_start_at_any_value(self) -> None:
        assert value("[1, 2][1]") == 2
        assert value('(nothing or review)["by"]') == "ada"

    def test_a_key_in_the_state_is_found_without_reading_all_of_it(self) -> None:
        assert verdict('"title" in state') == Verdict(True, True, {"state.title": "draft"})
        assert verdict('"x" not in context') == Verdict(True, True, {"context.x": None})
        assert verdict('"nothing" in state').truth

    def test_any_mapping_serves_as_the_state(self) -> None:
        state = MappingProxyType({"a": {"b": 1}, "c": 2})
        assert verdict('state.a.b + state.get("c") + len(state)', state).value == 5
        assert verdict("state", state).read == {"state": {"a": {"b": 1}, "c": 2}}
        assert verdict("str(state)", state).value == "{'a': {'b': 1}, 'c': 2}"


class TestOperators:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("1 < 2 < 3", True),
            ("1 < 3 < 2", False),
            ("0 <= ratio <= 1 != 2", True),
            ("title in ['draft', 'final']", True),
            ("'raf' in title and 'x' not in title", True),
            ("(1, 2) == [1, 2]", True),
            ("nothing is None and done is False", True),
            ("done is not True and None is not title", True),
            ("True + 1", 2),
            ("7 // 2 + 7 % 4 - 1 * 2", 4),
            ("-(+ratio) / 2", -0.25),
            ("'a' + 'b'", "ab"),
            ("[1] + [2]", [1, 2]),
            ("nothing or title", "draft"),
            ("title and nothing", None),
            ("not items", False),
            ("'y' if done else 'n'", "n"),
            ("'y' if not done else 'n'", "y"),
            ("0x10 + 1_000 + 1e2 + .5 + 2.", 1118.5),
            ("-9223372036854775808 < 9223372036854775807", True),
            ("'\\u00e9\\x41\\U0001F600\\n\\'\\\\'", "éA😀\n'\\"),
            ("{}", {}),
        ],
    )
    def test_the_value_is_pythons(self, text: str, expected: Any) -> None:
        found = verdict(text)
        assert found.value == expected
        assert type(found.value) is type(expected)
        assert found.truth is bool(expected)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("len(items) + len(title) + len(review)", 11),
            ("abs(-2)", 2),
            ("min(3, 1, 2) + max([4, 5])", 6),
            ("any([0, 1]) and all([])", True),
            ("bool('')", False),
            ("int('12') + int(2.9)", 14),
            ("float('1.5')", 1.5),
            ("str(1.0) + str(None) + str('a')", "1.0Nonea"),
            ("str([1, 'a'])", "[1, 'a']"),
        ],
    )
    def test_a_function_is_pythons(self, text: str, expected: Any) -> None:
        assert value(text) == expected

    def test_what_is_not_needed_is_not_evaluated(self) -> None:
        assert value("done and 1 / 0") is False
        assert value("title or 1 / 0") == "draft"
        assert value("1 if title else 1 / 0") == 1
        assert value("1 > 2 > 1 / 0") is False

    def test_line_breaks_and_tabs_are_spaces(self) -> None:
        assert value("\n issues_open\t==\r\n 0 \n") is True

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("items < 3", "`<` does not work between a list and a number"),
            ("1 in 2", "`in` does not work between a number and a number"),
            ("1 < 2 < title", "`<` does not work between a number and a text"),
            ("items + title", "`+` does not work between a list and a text"),
            ("1 + title", "`+` does not work between a number and a text"),
            ("title * 3", "`*` needs numbers, not a text"),
            ("'%s' % 3", "`%` needs numbers, not a text"),
            ("-items", "`-` needs numbers, not a list"),
            ("1 / 0", "`/` cannot divide by zero"),
            ("9223372036854775807 * 2", "the result is beyond ±2**63"),
            ("1e308 * 10", "the result is not finite"),
            ("big + 0", "the number is beyond ±2**63"),
            ("long + x", "`+` would make a text longer than 65536 characters"),
            ("xs + xs", "`+` would make a list longer than 10000 items"),
            ("str(xs)", "str() would make a text longer than 65536 characters"),
            ("str([wide])", "str() would make a text longer than 65536 characters"),
            ("int('1.5')", "int() cannot read the text as a number"),
            ("float('1' * 1 if done else digits)", "float() cannot read the text as a number"),
            ("float('inf')", "the result is not finite"),
            ("int(items)", "int() needs numbers, not a list"),
            ("abs(review)", "abs() needs numbers, not a dict"),
            ("len(3)", "len() needs a list, a text or a dict, not a number"),
            ("min([])", "min() needs at least one item"),
            ("max(1, 'a')", "max() cannot compare the items with each other"),
        ],
    )
    def test_what_cannot_be_done_is_one_sentence(self, text: str, message: str) -> None:
        extra: dict[str, Any] = {
            "big": 2**64,
            "x": "x" * 65536,
            "xs": [1234567] * 9000,
            "digits": "1" * 101,
        }
        assert error(text, **extra, wide="\x01" * 20000).message == message

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("len(x + 'b')", 65536),
            ("len(xs + [1])", 10_000),
            ("int(digits) == int('1')", True),
            ("len(str(wide))", 65536),
        ],
    )
    def test_a_result_may_be_as_large_as_its_limit(self, text: str, found: Any) -> None:
        extra: dict[str, Any] = {"x": "a" * 65535, "xs": [0] * 9999, "digits": "0" * 99 + "1"}
        assert value(text, wide=["a" * 65532], **extra) == found

    def test_an_error_stands_where_the_failing_part_does(self) -> None:
        assert error("done or 1 + len(3)").position == 12
        assert error("'é' == 'é' and nothing.a").position == 23

    def test_data_nested_beyond_comparing_is_an_error(self) -> None:
        left: list[Any] = []
        right: list[Any] = []
        for _ in range(100_000):
            left, right = [left], [right]
        deep = error("1 == 2 or a == b", {"a": left, "b": right})
        assert str(deep) == "at column 0: the state is nested too deeply to be compared"


class TestRecord:
    def test_a_look_up_is_recorded_by_its_longest_path(self) -> None:
        assert read("state.review.score > 3") == {"state.review.score": 7}

    def test_every_look_up_made_is_recorded(self) -> None:
        assert read("len(items) > 1 and review.by == title") == {
            "items": [{"name": "a"}, {"name": "b"}],
            "review.by": "ada",
            "title": "draft",
        }

    def test_what_was_not_evaluated_is_not_recorded(self) -> None:
        assert read("done and title") == {"done": False}
        assert read("title if done else ratio") == {"done": False, "ratio": 0.5}

    def test_a_missing_get_records_null_and_not_its_default(self) -> None:
        assert read('state.get("a", title)') == {"state.a": None, "title": "draft"}

    def test_an_index_is_recorded_as_written(self) -> None:
        assert read("items[index].name", index=1) == {"items[index].name": "b", "index": 1}
        assert read("items[ -1 ].name") == {"items[-1].name": "b"}

    def test_a_key_that_is_no_name_is_recorded_in_brackets(self) -> None:
        assert read("review['odd key']") == {'review["odd key"]': 1}
        assert read('review.notes["from"]') == {'review.notes["from"]': "bob"}

    def test_a_look_up_from_a_value_is_recorded_as_written(self) -> None:
        assert read("(nothing or review).by") == {
            "nothing": None,
            "review": STATE["review"],
            "(nothing or review).by": "ada",
        }
        assert read("[1, 2][0]") == {"[1, 2][0]": 1}

    @pytest.mark.parametrize(
        ("found", "kept"),
        [
            ("x" * 126, "x" * 126),
            ("x" * 127, {"type": "str", "length": 127}),
            ("\x01" * 22, {"type": "str", "length": 22}),
            ("é" * 63, "é" * 63),
            ([1] * 63, [1] * 63),
            ([1] * 64, {"type": "list", "length": 64}),
            ([["x" * 200]], {"type": "list", "length": 1}),
            ({"k": "x" * 120}, {"k": "x" * 120}),
            ({"k": "x" * 121}, {"type": "dict", "length": 1}),
        ],
    )
    def test_a_value_over_128_bytes_is_recorded_by_type_and_length(
        self, found: Any, kept: Any
    ) -> None:
        assert read("found", found=found) == {"found": kept}
        assert shown(found) == kept

    def test_a_large_value_is_recorded_without_looking_through_it(self) -> None:
        keys = Keys()
        assert verdict("len(state)", keys).read == {"state": {"type": "dict", "length": 1_000_000}}
        assert keys.seen == 0
        assert verdict("xs", {"xs": [keys]}).read == {"xs": {"type": "list", "length": 1}}
        assert keys.seen == 0

    def test_the_record_is_a_copy(self) -> None:
        state: dict[str, Any] = {"xs": [1]}
        kept = verdict("xs", state).read
        state["xs"].append(2)
        assert kept == {"xs": [1]}


class TestUses:
    @pytest.mark.parametrize(
        ("text", "names", "keys", "dynamic"),
        [
            ("a.b == c[0]", {"a", "c"}, {"a", "c"}, False),
            (
                "state.a and context['b'] and state.get('c')",
                {"state", "context"},
                {"a", "b", "c"},
                False,
            ),
            ("error.type == item", {"error", "item"}, set(), False),
            ("state[a]", {"state", "a"}, {"a"}, True),
            ("state.get(a, b)", {"state", "a", "b"}, {"a", "b"}, True),
            ("len(context)", {"context"}, set(), True),
            ("'a' in state", {"state"}, {"a"}, False),
            ("a in state", {"a", "state"}, {"a"}, True),
            ("'a' in 'b' in state", {"state"}, set(), True),
            ("state[0] or 1", {"state"}, set(), False),
            ("max(1, 2)", set(), set(), False),
        ],
    )
    def test_names_and_keys_are_known_before_anything_is_evaluated(
        self, text: str, names: Set[str], keys: Set[str], dynamic: bool
    ) -> None:
        compiled = compile_expression(text)
        assert compiled.names == names
        assert compiled.keys == keys
        assert compiled.dynamic is dynamic

    def test_the_text_is_kept_as_given(self) -> None:
        assert compile_expression(" a ").text == " a "

    def test_a_compiled_condition_cannot_be_changed(self) -> None:
        with pytest.raises(AttributeError):
            compile_expression("a").text = "b"  # type: ignore[misc]


class Keys(Mapping[str, Any]):
    """A state of a million keys, which counts how many were looked through."""

    seen = 0

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        for number in range(len(self)):
            self.seen += 1
            yield f"key{number}"

    def __len__(self) -> int:
        return 1_000_000
