from __future__ import annotations

import json
import subprocess
import sys

import pytest

from stenograph.workflows.review import outline as module
from stenograph.workflows.review.outline import LISTED_MAX, NAME_MAX, count_lines, outline

SOURCE = '''\
"""A module."""
import os.path
from . import sibling
from ..up import thing

class Door(object):
    """It opens."""

    def open(self, /, wide, *people, slowly=False, **rest):
        """Open it."""
        def inner():
            pass

    class Handle:
        async def turn(self): ...

if os:
    try:
        def conditional(): ...
    except ValueError:
        def handler(): ...
match os:
    case 1:
        def matched(): ...
'''


def test_a_function_has_its_names_place_and_shape() -> None:
    opened = outline(SOURCE)["functions"][0]
    assert opened == {
        "name": "open",
        "qualified_name": "Door.open",
        "line": 9,
        "end_line": 12,
        "async": False,
        "arguments": 5,
        "docstring": True,
    }


def test_functions_are_found_wherever_they_are_defined_in_order_of_place() -> None:
    names = [function["qualified_name"] for function in outline(SOURCE)["functions"]]
    assert names == [
        "Door.open",
        "Door.open.<locals>.inner",
        "Door.Handle.turn",
        "conditional",
        "handler",
        "matched",
    ]
    assert [f["async"] for f in outline(SOURCE)["functions"]].count(True) == 1


def test_a_class_tells_its_methods() -> None:
    door, handle = outline(SOURCE)["classes"]
    assert (door["qualified_name"], door["methods"], door["docstring"]) == ("Door", 1, True)
    assert (handle["qualified_name"], handle["methods"], handle["docstring"]) == (
        "Door.Handle",
        1,
        False,
    )


def test_imports_are_listed_by_module() -> None:
    assert outline(SOURCE)["imports"] == [".", "..up", "os.path"]


def test_all_are_counted_and_the_first_listed() -> None:
    found = outline("".join(f"def f{n}(): ...\n" for n in range(LISTED_MAX + 1)))
    assert found["counts"] == {"functions": LISTED_MAX + 1, "classes": 0, "imports": 0}
    assert len(found["functions"]) == LISTED_MAX


def test_names_are_cut_so_that_an_outline_stays_small() -> None:
    long = "N" * 1000
    found = outline(f"import {long}\nclass {long}:\n  def {long}(self): ...\n")
    named = [*found["imports"], found["functions"][0]["qualified_name"]]
    assert {len(name) for name in named} == {NAME_MAX}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_where_python_ends_them(end: str) -> None:
    source = end.join(["import os", "# why", "", "x = 1  # not alone", "\x0c", ""])
    assert count_lines(source) == {"total": 5, "code": 2, "comment": 1, "blank": 2}
    assert outline(source)["lines"] == count_lines(source)


def test_an_empty_source_has_no_lines() -> None:
    assert outline("")["lines"] == {"total": 0, "code": 0, "comment": 0, "blank": 0}


def test_a_byte_order_mark_and_a_coding_line_are_no_fault_of_a_text() -> None:
    found = outline("\ufeff# -*- coding: no-such -*-\ndef grüße(): ...\n")
    assert found["syntax_error"] is None
    assert found["functions"][0]["name"] == "grüße"


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("x = 1\ndef f(:\n", 2, 7),
        ("print 'old'\n", 1, 1),
        ("x = 1\ny = '\0'\n", 2, 6),
        ("if x:\n\ty = 1\n        z = 2\n", 3, None),
    ],
)
def test_a_broken_source_says_where(source: str, line: int, column: int | None) -> None:
    found = outline(source)
    assert found["syntax_error"]["line"] == line
    assert column in (None, found["syntax_error"]["column"])
    assert found["syntax_error"]["message"]
    assert found["functions"] == []
    assert found["lines"]["total"] == source.count("\n")


@pytest.mark.parametrize(
    "source", ["-" * 100_000 + "1", "a" + ".b" * 100_000, "if a: b\n" + "elif a: b\n" * 20_000]
)
def test_nesting_beyond_the_parser_is_an_answer(source: str) -> None:
    assert outline(source)["syntax_error"] == {
        "message": "too deeply nested for Python's own parser",
        "line": None,
        "column": None,
    }


def test_as_a_program_it_keeps_python_s_warnings_to_itself() -> None:
    command = [sys.executable, "-I", "-W", "ignore", module.__file__]
    done = subprocess.run(command, input=rb"x = '\d'", capture_output=True, check=True)
    assert done.stderr == b""
    assert json.loads(done.stdout)["lines"]["code"] == 1
