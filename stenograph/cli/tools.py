"""Where tools come from: installed packages that offer some, and modules named by the user."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, TypeVar

import click

from stenograph.cli.failures import USAGE, Failure
from stenograph.cli.output import talk
from stenograph.cli.settings import settings
from stenograph.cli.text import printable

if TYPE_CHECKING:
    from stenograph.engine import Predicate, Source, Tool

GROUP: Final = "stenograph.tools"
"""The entry-point group; each of its entries is a module that holds tools."""

F = TypeVar("F", bound=Callable[..., object])


def tools_option(command: F) -> F:
    """Let a command take ``--tools``."""
    return click.option(
        "--tools",
        "modules",
        multiple=True,
        metavar="MODULE",
        help="A module with tools, or a .py file; again for more.",
    )(command)


def load_tools(names: Sequence[str]) -> list[Source]:
    """Return the tools of the modules named and of the entry points; raises Failure.

    Of two of one name, one in a module named here wins over that of an installed package, and
    that over one of our samples: nobody's own tools are locked out by what comes with another.
    """
    installed = {
        entry.value: imported(entry.load, f"{entry.value}, which an installed package offers")
        for entry in entry_points(group=GROUP)
    }
    if names:
        # Last, so that no file of the user's hides a module of Python's own.
        sys.path.append(str(Path.cwd()))
    found = [each for name in names for each in held_by(named(name))]
    samples = {value for value in installed if value.startswith("stenograph.")}
    for values in (installed.keys() - samples, samples):
        taken = {(type(each), each.name): each for each in found}
        for value in sorted(values):
            found += not_taken(installed[value], value, taken)
    return list(found)


def not_taken(
    module: ModuleType, value: str, taken: Mapping[tuple[type, str], Tool | Predicate]
) -> list[Tool | Predicate]:
    """Return what a module holds but for what has a name that is taken, and say what that is."""
    held = held_by(module)
    free = [each for each in held if taken.get((type(each), each.name), each) is each]
    lost = sorted({each.name for each in held if each not in free})
    if lost and not settings().quiet:
        talk(
            f"-- left out, as others here have these names: {printable(', '.join(lost))} of {value}"
        )
    return free


def held_by(module: ModuleType) -> list[Tool | Predicate]:
    """Return the tools and predicates in a module."""
    from stenograph.engine import Predicate, Tool

    return [each for each in vars(module).values() if isinstance(each, Tool | Predicate)]


def named(name: str) -> ModuleType:
    """Return the module of a name, or of a .py file; raises Failure when it holds no tools."""
    if name.endswith(".py"):
        module = imported(lambda: load_file(Path(name).resolve()), name)
    else:
        module = imported(lambda: import_module(name), name)
    if not held_by(module):
        raise Failure(f"{name} holds no tools: decorate its functions with @stenograph.tool", USAGE)
    return module


def load_file(path: Path) -> ModuleType:
    """Return a module made from a file; what stands beside it can be imported by it."""
    other = f"{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    for known in filter(None, (sys.modules.get(path.stem), sys.modules.get(other))):
        file = getattr(known, "__file__", None)
        if file is not None and Path(file).resolve() == path:
            return known  # named twice, maybe as a module and as a file
    name = other if path.stem in sys.modules else path.stem
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    sys.path.append(str(path.parent))
    spec.loader.exec_module(module)
    return module


def imported(load: Callable[[], ModuleType], what: str) -> ModuleType:
    """Return what ``load`` does; raises Failure, which says why it cannot be imported."""
    try:
        return load()
    except (Exception, SystemExit) as error:
        why = f"{type(error).__name__}: {error}"
        raise Failure(f"cannot import {what}: {why}{where(error)}", USAGE) from error


def where(error: BaseException) -> str:
    """Return the file and line that raised an error, unless that is Python's own importing."""
    frames: Iterable[traceback.FrameSummary] = traceback.extract_tb(error.__traceback__)
    theirs = [
        frame
        for frame in frames
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    return f" ({theirs[-1].filename}, line {theirs[-1].lineno})" if theirs else ""
