"""Who asks, where the console is mounted in an application that knows its people itself."""

import inspect
from collections.abc import Iterable
from typing import Any, Protocol

from starlette.requests import Request

from sereno_console.security.identity import Identity
from sereno_console.security.permissions import Access


class Resolver(Protocol):
    """What the application says; both functions may be coroutines.

    `resolve_user` returns whoever asks, None for nobody; `resolve_access` what they may: scopes as
    ``["viewer", "pause:shop.*"]``, or an `Access`. An empty one is refused. A user is named by its
    ``username``, ``email`` or ``name``, or as it reads.
    """

    def resolve_user(self, request: Request) -> Any:
        """Return who asks, None for nobody."""
        ...

    def resolve_access(self, user: Any) -> Any:
        """Return what they may."""
        ...


async def resolved(resolver: Resolver, request: Request, address: str) -> Identity | None:
    """Return who asks as the application says it; raises ParamsError for a scope that is none."""
    user = await _awaited(resolver.resolve_user(request))
    if user is None:
        return None
    return Identity(
        name=_name_of(user),
        access=_access(await _awaited(resolver.resolve_access(user))),
        via="host",
        address=address,
    )


async def _awaited(found: Any) -> Any:
    return await found if inspect.isawaitable(found) else found


def _access(found: Access | Iterable[str] | None) -> Access:
    if isinstance(found, Access):
        return found
    return Access.of([found] if isinstance(found, str) else found or ())


def _name_of(user: Any) -> str:
    for name in ("username", "email", "name"):
        found = user.get(name) if isinstance(user, dict) else getattr(user, name, None)
        if isinstance(found, str) and found:
            return found[:200]
    return str(user)[:200]
