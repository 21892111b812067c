"""Break the engine in fifteen ways, one at a time, and see the tests turn red: ``make mutants``.

Each mutant is the source with a few words changed, in a copy of the tree; it counts as killed when
a test that passes without the change fails by an assertion with it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from msgspec import Struct

ROOT: Final = Path(__file__).parents[1]
NEEDED: Final = ("benchmarks", "docs", "stenograph", "tests")
FILES: Final = ("pyproject.toml", "README.md", "CHANGELOG.md", "Makefile")
ASSERTION: Final = re.compile(r"^E +(assert |AssertionError|Failed: DID NOT RAISE)", re.MULTILINE)
PASSED, FAILED = 0, 1
"""Pytest's exit codes: all passed, and some failed. All others say that they could not run."""
TIME_S: Final = 120
"""How long one mutant's tests may take."""


class CannotMutate(Exception):
    """A patch does not apply: the text that it changes is not there, or more than once."""


class Mutant(Struct, frozen=True):
    """One fault: in ``file`` each text of ``changes`` stands once, and is put as its second says.

    ``tests`` are the files, or tests, of which one at least must fail.
    """

    name: str
    file: str
    changes: tuple[tuple[str, str], ...]
    tests: tuple[str, ...]

    def applied(self, root: Path) -> str:
        """Return the file's text with the fault in it; raises CannotMutate."""
        text = (root / self.file).read_text()
        for find, put in self.changes:
            if (times := text.count(find)) != 1:
                raise CannotMutate(f"{self.name}: {self.file} has this {times} times:\n{find}")
            text = text.replace(find, put)
        return text


JOURNAL: Final = "stenograph/journal"
ENGINE: Final = "stenograph/engine"
RUN: Final = "tests/engine/test_run.py"
TAILS: Final = "tests/journal/test_tails.py"

MUTANTS: Final = (
    Mutant(
        "publish before the commit",
        f"{JOURNAL}/handover.py",
        (
            (
                "            self._last = []\n            self._committed += 1\n            if",
                "            self._last = []\n            if",
            ),
            (
                "            self._last = [append for append, _ in batch]\n",
                "            self._last = [append for append, _ in batch]\n            self._committed += 1\n",
            ),
        ),
        (
            "tests/journal/test_fail_stop.py",
            "tests/journal/test_handover.py",
            "tests/journal/test_obstacles.py",
        ),
    ),
    Mutant(
        "no sync of a commit",
        f"{JOURNAL}/files.py",
        (('f"synchronous={durability}"', '"synchronous=off"'),),
        ("tests/journal/test_sqlite.py::test_the_file_is_as_durable_as_was_asked",),
    ),
    Mutant(
        "a seq may be there twice",
        f"{JOURNAL}/schema.sql",
        (("    data BLOB NOT NULL,\n    UNIQUE (stream, seq)\n", "    data BLOB NOT NULL\n"),),
        ("tests/journal/test_fail_stop.py",),
    ),
    Mutant(
        "an edge is taken twice",
        f"{ENGINE}/core/leaving.py",
        (
            (
                "            steps.emit(transition(place, way))\n",
                "            steps.emit(transition(place, way))\n" * 2,
            ),
        ),
        ("tests/engine/test_decide.py", "tests/engine/test_engine.py"),
    ),
    Mutant(
        "the lock is not taken",
        f"{JOURNAL}/lock.py",
        (("        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n", "        pass\n"),),
        ("tests/journal/test_lock.py",),
    ),
    Mutant(
        "a record may be changed",
        f"{JOURNAL}/schema.sql",
        (("BEFORE UPDATE ON record\nWHEN NOT (", "BEFORE UPDATE ON record\nWHEN 0 AND NOT ("),),
        ("tests/journal/test_sqlite.py::test_what_was_written_cannot_be_changed",),
    ),
    Mutant(
        "a fold asks the condition again",
        f"{ENGINE}/core/folding_scopes.py",
        (
            (
                '    if not taken.fork and not taken.to.startswith("$"):\n        aim(run, scope, taken.to)\n',
                '    if not taken.fork and not taken.to.startswith("$"):\n        aim(run, scope, _again(scope, taken))\n'
                "\n\ndef _again(scope: Scope, taken: TransitionTaken) -> str:\n"
                "    from stenograph.engine.conditions.expression_lookup import View\n"
                "    from stenograph.engine.core.edges import compile_graph\n\n"
                "    for each in compile_graph(scope.graph).nodes[taken.node].edges:\n"
                '        if each.condition is not None and hasattr(each.condition, "evaluate"):\n'
                "            verdict = each.condition.evaluate(View(scope.state))\n"
                "            if verdict.truth is not each.negated:\n"
                "                return each.edge.targets[0]\n"
                "    return taken.to\n",
            ),
        ),
        (f"{RUN}::test_a_fold_goes_the_way_that_was_taken_whatever_its_condition_would_say_now",),
    ),
    Mutant(
        "expected_seq is ignored",
        f"{JOURNAL}/writer.py",
        (("        if head.seq != append.expected_seq:\n", "        if False:\n"),),
        ("tests/journal/test_writer.py", "tests/journal/test_contract.py"),
    ),
    Mutant(
        "a finished node is begun again",
        f"{ENGINE}/core/folding_scopes.py",
        (("        aim(run, scope, taken.to)\n", "        aim(run, scope, taken.node)\n"),),
        (f"{RUN}::test_a_fold_goes_the_way_that_was_taken_whatever_its_condition_would_say_now",),
    ),
    Mutant(
        "each attempt has an idempotency key of its own",
        f"{ENGINE}/tools/context.py",
        (('{self.node}/{self.visit}"', '{self.node}/{self.visit}/{self.attempt}"'),),
        ("tests/engine/test_context.py",),
    ),
    Mutant(
        "the hand-over from past to live loses events",
        f"{JOURNAL}/feed.py",
        (("after = cursor(page[-1])", "after = max(cursor(page[-1]), last)"),),
        (f"{TAILS}::test_what_comes_after_a_long_past_follows_it_without_a_gap",),
    ),
    Mutant(
        "a cursor is off by one",
        f"{JOURNAL}/ring.py",
        (("start = after + 1 - first", "start = after + 2 - first"),),
        ("tests/journal/test_ring.py", "tests/journal/test_contract.py"),
    ),
    Mutant(
        "a hash leaves out the one before",
        f"{JOURNAL}/sealing.py",
        (("link_digest(run_id, seq, previous, at,", "link_digest(run_id, seq, GENESIS, at,"),),
        ("tests/journal/test_contract.py", "tests/journal/test_record.py"),
    ),
    Mutant(
        "what failed is acknowledged",
        f"{JOURNAL}/sqlite.py",
        (
            (
                "            self._handover.refuse_last(self._hindered(error))\n",
                "            self._handover._last = []\n"
                "            self._handover._committed += 1\n"
                "            self._handover.acknowledge()\n",
            ),
        ),
        ("tests/journal/test_fail_stop.py", "tests/journal/test_obstacles.py"),
    ),
    Mutant(
        "a run that is being cancelled begins nodes",
        f"{ENGINE}/core/standing.py",
        (
            (
                "scope is None or run.status not in GOING else scope.position\n",
                'scope is None or run.status not in (*GOING, "cancelling") else scope.position\n',
            ),
        ),
        ("tests/engine/test_decide.py",),
    ),
)


def main() -> int:
    """Run all, and print a line for each; the exit code is 0 when every one was killed."""
    with TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder) / "tree"
        copy(tree)
        everything = sorted({test for mutant in MUTANTS for test in mutant.tests})
        code, said = run_tests(tree, everything, "-x")
        if code != PASSED:
            print(said, "the tests fail without a mutant", sep="\n", file=sys.stderr)
            return 1
        killed = sum(is_killed(mutant, tree, number) for number, mutant in enumerate(MUTANTS, 1))
    print(f"{killed}/{len(MUTANTS)}")
    return 0 if killed == len(MUTANTS) else 1


def copy(tree: Path) -> None:
    """Copy what the tests need."""
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    for name in NEEDED:
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, tree / name)


def is_killed(mutant: Mutant, tree: Path, number: int) -> bool:
    """Put the fault into the tree, run the tests that must see it, and take it out again."""
    file = tree / mutant.file
    sound = file.read_text()
    file.write_text(mutant.applied(tree))
    began = time.monotonic()
    try:
        code, said = run_tests(tree, mutant.tests, "--maxfail=5")
    finally:
        file.write_text(sound)
    killed = code == FAILED and ASSERTION.search(said) is not None
    by = re.search(r"^FAILED (\S+)", said, re.MULTILINE)
    told = f"killed by {by[1]}" if killed and by else f"SURVIVED (pytest's exit code {code})"
    print(f"{number:2} {mutant.name}: {told} ({time.monotonic() - began:.0f} s)", flush=True)
    return killed


def run_tests(tree: Path, tests: tuple[str, ...] | list[str], *options: str) -> tuple[int, str]:
    """Run tests against the copy; returns pytest's exit code, or -1 out of time, and its words."""
    plain = ("-n0", "-q", "--tb=short", "-p", "no:cacheprovider", "-W", "ignore")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *plain, *options, *tests],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIME_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return -1, str(late)
    return done.returncode, done.stdout


if __name__ == "__main__":
    sys.exit(main())
