"""Who may use the console: users, tokens, who is logged in, and what they did."""

from collections.abc import Mapping

from starlette.responses import Response

from sereno import ParamsError, SchemaError, parse_duration
from sereno_console.pages.asked import whole_number
from sereno_console.pages.environment import page
from sereno_console.pages.routes import PAGES
from sereno_console.security import administration
from sereno_console.security.permissions import ACTIONS, ROLES
from sereno_console.tables import accounts, tokens, trail
from sereno_console.tables.trail import TrailView
from sereno_console.web.answers import ProblemError, seen_other
from sereno_console.web.request import ConsoleRequest

_TRAIL = 50
_LAST = 2**63 - 1


@PAGES.on("GET", "/people", needs="access")
async def people(request: ConsoleRequest) -> Response:
    """List users, tokens and sessions, and let them be made and ended."""
    return await _page(request)


@PAGES.on("GET", "/people/trail", needs="access")
async def people_trail(request: ConsoleRequest) -> Response:
    """List what users, tokens and secrets were used for, the newest first."""
    asked = request.query_params
    older = "after" not in asked
    text = asked.get("before") or asked.get("after") or str(_LAST)
    at = whole_number(text)
    if at is None:
        raise ParamsError(f"'{text[:40]}' is no number of an entry")
    found = await trail.page(request.sereno, at, older, _TRAIL + 1)
    more = len(found) > _TRAIL
    shown = found[:_TRAIL] if older else found[-_TRAIL:]
    return await page(
        request,
        "people_trail.html",
        active=("people",),
        entries=shown,
        older=shown[-1].id if shown and (more or not older) else None,
        newer=shown[0].id if shown and (more if not older else "before" in asked) else None,
    )


@PAGES.on("GET", "/people/users/{user}", needs="access")
async def person(request: ConsoleRequest) -> Response:
    """Show one user, and let them be changed."""
    found = await administration.user_named(request.sereno, request.arguments["user"])
    sessions = await accounts.sessions(request.sereno)
    return await page(
        request,
        "person.html",
        active=("people",),
        person=found,
        sessions=[s for s in sessions if s.account == found.name],
        roles=_roles(),
        actions=ACTIONS,
    )


@PAGES.on("POST", "/people/users", needs="access")
async def add_user(request: ConsoleRequest) -> Response:
    """Add a user."""
    _own(request)
    given = await request.fields()
    name = await administration.add_user(
        request.sereno,
        request.user,
        given.get("name", ""),
        given.get("password", ""),
        scopes_given(given),
    )
    return seen_other(request.link("people", "users", name))


@PAGES.on("POST", "/people/users/{user}", needs="access")
async def change_user(request: ConsoleRequest) -> Response:
    """Change what a user may, their password, or whether they may log in; or remove them."""
    given, name = await request.fields(), request.arguments["user"]
    sereno, who, what = request.sereno, request.user, given.get("do")
    if what == "remove":
        await administration.remove_user(sereno, who, name)
        return seen_other(request.link("people"))
    if what == "scopes":
        await administration.change_user(sereno, who, name, scopes=scopes_given(given))
    elif what == "password":
        await administration.change_user(sereno, who, name, password=given.get("password", ""))
    elif what in ("disable", "enable"):
        await administration.change_user(sereno, who, name, disabled=what == "disable")
    elif what == "log-out":
        await administration.end_sessions(sereno, who, name)
    else:
        raise ParamsError("the form says nothing that can be done")
    return seen_other(request.link("people", "users", name))


@PAGES.on("POST", "/people/tokens", needs="access")
async def add_token(request: ConsoleRequest) -> Response:
    """Make a token and show it, this once."""
    _own(request)
    given = await request.fields()
    lasts = given.get("lasts", "").strip()
    made = await administration.add_token(
        request.sereno,
        request.user,
        given.get("name", ""),
        scopes_given(given),
        parse_duration(lasts) if lasts else None,
    )
    return await _page(request, 201, made=(given.get("name", ""), made))


@PAGES.on("POST", "/people/tokens/{token}/revoke", needs="access")
async def revoke_token(request: ConsoleRequest) -> Response:
    """Have a token count no longer."""
    await administration.revoke_token(request.sereno, request.user, request.arguments["token"])
    return seen_other(request.link("people") + "#tokens")


@PAGES.on("POST", "/people/sessions/{session}/end", needs="access")
async def end_session(request: ConsoleRequest) -> Response:
    """Log somebody out."""
    await administration.end_session(request.sereno, request.user, request.arguments["session"])
    return seen_other(request.link("people") + "#sessions")


def scopes_given(given: Mapping[str, str]) -> list[str]:
    """Return the scopes that a form says: of a role, of single actions, and as they are written.

    Role and actions are for the jobs of the pattern in ``jobs``.
    """
    pattern = given.get("jobs", "").strip() or "*"
    named = [given["role"]] if given.get("role") else []
    named += [action for action in ACTIONS if given.get(f"action.{action}") == "on"]
    of_jobs = [name if pattern == "*" else f"{name}:{pattern}" for name in named]
    return list(dict.fromkeys([*of_jobs, *given.get("scopes", "").split()]))


async def _page(
    request: ConsoleRequest, status: int = 200, made: tuple[str, str] | None = None
) -> Response:
    """Answer with the page. `made`: name and text of a token that was made just now."""
    own = request.sessions is not None
    return await page(
        request,
        "people.html",
        status,
        active=("people",),
        own=own,
        users=await accounts.listed(request.sereno) if own else [],
        tokens=await tokens.listed(request.sereno) if own else [],
        sessions=await accounts.sessions(request.sereno) if own else [],
        entries=await _newest(request),
        roles=_roles(),
        actions=ACTIONS,
        made=made,
    )


async def _newest(request: ConsoleRequest) -> list[TrailView]:
    """Return the newest entries; none where the console's tables are not there, as in an
    application that keeps people itself and was given the kernel's alone."""
    try:
        return await trail.page(request.sereno, _LAST, True, 10)
    except SchemaError:
        return []


def _roles() -> list[tuple[str, frozenset[str]]]:
    return list(ROLES.items())


def _own(request: ConsoleRequest) -> None:
    """Raise ProblemError where another application knows who comes in."""
    if request.sessions is None:
        raise ProblemError(
            404, "who may use the console is said by the application that it is a part of"
        )
