from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from stenograph.workflows.review import processes, ruff
from stenograph.workflows.review.scoring import SELECTED
from tests.workflows.reviewing import module_source

UNTIDY = "import sys\nimport os\n\nclass A(object):\n    x = list(a for a in os.environ)\n"


def rules(lint: ruff.Lint) -> set[str]:
    return {issue.rule for issue in lint.issues}


async def test_an_issue_has_its_rule_place_and_words() -> None:
    found = await ruff.lint("import os\n")
    unused = next(issue for issue in found.issues if issue.rule == "F401")
    assert (unused.line, unused.column, unused.fixable) == (1, 8, "safe")
    assert unused.message == "`os` imported but unused"
    assert unused.url == "https://docs.astral.sh/ruff/rules/unused-import"


async def test_an_issue_says_whether_ruff_can_fix_it_and_how_surely() -> None:
    found = await ruff.lint("import os\ndef f(a=[]):\n    x = None == a\n    return lambda: y\n")
    fixable = {issue.rule: issue.fixable for issue in found.issues}
    assert (fixable["F401"], fixable["B006"], fixable["F821"]) == ("safe", "unsafe", "no")


async def test_every_function_has_its_complexity() -> None:
    found = await ruff.lint("def one(): ...\n\n\ndef two(x):\n    return 1 if x else 2\n")
    assert [(one.name, one.line, one.complexity) for one in found.functions] == [
        ("one", 1, 1),
        ("two", 4, 1),
    ]
    assert "C901" not in rules(found)


async def test_ruff_knows_every_rule_that_it_is_asked_for() -> None:
    for rule in SELECTED:
        assert await ruff.fix("x = 1\n", [rule]) == ruff.Fixes("x = 1\n", 0, "")


async def test_what_ruff_says_of_a_large_module_is_of_rules_it_was_asked_for() -> None:
    found = await ruff.lint(module_source("turtle"))
    assert found.issues
    assert all(rule.startswith(SELECTED) for rule in rules(found))
    assert [issue.line for issue in found.issues] == sorted(issue.line for issue in found.issues)


async def test_the_answer_is_the_same_in_every_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await ruff.lint("import pytest\nimport alpha\nimport os\n")
    (tmp_path / "ruff.toml").write_text("[lint]\nignore = ['F', 'I']\n")
    (tmp_path / "pytest").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUFF_OUTPUT_FILE", str(tmp_path / "elsewhere"))
    assert await ruff.lint("import pytest\nimport alpha\nimport os\n") == before
    fixed = await ruff.fix("import pytest\nimport alpha\nimport os\n", ["I"])
    assert fixed.code == "import os\n\nimport alpha\nimport pytest\n"


async def test_broken_python_has_issues_like_any_other() -> None:
    found = await ruff.lint("def f(:\n", newest="py314")
    assert rules(found) >= {"invalid-syntax"}
    assert found.target == ruff.TARGET


async def test_a_newer_grammar_is_read_as_the_newest_python() -> None:
    found = await ruff.lint("type X = int\n", newest="py312")
    assert "invalid-syntax" not in rules(found)
    assert found.target == "py312"


async def test_on_the_oldest_python_there_is_no_newer_grammar() -> None:
    found = await ruff.lint("type X = int\n", newest=ruff.TARGET)
    assert "invalid-syntax" in rules(found)


async def test_an_import_that_a_package_s_front_door_makes_is_not_removed() -> None:
    inside = await ruff.lint("import os\n", "pkg/__init__.py")
    assert [issue.fixable for issue in inside.issues if issue.rule == "F401"] != ["safe"]
    assert (await ruff.fix("import os\n", ["F401"], path=r"C:\pkg\__init__.py")).count == 0


async def test_a_stub_is_read_as_one() -> None:
    code = "import enum\n\n\nclass A(B): ...\n\n\nclass B(enum.Enum): ...\n"
    assert "F821" in rules(await ruff.lint(code, "module.py"))
    assert "F821" not in rules(await ruff.lint(code, "module.pyi"))


async def test_only_the_safe_fixes_of_the_wanted_rules_are_applied() -> None:
    fixed = await ruff.fix(UNTIDY, ["UP004", "C400"])
    assert fixed.code == UNTIDY.replace("(object)", "")
    assert fixed.count == 1
    assert fixed.diff.splitlines()[-3:] == [
        "-class A(object):",
        "+class A:",
        "     x = list(a for a in os.environ)",
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
async def test_line_ends_and_a_byte_order_mark_stay(end: str) -> None:
    code = "\ufeff" + UNTIDY.replace("\n", end)
    assert (await ruff.fix(code, ["UP004"])).code == code.replace("(object)", "")


async def test_what_ruff_cannot_do_is_told_in_its_words() -> None:
    with pytest.raises(ruff.RuffFailed, match=r"ruff failed: .*X999"):
        await ruff.fix("x = 1\n", ["X999"])


async def test_a_fixed_source_that_is_not_whole_is_no_fix() -> None:
    with pytest.raises(ruff.RuffFailed, match=r"ruff failed: exit code"):
        await ruff.fix("#" * (processes.OUTPUT_MAX + 100_000), ["UP004"])


async def test_ruff_says_its_version() -> None:
    assert (await ruff.version()).startswith("ruff ")


async def test_a_ruff_on_the_path_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(import_module("ruff").find_ruff_bin()).parent))
    monkeypatch.setitem(sys.modules, "ruff", None)
    assert (await ruff.version()).startswith("ruff ")


async def test_without_ruff_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "ruff", None)
    with pytest.raises(ruff.RuffMissing, match=r'pip install "stenograph\[workflows\]"'):
        await ruff.lint("x = 1\n")
