"""Decides who logs in: by a password, not too often, for a time."""

from datetime import timedelta
from urllib.parse import unquote

from starlette.requests import Request

from sereno import Client
from sereno_console.security.identity import Identity
from sereno_console.security.passwords import Passwords, hash_of, is_dated
from sereno_console.security.permissions import Access
from sereno_console.security.secrets import hashed, new_key
from sereno_console.tables import accounts, attempts, trail

WINDOW = timedelta(minutes=15)
MOST_OF_ACCOUNT, MOST_OF_ADDRESS = 10, 50
"""How often it may be tried within the window: as somebody, and from somewhere."""

_COOKIE = "sereno_session"
_MOST_NAME = 100


class WrongPasswordError(Exception):
    """A log-in is refused: name and password do not belong together."""


class TooOftenError(Exception):
    """It was tried too often; wait for `WINDOW`."""


class Sessions:
    """Sessions of people, each a row. `lasts`: without a request."""

    def __init__(self, lasts: timedelta) -> None:
        self._lasts = lasts
        self._passwords = Passwords()

    async def log_in(
        self, request: Request, client: Client, name: str, password: str, address: str
    ) -> str:
        """Begin a session and return its key. Raises WrongPasswordError, TooOftenError."""
        name = name.strip().lower()[:_MOST_NAME].replace("\0", "")
        who, where = f"account:{name}", f"address:{address}"
        times = await attempts.tried(client, [who, where], WINDOW)
        if times.get(who, 0) > MOST_OF_ACCOUNT or times.get(where, 0) > MOST_OF_ADDRESS:
            raise TooOftenError
        account = await accounts.kept(client, name)
        kept = None if account is None else account.password
        fits = await self._passwords.fits(kept, password)
        by = f"{name}@{address}"
        if account is None or not fits:
            await trail.note(client, by, "log-in refused", name)
            raise WrongPasswordError
        if is_dated(account.password):
            await accounts.rehashed(client, account, hash_of(password))
        await attempts.succeeded(client, who)
        key, agent = new_key(), request.headers.get("user-agent", "")[:300].replace("\0", "")
        await accounts.begin_session(client, account.id, hashed(key), self._lasts, address, agent)
        await trail.note(client, by, "log-in", name)
        return key

    async def identify(self, request: Request, client: Client, address: str) -> Identity | None:
        """Return whose session the request's cookie is of, None for none."""
        key = request.cookies.get(cookie_name(request))
        if not key:
            return None
        found = await accounts.of_session(client, hashed(key), self._lasts)
        if found is None:
            return None
        name, scopes = found
        return Identity(
            name=name, access=Access.of(scopes), via="session", address=address, key=key
        )

    async def log_out(self, client: Client, identity: Identity) -> None:
        """End the session by which somebody is known."""
        if identity.via == "session":
            await accounts.end_session(client, hashed(identity.key))
            await trail.note(client, identity.by, "log-out", identity.name)


def cookie_name(request: Request) -> str:
    """Return the cookie's name; over TLS one that no other host, nor plain HTTP, can set."""
    return f"__Host-{_COOKIE}" if request.url.scheme == "https" else _COOKIE


def cookie(request: Request, key: str | None) -> str:
    """Return what ``Set-Cookie`` says to keep a session's key; None: to forget it."""
    secure = "; Secure" if request.url.scheme == "https" else ""
    ends = "; Max-Age=0" if key is None else ""
    return f"{cookie_name(request)}={key or ''}; Path=/; HttpOnly; SameSite=Lax{secure}{ends}"


def safe_next(wanted: str, root: str) -> str:
    """Return where a browser goes after it logged in: below the console's own mount alone."""
    plain = unquote(wanted)
    odd = any(c in plain for c in "\\\r\n\t\0") or plain.startswith("//") or "://" in plain
    inside = wanted == root or wanted.startswith(f"{root}/")
    return wanted if inside and wanted.startswith("/") and not odd else f"{root}/"
