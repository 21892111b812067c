"""Hints: what to type next works where it is read."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from stenograph.cli.hints import program, steno
from stenograph.cli.settings import Settings


def test_a_hint_asks_the_same_place() -> None:
    assert steno(Settings(db="my file.db"), "show", "r").endswith(" --db 'my file.db' show r")
    assert steno(Settings(url="http://x"), "show", "r").endswith(" --url http://x show r")
    assert steno(Settings(), "show", "r").endswith("m stenograph show r")


def test_the_program_goes_by_the_name_that_the_shell_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "steno"
    script.touch(0o755)
    monkeypatch.setattr(sys, "argv", [str(script)])
    assert program() == str(script)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert program() == "steno"
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "__main__.py")])
    assert program() == "python -m stenograph"
