"""All benchmarks, one after the other, each in a process of its own: ``make bench``.

What they say is kept in RESULTS.md and the charts, with date, machine, versions and commit.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from benchmarks.figures import Report, Skipped, folder, options
from benchmarks.machine import facts
from benchmarks.processes import ROOT
from benchmarks.results import Section, keep

FAILED: Final = "its script failed"
SCRIPTS: Final = (
    "append",
    "steps",
    "cpu",
    "pure",
    "state",
    "late",
    "replay",
    "state_at",
    "busy",
    "cores",
    "live",
    "catch_up",
    "http_runs",
    "start",
    "memory",
    "disk",
)


def main() -> int:
    """Measure, keep what came of it, and return how many scripts failed."""
    parser = options(__doc__)
    parser.add_argument("--peers", action="store_true", help="beside other engines instead")
    parser.add_argument("--out", type=folder, help="of the results [that of this script]")
    asked = parser.parse_args()
    if asked.quick and not asked.out:
        parser.error("--quick measures nothing worth keeping: name another folder with --out")
    taken = facts(asked.folder)
    whole = Report(figures=[], skipped=[])
    for report in reports(("peers",) if asked.peers else SCRIPTS, passed_on(asked)):
        whole.figures += report.figures
        whole.skipped += report.skipped
    if whole.figures:  # or what is kept would be replaced by nothing
        out = asked.out or Path(__file__).parent
        keep(out, "peers" if asked.peers else "bench", Section(taken, whole))
    return sum(each.why == FAILED for each in whole.skipped)


def passed_on(asked: argparse.Namespace) -> list[str]:
    """Return the options that go to each script."""
    words = ["--quick"] * asked.quick
    for name in ("rounds", "seconds", "folder"):
        if value := getattr(asked, name):
            words += [f"--{name}", str(value.resolve() if isinstance(value, Path) else value)]
    return words


def reports(scripts: Sequence[str], words: Sequence[str]) -> Iterator[Report]:
    """Yield what each script says; it prints it too."""
    for name in scripts:
        with TemporaryDirectory() as own:
            file = Path(own) / "figures.json"
            script = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(file), *words]
            with subprocess.Popen(script, cwd=ROOT) as started:  # run() would kill it at a Ctrl-C
                code = started.wait()
            if code == 0:
                yield msgspec.json.decode(file.read_bytes(), type=Report)
            else:
                yield Report(figures=[], skipped=[Skipped(name, FAILED)])


if __name__ == "__main__":
    sys.exit(main())
