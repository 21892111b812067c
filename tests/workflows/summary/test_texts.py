from __future__ import annotations

from pathlib import Path

import pytest

import stenograph as st
from stenograph.engine import open_data_folder
from stenograph.workflows.summary import chunks, texts
from tests.workflows.reviewing import Listener

TEXT = "Ünï one. Zwei ist länger!\n\n字字。 And so it ends. 😀"


def told(file: Path) -> list[str]:
    text = texts.read(file)
    found = texts.in_file(chunks.split(text, 12), text, file)
    return [texts.text_of(chunk, {}, file) for chunk in found]


def test_chunks_of_a_text_are_places_in_it() -> None:
    found = texts.in_text(chunks.split(TEXT, 12))
    assert found[0] == {"number": 0, "start": 0, "end": 8}
    state = {"text": TEXT}
    words = [texts.text_of(chunk, state, None) for chunk in found]
    assert " ".join(words).split() == TEXT.split()


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "byte order mark"])
def test_chunks_of_a_file_are_read_from_their_bytes(tmp_path: Path, mark: str) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes((mark + TEXT.replace("\n", "\r\n")).encode())
    assert " ".join(told(file)).split() == TEXT.split()


def test_a_file_that_changed_since_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text(TEXT)
    text = texts.read(file)
    (chunk,) = texts.in_file(chunks.split(text, 100), text, file)
    file.write_text(TEXT.replace("one", "two"))
    with pytest.raises(texts.TextChanged, match=r"'a.txt' has changed since it was split: chunk 0"):
        texts.text_of(chunk, {}, file)


def test_a_file_that_is_no_utf_8_says_where(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match=r"'a.txt' is not UTF-8 \(byte 3 is 0xe9\); convert it"):
        texts.read(file)


def test_a_file_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "FILE_MAX", 1_000)
    file = tmp_path / "a.txt"
    file.write_text("x" * 1_001)
    with pytest.raises(ValueError, match=r"'a.txt' is 1,001 bytes; a text may have 1,000"):
        texts.read(file)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({}, "it has neither"),
        ({"text": "a", "path": "b"}, "it has both"),
    ],
)
def test_a_state_has_a_text_or_the_path_of_one(state: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        texts.file_of(state, Listener().ctx)


def test_a_path_is_looked_for_in_the_data_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_text(TEXT)
    (tmp_path / "b.txt").write_text(TEXT)
    ctx = Listener(folder=open_data_folder(tmp_path / "data")).ctx
    assert texts.file_of({"path": "a.txt"}, ctx) == tmp_path / "data/a.txt"
    with pytest.raises(st.DataRefused):
        texts.file_of({"path": "../b.txt"}, ctx)
