"""Tokens of programs: kept by their hash, with what they may and when they were used."""

from datetime import datetime, timedelta

import msgspec

from sereno import Client, ConflictError, NotFoundError
from sereno_console.tables.statement import row, rows


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A token, without what it is. `hint`: how it begins; `id`: its number, never given again."""

    id: int
    name: str
    hint: str
    scopes: list[str]
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    used_at: datetime | None = None
    used_from: str | None = None


async def add(
    client: Client,
    name: str,
    token: tuple[bytes, str],
    scopes: list[str],
    by: str,
    lasts: timedelta | None,
) -> None:
    """Keep a token; `token`: its hash, and how it begins. Raises ConflictError for a name that one
    has which is not revoked."""
    hashed, hint = token
    if await row(client, "token_add", name, hashed, hint, scopes, by, lasts) is None:
        raise ConflictError(f"token '{name}' is there already; revoke it, or take another name")


async def used(client: Client, hashed: bytes, address: str) -> tuple[str, list[str]] | None:
    """Return name and scopes of a token, and note its use; None for none that counts."""
    found = await row(client, "token_used", hashed, address)
    return None if found is None else (found["name"], found["scopes"])


async def revoke(client: Client, name: str, by: str) -> None:
    """Have a token count no longer. Raises NotFoundError."""
    if await row(client, "token_revoke", name, by) is None:
        raise NotFoundError(f"there is no token '{name}'; `sereno console token list`")


async def listed(client: Client) -> list[TokenView]:
    """Return the tokens, those that are revoked last."""
    return [TokenView(**dict(found)) for found in await rows(client, "tokens")]


async def page(client: Client, before: int, most: int) -> list[TokenView]:
    """Return at most so many tokens, the newest first, made before the one of that number."""
    return [TokenView(**dict(found)) for found in await rows(client, "token_page", before, most)]
