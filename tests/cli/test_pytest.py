"""``steno pytest``: the tests that it writes are run by a real pytest, and fail as they should."""

from __future__ import annotations

import asyncio
import json
import keyword
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as some
from msgspec.structs import replace

import stenograph as st
from stenograph.cli.python_text import literal, text_literal
from stenograph.cli.replay_tests import INLINE_MAX_CHARS, name_of, source_of
from stenograph.engine import CannotRecord, Engine, decode, record_run
from stenograph.engine.playing.scripts import Step
from stenograph.journal import MemoryJournal
from stenograph.testing import (
    Did,
    Failed,
    RecordedRun,
    Returned,
    Signalled,
    TimeCame,
    read_recorded,
    replays,
)
from tests.cli.running import (
    PATIENCE_S,
    Done,
    Server,
    environment,
    graph_file,
    steno,
    steno_without_room,
)
from tests.cli.tools import COUNT
from tests.crashes import drive
from tests.graphs import LARGER, SAMPLES, TOOLS, Sample, chain, one, waiting

ALL = {**SAMPLES, **LARGER}
PLAIN = ("-p", "no:asyncio")
AUTO = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
BRANCH = {**SAMPLES["branch"].graph, "id": "branch"}


async def make(db: Path, samples: dict[str, Sample]) -> None:
    async with st.open(db, tools=TOOLS) as engine:
        for run_id, sample in samples.items():
            await drive(engine, sample, run_id)


def journal(folder: Path, **samples: Sample) -> Path:
    """Return a journal with a run of each sample."""
    db = folder / "steno.db"
    asyncio.run(make(db, samples))
    return db


def run_pytest(folder: Path, *words: str) -> Done:
    """Run all tests of a folder as somebody's own project would."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-W",
            "error",
            "-c",
            "pytest.ini",
            *(words or PLAIN),
        ],
        cwd=folder,
        env=environment(COLUMNS="200"),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def ruff(*words: object) -> str:
    command = [sys.executable, "-m", "ruff", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def is_clean(*paths: Path) -> bool:
    """Tell whether sources are as ruff would have them, by its own defaults."""
    told = ruff("format", "--isolated", "--check", "--diff", *paths)
    told += ruff("check", "--isolated", *paths)
    assert not told, told
    return True


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def test_the_tests_of_all_samples_pass_in_a_project_of_their_own(project: Path) -> None:
    names = {f"s{number}": sample for number, sample in enumerate(ALL.values())}
    db = journal(project, **names)
    for name in names:
        done = steno("--db", db, "pytest", name, "--out", project / f"test_{name}.py")
        assert (done.code, done.out) == (0, ""), done.err
    for plugins in (PLAIN, AUTO):
        done = run_pytest(project, *plugins)
        assert (done.code, f"{len(names)} passed" in done.out) == (0, True), done.out
    assert is_clean(*project.glob("test_*.py"))


def test_without_a_file_it_goes_to_stdout(project: Path) -> None:
    db = journal(project, **{"r-2b1c.9f": Sample(BRANCH)})
    done = steno("--db", db, "pytest", "@last")
    assert (done.code, done.err) == (0, "")
    (project / "test_run.py").write_text(done.out, "utf-8")
    assert "def test_r_2b1c_9f() -> None:\n    replays(RUN)\n" in done.out
    assert '"/work#1 ok → after (branch)",\n' in done.out
    assert is_clean(project / "test_run.py")


def test_server_file_and_export_write_the_same(server: Server, tmp_path: Path) -> None:
    words = ["run", graph_file(tmp_path, COUNT), "-s", "to=1", "--follow"]
    assert steno("--url", server.url, *words).code == 0
    file = tmp_path / "run.ndjson.gz"
    assert steno("--url", server.url, "export", "@last", file).code == 0
    written = [
        steno("--url", server.url, "pytest", "@last"),
        steno("--db", server.db, "pytest", "@last"),
        steno("pytest", file),
    ]
    assert [done.code for done in written] == [0, 0, 0]
    assert len({done.out for done in written}) == 1


def test_a_users_own_graph_is_guarded_against_changes(project: Path) -> None:
    db = journal(project, run=Sample(BRANCH))
    (project / "graphs").mkdir()
    (project / "tests").mkdir()
    graph = graph_file(project / "graphs", {"graph": BRANCH, "id": "branch"})
    test = project / "tests" / "test_branch.py"
    done = steno("--db", db, "pytest", "run", "--graph", graph, "--out", test)
    assert (done.code, "3 steps" in done.err, "fails" in done.err) == (0, True, False)
    assert 'GRAPH = Path(__file__).parent.joinpath("../graphs/graph.json")' in test.read_text()
    assert is_clean(test)
    assert run_pytest(project).code == 0
    graph.write_text(graph.read_text().replace("n == 1", "n == 2"))
    done = run_pytest(project)
    assert done.code == 1
    assert "the run goes another way from step 1 of 3 on" in done.out
    assert "n == 2 was false (n = 1)" in done.out


def test_a_graph_that_is_other_already_is_told_at_once(project: Path) -> None:
    db = journal(project, run=Sample(BRANCH))
    other = json.loads(json.dumps(BRANCH).replace("n == 1", "n == 2"))
    done = steno("--db", db, "pytest", "run", "--graph", graph_file(project, other))
    assert (done.code, "the test fails with" in done.err) == (0, True)
    broken = graph_file(project, {"graph": {"start": "no", "nodes": {}}})
    done = steno("--db", db, "pytest", "run", "--graph", broken)
    assert (done.code, "graph.json:/graph/nodes" in done.err) == (2, True)


def test_a_large_run_lies_beside_its_test(project: Path) -> None:
    state = {"text": "long " * INLINE_MAX_CHARS}
    db = journal(project, large=Sample(chain("count"), state))
    test = project / "test_large.py"
    done = steno("--db", db, "pytest", "large")
    assert (done.code, "write it with --out" in done.err) == (2, True)
    assert steno("--db", db, "pytest", "large", "--out", test).code == 0
    assert sorted(path.name for path in project.glob("test_*")) == [
        "test_large.ndjson.gz",
        "test_large.py",
    ]
    assert (len(test.read_text()) < 1000, is_clean(test), run_pytest(project).code) == (
        True,
        True,
        0,
    )
    recorded = read_recorded(project / "test_large.ndjson.gz")
    with pytest.raises(AssertionError, match="now:      running at /work#1"):
        replays(recorded, {**one("count", next=[{"to": "$end", "when": "m"}]), "start": "work"})


def test_a_graph_that_is_read_stands_beside_a_large_run(project: Path) -> None:
    db = journal(project, large=Sample(chain("count"), {"text": "long " * INLINE_MAX_CHARS}))
    graph = graph_file(project, chain("count"))
    test = project / "test_large.py"
    assert steno("--db", db, "pytest", "large", "--out", test, "--graph", graph).code == 0
    assert (is_clean(test), run_pytest(project).code) == (True, 0)


def test_a_test_is_not_written_without_the_run_that_it_reads(project: Path) -> None:
    noise = Random(7).randbytes(4 * INLINE_MAX_CHARS).hex()  # which packs to its half
    db = journal(project, run=Sample(chain("count"), {"text": noise}))
    done = steno_without_room(128, "--db", db, "pytest", "run", "--out", project / "test_run.py")
    assert (done.code, "ndjson.gz cannot be written" in done.err) == (2, True), done.err
    assert list(project.glob("test_run*")) == []
    (project / "test_run.py").write_text("mine")
    again = ("pytest", "run", "--force", "--out", project / "test_run.py")
    assert steno_without_room(128, "--db", db, *again).code == 2
    assert [path.read_text() for path in project.glob("test_run*")] == ["mine"]


def test_what_is_there_already_stays_unless_forced(project: Path) -> None:
    db = journal(project, run=Sample(BRANCH))
    test = project / "test_run.py"
    test.write_text("mine")
    done = steno("--db", db, "pytest", "run", "--out", test)
    assert (done.code, "--force" in done.err, test.read_text()) == (2, True, "mine")
    assert steno("--db", db, "pytest", "run", "--out", test, "--force").code == 0
    assert run_pytest(project).code == 0
    assert steno("--db", db, "pytest", "run", "--out", project / "no" / "test.py").code == 2
    assert steno("--db", db, "pytest", "nope").code == 4


def test_a_run_that_waits_is_tested_up_to_there(project: Path) -> None:
    async def wait() -> None:
        async with st.open(project / "steno.db", tools=TOOLS) as engine:
            await engine.run(waiting({"signal": "go"}), run_id="run")
            await engine.run(waiting({"signal": "go"}), run_id="moved")
            await engine.migrate("moved", {**waiting({"signal": "go"}), "name": "new"})

    asyncio.run(wait())
    done = steno("--db", project / "steno.db", "pytest", "run")
    assert (done.code, '"waiting at /wait#1",\n' in done.out) == (0, True)
    done = steno("--db", project / "steno.db", "pytest", "moved")
    assert (done.code, "went over to another graph" in done.err) == (2, True)


def test_no_secret_is_written(project: Path) -> None:
    db = journal(project, run=LARGER["secret in a loop"])
    done = steno("--db", db, "pytest", "run")
    assert (done.code, "open sesame" in done.out, "$secret" in done.out) == (0, False, True)


# Sources


TEXTS = some.text() | some.sampled_from(
    ['"""', "'''", "\\", '\\"', "'\"", "\n", "\r\n", "\x00", "{}", "é", "表 ", "\u202e", "\ud7ff", "%s",
     '")\nimport os  # ', "\u2028", "🦆", "a" * 90, "b" * 60 + '"']
)  # fmt: skip
DATA = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: some.lists(inner) | some.dictionaries(TEXTS, inner),
    max_leaves=20,
)  # fmt: skip


@given(DATA)
def test_any_data_is_a_literal_of_itself(value: Any) -> None:
    assert eval(literal(value), {"__builtins__": {}}) == value


@given(some.text())
def test_any_text_is_one_literal_on_one_line(text: str) -> None:
    source = text_literal(text)
    assert (eval(source, {"__builtins__": {}}), source.isprintable()) == (text, True)


def sourced(number: int, value: Any, text: str) -> str:
    steps: list[Step] = [
        Returned(f"/{text}#1", {text: value}, goto=text),
        Failed(f"/{text}#2", text, text, bases=[text]),
        Signalled(text, value),
        TimeCame(f"/{text}#3"),
        Did("resume", 100, 1e20),
    ]
    run = RecordedRun(
        graph={"id": text, "start": text, "nodes": {text: {"tool": text, "next": value}}},
        state={text: value},
        began=text,
        outcomes=steps,
        path=[text, "→"],
        final={"": value},
    )
    return source_of(run, f"r-{number}", text, text, text)[0]


@settings(max_examples=10, deadline=None, phases=[Phase.generate])
@given(some.lists(some.tuples(DATA, TEXTS), min_size=30, max_size=30))
def test_any_recorded_run_is_a_clean_source(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[Any, str]]
) -> None:
    folder = tmp_path_factory.mktemp("sources")
    for number, (value, text) in enumerate(values):
        path = folder / f"test_{number}.py"
        path.write_text(sourced(number, value, text), "utf-8", newline="")
        compile(path.read_text("utf-8"), path, "exec")
    assert is_clean(folder)


NAMES = some.text(some.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30).filter(
    lambda name: name[0] != "$"
)


@settings(max_examples=40, deadline=None)
@given(NAMES, DATA, TEXTS)
def test_a_run_with_any_names_and_texts_is_a_test_that_passes(
    name: str, value: Any, text: str
) -> None:
    graph = {"start": name, "nodes": {name: {"tool": "write", "config": {"v": text, name: 1}}}}
    run_id = "run"

    async def recorded() -> RecordedRun:
        async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
            await engine.run(graph, {"value": text}, run_id=run_id)
            return record_run(map(decode, await journal.read(run_id, after=0)))

    spoilt: dict[str, Any] = {}
    exec(source_of(asyncio.run(recorded()), run_id, name, None, "x")[0], spoilt)
    assert set(spoilt) <= {
        "__builtins__",
        "__doc__",
        "RecordedRun",
        "Returned",
        "replays",
        "RUN",
        "Failed",
        name_of(run_id),
    }
    spoilt[name_of(run_id)]()


def test_data_that_nests_too_deep_for_a_source_lies_beside_it() -> None:
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    run = RecordedRun(state={"deep": deep}, began="", outcomes=[], path=[], final={})
    text, is_beside = source_of(run, "r", "g", None, "test_r.ndjson.gz")
    assert (is_beside, "read_recorded(" in text) == (True, True)
    assert source_of(replace(run, state={}), "r", "g", None, "x")[1] is False


def test_a_test_has_a_name_of_python() -> None:
    for run_id in ("r-1", "a.b:c", "0", "class"):
        assert name_of(run_id).isidentifier()
        assert not keyword.iskeyword(name_of(run_id))


def test_what_cannot_be_played_says_which_run_it_is() -> None:
    assert "run r-1" in str(CannotRecord("r-1", "it is gone"))
