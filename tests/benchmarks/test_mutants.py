"""The mutants: each still has its place in the source, so that `make mutants` says something."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.mutants import ASSERTION, MUTANTS, ROOT, CannotMutate, Mutant


def test_there_are_fifteen_mutants() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == 15


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_mutant_still_applies_and_its_tests_are_there(mutant: Mutant) -> None:
    text = mutant.applied(ROOT)
    assert text != (ROOT / mutant.file).read_text()
    if mutant.file.endswith(".py"):
        compile(text, mutant.file, "exec")
    assert all(is_there(*test.split("::")) for test in mutant.tests)


def is_there(file: str, test: str = "") -> bool:
    return f"def {test}" in (ROOT / file).read_text()


def test_a_mutant_that_does_not_apply_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    for find in ("x = 1", "y = 1"):
        with pytest.raises(CannotMutate, match=r"lost: a\.py has this [02] times"):
            Mutant("lost", "a.py", ((find, "z"),), ()).applied(tmp_path)


def test_only_an_assertion_kills() -> None:
    assert ASSERTION.search("E       assert 1 == 2")
    assert ASSERTION.search("E   Failed: DID NOT RAISE KeyError")
    assert not ASSERTION.search("E   ImportError: no assert here")
