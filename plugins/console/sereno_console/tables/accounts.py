"""People: their names, their passwords' hashes, what they may, and their sessions."""

from datetime import datetime, timedelta

import msgspec

from sereno import Client, ConflictError, NotFoundError
from sereno_console.tables.statement import done, row, rows


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may log in. `seen_at`: when they last did."""

    name: str
    scopes: list[str]
    created_at: datetime
    created_by: str
    disabled_at: datetime | None = None
    seen_at: datetime | None = None


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is logged in, where and since when. `number`: what it is known by."""

    number: str
    account: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str
    agent: str


class KeptAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account as it is compared with what somebody types."""

    id: int
    name: str
    password: str
    scopes: list[str]

    def __repr__(self) -> str:
        return f"KeptAccount({self.name})"


class Anybody(msgspec.Struct, frozen=True):
    """Whether there is anybody who could come in."""

    accounts: bool
    tokens: bool


async def add(client: Client, name: str, password: str, scopes: list[str], by: str) -> None:
    """Add an account; `password`: its hash. Raises ConflictError for a name that is taken."""
    if await row(client, "account_add", name, password, scopes, by) is None:
        raise ConflictError(f"user '{name}' is there already; `sereno console user list`")


async def change(
    client: Client,
    name: str,
    *,
    password: str | None = None,
    scopes: list[str] | None = None,
    disabled: bool | None = None,
) -> None:
    """Change what is given of an account, and end its sessions. Raises NotFoundError."""
    if await row(client, "account_change", name, password, scopes, disabled) is None:
        raise NotFoundError(f"there is no user '{name}'; `sereno console user list`")
    await end_sessions(client, name)


async def remove(client: Client, name: str) -> None:
    """Remove an account with its sessions. Raises NotFoundError."""
    if await row(client, "account_remove", name) is None:
        raise NotFoundError(f"there is no user '{name}'; `sereno console user list`")


async def kept(client: Client, name: str) -> KeptAccount | None:
    """Return an account that may log in, None for none."""
    found = await row(client, "account_of", name)
    return None if found is None else KeptAccount(**dict(found))


async def rehashed(client: Client, account: KeptAccount, password: str) -> None:
    """Keep the same password by a new hash."""
    await done(client, "account_rehashed", account.id, account.password, password)


async def listed(client: Client, behind: str = "", most: int | None = None) -> list[AccountView]:
    """Return all accounts by name, or at most so many behind one."""
    return [AccountView(**dict(one)) for one in await rows(client, "accounts", behind, most)]


async def anybody(client: Client) -> Anybody:
    """Return whether anybody could come in."""
    return Anybody(**dict(await row(client, "anybody")))


async def begin_session(
    client: Client, account: int, hashed: bytes, lasts: timedelta, address: str, agent: str
) -> None:
    """Keep a session, and forget those that are over."""
    await done(client, "session_begin", hashed, account, lasts, address, agent)


async def of_session(
    client: Client, hashed: bytes, lasts: timedelta
) -> tuple[str, list[str]] | None:
    """Return name and scopes of whose session it is, and let it last; None for none."""
    found = await row(client, "session_used", hashed, lasts)
    return None if found is None else (found["name"], found["scopes"])


async def end_session(client: Client, hashed: bytes) -> None:
    """Forget a session."""
    await done(client, "session_end", hashed)


async def end_numbered_session(client: Client, number: str) -> str | None:
    """Forget the session of that number; return whose it was, None where there is none."""
    found = await row(client, "session_end_numbered", number)
    return None if found is None else str(found["name"])


async def end_sessions(client: Client, name: str | None, but: bytes | None = None) -> int:
    """Forget the sessions of an account, or all; return how many."""
    return await done(client, "sessions_end", name, but)


async def sessions(client: Client) -> list[SessionView]:
    """Return who is logged in."""
    return [SessionView(**dict(found)) for found in await rows(client, "sessions")]
