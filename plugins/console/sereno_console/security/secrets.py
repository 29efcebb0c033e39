"""Makes what is shown once and known by its hash alone: tokens and the keys of sessions."""

import hashlib
import secrets

PREFIX = "sereno_"
"""How a token begins, so that people and scanners of repositories know one."""

_HINT = len(PREFIX) + 4


def new_token() -> str:
    """Return a token: 256 bits made at random."""
    return PREFIX + secrets.token_urlsafe(32)


def new_key() -> str:
    """Return the key of a session, as a cookie holds it."""
    return secrets.token_urlsafe(32)


def hashed(secret: str) -> bytes:
    """Return what is kept of a token or key. A fast hash does: nobody guesses 256 bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def hint(token: str) -> str:
    """Return how a token begins, to tell it from others."""
    return token[:_HINT]
