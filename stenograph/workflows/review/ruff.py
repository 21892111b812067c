"""Ruff, the installed program: asked over stdin what it finds in a source, and for its safe fixes.

It reads no configuration, cache or ``RUFF_…`` variable, so that a source gets the same answer in
every directory.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from stenograph.workflows.review import processes
from stenograph.workflows.review.scoring import SELECTED

TARGET: Final = "py311"
"""The Python that a source is read for: an old one, so that no safe fix asks for a newer."""

NEWEST: Final = f"py3{min(sys.version_info.minor, 14)}"
"""The Python for a source whose grammar is newer than TARGET: ours, or the newest ruff knows well."""

LINE_LENGTH: Final = 100
TEXT_MAX: Final = 300
"""Most characters of a message or name; both quote the source."""

Fixable: TypeAlias = Literal["safe", "unsafe", "no"]

_COMPLEXITY: Final = re.compile(r"`(?P<name>.*)` is too complex \((?P<number>\d+) > \d+\)")
_FIXED: Final = re.compile(r"(?:Would fix|Fixed) (\d+) error")


class RuffMissing(RuntimeError):
    """Ruff is not installed where this Python can find it."""

    def __init__(self) -> None:
        super().__init__(
            'the code review measures with ruff, which is not installed: pip install "stenograph[workflows]"'
        )


class RuffFailed(RuntimeError):
    """Ruff itself could not do what it was asked."""


class Issue(Struct, frozen=True):
    """What one rule says of one place; ``line`` and ``column`` count from 1."""

    rule: str
    message: str
    line: int
    column: int
    fixable: Fixable
    url: str | None = None


class Complexity(Struct, frozen=True):
    """A function's McCabe complexity, from 1; ``line`` is that of its name."""

    name: str
    line: int
    complexity: int


class Lint(Struct, frozen=True):
    """All that ruff found. ``cut`` says that there was more than was read."""

    issues: list[Issue]
    functions: list[Complexity]
    target: str
    cut: bool


class Fixes(Struct, frozen=True):
    """A fixed source, how many issues that took, and a unified diff that leads to it."""

    code: str
    count: int
    diff: str


async def version() -> str:
    """Return what ruff calls itself, such as ``ruff 0.17.5``."""
    return (await _run(["--version"], "", ok=(0,))).stdout.decode().strip()


async def lint(code: str, path: str = "", *, newest: str = NEWEST) -> Lint:
    """Return ruff's issues, in order of place, and the complexity of every function.

    ``path`` matters in its last part: ruff has rules of its own for ``__init__.py`` and stubs.
    Raises RuffMissing, RuffFailed and TimeoutError.
    """
    found = await _lint(code, path, TARGET)
    if not _is_broken(found) or newest == TARGET:
        return found
    newer = await _lint(code, path, newest)
    return found if _is_broken(newer) else newer


async def fix(code: str, rules: Iterable[str], *, path: str = "", target: str = TARGET) -> Fixes:
    """Apply the fixes of these rules that ruff holds to be safe. Raises as ``lint`` does."""
    options = [*_options(",".join(rules), path, target), "-"]
    fixed = await _run(["check", "--fix-only", *options], code, ok=(0,))
    shown = await _run(["check", "--diff", *options], code, ok=(0, 1))
    count = _FIXED.search(shown.stderr)
    diff = shown.stdout.decode().rstrip("\n")  # it ends with an empty line that no patch has
    return Fixes(
        code=fixed.stdout.decode(),
        count=int(count[1]) if count else 0,
        diff=diff and diff + "\n",
    )


class _Place(Struct):
    row: int
    column: int


class _Fix(Struct):
    applicability: str


class _Diagnostic(Struct):
    code: str | None
    message: str
    location: _Place | None
    fix: _Fix | None = None
    url: str | None = None


_LINES: Final = msgspec.json.Decoder(_Diagnostic)


async def _lint(code: str, path: str, target: str) -> Lint:
    options = _options(",".join(SELECTED), path, target)
    command = ["check", "--exit-zero", "--no-fix", "--output-format", "json-lines", *options, "-"]
    output = await _run(command, code, ok=(0,), may_be_cut=True)
    whole, _, _ = output.stdout.rpartition(b"\n")  # what was cut may end inside a line
    issues: list[Issue] = []
    functions: list[Complexity] = []
    for found in _LINES.decode_lines(whole):
        if found.code == "C901":
            functions.append(_complexity(found))
        else:
            issues.append(_issue(found))
    return Lint(issues, functions, target, output.cut)


def _options(select: str, path: str, target: str) -> Sequence[str]:
    return [
        *("--isolated", "--no-cache", "--select", select),
        *("--target-version", target, "--line-length", str(LINE_LENGTH)),
        *("--config", "src=[]"),  # else a folder of that name in the current one is first-party
        *("--config", "lint.mccabe.max-complexity=0"),  # 0: each function's number is told
        *("--stdin-filename", _filename(path)),
    ]


def _filename(path: str) -> str:
    name = re.split(r"[/\\]", path)[-1]
    if name in ("__init__.py", "__init__.pyi"):
        return name
    return "source.pyi" if name.endswith(".pyi") else "source.py"


async def _run(
    arguments: Sequence[str], code: str, *, ok: tuple[int, ...], may_be_cut: bool = False
) -> processes.Output:
    output = await processes.run([_find(), *arguments], code.encode(), env=_environment())
    if output.cut and may_be_cut:
        return output
    if output.cut or output.code not in ok:
        reason = output.stderr.split() or [f"exit code {output.code}"]
        raise RuffFailed(f"ruff failed: {' '.join(reason)[:1000]}")
    return output


def _find() -> str:
    try:
        return str(import_module("ruff").find_ruff_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("ruff")
    if found is None:
        raise RuffMissing
    return found


def _environment() -> dict[str, str]:
    # RUFF_OUTPUT_FILE and its like would send the answer elsewhere, or change it.
    return {name: value for name, value in os.environ.items() if not name.startswith("RUFF_")}


def _is_broken(found: Lint) -> bool:
    return any(issue.rule == "invalid-syntax" for issue in found.issues)


def _issue(found: _Diagnostic) -> Issue:
    fixable: Fixable = "no"
    if found.fix is not None and found.fix.applicability != "display":
        fixable = "safe" if found.fix.applicability == "safe" else "unsafe"
    place = found.location or _Place(1, 1)
    return Issue(
        rule=found.code or "invalid-syntax",
        message=found.message[:TEXT_MAX],
        line=place.row,
        column=place.column,
        fixable=fixable,
        url=found.url,
    )


def _complexity(found: _Diagnostic) -> Complexity:
    told = _COMPLEXITY.search(found.message)
    assert told, f"ruff says a complexity in other words: {found.message}"
    line = found.location.row if found.location else 1
    return Complexity(told["name"][:TEXT_MAX], line, int(told["number"]))
