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

from benchmarks.figures import Report, Skipped, folder
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
    parser.add_argument("--folder", type=folder, help="on the disk to measure [the temporary one]")
    asked, options = parser.parse_known_args()
    if asked.folder:
        options += ["--folder", str(asked.folder.resolve())]
    scripts = ("peers",) if asked.peers else SCRIPTS
    taken = facts(asked.folder)
    whole = Report(figures=[], skipped=[])
    for report in reports(scripts, options):
        whole.figures += report.figures
        whole.skipped += report.skipped
    if whole.figures:  # or what is kept would be replaced by nothing
        keep(asked.out, "peers" if asked.peers else "bench", Section(taken, whole))
    return sum(each.why == FAILED for each in whole.skipped)


def reports(scripts: Sequence[str], options: Sequence[str]) -> Iterator[Report]:
    """Yield what each script says; it prints it too."""
    for name in scripts:
        with TemporaryDirectory() as kept:
            file = Path(kept) / "figures.json"
            words = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(file), *options]
            with subprocess.Popen(words, cwd=ROOT) as started:  # run() would kill it at a Ctrl-C
                code = started.wait()
            if code == 0:
                yield msgspec.json.decode(file.read_bytes(), type=Report)
            else:
                yield Report(figures=[], skipped=[Skipped(name, FAILED)])


if __name__ == "__main__":
    sys.exit(main())
