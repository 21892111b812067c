"""The tokens that are known now: a file, looked at again while it is asked about."""

from __future__ import annotations

import hmac
import logging
import os
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Final, TypeAlias

from stenograph.http.door.tokens import TOKEN, Token, TokensRefused, read_tokens

LOG: Final = logging.getLogger("stenograph.http")
LOOK_EVERY_S: Final = 0.5
"""How old may be what is known of the file; who asks after that looks at it again."""
NOBODYS: Final = b"\0" * 32
"""What the hash of a token with an unknown id is held against, so that this takes as long."""

Stamp: TypeAlias = tuple[int, int, int]


class KnownTokens:
    """The tokens in a file, as of half a second ago; of a file that is broken, the last good ones.

    ``fault`` says what is wrong with the file, if anything is. ``clock`` gives seconds that only
    rise, ``now`` those since 1970.
    """

    def __init__(
        self,
        path: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Read the file; raises TokensRefused."""
        self.path, self.fault = path, ""
        self._clock, self.now = clock, now
        self._stamp = _stamp(path)
        self._tokens = _with_hashes(path)
        self._looked_at = clock()

    def __len__(self) -> int:
        """How many there are, with those that have expired."""
        self._look()
        return len(self._tokens)

    def find(self, text: str) -> Token | None:
        """Return the token of a text, also one that has expired."""
        self._look()
        match = TOKEN.fullmatch(text)
        if match is None:
            return None
        token, known = self._tokens.get(match["id"], (None, NOBODYS))
        return token if hmac.compare_digest(sha256(text.encode()).digest(), known) else None

    def holds(self, token: Token) -> bool:
        """Tell whether a token that was found is still as it was, and good."""
        self._look()
        return self._tokens.get(token.id, (None,))[0] is token and not token.has_expired(self.now())

    def look(self) -> str:
        """Look at the file, if it is time to, and return what is wrong with it."""
        self._look()
        return self.fault

    def _look(self) -> None:
        at = self._clock()
        if at - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = at
        stamp = _stamp(self.path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            found = _with_hashes(self.path)
        except TokensRefused as error:
            self.fault = str(error)
            LOG.error("%s; the tokens that were there before are still good", error)
        else:
            before = self._tokens  # what is as it was stays the same object, for ``holds``
            self._tokens = {k: before[k] if before.get(k) == v else v for k, v in found.items()}
            self.fault = ""
            LOG.warning("%s has changed: %d tokens", self.path, len(self._tokens))


def _stamp(path: str) -> Stamp | None:
    """Return what changes with a file; None when there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def _with_hashes(path: str) -> dict[str, tuple[Token, bytes]]:
    return {key: (each, bytes.fromhex(each.hash)) for key, each in read_tokens(path).items()}
