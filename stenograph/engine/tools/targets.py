"""Where a function stands, so that another process can find it: a module, its file, and a name."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from operator import attrgetter
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Final

from msgspec import Struct

from stenograph.engine.errors import ToolRefused

MAIN: Final = "__mp_main__"
"""What the script that was started is called in other processes, as with multiprocessing."""


class Target(Struct, frozen=True):
    """A function: ``name`` is a path of attributes in ``module``, which was loaded from ``file``."""

    module: str
    name: str
    file: str | None


def check_findable(tool: str, function: Any) -> None:
    """Raise ToolRefused for what no other process could find: it has no name in a module."""
    if not isinstance(function, FunctionType | BuiltinFunctionType | MethodType):
        raise _refusal(tool, f"it is an object of type {type(function).__name__}")
    if isinstance(function, MethodType) and not isinstance(function.__self__, type):
        raise _refusal(tool, "it is a method of one object")
    if "<lambda>" in function.__qualname__:
        raise _refusal(tool, "it is a lambda")
    if "<locals>" in function.__qualname__:
        raise _refusal(tool, "it is defined inside another function")


def target_of(tool: str, function: Any) -> Target:
    """Return where a function is found; raises ToolRefused when something else is there."""
    check_findable(tool, function)
    home, name = function.__module__, function.__qualname__
    module = sys.modules.get(home)
    if module is None:
        raise _refusal(tool, f"its module {home} is not among the imported ones")
    found = _look_up(module, name)
    if function not in (found, getattr(found, "function", None)):
        raise _refusal(tool, f"{home}.{name} is not this function")
    file = getattr(module, "__file__", None)
    path = None if file is None else os.path.abspath(file)
    if home != "__main__":
        return Target(home, name, path)
    spec = module.__spec__
    if spec is not None and spec.name != "__main__":  # python -m
        return Target(spec.name, name, path)
    if path is None or not os.path.exists(path):
        raise _refusal(tool, "it was typed into a session, not written in a file")
    return Target(MAIN, name, path)


def resolve(target: Target) -> Any:
    """Return what stands at a target, once its module is loaded; raises what the loading raises."""
    module = _load(target.module, target.file)
    return attrgetter(target.name)(module)


def _load(name: str, file: str | None) -> ModuleType:
    known = sys.modules.get(name)
    if known is not None and _is_from(getattr(known, "__file__", None), file):
        return known
    if file is None or _is_from(_origin(name), file):
        return import_module(name)
    spec = spec_from_file_location(name, file) or spec_from_file_location(
        name, file, loader=SourceFileLoader(name, file)
    )
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _is_from(one: str | None, other: str | None) -> bool:
    return one == other or (None not in (one, other) and os.path.abspath(str(one)) == other)


def _origin(name: str) -> str | None:
    """Return the file that an import of that name would load."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    return None if spec is None else spec.origin


def _look_up(module: ModuleType, name: str) -> Any:
    found: Any = module
    for key in name.split("."):
        found = getattr(found, key, None)
    return found


def _refusal(tool: str, why: str) -> ToolRefused:
    return ToolRefused(
        f"tool {tool!r} cannot run in a process of its own: {why}; "
        "write it with def at the top of a module"
    )
