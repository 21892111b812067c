"""Conditions: Python's spelling of a small language that reads the state and can change nothing.

A condition has constants, lists, names, look-ups (``review.score``, ``items[0]``, ``.get``),
comparisons, ``and or not``, arithmetic, ``a if condition else b`` and ten functions; on these its
value is the one that Python's own ``eval`` would give. A name is a key of the state, but for those
in RESERVED. A dot looks a key up, and is never an attribute. Everything else is refused when the
condition is compiled.

    open_issues = compile_expression("review.issues_open == 0")
    open_issues.evaluate(View(state)).truth
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from stenograph.engine.conditions.expression_eval import Compiler
from stenograph.engine.conditions.expression_lookup import RESERVED, Program, View, shown
from stenograph.engine.conditions.expression_text import ExpressionFault, parse
from stenograph.engine.conditions.expression_values import EvaluationError
from stenograph.engine.conditions.expression_work import WORK_MAX, Budget, Reads, TooLong

__all__ = (
    "RESERVED",
    "WORK_MAX",
    "Budget",
    "EvaluationError",
    "Expression",
    "ExpressionFault",
    "TooLong",
    "Verdict",
    "View",
    "compile_expression",
    "shown",
)


class Verdict(Struct, frozen=True, gc=False):
    """What a condition came to.

    ``read`` maps each look-up that was made, by its whole path, to the value found: a copy of at
    most 128 bytes as JSON, else ``{"type": "list", "length": 2048}``; null for what ``.get`` missed.
    """

    value: Any
    truth: bool
    read: dict[str, Any]


class Expression(Struct, frozen=True, eq=False):
    """A compiled condition; it holds no data and may be evaluated anywhere, at any time.

    ``names`` are all the names it uses. ``keys`` are the top-level keys of the state that it can be
    seen to read; it may read others when it is ``dynamic``, as ``state[name]`` is.
    """

    text: str
    names: frozenset[str]
    keys: frozenset[str]
    dynamic: bool
    program: Program

    def evaluate(self, view: View) -> Verdict:
        """Return the verdict on what is seen now; raises EvaluationError when there is none, or TooLong."""
        read = Reads({}, view.budget)
        try:
            value = self.program(view, read)
            return Verdict(value, bool(value), read.found)
        except RecursionError:
            raise EvaluationError("the state is nested too deeply to be compared", 0) from None


def compile_expression(text: str, most: int | None = None) -> Expression:
    """Return the condition that a text spells; ``most`` bounds the characters of one that is new.

    Raises ExpressionFault, and nothing else, for every text that is no condition.
    """
    compiler = Compiler(source := parse(text, most))
    program = compiler.program(source.tree)
    return Expression(
        text, frozenset(compiler.names), frozenset(compiler.keys), compiler.dynamic, program
    )
