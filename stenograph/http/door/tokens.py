"""Tokens: who may ask and for what, in a file that holds their hashes alone."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta, Struct

Scope: TypeAlias = Literal["read", "run", "control", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
"""What a token may be good for; none includes another."""

TOKEN: Final = re.compile(r"steno_(?P<id>[0-9a-f]{12})_[0-9a-f]{64}")
_SECRET: Final = re.compile(r"(?<=steno_[0-9a-f]{12})_[0-9a-f]{64}")
NAME: Final = re.compile(r"(?![0-9a-f]{12}$)[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
NAME_WORDS: Final = "1 to 64 of a-z A-Z 0-9 . _ @ + -, the first a letter or digit"
TAKEN_NAMES: Final = frozenset({"engine", "http", "recording", "rerun"})
"""Who is named so in events has no token."""
FORMAT: Final = "stenograph/tokens/1"
FILE_MAX_BYTES: Final = 1024 * 1024


class Token(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token as it is stored: ``hash`` is the SHA-256 of its text, in hexadecimal digits.

    ``name`` is the actor in events. It is good until ``expires_at``; None: until it is revoked.
    """

    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{12}\Z")]
    name: Annotated[str, Meta(pattern=rf"^{NAME.pattern}\Z")]
    hash: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1)]
    created_at: Annotated[datetime, Meta(tz=True)]
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None

    def has_expired(self, now: float) -> bool:
        """Tell whether it is no good any more at a time, in seconds since 1970."""
        return self.expires_at is not None and self.expires_at.timestamp() <= now


class TokenFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file as a whole."""

    format: Literal["stenograph/tokens/1"]
    tokens: list[Token]


class TokensRefused(Exception):
    """The file of tokens, or what is to be done with it, is not as it should be."""


_DECODER: Final = msgspec.json.Decoder(TokenFile)


def read_tokens(path: str | PathLike[str]) -> dict[str, Token]:
    """Return the tokens of a file by their ids; raises TokensRefused."""
    try:
        tokens = _DECODER.decode(_read(path)).tokens
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise TokensRefused(f"{path}: no file of tokens: {error}") from error
    found = {token.id: token for token in tokens}
    if taken := TAKEN_NAMES.intersection(token.name for token in tokens):
        name = min(taken)
        raise TokensRefused(f"{path}: no file of tokens: {name} is who events name without one")
    if len(found) < len(tokens) or len({token.name for token in tokens}) < len(tokens):
        raise TokensRefused(f"{path}: no file of tokens: an id or a name stands there twice")
    return found


def masked(text: str) -> str:
    """Return a text without the secrets of the tokens in it; their ids stay."""
    return _SECRET.sub("_...", text) if "steno_" in text else text


def create_token(
    path: str | PathLike[str],
    name: str,
    scopes: Collection[Scope],
    *,
    now: datetime,
    expires_at: datetime | None = None,
) -> str:
    """Add a token to a file, which is made when there is none, and return its text.

    That is nowhere else: the file has its hash. Raises TokensRefused.
    """
    if not NAME.fullmatch(name) or name in TAKEN_NAMES:
        others = ", ".join(sorted(TAKEN_NAMES))
        why = f"write {NAME_WORDS}, and neither the form of an id nor one of {others}"
        raise TokensRefused(f"{name!r} is no name for a token: {why}")
    with _changed(path) as tokens:
        if any(token.name == name for token in tokens.values()):
            raise TokensRefused(f"{path}: there is a token {name}: revoke it, or use another name")
        token_id = secrets.token_hex(6)
        text = f"steno_{token_id}_{secrets.token_hex(32)}"
        tokens[token_id] = Token(
            id=token_id,
            name=name,
            hash=sha256(text.encode()).hexdigest(),
            scopes=tuple(scope for scope in SCOPES if scope in scopes),
            created_at=_to_seconds(now),
            expires_at=None if expires_at is None else _to_seconds(expires_at),
        )
    return text


def revoke_token(path: str | PathLike[str], which: str) -> Token:
    """Take the token of an id or a name out of a file, and return it; raises TokensRefused."""
    with _changed(path) as tokens:
        for token in tokens.values():
            if which in (token.id, token.name):
                return tokens.pop(token.id)
        raise TokensRefused(f"{path}: there is no token {which}; steno token list shows them")


@contextmanager
def _changed(path: str | PathLike[str]) -> Iterator[dict[str, Token]]:
    """Give the tokens of a file to be changed, and write them; nobody else changes them meanwhile."""
    file = Path(os.path.realpath(path))  # what a link names is replaced, and not the link
    try:
        with _locked(file.parent):
            tokens = read_tokens(file) if file.exists() else {}
            yield tokens
            _write(file, tokens)
    except OSError as error:
        raise TokensRefused(f"{path}: cannot be written: {error.strerror}") from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder, since the file itself is replaced by each change."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, tokens: Mapping[str, Token]) -> None:
    """Replace a file by another one, whole or not at all, that only its owner can read."""
    text = msgspec.json.encode(TokenFile(format=FORMAT, tokens=list(tokens.values())))
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.format(text, indent=2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _read(path: str | PathLike[str]) -> bytes:
    """Return what stands in a file that nobody but its owner can write; raises TokensRefused."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_size > FILE_MAX_BYTES:
                raise TokensRefused(f"{path}: no file of tokens: no file, or more than a MiB")
            if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise TokensRefused(f"{path}: can be written by others: chmod 600 it")
            return file.read()
    except FileNotFoundError as error:
        how = f"make one: steno token create NAME --scope read --tokens {path}"
        raise TokensRefused(f"{path}: there is no such file of tokens; {how}") from error
    except OSError as error:
        raise TokensRefused(f"{path}: cannot be read: {error.strerror}") from error


def _to_seconds(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=0)
