"""Keys that sign: Ed25519 in PEM files, by the package ``cryptography``, which is an extra."""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any, Final

from stenograph.journal.errors import CannotSign

SIGNATURE_BYTES: Final = 64
PEM_MAX_BYTES: Final = 64 * 1024


class SigningKey:
    """A private key. Whoever has its file can sign in your name."""

    def __init__(self, key: Any) -> None:
        self._key = key
        self.public = PublicKey(key.public_key())

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, 64 bytes."""
        return bytes(self._key.sign(message))


class PublicKey:
    """A public key: by it everybody can see what the private one has signed."""

    def __init__(self, key: Any) -> None:
        self._key = key
        self.id = sha256(key.public_bytes_raw()).hexdigest()[:16]
        """16 hex digits of the SHA-256 of the key's 32 bytes."""

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Tell whether a signature is this key's, of this message."""
        try:
            self._key.verify(signature, message)
        except part("exceptions").InvalidSignature:
            return False
        return True


def new_key(path: str | PathLike[str]) -> PublicKey:
    """Make a key: the private one in ``path``, for you alone to read, the public one beside it (.pub).

    Raises CannotSign when there is such a file, or none can be made.
    """
    ed25519, serialization = part(ED25519), part(SERIALIZATION)
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write_new(Path(path), private, 0o600)
    write_new(Path(f"{os.fspath(path)}.pub"), public, 0o644)
    return PublicKey(key.public_key())


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that is not there yet."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
    except FileExistsError as error:
        raise CannotSign(f"{path} is there already: a key is never overwritten") from error
    except OSError as error:
        raise CannotSign(f"{path} cannot be written: {error.strerror}") from error


def read_key(path: str | PathLike[str]) -> SigningKey:
    """Read a private key; raises CannotSign, also when others than you can read it."""
    serialization = part(SERIALIZATION)
    data, mode = read_pem(path)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise CannotSign(f"{os.fspath(path)} can be read by others: chmod 600 it")
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError) as error:
        raise CannotSign(f"{os.fspath(path)} holds no private key without a password") from error
    if not isinstance(key, part(ED25519).Ed25519PrivateKey):
        raise CannotSign(f"{os.fspath(path)} holds a key of another kind than Ed25519")
    return SigningKey(key)


def read_public_key(path: str | PathLike[str]) -> PublicKey:
    """Read a public key; raises CannotSign."""
    serialization = part(SERIALIZATION)
    data, _ = read_pem(path)
    try:
        key = serialization.load_pem_public_key(data)
    except ValueError as error:
        raise CannotSign(f"{os.fspath(path)} holds no public key") from error
    if not isinstance(key, part(ED25519).Ed25519PublicKey):
        raise CannotSign(f"{os.fspath(path)} holds a key of another kind than Ed25519")
    return PublicKey(key)


def read_pem(path: str | PathLike[str]) -> tuple[bytes, int]:
    """Return what a file begins with, and its mode."""
    try:
        with open(path, "rb") as file:
            return file.read(PEM_MAX_BYTES), os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise CannotSign(f"{os.fspath(path)} cannot be read: {error.strerror}") from error


ED25519: Final = "hazmat.primitives.asymmetric.ed25519"
SERIALIZATION: Final = "hazmat.primitives.serialization"


def part(name: str) -> Any:
    """Return a part of the package that signs; raises CannotSign where it is not installed."""
    try:
        return import_module(f"cryptography.{name}")
    except ImportError as error:
        raise CannotSign(
            "signing needs the package cryptography: pip install 'stenograph[signing]'"
        ) from error
