from __future__ import annotations

from typing import Any

import pytest

from stenograph.workflows.summary.options import options


@pytest.fixture(autouse=True)
def no_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STENO_CHAT_URL", raising=False)


def test_every_option_has_a_default() -> None:
    found = options({}, {})
    assert (found.target_length, found.chunk_size, found.language) == (1_000, 4_000, "en")
    assert (found.summarizer, found.stop_words) == ("extractive", frozenset())


def test_a_model_summarises_when_one_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENO_CHAT_URL", "http://127.0.0.1:1/v1")
    assert options({}, {}).summarizer == "chat"
    assert options({"summarizer": "extractive"}, {}).summarizer == "extractive"


def test_the_config_of_the_node_wins_over_the_state() -> None:
    state = {"target_length": 300, "stop_words": ["The"]}
    found = options(state, {"target_length": 200})
    assert (found.target_length, found.stop_words) == (200, frozenset(["the"]))


@pytest.mark.parametrize("length", [0, -1, 300.0, "300", True, None, 10**9, float("nan")])
def test_a_target_length_that_cannot_be_is_one_clear_sentence(length: object) -> None:
    with pytest.raises(ValueError, match="target_length") as error:
        options({"target_length": length}, {})
    rule = '"target_length" is a whole number of characters from 1 to 100,000'
    assert str(error.value) == f"{rule}; it is {length!r}"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"chunk_size": 99}, '"chunk_size" is a whole number of characters from 100 to 20,000'),
        ({"summarizer": "magic"}, '"summarizer" is "extractive" or "chat"; it is \'magic\''),
        ({"summarizer": ["chat"]}, '"summarizer" is'),
        ({"language": 7}, '"language" is the code of one'),
        ({"stop_words": "the"}, '"stop_words" is a list of at most 2,000 words'),
        ({"stop_words": [1]}, '"stop_words" is a list'),
    ],
)
def test_other_options_that_cannot_be_say_so(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        options(given, {})
