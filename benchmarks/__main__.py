"""All benchmarks, one after the other, each in a process of its own: ``make bench``.

What they say is kept in RESULTS.md and the charts, with date, machine, versions and commit; options
that are not known here go to each script.
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

from benchmarks.figures import Report, Skipped
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
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--peers", action="store_true", help="beside other engines instead")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="of the results")
    asked, options = parser.parse_known_args()
    scripts = ("peers",) if asked.peers else SCRIPTS
    taken = facts()
    whole = Report(figures=[], skipped=[])
    for report in reports(scripts, options):
        whole.figures += report.figures
        whole.skipped += report.skipped
    keep(asked.out, "peers" if asked.peers else "bench", Section(taken, whole))
    return sum(each.why == FAILED for each in whole.skipped)


def reports(scripts: Sequence[str], options: Sequence[str]) -> Iterator[Report]:
    """Yield what each script says; it prints it too."""
    for name in scripts:
        with TemporaryDirectory() as folder:
            file = Path(folder) / "figures.json"
            words = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(file), *options]
            done = subprocess.run(words, cwd=ROOT, check=False)
            if done.returncode == 0:
                yield msgspec.json.decode(file.read_bytes(), type=Report)
            else:
                yield Report(figures=[], skipped=[Skipped(name, FAILED)])


if __name__ == "__main__":
    sys.exit(main())
