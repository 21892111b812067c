"""The house: http → engine → journal and never back, in by the front door, and a pure core."""

from __future__ import annotations

import ast
import http
import sysconfig
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from msgspec import Struct

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "stenograph"
MODULES = sorted(PACKAGE.rglob("*.py"))

MAY_IMPORT = {
    "journal": {"journal"},
    "engine": {"engine", "journal"},
    "http": {"http", "engine", "journal"},
}
"""The rooms, and which parts of the package each may name."""

ENGINE = [
    {"conditions"},
    {"tools"},
    {"graphs"},
    {"state"},
    {"core"},
    {"stored"},
    {"executor"},
    {"audit"},
    {"export", "playing", "runs"},
    {"reruns"},
]
"""The parts of the engine, from the lowest up: each may import itself, and those before its own."""

HTTP = [
    {"shapes"},
    {"client", "door", "streaming"},
    {"operations", "serving", "watch"},
]
"""The parts of HTTP, likewise; none may import another of its own height."""

PURE = {"conditions", "graphs", "state", "core", "playing"}
"""The parts of the engine that are without a clock, a task or chance."""

IMPURE = {"anyio", "asyncio", "concurrent", "random", "secrets", "threading", "time"}

JOURNALS = {"MemoryJournal", "SqliteJournal", "open_journal"}
"""What makes a journal to write to."""


class Import(Struct, frozen=True):
    """One module named by an import statement, and where."""

    by: str
    line: int
    target: str

    def __str__(self) -> str:
        return f"{self.by}:{self.line} imports {self.target}"


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in MODULES}


def part_of(module: str) -> str:
    """`engine` for anything in that room, `stenograph` for what stands above the rooms."""
    parts = module.split(".")
    is_room = len(parts) > 1 and (PACKAGE / parts[1]).is_dir()
    return parts[1] if is_room else "stenograph"


def imports_of(path: Path) -> Iterator[Import]:
    """Every import in a file, wherever it stands: in a function or for the types alone, too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Import(names=names):
                targets = [alias.name for alias in names]
            case ast.ImportFrom(module=module, names=names, level=level):
                assert level == 0, f"{path}:{node.lineno}: imports are absolute here"
                deeper = [f"{module}.{alias.name}" for alias in names]
                targets = [name if name in NAMES else str(module) for name in deeper]
            case _:
                continue
        yield from (Import(name_of(path), node.lineno, target) for target in targets)


IMPORTS = list(chain.from_iterable(imports_of(path) for path in MODULES))
OUR_OWN = [each for each in IMPORTS if each.target.split(".")[0] == "stenograph"]


def inner_part_of(module: str) -> str:
    """`core` for anything in that part of its room, nothing for what stands above the parts."""
    parts = module.split(".")
    is_part = len(parts) > 2 and (PACKAGE / parts[1] / parts[2]).is_dir()
    return parts[2] if is_part else ""


def core_and_what_it_imports(modules: set[str]) -> set[str]:
    """Everything inside the engine that these reach; the front door reaches all, so none may."""
    reached: set[str] = set()
    frontier = modules
    while frontier:
        reached |= frontier
        targets = {each.target for each in OUR_OWN if each.by in frontier}
        frontier = {name for name in targets if part_of(name) == "engine"} - reached
    return reached


def root(module: str) -> str:
    return module.split(".")[0]


def told(faults: list[Import]) -> str:
    return "\n".join(str(each) for each in faults)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_arrows_go_down_only(room: str) -> None:
    faults = [
        each
        for each in OUR_OWN
        if part_of(each.by) == room and part_of(each.target) not in MAY_IMPORT[room]
    ]
    assert not faults, told(faults)


@pytest.mark.parametrize(("room", "levels"), [("engine", ENGINE), ("http", HTTP)])
def test_arrows_in_a_room_go_down_only(room: str, levels: list[set[str]]) -> None:
    height = {part: level for level, parts in enumerate(levels) for part in parts}
    faults = [
        each
        for each in OUR_OWN
        if part_of(each.by) == part_of(each.target) == room
        if (by := inner_part_of(each.by)) and (target := inner_part_of(each.target))
        if by != target and height[by] <= height[target]
    ]
    assert not faults, told(faults)


def test_other_rooms_come_in_by_the_front_door() -> None:
    faults = [
        each
        for each in OUR_OWN
        if part_of(each.target) in MAY_IMPORT.keys() - {part_of(each.by)}
        and each.target != f"stenograph.{part_of(each.target)}"
    ]
    assert not faults, told(faults)


def test_which_journal_is_used_is_decided_in_one_place() -> None:
    """Others know the protocol; reading a file, and not writing one, is anybody's."""
    choosing = {
        name_of(path)
        for path in MODULES
        for each in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(each, ast.ImportFrom) and each.module == "stenograph.journal"
        if any(alias.name in JOURNALS for alias in each.names)
    }
    assert choosing == {"stenograph.opening"}


def test_nothing_imports_the_command_line() -> None:
    faults = [
        each
        for each in OUR_OWN
        if part_of(each.target) == "cli"
        and part_of(each.by) != "cli"
        and each.by != "stenograph.__main__"
    ]
    assert not faults, told(faults)


def test_workflows_import_what_a_users_own_code_would() -> None:
    faults = [
        each
        for each in OUR_OWN
        if part_of(each.by) == "workflows"
        and not (each.target == "stenograph" or part_of(each.target) == "workflows")
    ]
    assert not faults, told(faults)


def test_the_core_is_pure() -> None:
    core = {name for name in NAMES if part_of(name) == "engine" and inner_part_of(name) in PURE}
    reached = core_and_what_it_imports(core)
    faults = [each for each in IMPORTS if each.by in reached and root(each.target) in IMPURE]
    guilty = {each.by for each in faults}
    ways_there = [each for each in OUR_OWN if each.by in reached and each.target in guilty]
    assert not faults, told(faults + ways_there)


def test_http_is_the_standard_librarys() -> None:
    assert Path(str(http.__file__)).is_relative_to(sysconfig.get_path("stdlib"))


def test_no_file_calls_our_http_by_the_standard_librarys_name() -> None:
    """`from stenograph import http` would hide the standard library's in that file."""
    faults = [
        each
        for path in MODULES
        for each in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(each, ast.ImportFrom) and each.module == "stenograph"
        if any(alias.name == "http" and alias.asname is None for alias in each.names)
    ]
    assert not faults


def test_the_tests_are_no_package() -> None:
    """With one, `tests/` could come onto `sys.path`, and `tests/http` would hide `http`."""
    assert not list(TESTS.rglob("__init__.py"))
