"""`__all__` is the API: all in it is there, and what a front door fetches from behind is in it."""

from __future__ import annotations

import ast
import pkgutil
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import stenograph

INSIDE = pkgutil.walk_packages(stenograph.__path__, "stenograph.")
PACKAGES = ["stenograph", *(module.name for module in INSIDE if module.ispkg)]


def public_names(module: ModuleType) -> list[str]:
    return list(getattr(module, "__all__", ()))


def fetched_names(module: ModuleType) -> set[str]:
    """The public names that a front door imports from behind itself."""
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
    return {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("stenograph")
        for alias in node.names
        if not (alias.asname or alias.name).startswith("_")
    }


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_resolves(name: str) -> None:
    module = import_module(name)
    assert [each for each in public_names(module) if not hasattr(module, each)] == []


@pytest.mark.parametrize("name", PACKAGES)
def test_a_name_that_is_not_there_does_not_resolve(name: str) -> None:
    assert not hasattr(import_module(name), "no_such_name")


@pytest.mark.parametrize("name", PACKAGES)
def test_no_public_name_is_told_twice(name: str) -> None:
    names = public_names(import_module(name))
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", PACKAGES)
def test_a_front_door_fetches_nothing_that_it_does_not_offer(name: str) -> None:
    module = import_module(name)
    assert fetched_names(module) - set(public_names(module)) == set()
