"""The chat endpoint that the environment names; its key is held here, and shown to nobody."""

from __future__ import annotations

import os
import re
from typing import Final

import httpx

from stenograph.workflows.summary.chat_errors import ChatMisconfigured

HIDDEN_FROM: Final = 8
"""Characters that a key must have to be looked for in what comes back: ``none`` is a word too."""

PORT_MAX: Final = 65_535
_KEY: Final = re.compile(r"[!-~]+")


class Settings:
    """Where and what to ask; ``endpoint`` is the address as messages show it."""

    def __init__(self, url: str, model: str, key: str) -> None:
        self.url, self.model = url, model
        self._key = key
        self.endpoint = self.hide(url)

    def __repr__(self) -> str:
        return f"<chat {self.hide(self.model)} at {self.endpoint}>"

    @property
    def headers(self) -> dict[str, str]:
        """The headers that carry the key, to the endpoint alone."""
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}

    @property
    def hold(self) -> int:
        """How many characters at the end of a text could be the beginning of the key."""
        return len(self._key) - 1 if len(self._key) >= HIDDEN_FROM else 0

    def hide(self, text: str) -> str:
        """Return a text without the key, which an endpoint may say back."""
        return text.replace(self._key, "[key]") if len(self._key) >= HIDDEN_FROM else text


def is_configured() -> bool:
    """Tell whether the environment names a chat endpoint."""
    return bool(os.environ.get("STENO_CHAT_URL"))


def settings() -> Settings:
    """Return what ``STENO_CHAT_URL``, ``_MODEL`` and ``_KEY`` (or ``OPENAI_API_KEY``) say by now.

    Raises ChatMisconfigured.
    """
    url = os.environ.get("STENO_CHAT_URL", "").rstrip("/")
    model = os.environ.get("STENO_CHAT_MODEL", "")
    key = os.environ.get("STENO_CHAT_KEY") or os.environ.get("OPENAI_API_KEY", "")
    if not _is_address(url):
        raise ChatMisconfigured(
            "STENO_CHAT_URL is the address of an OpenAI-compatible endpoint, such as "
            "http://127.0.0.1:11434/v1, with no user, password or query in it"
        )
    if not model:
        raise ChatMisconfigured("STENO_CHAT_MODEL is not set: name the model to be asked")
    if key and not _KEY.fullmatch(key):
        raise ChatMisconfigured(
            "the key in STENO_CHAT_KEY (or OPENAI_API_KEY) has characters that no key has, "
            "such as a space or a line end"
        )
    return Settings(f"{url}/chat/completions", model, key)


def _is_address(url: str) -> bool:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    more = parts.userinfo or parts.query or parts.fragment
    is_place = bool(parts.host) and (parts.port or 1) <= PORT_MAX
    return parts.scheme in ("http", "https") and is_place and not more
