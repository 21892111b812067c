"""The outline of a Python source: its functions, classes, imports and lines, as ``ast`` sees them.

It is also a program, which reads a source and writes the outline as JSON: a process of its own can
be stopped, takes its warnings with it, and keeps no other thread waiting while it parses. It needs
nothing but the standard library and is started by its path.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

LISTED_MAX: Final = 500
"""Most functions, classes and imports that an outline lists; it counts them all."""

NAME_MAX: Final = 200
"""Most characters of a name; a source may have one of a megabyte, and a hundred scopes in it."""

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Json: TypeAlias = dict[str, Any]


def outline(source: str) -> Json:
    """Return ``{syntax_error, lines, counts, functions, classes, imports}`` of a source.

    A source that is no Python has a ``syntax_error {message, line, column}`` (1-based, null where
    Python does not tell) and an empty outline. Never raises for what the source says.
    """
    if "\0" in source:  # Python would not say where
        return broken(source, "a null byte", *place(source, source.index("\0")))
    try:
        tree = ast.parse(source.removeprefix("\ufeff"))
    except SyntaxError as error:
        return broken(source, error.msg, error.lineno, error.offset)
    except (RecursionError, MemoryError):
        return broken(source, "too deeply nested for Python's own parser", None, None)
    functions, classes, imports = _collect(tree)
    return {
        "syntax_error": None,
        "lines": count_lines(source),
        "counts": {
            "functions": len(functions),
            "classes": len(classes),
            "imports": len(imports),
        },
        "functions": functions[:LISTED_MAX],
        "classes": classes[:LISTED_MAX],
        "imports": imports[:LISTED_MAX],
    }


def broken(source: str, message: str, line: int | None, column: int | None) -> Json:
    """Return the outline of a source that is no Python; a ``line`` of 0 is an unknown one."""
    return {
        "syntax_error": {"message": message, "line": line or None, "column": column or None},
        "lines": count_lines(source),
        "counts": {"functions": 0, "classes": 0, "imports": 0},
        "functions": [],
        "classes": [],
        "imports": [],
    }


def place(source: str, index: int) -> tuple[int, int]:
    """Return the line and the column, both from 1, of a character."""
    return source.count("\n", 0, index) + 1, index - source.rfind("\n", 0, index)


def count_lines(source: str) -> dict[str, int]:
    """Return how many lines are ``code``, ``comment`` alone or ``blank``, and the ``total``.

    Lines end where Python ends them: at LF, CR LF or CR. A docstring is code.
    """
    lines = source.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
    total = len(lines) if source else 0
    texts = [text for line in lines if (text := line.strip())]
    comment = sum(text.startswith("#") for text in texts)
    return {
        "total": total,
        "code": len(texts) - comment,
        "comment": comment,
        "blank": total - len(texts),
    }


def main() -> None:  # pragma: no cover - a program of its own, isolated from this one
    """Read a source, in UTF-8, from stdin and write its outline to stdout."""
    print(json.dumps(outline(sys.stdin.buffer.read().decode())))  # noqa: T201


def _collect(tree: ast.Module) -> tuple[list[Json], list[Json], list[str]]:
    functions: list[Json] = []
    classes: list[Json] = []
    imports: set[str] = set()
    for node, scope in _definitions(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                functions.append(_function(node, scope))
            case ast.ClassDef():
                classes.append(_class(node, scope))
            case ast.Import():
                imports.update(alias.name[:NAME_MAX] for alias in node.names)
            case ast.ImportFrom():
                imports.add(("." * node.level + (node.module or ""))[:NAME_MAX])
            case _:
                pass
    functions.sort(key=lambda function: int(function["line"]))
    classes.sort(key=lambda definition: int(definition["line"]))
    return functions, classes, sorted(imports)


def _definitions(tree: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    """Yield every statement with the prefix of a name defined there, as ``__qualname__`` has it."""
    todo: list[tuple[ast.AST, str]] = [(tree, "")]  # no recursion: `elif` nests as deep as it likes
    while todo:
        parent, scope = todo.pop()
        for child in ast.iter_child_nodes(parent):
            if isinstance(child, ast.stmt):
                yield child, scope
                todo.append((child, _inner(child, scope)))
            elif isinstance(child, ast.excepthandler | ast.match_case):
                todo.append((child, scope))


def _inner(node: ast.stmt, scope: str) -> str:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return f"{scope}{node.name}"[:NAME_MAX] + ".<locals>."
        case ast.ClassDef():
            return f"{scope}{node.name}"[:NAME_MAX] + "."
        case _:
            return scope


def _function(node: Function, scope: str) -> Json:
    given = node.args
    named = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)
    return {
        "name": node.name[:NAME_MAX],
        "qualified_name": (scope + node.name)[:NAME_MAX],
        "line": node.lineno,
        "end_line": node.end_lineno,
        "async": isinstance(node, ast.AsyncFunctionDef),
        "arguments": named + bool(given.vararg) + bool(given.kwarg),
        "docstring": ast.get_docstring(node, clean=False) is not None,
    }


def _class(node: ast.ClassDef, scope: str) -> Json:
    return {
        "name": node.name[:NAME_MAX],
        "qualified_name": (scope + node.name)[:NAME_MAX],
        "line": node.lineno,
        "end_line": node.end_lineno,
        "methods": sum(isinstance(item, Function) for item in node.body),
        "docstring": ast.get_docstring(node, clean=False) is not None,
    }


if __name__ == "__main__":  # pragma: no cover
    main()
