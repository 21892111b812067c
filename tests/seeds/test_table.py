"""README's table of the five engines has a tick only where a test stands."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.cli.running import ROOT

HERE = Path(__file__).parent
COLUMNS = {
    "graph JSON": "graph",
    "requests": "request",
    "workflow": "workflow",
    "WebSocket": "stream",
    "commands": "command",
}
ROW = re.compile(r"^\| \[([^\]]+)\]\(tests/seeds/(\w+)\.py\) \|(.*)\|$", re.MULTILINE)
HEAD = re.compile(r"^\| engine \|(.*)\|$", re.MULTILINE)
README = (ROOT / "README.md").read_text("utf-8")


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.split("|")]


def kinds_tested(module: str) -> set[str]:
    """The first words of the tests of a file: ``graph``, ``request`` …"""
    tree = ast.parse((HERE / f"{module}.py").read_text("utf-8"))
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {name.split("_")[1] for name in names if name.startswith("test_")}


def test_the_table_has_a_row_for_each_of_the_five() -> None:
    rows = {found[2] for found in ROW.finditer(README)}
    files = {path.stem for path in HERE.glob("test_*.py")} - {"test_table"}
    assert rows == files
    assert len(rows) == 5


@pytest.mark.parametrize("row", list(ROW.finditer(README)), ids=lambda row: row[2])
def test_a_tick_stands_where_tests_do(row: re.Match[str]) -> None:
    head = HEAD.search(README)
    assert head is not None
    ticks = dict(zip(cells(head[1]), cells(row[3]), strict=True))
    assert set(ticks) == set(COLUMNS)
    tested = kinds_tested(row[2])
    assert ticks == {name: "✓" if kind in tested else "" for name, kind in COLUMNS.items()}
