"""What can go wrong with a chat endpoint.

ChatError
├── ChatMisconfigured    what the environment says cannot be used
├── ChatUnauthorized     401 or 403: the endpoint does not take the key
├── ChatRefused          another 4xx, or a redirect: asking again would not help
└── ChatTransient        asking again may help
    ├── ChatRateLimited     429; ``retry_after_s`` is what the endpoint asks for
    ├── ChatUnavailable     no connection, or a 5xx
    ├── ChatTimeout         it said nothing for too long
    ├── ChatCut             its answer broke off
    ├── ChatMalformed       what it says is not the protocol
    └── ChatEmpty           its answer has no text
"""

from __future__ import annotations


class ChatError(Exception):
    """The base of all; a message names the endpoint, and never the key."""


class ChatMisconfigured(ChatError, ValueError):
    """The environment names no usable endpoint, model or key."""


class ChatUnauthorized(ChatError):
    """The endpoint does not take the key."""


class ChatRefused(ChatError):
    """The endpoint does not take the request, and would not take it again."""


class ChatTransient(ChatError):
    """The base of what may be gone when asked again; for ``"retry": {"on": ["ChatTransient"]}``."""


class ChatRateLimited(ChatTransient):
    """The endpoint is asked too often; ``retry_after_s`` is None when it does not say how long."""

    def __init__(self, message: str, retry_after_s: float | None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ChatUnavailable(ChatTransient):
    """The endpoint cannot be reached, or fails."""


class ChatTimeout(ChatTransient, TimeoutError):
    """The endpoint said nothing for too long."""


class ChatCut(ChatTransient):
    """The answer broke off before its end."""


class ChatMalformed(ChatTransient):
    """The answer is no stream of chat completion chunks."""


class ChatEmpty(ChatTransient):
    """The answer has no text."""
