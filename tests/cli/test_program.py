"""The program as a whole: its help, its version, what it does not load, its page in the docs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

import stenograph
from stenograph.cli import main
from tests.cli.running import ROOT, environment, steno, steno_process

HEAVY = ("litestar", "uvicorn", "aiosqlite", "rich", "httpx", "websockets", "stenograph.engine")
PAGE = ROOT / "docs" / "cli.md"


@pytest.mark.parametrize(
    ("words", "env"),
    [
        (["--help"], {}),
        (["tail", "--help"], {}),
        (["--version"], {}),
        (["nope"], {}),
        ([], {"_STENO_COMPLETE": "bash_complete", "COMP_WORDS": "steno ta", "COMP_CWORD": "1"}),
    ],
)
def test_help_version_and_completion_load_nothing_heavy(
    words: list[str], env: dict[str, str]
) -> None:
    code = f"""
import sys
from stenograph.cli import main
try:
    main({words!r}, prog_name="steno")
finally:
    print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(**env),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines()[-1] == "[]"
    assert "tail" in done.stdout or "nope" in words or "--version" in words


def test_it_tells_its_version() -> None:
    for done in (steno("--version"), steno_process("--version")):
        assert (done.code, done.out) == (0, f"stenograph {stenograph.__version__}\n")


def test_commands_are_listed_in_the_order_they_are_learned_in() -> None:
    commands = steno("-h").out.partition("Commands:\n")[2].splitlines()
    names = [line.split()[0] for line in commands]
    assert names == [
        "serve", "demo", "run", "runs", "show", "tail", "replay", "sql",
        "why", "blame", "diff", "signal", "pause", "resume", "retry", "cancel", "fork",
        "migrate", "rerun", "export", "import", "pytest", "erase",
        "verify", "checkpoint", "backup", "check", "token",
    ]  # fmt: skip


def test_what_is_no_command_gives_2() -> None:
    done = steno("nope")
    assert (done.code, "No such command 'nope'" in done.err) == (2, True)


def test_what_nobody_expected_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("stenograph.cli.check.load_tools", broken)
    with pytest.raises(ZeroDivisionError):
        steno("check", "graph.json")


def options_of(command: click.Command) -> set[str]:
    told = [each for each in command.params if not getattr(each, "hidden", False)]
    return {name for parameter in told for name in parameter.opts if name[0] == "-"}


@pytest.mark.parametrize("name", ["steno", *main.commands])
def test_the_docs_tell_of_every_command_and_option(name: str) -> None:
    command = main if name == "steno" else main.commands[name]
    text = PAGE.read_text("utf-8")
    page = (
        text if name == "steno" else text.partition(f"\n## steno {name}\n")[2].partition("\n## ")[0]
    )
    shared = set() if name == "steno" else options_of(main) | {"--help"}
    parts = command.commands.values() if isinstance(command, click.Group) else ()
    inner = set() if name == "steno" else {o for part in parts for o in options_of(part)}
    own = (options_of(command) | inner) - shared
    assert page
    assert {option for option in own if f"`{option}" not in page} == set()


def test_the_docs_tell_of_every_exit_code() -> None:
    from stenograph.cli import failures

    table = PAGE.read_text("utf-8").partition("## Exit codes")[2]
    codes = {value for value in vars(failures).values() if isinstance(value, int)}
    assert {code for code in codes if f"\n| {code} |" not in table} == set()


def test_the_tests_use_the_source_of_this_checkout() -> None:
    assert Path(stenograph.__file__).is_relative_to(ROOT)


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["--url", "http://x", "serve"], "--url"),
        (["--output", "json", "demo"], "--output"),
        (["--db", "x", "check", "graph.json"], "--db"),
        (["-q", "demo"], "--quiet"),
    ],
)
def test_an_option_that_a_command_does_not_take_is_refused_before_it_too(
    words: list[str], option: str
) -> None:
    done = steno(*words)
    assert (done.code, f" takes no {option}\n" in done.err) == (2, True)
