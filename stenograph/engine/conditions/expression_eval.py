"""A condition's tree made into closures: only what is listed here exists in the language.

There is no loop and no call but of the functions listed, so each of the at most 256 nodes of a
tree is evaluated at most once; what goes over whole values is charged to the evaluation first.
"""

from __future__ import annotations

import ast
import operator
from difflib import get_close_matches
from typing import Any, Final, NamedTuple, NoReturn

from msgspec import UNSET

from stenograph.engine.conditions.expression_compare import (
    COMPARISONS,
    Comparison,
    Operation,
    chained,
    compared,
    comparing,
)
from stenograph.engine.conditions.expression_lookup import (
    RESERVED,
    WHOLE,
    Link,
    Program,
    View,
    bare_name,
    by_get,
    by_key,
    constant,
    lookup,
    membership,
    suffix,
)
from stenograph.engine.conditions.expression_text import ExpressionFault, Source, clip
from stenograph.engine.conditions.expression_values import (
    EvaluationError,
    add,
    arithmetic,
    bounded,
    collective,
    signed,
    to_float,
    to_int,
    to_text,
)
from stenograph.engine.conditions.expression_work import CALLED, Reads

BINARY: Final[dict[type[ast.operator], Operation]] = {
    ast.Add: add,
    ast.Sub: arithmetic("-", operator.sub),
    ast.Mult: arithmetic("*", operator.mul),
    ast.Div: arithmetic("/", operator.truediv),
    ast.FloorDiv: arithmetic("//", operator.floordiv),
    ast.Mod: arithmetic("%", operator.mod),
}
UNARY: Final[dict[type[ast.unaryop], Operation]] = {
    ast.Not: operator.not_,
    ast.UAdd: signed("`+`", operator.pos),
    ast.USub: signed("`-`", operator.neg),
}
FUNCTIONS: Final[dict[str, Operation]] = {
    "abs": signed("abs()", operator.abs),
    "all": collective("all", all),
    "any": collective("any", any),
    "bool": operator.truth,
    "float": to_float,
    "int": to_int,
    "len": collective("len", len),
    "max": collective("max", max),
    "min": collective("min", min),
    "str": to_text,
}
MANY_ARGUMENTS: Final = frozenset({"max", "min"})
"""Functions of one or more arguments; the others have exactly one."""


class Compiler:
    """Turns one source into a program, noting which names and keys it uses on the way."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.names: set[str] = set()
        self.keys: set[str] = set()
        self.dynamic = False

    def program(self, node: ast.expr) -> Program:
        """Return the program of a node; raises ExpressionFault when it is not in the language."""
        match node:
            case ast.Constant(value=value):
                return self.constant(node, value)
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return self.listed(node, elements)
            case ast.Dict(keys=[]):
                return lambda view, read: {}
            case ast.BoolOp(op=op, values=values):
                programs = list(map(self.program, values))
                return deciding(programs, stops_at=isinstance(op, ast.Or))
            case ast.IfExp(test=condition, body=body, orelse=orelse):
                return either(*map(self.program, (condition, body, orelse)))
            case ast.UnaryOp(op=unary, operand=operand) if type(unary) in UNARY:
                return self.applied(UNARY[type(unary)], [operand], node)
            case ast.BinOp(op=binary, left=left, right=right) if type(binary) in BINARY:
                return self.applied(BINARY[type(binary)], [left, right], node)
            case ast.Compare(
                left=ast.Constant(value=str(key)),
                ops=[ast.In() | ast.NotIn() as test],
                comparators=[ast.Name(id="state" | "context" as name)],
            ):
                return self.membership(key, name, wanted=isinstance(test, ast.In))
            case ast.Compare():
                return self.comparison(node)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self.call(node, name, args)
            case ast.Name() | ast.Subscript() | ast.Attribute():
                return self.lookup(node)
            case ast.Call(func=ast.Attribute(attr="get"), args=[_] | [_, _], keywords=[]):
                return self.lookup(node)
            case ast.Call(func=ast.Attribute(attr=name)):
                self.refuse(node, f"the one method is .get(key, default), not .{clip(name)}(…)")
            case _:
                written = clip(self.source.written(node))
                self.refuse(node, f"`{written}` is not in the language of conditions")

    def refuse(self, node: ast.expr, message: str) -> NoReturn:
        """Raise the fault of a node."""
        raise ExpressionFault(message, self.source.position(node))

    def constant(self, node: ast.expr, value: Any) -> Program:
        """Return the program of a constant, which is one that JSON could hold."""
        if value is not None and not isinstance(value, str | int | float):
            self.refuse(node, f"a constant is a text, a number, True, False or None, not {value!r}")
        if isinstance(value, int | float):
            try:
                bounded(value, "the number")
            except OverflowError as error:
                self.refuse(node, str(error))
        return constant(value)

    def applied(
        self, operation: Operation, operands: list[ast.expr], node: ast.expr, name: str = ""
    ) -> Program:
        """Return the program that applies an operation, or a named function, to its operands."""
        weigh = CALLED.get(name)
        programs = [self.program(operand) for operand in operands]
        position = self.source.position(node)

        def program(view: View, read: Reads) -> Any:
            values = [operand(view, read) for operand in programs]
            if weigh and (parts := weigh(values, read.budget.left)):
                read.charge(parts, f"{name}()", position)
            try:
                return operation(*values)
            except (TypeError, ValueError, ArithmeticError) as error:
                raise EvaluationError(str(error), position) from None

        return program

    def call(self, node: ast.expr, name: str, arguments: list[ast.expr]) -> Program:
        """Return the program of a function's call."""
        if name not in FUNCTIONS:
            known = ", ".join(get_close_matches(name, FUNCTIONS, n=1) or FUNCTIONS)
            self.refuse(node, f"there is no function `{clip(name)}`; there is {known}")
        if not arguments or (len(arguments) > 1 and name not in MANY_ARGUMENTS):
            number = "at least one value" if name in MANY_ARGUMENTS else "exactly one value"
            self.refuse(node, f"{name}() takes {number}, not {len(arguments)}")
        return self.applied(FUNCTIONS[name], arguments, node, name)

    def listed(self, node: ast.expr, elements: list[ast.expr]) -> Program:
        """Return the program of a list; in one the whole state is a dict like any other."""
        programs = list(map(self.program, elements))
        if not any(map(may_be_whole, elements)):
            return lambda view, read: [element(view, read) for element in programs]
        position = self.source.position(node)
        return lambda view, read: [
            read.plain(element(view, read), "[]", position) for element in programs
        ]

    def membership(self, key: str, name: str, *, wanted: bool) -> Program:
        """Return the program of ``"key" in state``, which looks at that key alone."""
        self.names.add(name)
        self.keys.add(key)
        return membership(name + suffix(key), key, wanted=wanted)

    def comparison(self, node: ast.Compare) -> Program:
        """Return the program of a comparison or a chain of them."""
        first, left = self.program(node.left), node.left
        rest: list[tuple[Comparison, Program]] = []
        for op, right in zip(node.ops, node.comparators, strict=True):
            symbol, test = COMPARISONS[type(op)]
            if symbol.startswith("is") and not (is_singleton(left) or is_singleton(right)):
                self.refuse(right, f"`{symbol}` takes None, True or False; write == or !=")
            checked = comparing(symbol, test, self.source.position(left))
            rest.append((checked, self.program(right)))
            left = right
        return compared(first, *rest[0]) if len(rest) == 1 else chained(first, rest)

    def lookup(self, node: ast.expr) -> Program:
        """Return the program of a look-up: its name or value at the root, then part by part."""
        parts: list[Part] = []
        root = node
        while (part := part_of(root)) is not None:
            parts.insert(0, part)
            root = part.owner
        if isinstance(root, ast.Name):
            self.note(root.id, parts)
            path, program = root.id, bare_name(root.id, self.source.position(root))
        else:
            path, program = self.enclosed(root), self.program(root)
        links: list[Link] = []
        default: Program | None = None
        for index, part in enumerate(parts, 1):
            key, step = self.key(part.key)
            position = self.source.position(part.key)
            default = self.program(part.default) if part.default else None
            if default is None:
                links.append(by_key(key, path, position))
            else:
                other = default if index < len(parts) else constant(UNSET)
                links.append(by_get(key, other, path, position))
            path += step
        return lookup(path, program, links, default)

    def enclosed(self, node: ast.expr) -> str:
        """Return the path of a value that is no name: as written, in brackets if it needs them."""
        written = self.source.written(node)
        bare = isinstance(node, ast.List | ast.Tuple | ast.Dict | ast.Call | ast.Constant)
        return written if bare else f"({written})"

    def note(self, name: str, parts: list[Part]) -> None:
        """Note a name, and the key of the state that it is or that is looked up in it."""
        self.names.add(name)
        if name not in RESERVED:
            self.keys.add(name)
        elif name in WHOLE:
            key = parts[0].key if parts else None
            if not isinstance(key, ast.Constant):
                self.dynamic = True
            elif isinstance(key.value, str):
                self.keys.add(key.value)

    def key(self, node: ast.expr) -> tuple[Program, str]:
        """Return the program of a key, and how the path goes on at it."""
        match node:
            case ast.Constant(value=str(value) | int(value)):
                return self.program(node), suffix(value)
            case ast.Constant() | ast.Tuple() | ast.List() | ast.Dict():
                self.refuse(node, "a look-up is by a text or a whole number")
            case _:
                return self.program(node), f"[{self.source.written(node)}]"


class Part(NamedTuple):
    """One step of a look-up: ``owner[key]``, ``owner.key`` or ``owner.get(key, default)``."""

    owner: ast.expr
    key: ast.expr
    default: ast.expr | None = None


def part_of(node: ast.expr) -> Part | None:
    """Return a node as a step of a look-up; None when it is none."""
    match node:
        case ast.Subscript(value=owner, slice=key):
            return Part(owner, key)
        case ast.Attribute(value=owner, attr=name, end_col_offset=int(end)):
            column = end - len(name.encode())
            return Part(owner, ast.Constant(name, lineno=1, col_offset=column, end_col_offset=end))
        case ast.Call(func=ast.Attribute(value=owner, attr="get"), args=[key, *rest], keywords=[]):
            return Part(owner, key, rest[0] if rest else ast.Constant(None))
        case _:
            return None


def is_singleton(node: ast.expr) -> bool:
    """Return whether a node is a constant of which there is one: what ``is`` may be used on."""
    return isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool))


def may_be_whole(node: ast.expr) -> bool:
    """Return whether a node's value may be the whole state."""
    return any(isinstance(each, ast.Name) and each.id in WHOLE for each in ast.walk(node))


def either(test: Program, body: Program, orelse: Program) -> Program:
    """Return the program of ``body if test else orelse``."""
    return lambda view, read: body(view, read) if test(view, read) else orelse(view, read)


def deciding(values: list[Program], *, stops_at: bool) -> Program:
    """Return the program of ``or`` (stops at the first true value) or ``and`` (first false)."""
    *firsts, last = values

    def program(view: View, read: Reads) -> Any:
        for first in firsts:
            if bool(value := first(view, read)) is stops_at:
                return value
        return last(view, read)

    return program
