"""The image and its service: linted, and all they do that needs no Docker is done here."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import Struct

from tests.cli.running import serving
from tests.ports import free_port

ROOT = Path(__file__).parent.parent
PATIENCE_S = 30.0


class Line(Struct, frozen=True):
    """An instruction of the Dockerfile: ``stage`` counts from 0."""

    stage: int
    word: str
    rest: str


def lines() -> list[Line]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    found: list[Line] = []
    stage = -1
    for line in filter(None, text.replace("\\\n", "").splitlines()):
        word, _, rest = line.partition(" ")
        stage += word == "FROM"
        found.append(Line(stage, word, rest.strip()))
    return found


def last(word: str) -> str:
    """What the last stage says after a word, which it says once."""
    given = lines()
    [rest] = [line.rest for line in given if (line.stage, line.word) == (given[-1].stage, word)]
    return rest


def argv(word: str) -> list[str]:
    """A command in the exec form, which no shell stands before: it gets the signals itself."""
    parsed: list[str] = json.loads(last(word).partition("CMD ")[2] or last(word))
    return parsed


def service() -> dict[str, Any]:
    yaml: Any = import_module("yaml")
    [found] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"].values()
    return dict(found)


def installed(name: str) -> str:
    """The path of a tool that `make test` installs; without it the test is skipped, but by CI."""
    path = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if path is None and os.environ.get("CI"):
        pytest.fail(f"{name} is not installed")
    return path or pytest.skip(f"{name} is not installed: pip install --group dev")


def lint(name: str, *arguments: str) -> None:
    command = [installed(name), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_pleases_its_linter() -> None:
    lint("hadolint", "--no-color", "--failure-threshold", "style", "Dockerfile")


def test_the_service_without_tokens_answers_under_its_own_names_alone() -> None:
    assert "--without-tokens" in argv("CMD")
    hosts = service()["environment"]["STENO_HOSTS"]
    words = ("--memory", "--host", "0.0.0.0", "--port", "0", "--without-tokens")
    with serving(*words, STENO_HOSTS=hosts) as up:
        port = up.url.rpartition(":")[2]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            statuses = {
                name: client.get("/runs", headers={"Host": f"{name}:{port}"}).status_code
                for name in ("localhost", "127.0.0.1", "[::1]", "stenograph", "page.example.org")
            }
    assert statuses.pop("page.example.org") == 421
    assert set(statuses.values()) == {200}


def test_the_compose_file_is_one_by_the_specification() -> None:
    lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")


def test_every_stage_begins_with_one_python_of_a_named_version() -> None:
    images = {line.rest.partition(" ")[0] for line in lines() if line.word == "FROM"}
    [image] = images
    found = re.fullmatch(r"python:(3\.\d+)-slim-[a-z]+", image)
    assert found, image
    assert f"Python :: {found[1]}" in (ROOT / "pyproject.toml").read_text("utf-8")


def test_what_is_copied_is_in_a_checkout_and_is_not_held_back() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    tracked = listed.stdout.splitlines()
    let_in = {line[1:] for line in read_lines(".dockerignore") if line.startswith("!")}
    copied = {source for sources, _ in copies() for source in sources}
    assert let_in == copied
    for source in copied:
        assert any(f"{name}/".startswith(f"{source}/") for name in tracked), source


def test_the_user_is_nobody_and_owns_the_journals_folder() -> None:
    made = "".join(line.rest for line in lines() if line.word == "RUN")
    user, _, group = last("USER").partition(":")
    assert int(user) > 999
    assert int(group) > 999
    assert f"useradd --uid {user} " in made
    assert f"groupadd --gid {group} " in made
    assert last("WORKDIR") == last("VOLUME") == Path(argv("CMD")[-1]).parent.as_posix()
    assert re.search(rf"install .*--owner steno .* {last('VOLUME')}$", made)


def test_the_service_has_no_rights_that_it_does_not_need() -> None:
    given = service()
    assert (given["read_only"], given["cap_drop"]) == (True, ["ALL"])
    assert given["security_opt"] == ["no-new-privileges:true"]
    assert not {"cap_add", "privileged", "network_mode", "pid", "user"} & set(given)
    assert [each.partition(":")[2] for each in given["volumes"]] == [last("VOLUME")]


def test_the_service_is_open_to_this_machine_alone() -> None:
    port = last("EXPOSE")
    assert service()["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_it_is_stopped_as_the_server_is() -> None:
    assert last("STOPSIGNAL") == signal.SIGTERM.name
    assert argv("ENTRYPOINT") == ["steno"]


def test_the_commands_of_the_image_build_it_serve_and_tell_of_its_health(tmp_path: Path) -> None:
    """All of it but the operating system: the build stage, the command, the check, the stop."""
    port = free_port()
    env = build(tmp_path)
    (tmp_path / "data").mkdir()
    command = [*argv("ENTRYPOINT"), *argv("CMD"), "--port", str(port)]
    command = [moved(word, tmp_path).replace("0.0.0.0", "127.0.0.1") for word in command]
    check = [word.replace(f":{last('EXPOSE')}/", f":{port}/") for word in argv("HEALTHCHECK")]

    def healthy() -> bool:
        done = subprocess.run(which(check, env), env=env, capture_output=True, check=False)
        return done.returncode == 0

    assert not healthy()
    with subprocess.Popen(which(command, env), cwd=tmp_path / "data", env=env) as server:
        try:
            eventually(lambda: server.poll() is not None or healthy())
        finally:
            server.terminate()
        assert server.wait(PATIENCE_S) == 0
    assert (tmp_path / "data/steno.db").is_file()
    assert not healthy()


def build(folder: Path) -> dict[str, str]:
    """Do what the build stage does, with a folder as its root; return the image's environment."""
    subprocess.run([sys.executable, "-m", "venv", str(folder / "python")], check=True)
    path = f"{folder / 'python/bin'}{os.pathsep}{os.environ['PATH']}"
    for sources, target in copies():
        for source in sources:
            name = source if target.endswith("/") else ""
            copy(ROOT / source, folder / "src" / target / name)
    env = {**os.environ, "PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    env.pop("PYTHONPATH", None)  # it is the image's environment that is to hold it all
    for line in lines():
        if (line.stage, line.word) == (0, "RUN"):
            command = ["sh", "-euc", moved(line.rest, folder)]
            subprocess.run(command, cwd=folder / "src", env=env, check=True, timeout=300)
    first = last("ENV").partition("PATH=")[2].partition(":")[0]
    return {**env, "PATH": f"{moved(first, folder)}{os.pathsep}{os.environ['PATH']}"}


def copies() -> list[tuple[list[str], str]]:
    """What is copied from the checkout: the sources and the target."""
    given = [line.rest.split() for line in lines() if line.word == "COPY"]
    return [(words[:-1], words[-1]) for words in given if not words[0].startswith("--from")]


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def moved(text: str, folder: Path) -> str:
    """A text with the paths that the image uses in a folder."""
    return re.sub(r"(?<![\w./])/(wheels|opt/stenograph|data)\b", rf"{folder}/\1", text)


def which(command: list[str], env: dict[str, str]) -> list[str]:
    return [str(shutil.which(command[0], path=env["PATH"])), *command[1:]]


def read_lines(name: str) -> list[str]:
    return (ROOT / name).read_text("utf-8").splitlines()


def eventually(holds: Callable[[], bool]) -> None:
    for _ in range(int(PATIENCE_S * 10)):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it never came to hold")
