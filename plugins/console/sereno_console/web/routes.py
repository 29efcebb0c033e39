"""Finds who answers a request, by its method and the parts of its path."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from sereno_console.security.gate import Need

Handler = Callable[..., Awaitable[Any]]
"""Takes a `ConsoleRequest`, returns an answer."""


class WebRoute(msgspec.Struct, frozen=True):
    """An address. `needs`: what who asks must be allowed, for the job in the path where there is
    one, else for any job; the handler asks again where it learns of a job later. ``known``: anybody
    who is known. None: it is open, and nobody is asked who they are.

    `facts`: what a room notes of its own routes.
    """

    method: str
    path: str
    handler: Handler
    needs: Need | None
    facts: Any = None

    @property
    def parts(self) -> list[str]:
        """Return the parts of the path."""
        return self.path.strip("/").split("/")


class FoundRoute(msgspec.Struct, frozen=True):
    """A route and what the path says of its variables."""

    route: WebRoute
    arguments: Mapping[str, str]


class RouteTable:
    """Addresses. What is written as it is goes before what is a variable."""

    def __init__(self) -> None:
        self._routes: dict[int, list[WebRoute]] = {}

    def __iter__(self) -> Any:
        return iter([route for routes in self._routes.values() for route in routes])

    def add(self, route: WebRoute) -> None:
        """Add one; raises ValueError where it is there already."""
        parts = route.parts
        same = self._routes.setdefault(len(parts), [])
        if any(r.method == route.method and _shape(r) == _shape(route) for r in same):
            raise ValueError(f"{route.method} {route.path} has a handler already")
        same.append(route)
        same.sort(key=lambda r: [part.startswith("{") for part in r.parts])

    def on(
        self, method: str, path: str, *, needs: Need | None, facts: Any = None
    ) -> Callable[[Handler], Handler]:
        """Return what adds the function below it."""

        def added(handler: Handler) -> Handler:
            self.add(WebRoute(method, path, handler, needs, facts))
            return handler

        return added

    def find(self, method: str, parts: Sequence[str]) -> FoundRoute | list[str]:
        """Return who answers; else the methods that the path takes, none where it is unknown."""
        method = "GET" if method == "HEAD" else method
        allowed: set[str] = set()
        shape: list[str] | None = None
        for route in self._routes.get(len(parts), ()):
            arguments = _match(route.parts, parts)
            if arguments is not None and shape in (None, _shape(route)):
                shape = _shape(route)
                if route.method == method:
                    return FoundRoute(route, arguments)
                allowed.add(route.method)
        return sorted(allowed | ({"HEAD"} if "GET" in allowed else set()))


def _match(pattern: Sequence[str], parts: Sequence[str]) -> dict[str, str] | None:
    found = {}
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted.startswith("{"):
            if not part:
                return None
            found[wanted[1:-1]] = part
        elif wanted != part:
            return None
    return found


def _shape(route: WebRoute) -> list[str]:
    return ["{}" if part.startswith("{") else part for part in route.parts]
