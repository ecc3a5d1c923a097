"""A key's secret: made, split, and checked. Knows no database; a secret is never kept here.

A secret is 256 random bits, so nobody can try them all however fast the hash is: keyed BLAKE2b
(1.6 µs) protects it as well as a slow password hash would, which exists for words that people
choose. Every secret has its own salt, the hash's key, so that two digests tell nothing of each
other.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from msgspec import Struct

PREFIX = "emf_"
ID_LENGTH = 12
SECRET_LENGTH = 64
LENGTH = len(PREFIX) + ID_LENGTH + 1 + SECRET_LENGTH
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


class Digest(Struct, frozen=True):
    """What is stored of a secret."""

    salt: bytes
    value: bytes

    def fits(self, secret: bytes) -> bool:
        """Whether `secret` is the one; takes the same time whatever it is."""
        return hmac.compare_digest(_hash(secret, self.salt), self.value)


NOTHING = Digest(bytes(16), bytes(32))
"""Fits no secret, and takes as long to find out."""


def new_id() -> str:
    """A key's public name: 60 random bits, letters and digits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(ID_LENGTH))


def new_secret() -> str:
    """256 random bits, in hexadecimal."""
    return secrets.token_hex(SECRET_LENGTH // 2)


def digest(secret: str) -> Digest:
    """What to store of `secret`, with a salt of its own."""
    salt = secrets.token_bytes(16)
    return Digest(salt, _hash(secret.encode(), salt))


def join(id: str, secret: str) -> str:
    """The token a caller sends."""
    return f"{PREFIX}{id}_{secret}"


def split(token: str) -> tuple[str, bytes]:
    """The key's id and the secret in `token`; of anything else an id that no key has.

    The secret is of a token's own length in any case, so that checking it takes the same time.
    """
    start = len(PREFIX) + ID_LENGTH
    shaped = len(token) == LENGTH and token.startswith(PREFIX) and token[start] == "_"
    secret = token[start + 1 : LENGTH].encode("utf-8", "replace")[:SECRET_LENGTH]
    return token[len(PREFIX) : start] if shaped else "", secret.ljust(SECRET_LENGTH)


def _hash(secret: bytes, salt: bytes) -> bytes:
    return hashlib.blake2b(secret, key=salt, digest_size=32).digest()
