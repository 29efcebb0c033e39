"""Answers that are given again to a request with the same ``Idempotency-Key``."""

from datetime import timedelta

import msgspec

from sereno import Client
from sereno_console.tables.statement import done, row


class KeptAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. `request`: the mark of what it answers; `status`: None while that is at work."""

    request: bytes
    status: int | None
    headers: dict[str, str] | None
    body: bytes | None


async def begin(
    client: Client, at: tuple[str, str], request: bytes, kept: timedelta, at_work: timedelta
) -> bool:
    """Take the key `at` (who, key) and tell whether it was free."""
    return await row(client, "answered_begin", *at, request, kept, at_work) is not None


async def found(client: Client, at: tuple[str, str]) -> KeptAnswer | None:
    """Return what is kept, None for nothing."""
    kept = await row(client, "answered_found", *at)
    return None if kept is None else KeptAnswer(**dict(kept))


async def end(
    client: Client, at: tuple[str, str], status: int, headers: dict[str, str], body: bytes
) -> None:
    """Keep an answer."""
    await done(client, "answered_end", *at, status, headers, body)


async def drop(client: Client, at: tuple[str, str]) -> None:
    """Give a key back."""
    await done(client, "answered_drop", *at)
