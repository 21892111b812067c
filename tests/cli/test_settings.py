"""Settings of ``steno serve``: the same by flag, variable and file, and what is wrong with one."""

from __future__ import annotations

import gc
import json
import os
import resource
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints
from unittest import mock

import click
import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from msgspec.structs import fields

from stenograph.cli import main
from stenograph.cli.failures import Failure
from stenograph.cli.open_files import CONNECTIONS, OTHER_FILES, connections_within, raise_limit
from stenograph.cli.serve import OWN, place_of, serve, settings_for
from stenograph.cli.serve_options import setting_options, words_of
from stenograph.cli.settings_page import Fact, facts, page
from stenograph.engine import Bounds
from stenograph.http import Settings, hosts_at
from stenograph.http.settings import HOST
from tests.cli.running import ROOT, serving, steno

PAGE = ROOT / "docs" / "settings.md"
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("STENO_")}
TEXTS = st.text("abcdefghijklmnopqrstuvwxyz./:-0", min_size=1, max_size=12)


def values_of(name: str, hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a setting: from one end of its range to the other."""
    kind, meta = get_args(hint)
    if name == "connections":
        return st.integers(1, 100)  # what any machine lets a process open
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(meta.ge, meta.le)
    if kind is float:
        least = meta.ge if meta.gt is None else meta.gt
        is_open = meta.gt is not None
        return st.floats(least, meta.le, exclude_min=is_open, allow_nan=False, width=32)
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if name == "hosts":
        names = st.from_regex(HOST, fullmatch=True).filter(lambda text: not text.startswith("-"))
        return st.lists(names, min_size=1, max_size=3)
    if name == "origins":
        names = st.text("abcdefghijklmnopqrstuvwxyz-0", min_size=1, max_size=12)
        return st.lists(names.map("https://{}".format), min_size=1, max_size=3)
    return TEXTS


NAMES = {
    name: values_of(name, hint)
    for kind in (Settings, Bounds)
    for name, hint in get_type_hints(kind, include_extras=True).items()
    if name != "bounds"
}


def spelled(name: str, value: Any) -> list[str]:
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    several = value if isinstance(value, list) else [value]
    return [f"{flag}={each}" for each in several]


def told(words: list[str], variables: dict[str, str] | None = None) -> Settings:
    """What a server is told by words and variables."""
    with mock.patch.dict(os.environ, {**CLEAN, **(variables or {})}, clear=True):
        context = serve.make_context("serve", words)
        with context:
            return settings_for(context, "127.0.0.1", context.params["tokens"])


def asked(words: list[str]) -> click.Context:
    with mock.patch.dict(os.environ, CLEAN, clear=True):
        return serve.make_context("serve", words)


@hypothesis_settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(chosen=st.fixed_dictionaries({}, optional=NAMES))
def test_a_setting_is_the_same_by_flag_by_variable_and_by_file(
    chosen: dict[str, Any], tmp_path: Path
) -> None:
    words = [word for name, value in chosen.items() for word in spelled(name, value)]
    variables = {
        f"STENO_{name.upper()}": " ".join(value) if isinstance(value, list) else str(value)
        for name, value in chosen.items()
    }
    file = tmp_path / "steno.toml"
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in chosen.items()))
    by_flags = told(words)
    assert by_flags == told([], variables) == told([f"--config={file}"])
    assert told([], {"STENO_CONFIG": str(file)}) == by_flags
    for name, value in chosen.items():
        found = getattr(by_flags if hasattr(by_flags, name) else by_flags.bounds, name)
        if name == "hosts":
            assert found == {*value, *(hosts_at("127.0.0.1") or ())}
        else:
            assert found == (frozenset(value) if isinstance(value, list) else value)


def test_a_flag_goes_before_a_variable_before_the_file_before_the_default(tmp_path: Path) -> None:
    file = tmp_path / "steno.toml"
    file.write_text("nodes = 3\nedges = 3\nbody_depth = 5\n")
    words = [f"--config={file}", "--nodes=1"]
    found = told(words, {"STENO_NODES": "2", "STENO_EDGES": "2"})
    assert (found.bounds.nodes, found.bounds.edges, found.body_depth) == (1, 2, 5)
    assert found.body_bytes == Settings().body_bytes
    other = tmp_path / "other.toml"
    other.write_text("nodes = 9")
    assert told([f"--config={file}"], {"STENO_CONFIG": str(other)}).bounds.nodes == 3


def test_an_empty_variable_says_nothing() -> None:
    assert told([], {"STENO_NODES": "", "STENO_CONFIG": ""}).bounds == Bounds()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("body_byte = 1", "there is no setting 'body_byte'; did you mean 'body_bytes'?"),
        ("body-bytes = 1", "there is no setting 'body-bytes'; did you mean 'body_bytes'?"),
        ("zzz = 1", "there is no setting 'zzz'; steno serve --settings lists them"),
        ("[limits]\nnodes = 1", "there is no setting 'limits'; steno serve --settings lists them"),
        ("reload = true", "there is no setting 'reload'; steno serve --settings lists them"),
        ('body_bytes = "much"', "body_bytes is a whole number, not text"),
        ("body_bytes = 2000.5", "body_bytes is a whole number, not 2000.5"),
        ("body_bytes = true", "body_bytes is a whole number, not true"),
        ("body_bytes = {}", "body_bytes is a whole number, not a table"),
        ('body_s = "long"', "body_s is a number, not text"),
        ("sql = 1", "sql is true or false, not 1"),
        ("db = 5", "db is text, not 5"),
        ("db = 2026-11-21", "db is text, not a time"),
        ('tools = "a"', "tools is a list of texts, not text"),
        ("origins = [1]", "origins is a list of texts, not a list"),
        ("memory = []", "memory is true or false, not a list"),
        ("body_bytes = 5", "body_bytes: 5 is not in the range 1024<=x<=16777216."),
        ("body_s = 0", "body_s: 0.0 is not in the range 0<x<=3600."),
        ("body_s = nan", "body_s: nan is no number to count with."),
        ("port = 65536", "port: 65536 is not in the range 0<=x<=65535."),
        ('log_level = "loud"', "log_level: 'loud' is not one of"),
        ('host = "a..b"', "host: 'a..b' is no host's name or address"),
        ("tools = [1]", "tools is a list of texts, not a list of other things"),
        ('db = "a\\u0000"', "db has a character U+0000, which no name has"),
        ('hosts = ["a\\u0000"]', "hosts has a character U+0000, which no name has"),
        (f"x = {'[' * 5000}", "is nested too deep: no setting needs that"),
        ("nodes = ", "is no TOML: "),
        ("nodes = 1\nnodes = 2", "is no TOML: "),
    ],
)
def test_what_is_wrong_in_the_file_is_said_in_a_sentence(
    text: str, sentence: str, tmp_path: Path
) -> None:
    file = tmp_path / "steno.toml"
    file.write_text(text, "utf-8")
    done = steno("serve", "--config", file)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"Error: {file}: {sentence}")
    assert done.err.count("\n") == 1
    assert gc.isenabled()


def test_a_file_may_begin_with_a_mark_of_its_byte_order(tmp_path: Path) -> None:
    file = tmp_path / "steno.toml"
    file.write_text("nodes = 7\n", "utf-8-sig")
    assert told([f"--config={file}"]).bounds.nodes == 7


@pytest.mark.parametrize(
    "host", ["*", "*.example.org", "a b", "example.org:8000", "::1", "", "http://a"]
)
def test_what_no_host_is_called_is_refused_at_the_start(host: str) -> None:
    with pytest.raises(Failure, match=r"is no name of a host: write it without a scheme, port"):
        told([f"--hosts={host}"])


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "steno.toml"
    missing = steno("serve", "--config", file)
    assert (missing.code, missing.err) == (
        2,
        f"Error: {file}: cannot be read: No such file or directory\n",
    )
    file.write_bytes(b"# \xff")
    assert steno("serve", STENO_CONFIG=str(file)).err == f"Error: {file}: byte 2 is not UTF-8\n"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("STENO_NODES", "many", "'many' is not a valid integer range."),
        ("STENO_NODES", "0", "0 is not in the range 1<=x<=10000."),
        ("STENO_SQL", "maybe", "'maybe' is not a valid boolean."),
        ("STENO_SEND_S", "inf", "inf is not in the range 0<x<=3600."),
        ("STENO_PORT", "-1", "-1 is not in the range 0<=x<=65535."),
    ],
)
def test_what_is_wrong_in_a_variable_is_said_in_a_sentence(
    name: str, value: str, sentence: str
) -> None:
    done = steno("serve", **{name: value})
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"Error: ${name}: ")
    assert sentence in done.err
    assert done.err.count("\n") == 1


def test_a_variable_that_is_likely_misspelt_gets_a_warning() -> None:
    others = {"STENO_SERVICE_HOST": "10.0.0.7", "STENO_PORT_8000_TCP": "tcp://10.0.0.7:8000"}
    done = steno("serve", "--settings", STENO_BODY_BYTE="2000", STENO_NO_METRICS="1", **others)
    assert (done.code, "# body_bytes = 1048576\n" in done.out) == (0, True)
    assert done.err.splitlines() == [
        "Warning: $STENO_BODY_BYTE is the variable of no setting; did you mean $STENO_BODY_BYTES?",
        "Warning: $STENO_NO_METRICS is the variable of no setting; did you mean $STENO_METRICS?",
    ]
    assert steno("serve", "--settings", "-q", STENO_BODY_BYTE="2000").err == ""


def test_what_is_wrong_in_a_flag_is_said_with_the_flag() -> None:
    done = steno("serve", "--body-byte", "5")
    assert (done.code, "--body-bytes" in done.err) == (2, True)
    done = steno("serve", "--body-bytes", "5")
    assert (done.code, "Invalid value for '--body-bytes': 5 is not" in done.err) == (2, True)
    assert gc.isenabled()


def test_the_help_is_a_page_of_80_columns() -> None:
    done = steno("serve", "--help")
    lines = done.out.splitlines()
    assert len(lines) < 50
    assert max(map(len, lines)) <= 80
    assert "--settings" in done.out
    assert gc.isenabled()


def test_the_page_of_settings_is_a_file_that_says_the_same(tmp_path: Path) -> None:
    file = tmp_path / "steno.toml"
    words = ["--nodes", "7", "--hosts", "a", "--hosts", "b", "--no-sql", "--body-s", "2.5"]
    done = steno("serve", "--settings", *words, STENO_EDGES="9")
    file.write_text(done.out)
    assert tomllib.loads(done.out).keys() == {"nodes", "edges", "hosts", "sql", "body_s"}
    assert told([f"--config={file}"]) == told([*words, "--edges=9"])
    assert "edges = 9  # $STENO_EDGES\n" in done.out
    assert "nodes = 7  # --nodes\n" in done.out
    assert f"# {file}" not in done.out
    again = steno("serve", "--settings", "--config", file)
    assert f"nodes = 7  # {file}\n" in again.out
    assert max(map(len, again.out.replace(str(file), "").splitlines())) <= 80


def test_every_setting_that_is_commented_out_could_be_set_so(tmp_path: Path) -> None:
    """But for those that have no default: these are shown empty."""
    lines = list(page(asked([])))
    set_ = [line[2:] for line in lines if line.startswith("# ") and " = " in line]
    assert [each.partition(" = ")[0] for each in set_] == [each.key for each in facts(asked([]))]
    assert {each.name for each in setting_options()} <= {each.key for each in facts(asked([]))}
    file = tmp_path / "steno.toml"
    file.write_text("\n".join(line for line in set_ if not line.endswith('""')))
    found = told([f"--config={file}"])
    assert found.bounds == Bounds()
    assert found.body_bytes == Settings().body_bytes


def test_every_setting_says_what_it_is_its_unit_and_what_comes_beyond() -> None:
    assert [each.name for each in setting_options()] == list(NAMES)
    for fact in facts(asked([])):
        assert fact.what.endswith(".")
        assert fact.variable == f"STENO_{fact.key.upper()}"
    numbers = [each for each in setting_options() if isinstance(each.usual, float | int)]
    assert [
        each.name for each in numbers if not (each.beyond or isinstance(each.usual, bool))
    ] == []


def row(fact: Fact) -> str:
    cells = [
        f"`{fact.key}`", f"`{fact.flag}`", fact.what, fact.unit, fact.range, fact.usual, fact.beyond,
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def test_the_docs_have_a_row_for_every_setting_as_it_is() -> None:
    rows = [row(fact).replace("|  |", "| |").replace("|  |", "| |") for fact in facts(asked([]))]
    text = PAGE.read_text("utf-8")
    missing = [each for each in rows if each not in text]
    assert not missing, "\n".join(missing)
    told = [line for line in text.splitlines() if line.startswith("| `") and "`--" in line]
    assert sorted(told) == sorted(rows)


def test_the_sample_in_the_docs_is_one() -> None:
    sample = PAGE.read_text("utf-8").partition("```toml file=steno.toml\n")[2].partition("```")[0]
    assert tomllib.loads(sample).keys() <= {fact.key for fact in facts(asked([]))}


# --- what follows ---------------------------------------------------------------------------------


def test_a_server_holds_to_what_variable_and_file_say(tmp_path: Path) -> None:
    file = tmp_path / "steno.toml"
    file.write_text(f"body_bytes = 2000\nport = 0\ndb = {json.dumps(str(tmp_path / 'own.db'))}\n")
    with serving("--config", file, "--nodes", "1", cwd=tmp_path) as server:
        large = httpx.post(f"{server.url}/graphs", json={"x": "x" * 2000})
        two = httpx.post(f"{server.url}/graphs", json={"start": "a", "nodes": {"a": {}, "b": {}}})
    assert (large.status_code, two.status_code) == (413, 422)
    assert "has 2 nodes; a graph may have 1" in two.text
    assert (tmp_path / "own.db").exists()


def placed(words: list[str], group: str | None = None, **variables: str) -> Any:
    with mock.patch.dict(os.environ, {**CLEAN, **variables}, clear=True):
        whole = main.make_context("steno", [*(["--db", group] if group else []), "serve"])
        context = serve.make_context("serve", words, parent=whole)
        with whole, context:
            return place_of(context, context.params["db"], memory=context.params["memory"])


def test_the_journals_place_is_the_one_that_was_said_in_the_stronger_way() -> None:
    assert placed([]) == (None, False)
    assert placed(["--memory"]) == (None, True)
    assert placed(["--memory"], STENO_DB="a") == (None, True)
    assert placed(["--db", "b"], STENO_MEMORY="1") == ("b", False)
    assert placed([], STENO_DB="a") == ("a", False)
    assert placed([], "c", STENO_DB="a") == ("c", False)
    assert placed(["--db", "b"], "c") == ("b", False)
    for words, variables in ((["--db", "a", "--memory"], {}), ([], {"STENO_DB": "a"})):
        both = {**variables, **({"STENO_MEMORY": "1"} if variables else {})}
        with pytest.raises(click.UsageError, match="exclude each other"):
            placed(words, **both)


def test_what_is_started_again_is_told_every_flag(tmp_path: Path) -> None:
    file = tmp_path / "steno.toml"
    file.write_text("edges = 3")
    words = [
        *("--tools=a", "--tools=b", "--nodes=5", "--no-sql", "--metrics", "--durability=normal"),
        *(f"--config={file}", "--hosts=x", "--hosts=y", "--host=localhost"),
    ]
    others = ["--reload", "--pid-file=x", "--db=x", "--port=1", "--memory", "-q"]
    again = words_of(asked([*words, *others]), OWN)
    assert sorted(again) == sorted(words)
    assert told(again) == told(words)


def test_as_many_files_may_be_open_as_the_system_lets_a_process_have() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        assert raise_limit() >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before[1]
        with mock.patch.object(resource, "setrlimit", side_effect=ValueError):
            assert raise_limit() == before[1]
        with mock.patch.object(resource, "getrlimit", return_value=(resource.RLIM_INFINITY,) * 2):
            assert raise_limit() > 1_000_000
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_connections_are_what_the_files_fit_and_more_are_refused() -> None:
    assert connections_within(1024, None) == 1024 - OTHER_FILES
    assert connections_within(10**6, None) == CONNECTIONS
    assert connections_within(10, None) == 1
    assert connections_within(10**6, 500_000) == 500_000
    assert connections_within(1024, 924) == 924
    with pytest.raises(Failure, match=r"925 connections need .* 1,024 files .* at most 924"):
        connections_within(1024, 925)


def test_more_connections_than_files_are_refused_at_the_start(tmp_path: Path) -> None:
    done = steno("serve", "--connections", "1000000", "--db", tmp_path / "x.db")
    if done.code == 0:  # pragma: no cover
        pytest.skip("as many files may be open here")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "1,000,000 connections need more than the" in done.err
    assert not (tmp_path / "x.db").exists()


def test_subscribers_leave_room_for_others() -> None:
    assert told(["--connections=100"]).subscribers == 90
    assert told(["--connections=1"]).subscribers == 1
    assert told(["--connections=100", "--subscribers=100"]).subscribers == 100


def test_a_server_that_others_reach_answers_no_sql_unless_it_is_told_to() -> None:
    with asked([]) as context:
        assert settings_for(context, "0.0.0.0", None).sql is False
        assert settings_for(context, "0.0.0.0", None).hosts is None
    with asked(["--sql", "--hosts=example.org"]) as context:
        found = settings_for(context, "0.0.0.0", None)
    assert (found.sql, found.hosts) == (True, frozenset({"example.org"}))


def test_no_field_is_told_twice() -> None:
    names = [each.name for kind in (Settings, Bounds) for each in fields(kind)]
    assert len(names) == len(set(names))
