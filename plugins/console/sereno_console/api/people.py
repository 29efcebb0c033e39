"""Operations of who uses the console: who I am, who else there is, and what was done."""

from typing import Annotated

from msgspec import Meta, Struct
from starlette.responses import Response

from sereno import Page, ParamsError
from sereno_console.api.operation import Nothing, listed, operation
from sereno_console.api.runs_given import LISTED, Limit, Text
from sereno_console.tables import accounts, tokens, trail
from sereno_console.tables.accounts import AccountView, SessionView
from sereno_console.tables.tokens import TokenView
from sereno_console.tables.trail import TrailView
from sereno_console.web.request import ConsoleRequest

_LAST = 2**63 - 1


class GrantView(Struct, frozen=True):
    """Actions that are allowed for jobs of a pattern."""

    actions: list[str]
    jobs: str


class Me(Struct, frozen=True, kw_only=True):
    """Who asks, how they are known, and what they may."""

    name: str
    via: str
    by: str
    grants: list[GrantView]


class TrailQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which entries: older than one, by number."""

    limit: Limit = 50
    before: Annotated[int, Meta(ge=1, le=_LAST)] = _LAST


class UsersQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """With `limit` or `cursor` a page of them."""

    limit: Limit | None = None
    cursor: Text | None = None


class TokensQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """With `limit` or `cursor` a page of them."""

    limit: Limit | None = None
    cursor: Annotated[int, Meta(ge=1, le=_LAST)] | None = None


@operation("GET", "/me", Nothing, Me, needs="known", tag="people")
async def get_me(request: ConsoleRequest, given: Nothing) -> Me:
    """Return who asks, and what they may."""
    user = request.user
    grants = [GrantView(sorted(g.actions), g.pattern) for g in user.access.grants]
    return Me(name=user.name, via=user.via, by=user.by, grants=grants)


@operation("GET", "/users", UsersQuery, list[AccountView], needs="access", tag="people")
async def list_users(request: ConsoleRequest, given: UsersQuery) -> list[AccountView] | Response:
    """List the console's own users, by name; or page by page."""
    if given.limit is None and given.cursor is None:
        return await accounts.listed(request.sereno)
    limit = given.limit or LISTED
    if "\0" in (given.cursor or ""):
        raise ParamsError("cursor: it holds U+0000, which no name can have")
    found = await accounts.listed(request.sereno, given.cursor or "", limit + 1)
    more = found[limit - 1].name if len(found) > limit else None
    return listed(request, Page(items=tuple(found[:limit]), older=more))


@operation("GET", "/sessions", Nothing, list[SessionView], needs="access", tag="people")
async def list_sessions(request: ConsoleRequest, given: Nothing) -> list[SessionView]:
    """List who is logged in, where and since when."""
    return await accounts.sessions(request.sereno)


@operation("GET", "/tokens", TokensQuery, list[TokenView], needs="access", tag="people")
async def list_tokens(request: ConsoleRequest, given: TokensQuery) -> list[TokenView] | Response:
    """List the tokens: what they may, when they were used last and from where; or page by page, the
    newest first."""
    if given.limit is None and given.cursor is None:
        return await tokens.listed(request.sereno)
    limit = given.limit or LISTED
    found = await tokens.page(request.sereno, given.cursor or _LAST, limit + 1)
    more = str(found[limit - 1].id) if len(found) > limit else None
    return listed(request, Page(items=tuple(found[:limit]), older=more))


@operation("GET", "/trail", TrailQuery, list[TrailView], needs="access", tag="people")
async def list_trail(request: ConsoleRequest, given: TrailQuery) -> list[TrailView]:
    """List log-ins, changes of users and tokens, and secrets that were shown, the newest first."""
    return await trail.page(request.sereno, given.before, True, given.limit)
