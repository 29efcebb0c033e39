"""The CRM's own users: they log in to the CRM, and Sereno's console knows them by that session."""

import asyncio
import hashlib
import secrets
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from crm.pages import log_in_page, start_page
from sereno import Sereno

COOKIE = "crm_session"
LASTS = timedelta(hours=12)
_SALT_BYTES = 16

KNOWN = """
    SELECT s.name, s.role FROM crm.session c JOIN crm.seller s ON s.id = c.seller
     WHERE c.hashed = $1 AND c.ends_at > now()
"""
BEGUN = """
    WITH over AS (DELETE FROM crm.session WHERE ends_at < now())
    INSERT INTO crm.session (hashed, seller, ends_at) VALUES ($1, $2, now() + $3::interval)
"""


class People:
    """Tells the console who asks and what they may: a CEO everything, a seller to look."""

    def __init__(self, node: Sereno) -> None:
        self._node = node

    async def resolve_user(self, request: Any) -> dict[str, str] | None:
        """Return the user of the session, None for nobody."""
        key = request.cookies.get(COOKIE)
        if not key:
            return None
        async with self._node.client.database() as db:
            row = await db.fetchrow(KNOWN, _hashed(key))
        return None if row is None else dict(row)

    def resolve_access(self, user: dict[str, str]) -> list[str]:
        """Return what they may."""
        return ["admin"] if user["role"] == "ceo" else ["viewer"]

    async def log_in(self, login: str, password: str) -> str | None:
        """Begin a session and return its key, None where name or password is wrong."""
        async with self._node.client.database() as db:
            found = await db.fetchrow("SELECT id, password FROM crm.seller WHERE login = $1", login)
        kept = found["password"] if found and found["password"] else b"-" * _SALT_BYTES
        if not await asyncio.to_thread(_is_right, password, kept) or found is None:
            return None
        key = secrets.token_urlsafe(32)
        async with self._node.client.database() as db:
            await db.execute(BEGUN, _hashed(key), found["id"], LASTS)
        return key

    async def log_out(self, key: str) -> None:
        """End a session."""
        async with self._node.client.database() as db:
            await db.execute("DELETE FROM crm.session WHERE hashed = $1", _hashed(key))


def add_people(app: FastAPI, people: People) -> None:
    """Add the start page, and where people log in and out."""

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def start(request: Request) -> str:
        return start_page(await people.resolve_user(request))

    @app.get("/login", response_class=HTMLResponse, include_in_schema=False)
    async def form(next: str = "/") -> str:
        return log_in_page(_ours(next))

    @app.post("/login", include_in_schema=False)
    async def log_in(request: Request) -> Response:
        sent = (await request.body()).decode(errors="replace").replace("%00", "")
        told = {name: values[0] for name, values in parse_qs(sent).items()}
        wanted = _ours(told.get("next", "/"))
        key = await people.log_in(told.get("login", ""), told.get("password", ""))
        if key is None:
            return HTMLResponse(log_in_page(wanted, refused=True), 403)
        answer = RedirectResponse(wanted, 303)
        answer.set_cookie(
            COOKIE,
            key,
            max_age=int(LASTS.total_seconds()),
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return answer

    @app.post("/logout", include_in_schema=False)
    async def log_out(request: Request) -> Response:
        await people.log_out(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(COOKIE)
        return answer


def salted(password: str, salt: bytes | None = None) -> bytes:
    """Return what is kept of a password."""
    salt = salt or secrets.token_bytes(_SALT_BYTES)
    return salt + hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


def _is_right(password: str, kept: bytes) -> bool:
    return secrets.compare_digest(salted(password, kept[:_SALT_BYTES]), kept)


def _hashed(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _ours(address: str) -> str:
    """Return an address of this application: no link may lead to another's from here."""
    own = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if own and address.isprintable() else "/"
