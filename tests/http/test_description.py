"""What the API says of itself holds: generated requests are answered as it tells, and never by a 5xx.

Values that the description allows and values that it does not, sent to a real server; and
sequences of requests along its links, each with something out of the answer before.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from tests.figures import Figure
from tests.http.sensible import LINE, WAITS

ROOT: Final = Path(__file__).parents[2]
CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
CONFIG: Final = """\
[parameters]
"query.wait" = 0
"header.Prefer" = "wait=0"

[generation]
max-examples = 20

[phases.stateful.generation]
max-examples = 200
"""
"""Nobody has the time to wait as long as a request may ask."""


@contextmanager
def served(journal: Path) -> Iterator[str]:
    """Give the address of a server in a process of its own."""
    command = (sys.executable, "-m", "tests.http.process", str(journal))
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def test_requests_made_from_the_description_are_answered_as_it_tells(
    tmp_path: Path, figure: Figure
) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    with served(tmp_path / "steno.db") as url:
        for graph in (WAITS, LINE):
            httpx.post(f"{url}/graphs", json=graph).raise_for_status()
        told = subprocess.run(
            (
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
                *("--checks", ",".join(CHECKS), "--continue-on-failure", "--warnings", "off"),
                *("--seed", "7", "--no-shrink", "--request-timeout", "30", "--no-color"),
            ),
            cwd=tmp_path,
            env={
                **os.environ,
                "SCHEMATHESIS_HOOKS": "tests.http.sensible",
                "PYTHONPATH": str(ROOT),
            },
            capture_output=True,
            text=True,
            timeout=500,
        )
    assert told.returncode == 0, told.stdout[-20_000:] + told.stderr
    summary = told.stdout.partition("SUMMARY")[2]
    assert sorted(re.findall(r"✅ (\w+)", summary)) == [
        "Coverage",
        "Examples",
        "Fuzzing",
        "Stateful",
    ]
    [made] = re.findall(r"([\d,]+) generated", summary)
    [tested] = re.findall(r"Tested: (\d+)", summary)
    [links] = re.findall(r"(\d+) covered", told.stdout)
    figure(
        f"requests made from the description: {int(made):,}, of {tested} operations, along {links} "
        "kinds of links: 0 answers of 5xx, 0 that are not described"
    )
