"""Keeps and checks passwords by argon2id, two at a time: each takes 64 MB for a moment."""

import asyncio
import secrets

import argon2

from sereno import ParamsError

SHORTEST, LONGEST = 10, 1_000

_AT_ONCE = 2
_HASHER = argon2.PasswordHasher()


class Passwords:
    """Checks passwords in threads: the event loop goes on."""

    def __init__(self) -> None:
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._nobodys: str | None = None

    async def fits(self, kept: str | None, password: str) -> bool:
        """Tell whether `password` is the one of the hash `kept`. For None, an account that is not
        there, it takes as long, and is not."""
        if len(password) > LONGEST:
            return False
        async with self._at_once:
            if kept is None:
                if self._nobodys is None:
                    self._nobodys = await asyncio.to_thread(hash_of, secrets.token_urlsafe(16))
                await asyncio.to_thread(_fits, self._nobodys, password)
                return False
            return await asyncio.to_thread(_fits, kept, password)


def checked(password: str) -> str:
    """Return a password that may be one; raises ParamsError."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ParamsError(f"a password has {SHORTEST} to {LONGEST:,} characters")
    return password


def hash_of(password: str) -> str:
    """Return what is kept of a password."""
    return _HASHER.hash(password.encode("utf-8", "surrogatepass"))


def is_dated(kept: str) -> bool:
    """Tell whether a hash was made with less effort than today's."""
    return _HASHER.check_needs_rehash(kept)


def _fits(kept: str, password: str) -> bool:
    try:
        return _HASHER.verify(kept, password.encode("utf-8", "surrogatepass"))
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False
