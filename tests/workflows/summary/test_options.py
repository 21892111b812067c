from __future__ import annotations

from typing import Any

import pytest

from stenograph.engine.errors import Fault, Misfit
from stenograph.workflows.summarize import split_text
from stenograph.workflows.summary.options import options
from stenograph.workflows.summary.states import Config
from tests.workflows.reviewing import Listener


@pytest.fixture(autouse=True)
def no_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STENO_CHAT_URL", raising=False)


def test_every_option_has_a_default() -> None:
    found = options({}, Config())
    assert (found.target_length, found.chunk_size, found.language) == (1_000, 4_000, "en")
    assert (found.summarizer, found.stop_words) == ("extractive", frozenset())


def test_a_model_summarises_when_one_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENO_CHAT_URL", "http://127.0.0.1:1/v1")
    assert options({}, Config()).summarizer == "chat"
    assert options({"summarizer": "extractive"}, Config()).summarizer == "extractive"


def test_the_config_of_the_node_wins_over_the_state() -> None:
    state = {"target_length": 300, "stop_words": ["The"]}
    found = options(state, Config(target_length=200))
    assert (found.target_length, found.stop_words) == (200, frozenset(["the"]))


def faults(given: dict[str, Any]) -> list[str]:
    """Return what is wrong with options in a state, and with the same in a config."""
    with pytest.raises(Misfit) as told:
        split_text.call({"text": "A text.", **given}, config={}, ctx=Listener().ctx)
    fault = split_text.types.config_fault(given)
    assert fault is not None
    return [str(told.value), f"{fault.pointer} {fault.detail}"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"target_length": 0}, "/target_length is at least 1"),
        ({"target_length": 10**9}, "/target_length is at most 100000"),
        ({"target_length": 300.5}, "/target_length is a fraction, not an integer"),
        ({"target_length": "300"}, "/target_length is text, not an integer"),
        ({"target_length": True}, "/target_length is true or false, not an integer"),
        ({"target_length": None}, "/target_length is null, not an integer"),
        ({"chunk_size": 99}, "/chunk_size is at least 100"),
        (
            {"summarizer": "magic"},
            "/summarizer is one of extractive, chat",
        ),
        ({"summarizer": ["chat"]}, "/summarizer is a list, not text"),
        ({"language": 7}, "/language is an integer, not text"),
        ({"language": "e" * 36}, "/language has at most 35 characters"),
        ({"stop_words": "the"}, "/stop_words is text, not a list"),
        ({"stop_words": [1]}, "/stop_words/0 is an integer, not text"),
    ],
)
def test_options_that_cannot_be_say_so(given: dict[str, Any], sentence: str) -> None:
    assert faults(given) == [sentence, sentence]


def test_an_option_that_does_not_fit_in_a_config_says_so() -> None:
    assert split_text.types.config_fault({"target_length": 0, "theirs": 1}) == Fault(
        "/target_length", "is at least 1"
    )
