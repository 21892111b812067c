"""Every snippet of README and docs/ is run as it stands; the word behind its language says how.

```python``` runs as a script, and a ```text output``` behind it is what that prints. ```sh``` blocks
of a page run as one script, in order, in a folder of their own; ```sh background``` keeps running
beside them; ```sh checkout``` runs in a copy of this checkout. ```json file=NAME``` (python, toml) is
written into the folder first. ```json graph``` must be a sound graph, ```json conditions``` a list
of conditions, any other ```json``` must parse. ```text``` is not run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec import Struct
from msgspec.structs import fields

import stenograph as st
from stenograph.engine import parse_graph
from stenograph.engine.conditions.expressions import compile_expression
from stenograph.engine.core.events import Payload
from stenograph.workflows import code_review
from tests.ports import port_8000

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EVENT = re.compile(r"^\| `([a-z._]+)` \|([^|]*)\|", re.MULTILINE)
KINDS = {
    "python",
    "sh",
    "sh background",
    "sh checkout",
    "json",
    "json graph",
    "json conditions",
    "text",
    "text output",
}
READY = (
    "for _ in $(seq 200); do curl -sf localhost:8000/readyz >/dev/null && break; sleep 0.1; done"
)


class Block(Struct, frozen=True):
    page: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    name = page.relative_to(ROOT).as_posix()
    return [
        Block(name, text.count("\n", 0, found.start()) + 1, found[1].strip(), found[2])
        for found in BLOCK.finditer(text)
    ]


BLOCKS = [block for page in PAGES if page.exists() for block in blocks_of(page)]
SCRIPTS = [page for page in PAGES if any(b.kind == "sh" for b in blocks_of(page))]


class AnyName:
    """Knows every name, as a page's graphs call tools that only its readers have."""

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> object:
        return iter(())

    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_is_named_is_there(page: Path) -> None:
    named = re.findall(r"tests/[a-z_/]+\.py", page.read_text("utf-8"))
    assert [each for each in named if not (ROOT / each).is_file()] == []


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_snippet_says_how_it_is_tested(block: Block) -> None:
    assert block.kind in KINDS or file_of(block), block.kind


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.kind.startswith("json")], ids=str)
def test_json_is_what_it_says(block: Block) -> None:
    data = json.loads(block.text)
    match block.kind:
        case "json graph":
            any_name: Any = AnyName()
            parse_graph(data, tools=any_name, predicates=any_name, graphs=any_name)
        case "json conditions":
            for condition in data:
                compile_expression(condition)
        case _:
            assert data


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.kind == "python"], ids=str)
def test_python_runs(block: Block, tmp_path: Path) -> None:
    write_files(ROOT / block.page, tmp_path)
    script = tmp_path / "snippet.py"
    script.write_text(block.text, "utf-8")
    printed = run([sys.executable, "-W", "error", str(script)], tmp_path, 60)
    if (expected := output_of(block)) is not None:
        assert printed == expected


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.kind == "sh checkout"], ids=str)
def test_commands_run_in_a_checkout(block: Block, tmp_path: Path) -> None:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    run(["bash", "-euo", "pipefail", "-c", block.text], tmp_path, 300)


@pytest.mark.parametrize("page", SCRIPTS, ids=lambda page: page.name)
def test_commands_run(page: Path, tmp_path: Path) -> None:
    write_files(page, tmp_path)
    script = ["set -eu", "trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT"]
    for block in blocks_of(page):
        if block.kind == "sh background":
            script += [f"{block.text.strip()} &", READY]
        elif block.kind == "sh":
            script += [f"echo '# {block}' >&2", block.text]
    with port_8000():
        run(["bash", "-c", "\n".join(script)], tmp_path, 300)


def test_every_file_that_a_page_names_is_there() -> None:
    named = {
        name
        for page in (*PAGES, ROOT / "SECURITY.md")
        for name in re.findall(
            r"\b(?:tests|benchmarks|docs)/[\w/]+\.(?:py|md|svg)\b", page.read_text("utf-8")
        )
    }
    assert len(named) > 20
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("kind", get_args(Payload), ids=lambda kind: kind.TYPE)
def test_the_page_of_events_tells_each_field_of_each_event(kind: Any) -> None:
    rows = {row[1]: row[2] for row in EVENT.finditer((ROOT / "docs/events.md").read_text("utf-8"))}
    told = rows[kind.TYPE].replace("place", "scope, node, visit, attempt")
    assert set(re.findall(r"\w+\??", told)) == {
        each.encode_name + "?" * (not each.required) for each in fields(kind)
    }


async def test_the_readmes_first_run_goes_round_and_gets_better(tmp_path: Path) -> None:
    """What its commands come to is what it says, not only that they do not fail."""
    page = ROOT / "README.md"
    write_files(page, tmp_path)
    graph = json.loads((tmp_path / "review.json").read_text())
    code = (tmp_path / "sample.py").read_text()
    async with st.open(":memory:", tools=[code_review]) as engine:
        run = await engine.run(graph, {"code": code})
    assert (run.status, run.state["stopped_by"]) == ("completed", "no-safe-fix")
    assert 0 < run.state["scores"][0] < run.state["scores"][-1]


def output_of(block: Block) -> str | None:
    """What a page says that a script prints, if it does."""
    blocks = blocks_of(ROOT / block.page)
    place = blocks.index(block) + 1
    following = blocks[place].kind if place < len(blocks) else ""
    return blocks[place].text if following == "text output" else None


def file_of(block: Block) -> str:
    """The name of the file that a block is written into, or nothing."""
    language, _, name = block.kind.partition(" file=")
    return name if language in ("json", "python", "toml") else ""


def write_files(page: Path, folder: Path) -> None:
    for block in blocks_of(page):
        if name := file_of(block):
            (folder / name).write_text(block.text, "utf-8")


def run(command: list[str], folder: Path, timeout_s: float) -> str:
    """Run a command, which must succeed; return what it prints."""
    binaries = Path(sys.executable).parent
    env = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
