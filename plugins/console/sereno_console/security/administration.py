"""Decides who may make whom what: nobody gives, or takes, more than they have, and each change is
noted in the trail."""

import asyncio
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import cast

from sereno import Client, ConflictError, NotFoundError, ParamsError, format_duration
from sereno_console.security.identity import ForbiddenError, Identity
from sereno_console.security.passwords import checked, hash_of
from sereno_console.security.permissions import EVERYTHING, Access, Action
from sereno_console.security.secrets import hashed, hint, new_token
from sereno_console.tables import accounts, tokens, trail
from sereno_console.tables.accounts import AccountView

NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}")
_LONGEST = timedelta(days=36_500)


def name_checked(name: str) -> str:
    """Return the name of a user or token as it is kept; raises ParamsError for one that is none."""
    found = name.strip().lower()
    if not NAME.fullmatch(found):
        raise ParamsError(
            f"'{name[:100]}' is no name: it takes letters, digits and . _ - + @, at most 100"
        )
    return found


def require_covered(who: Identity, scopes: Sequence[str]) -> None:
    """Raise ForbiddenError unless `who` may do all that `scopes` say; ParamsError for what is
    none."""
    for grant in Access.of(scopes).grants:
        for action in sorted(grant.actions):
            if not who.can(cast(Action, action), grant.pattern):
                raise ForbiddenError(
                    f"'{who.name}' may not {action} for '{grant.pattern}', and nobody decides "
                    "about more than they may themselves"
                )


async def user_named(client: Client, name: str) -> AccountView:
    """Return a user; raises NotFoundError."""
    for account in await accounts.listed(client):
        if account.name == name:
            return account
    raise NotFoundError(f"there is no user '{name[:100]}'")


async def add_user(
    client: Client, who: Identity, name: str, password: str, scopes: Sequence[str]
) -> str:
    """Add somebody who logs in by a password; return the name as it is kept."""
    name, scopes = name_checked(name), _some(scopes)
    require_covered(who, scopes)
    first = who.via == "local" and not (await accounts.anybody(client)).accounts
    if first and not Access.of(scopes).allows("access", EVERYTHING):
        raise ParamsError(
            "scopes: the first user must be one who may add others, as admin: from then on all "
            "are asked who they are"
        )
    kept = await asyncio.to_thread(hash_of, checked(password))
    await accounts.add(client, name, kept, list(scopes), who.by)
    await trail.note(client, who.by, "user added", name, " ".join(scopes))
    return name


async def change_user(
    client: Client,
    who: Identity,
    name: str,
    *,
    scopes: Sequence[str] | None = None,
    password: str | None = None,
    disabled: bool | None = None,
) -> None:
    """Change what is given of a user; their sessions end. Raises NotFoundError, ForbiddenError."""
    require_covered(who, (await user_named(client, name)).scopes)
    if scopes is not None:
        require_covered(who, _some(scopes))
    if disabled:
        _not_themselves(who, name)
    kept = None if password is None else await asyncio.to_thread(hash_of, checked(password))
    named = [*(scopes or ()), *(["password"] if kept else ())]
    named += [] if disabled is None else ["disabled" if disabled else "enabled"]
    if not named:
        raise ParamsError("nothing to change is given")
    await accounts.change(
        client,
        name,
        password=kept,
        scopes=None if scopes is None else list(scopes),
        disabled=disabled,
    )
    await trail.note(client, who.by, "user changed", name, " ".join(named))


async def remove_user(client: Client, who: Identity, name: str) -> None:
    """Remove a user; their sessions end. Raises NotFoundError, ForbiddenError."""
    _not_themselves(who, name)
    require_covered(who, (await user_named(client, name)).scopes)
    await accounts.remove(client, name)
    await trail.note(client, who.by, "user removed", name)


async def add_token(
    client: Client, who: Identity, name: str, scopes: Sequence[str], lasts: timedelta | None
) -> str:
    """Make a token and return it: it can be had this once, and is kept as a hash."""
    name, scopes = name_checked(name), _some(scopes)
    require_covered(who, scopes)
    if lasts is not None and not timedelta(0) < lasts <= _LONGEST:
        raise ParamsError("a token lasts more than 0 and at most 36500d")
    made = new_token()
    await tokens.add(client, name, (hashed(made), hint(made)), list(scopes), who.by, lasts)
    how_long = "" if lasts is None else f", for {format_duration(lasts)}"
    await trail.note(client, who.by, "token added", name, f"{' '.join(scopes)}{how_long}")
    return made


async def revoke_token(client: Client, who: Identity, name: str) -> None:
    """Have a token count no longer. Raises NotFoundError, ForbiddenError."""
    for token in await tokens.listed(client):
        if token.name == name and token.revoked_at is None:
            require_covered(who, token.scopes)
    await tokens.revoke(client, name, who.by)
    await trail.note(client, who.by, "token revoked", name)


async def end_session(client: Client, who: Identity, number: str) -> None:
    """Log somebody out where they are logged in. Raises NotFoundError."""
    ended = await accounts.end_numbered_session(client, number)
    if ended is None:
        raise NotFoundError("this session is over")
    await trail.note(client, who.by, "session revoked", ended)


async def end_sessions(client: Client, who: Identity, name: str) -> None:
    """Log somebody out everywhere. Raises NotFoundError."""
    await user_named(client, name)
    await accounts.end_sessions(client, name)
    await trail.note(client, who.by, "sessions revoked", name)


def _some(scopes: Sequence[str]) -> Sequence[str]:
    if not scopes:
        raise ParamsError("scopes: say what they may, as viewer or operator:shop.*")
    Access.of(scopes)
    return scopes


def _not_themselves(who: Identity, name: str) -> None:
    if who.via == "session" and who.name == name:
        raise ConflictError("nobody locks themselves out; somebody else who has 'access' can")
