from __future__ import annotations

import pytest

from stenograph.workflows.summary import chat_settings
from stenograph.workflows.summary.chat_errors import ChatMisconfigured
from stenograph.workflows.summary.chat_settings import settings
from tests.workflows.chat_endpoint import KEY, configure


@pytest.fixture(autouse=True)
def configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    configure(monkeypatch, "http://127.0.0.1:11434/v1/")


def test_the_environment_is_read_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings().url == "http://127.0.0.1:11434/v1/chat/completions"
    monkeypatch.setenv("STENO_CHAT_MODEL", "large-2")
    assert (settings().model, chat_settings.is_configured()) == ("large-2", True)
    monkeypatch.delenv("STENO_CHAT_URL")
    assert not chat_settings.is_configured()


def test_the_usual_variable_has_a_key_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    assert settings().headers == {"Authorization": f"Bearer {KEY}"}
    monkeypatch.delenv("STENO_CHAT_KEY")
    assert settings().headers == {"Authorization": "Bearer sk-other"}
    monkeypatch.delenv("OPENAI_API_KEY")
    assert settings().headers == {}


def test_a_key_is_in_no_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENO_CHAT_URL", f"http://127.0.0.1/{KEY}/v1")
    monkeypatch.setenv("STENO_CHAT_MODEL", KEY)
    assert repr(settings()) == "<chat [key] at http://127.0.0.1/[key]/v1/chat/completions>"


def test_a_key_of_a_few_letters_is_a_word_like_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENO_CHAT_KEY", "ollama")
    assert (settings().hide("an ollama"), settings().hold) == ("an ollama", 0)


@pytest.mark.parametrize(
    "url",
    [
        "localhost:11434/v1",
        "ftp://127.0.0.1/v1",
        "http://",
        "http://127.0.0.1:99999/v1",
        "http://ann:sesame@127.0.0.1/v1",
        "http://127.0.0.1/v1?key=sesame",
        "http://127.0.0.1/v1#sesame",
        "http://127.0.0.1/v1\n",
    ],
)
def test_an_address_that_is_none_is_one_clear_sentence(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STENO_CHAT_URL", url)
    with pytest.raises(ChatMisconfigured, match="STENO_CHAT_URL is the address") as error:
        settings()
    assert "sesame" not in str(error.value)


def test_a_model_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STENO_CHAT_MODEL")
    with pytest.raises(ChatMisconfigured, match="STENO_CHAT_MODEL is not set"):
        settings()


@pytest.mark.parametrize("key", [f"{KEY}\n", f" {KEY}", "schlüssel-7d41b09c", "a\tb"])
def test_what_no_header_carries_is_no_key(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STENO_CHAT_KEY", key)
    with pytest.raises(ChatMisconfigured, match="has characters that no key has") as error:
        settings()
    assert key.strip() not in str(error.value)
