"""The text of a condition: what is refused before anything runs, where, and how large it may be."""

from __future__ import annotations

import pytest

from stenograph.engine.conditions.expressions import (
    ExpressionFault,
    View,
    compile_expression,
)


def fault(text: str) -> ExpressionFault:
    with pytest.raises(ExpressionFault) as caught:
        compile_expression(text)
    return caught.value


def value(text: str) -> object:
    return compile_expression(text).evaluate(View({})).value


class TestFaults:
    @pytest.mark.parametrize(
        ("text", "position", "message"),
        [
            ("", 0, "the condition is empty; write one such as issues_open == 0"),
            (" \n", 0, "the condition is empty; write one such as issues_open == 0"),
            ("a = 1", 2, "`=` is not in the language of conditions; write == to compare"),
            ("a === 1", 2, "`===` is not in the language of conditions; write =="),
            ("a && b", 2, "`&&` is not in the language of conditions; write and"),
            ("!a", 0, "`!` is not in the language of conditions; write not"),
            ("a ** 2", 2, "`**` is not in the language of conditions; write x * x"),
            ("a ~ 2", 2, "`~` is not in the language of conditions"),
            ("a == true", 5, 'write True, or state["true"] for a key of that name'),
            (
                "lambda",
                0,
                '`lambda` is not in the language; a key of that name is written state["lambda"]',
            ),
            ("a.from", 2, '`from` is a word of the language; write ["from"] without the dot'),
            ("a b", 2, "an operator or a comma is missing before `b`"),
            ("'a' 'b'", 4, "an operator or a comma is missing before `'b'`"),
            ("(a) 1", 4, "an operator or a comma is missing before `1`"),
            ("x == f'a'", 5, "a text has no prefix such as `f`; write the quotes alone"),
            ("1if a else 2", 1, "`1` runs into what follows; write a space"),
            ("'a", 0, "' opens a text that is not closed on its line; a line break is written \\n"),
            ("x == '\\d'", 6, "\\d is not an escape; write \\\\ for a backslash"),
            ("'\\ud800'", 1, "\\ud800 is not a character"),
            ("'\\udfff'", 1, "\\udfff is not a character"),
            ("'\\U00110000'", 1, "\\U00110000 is not a character"),
            (
                "a == 'b', c",
                8,
                "a `,` outside of brackets makes a list, which is always true; write and",
            ),
            ("(a", 0, "`(` is never closed"),
            ("a]", 1, "`]` closes no bracket"),
            ("(a]", 2, "`]` closes no bracket"),
            ("a if b", 2, "an `if` needs an `else`: a if condition else b"),
            (" é ==", 5, "the condition ends too early; a value is missing"),
            (" é == == b", 6, "the condition cannot be read from `== b` on"),
            ("“a”", 0, "U+201C LEFT DOUBLE QUOTATION MARK may stand only inside a text"),
            ("a\u00a0== 1", 1, "U+00A0 NO-BREAK SPACE may stand only inside a text"),
            ("a\u0000", 1, "U+0000 may not stand in a condition; inside a text, escape it"),
            ("\u0301a", 0, "U+0301 COMBINING ACUTE ACCENT may stand only inside a text"),
            (
                "\U0001d4fctate",
                0,
                'Python reads `\U0001d4fctate` as `state`; write that, or state["\U0001d4fctate"]',
            ),
            ("a.ﬁ", 2, 'Python reads `ﬁ` as `fi`; write that, or ["ﬁ"]'),
            ("a is b", 5, "`is` takes None, True or False; write == or !="),
            ("mix(a)", 0, "there is no function `mix`; there is min"),
            ("1 == lenn(a)", 5, "there is no function `lenn`; there is len"),
            ("len(a, b)", 0, "len() takes exactly one value, not 2"),
            ("min()", 0, "min() takes at least one value, not 0"),
            ("a.pop(0)", 0, "the one method is .get(key, default), not .pop(…)"),
            ("a.get()", 0, "the one method is .get(key, default), not .get(…)"),
            ("a(1)(2)", 0, "`a(1)(2)` is not in the language of conditions"),
            ("[*a]", 1, "`*a` is not in the language of conditions"),
            ("a[None]", 2, "a look-up is by a text or a whole number"),
            ("a[1, 2]", 2, "a look-up is by a text or a whole number"),
            ("9223372036854775809", 0, "the number is beyond ±2**63"),
            ("1e999", 0, "the number is not finite"),
        ],
    )
    def test_a_fault_says_what_and_where_and_what_instead(
        self, text: str, position: int, message: str
    ) -> None:
        found = fault(text)
        assert (found.message, found.position) == (message, position)
        assert str(found) == f"at column {position}: {message}"

    def test_an_escape_may_be_the_last_character_there_is(self) -> None:
        assert value("'\\U0010ffff'") == "\U0010ffff"

    def test_an_unknown_function_far_from_all_is_told_of_all(self) -> None:
        assert fault("open('x')").message.endswith(
            "there is abs, all, any, bool, float, int, len, max, min, str"
        )

    def test_a_long_part_is_shown_by_its_beginning(self) -> None:
        assert fault(f"a '{'b' * 100}'").message.endswith("b…`")


class TestBounds:
    def test_a_new_condition_has_as_many_characters_as_it_may_have(self) -> None:
        assert compile_expression("a" * 30, 30).names == {"a" * 30}
        with pytest.raises(ExpressionFault, match="at most 30 characters, not 31") as caught:
            compile_expression("a" * 31, 30)
        assert caught.value.position == 30

    def test_one_that_is_stored_is_compiled_however_long(self) -> None:
        assert compile_expression("a" * 30_000).names == {"a" * 30_000}

    def test_at_most_40_brackets_are_open(self) -> None:
        assert value("(" * 40 + "1" + ")" * 40) == 1
        assert fault("(" * 41 + "1" + ")" * 41).position == 40

    def test_brackets_inside_a_text_do_not_count(self) -> None:
        assert value("'" + "(" * 100 + "' == ')'") is False

    def test_the_tree_is_at_most_40_levels_deep(self) -> None:
        assert value("not " * 39 + "True") is False
        assert fault("not " * 40 + "True").message == "more than 40 levels deep"

    def test_at_most_256_values_and_operations_are_in_one_condition(self) -> None:
        assert value(f"len([{'1,' * 253}])") == 253
        assert fault(f"len([{'1,' * 254}])").message == "more than 256 values and operations"

    def test_a_long_chain_of_looks_counts_as_levels(self) -> None:
        assert fault("a" + ".b" * 40).message == "more than 40 levels deep"
