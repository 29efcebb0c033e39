"""Decides who asks and whether they may: what no gate lets through, no handler sees."""

from time import monotonic
from typing import Literal
from urllib.parse import urlsplit

from starlette.requests import Request

from sereno import Client
from sereno_console.security.identity import ForbiddenError, Identity
from sereno_console.security.log_in import Sessions
from sereno_console.security.origin import RequestOrigin
from sereno_console.security.permissions import ROLES, Access, Action, Grant
from sereno_console.security.proxy import Proxies
from sereno_console.security.resolver import Resolver, resolved
from sereno_console.security.secrets import hashed
from sereno_console.settings import Settings
from sereno_console.tables import accounts, tokens
from sereno_console.tables.accounts import Anybody

_SAFE = ("GET", "HEAD", "OPTIONS")
_ASKED_EVERY = 2.0
"""Seconds between two looks at whether anybody could come in."""

LOCAL = "local"
"""The name of who comes from this machine while nobody was added."""

Need = Action | Literal["known"]
"""What a route needs: an action, or anybody who is known."""

NOBODY = (
    "the console is closed to who comes not from this machine itself: there are no users, tokens, "
    "or proxy that names its users; `sereno console user add NAME --scope admin` adds somebody, "
    "docs/console.md tells of the rest"
)


class UnknownError(Exception):
    """Nobody is known to ask; its text says how one becomes known."""


class ClosedError(Exception):
    """Nobody can come in, as nobody was added; its text says what to do."""


class Gate:
    """Finds out who asks. `resolver`: of the application that the console is mounted in."""

    def __init__(self, settings: Settings, resolver: Resolver | None = None) -> None:
        self._settings = settings
        self._resolver = resolver
        self._proxies = Proxies(settings.proxy)
        self._anybody = (0.0, Anybody(accounts=False, tokens=False))
        self.sessions = None if resolver is not None else Sessions(settings.session_time)

    def check_origin(self, request: Request) -> None:
        """Raise ForbiddenError for a change that another site's page asks a browser for.

        A browser says in ``Sec-Fetch-Site`` who asks, an old one in ``Origin``; a program sends
        neither.
        """
        if request.method in _SAFE:
            return
        site = request.headers.get("sec-fetch-site")
        origin = request.headers.get("origin")
        if site is not None:
            if site in ("same-origin", "none"):
                return
        elif origin is None or urlsplit(origin).netloc == request.headers.get("host"):
            return
        raise ForbiddenError("a page of another site asks for this change; nothing was done")

    async def identify(self, request: Request, client: Client) -> Identity | None:
        """Return who asks, None where nobody is known.

        Raises UnknownError for a token that does not count, ClosedError while nobody can come in.
        """
        origin = RequestOrigin.of(request.scope)
        if self._resolver is not None:
            return await resolved(self._resolver, request, origin.address)
        if "authorization" in request.headers:
            return await _of_token(request, client, origin.address)
        if self.sessions is not None:
            known = await self.sessions.identify(request, client, origin.address)
            if known is not None:
                return known
        if known := self._proxies.identify(request, origin):
            return known
        local = self._settings.local
        if local != "none" and origin.is_local(request.headers):
            if not (await self._known(client)).accounts:
                access = Access((Grant(ROLES[local], "*"),))
                return Identity(name=LOCAL, access=access, via="local", address=origin.address)
        elif not self._proxies.named and not _any(await self._known(client)):
            raise ClosedError(NOBODY)
        return None

    def admit(self, known: Identity | None, need: Need, job: str | None) -> None:
        """Raise UnknownError or ForbiddenError unless `known` may do what is needed."""
        if known is None:
            raise UnknownError("log in, or send a token: Authorization: Bearer ...")
        if need != "known":
            known.require(need, job)

    async def _known(self, client: Client) -> Anybody:
        asked, found = self._anybody
        if not asked or monotonic() - asked > _ASKED_EVERY:
            found = await accounts.anybody(client)
            self._anybody = (monotonic(), found)
        return found


async def _of_token(request: Request, client: Client, address: str) -> Identity:
    kind, _, token = request.headers["authorization"].partition(" ")
    found = None
    if kind.lower() == "bearer" and token:
        found = await tokens.used(client, hashed(token.strip()), address)
    if found is None:
        raise UnknownError("Authorization holds no token that counts: it may be revoked or over")
    name, scopes = found
    return Identity(name=name, access=Access.of(scopes), via="token", address=address)


def _any(found: Anybody) -> bool:
    return found.accounts or found.tokens
