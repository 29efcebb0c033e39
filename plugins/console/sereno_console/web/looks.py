"""Writes a page once for all who look at it again at the same time, and see the same of it.

A page that is open looks again whenever it hears of something new (`console.js`), and says so in a
header: it is answered with what it shows alone, without what is around it, which may name somebody.
Invariants: what is shared was begun after the newest of what the hub has heard, and not longer ago
than a second; it goes to those alone who may do the same, in the same words and the same zone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response

from sereno_console.web.request import ConsoleRequest

LOOK = "x-sereno-look"

_FRESH_SECONDS = 1.0
_MOST = 200
_WORDS = ("sereno_zone", "sereno_language", "sereno_theme")
"""Cookies that a page is written by."""

Made = Callable[[], Awaitable[Response]]


def is_refresh(request: ConsoleRequest) -> bool:
    """Tell whether an open page looks again; never where secrets are shown, which is noted for each
    time."""
    return (
        request.method == "GET" and LOOK in request.headers and "reveal" not in request.query_params
    )


class Looks:
    """Answers that were begun a moment ago."""

    def __init__(self) -> None:
        self._begun: dict[Any, asyncio.Task[Response]] = {}
        self._heard = ""

    async def answer(self, request: ConsoleRequest, make: Made) -> Response:
        """Return what `make` makes, or has made a moment ago for somebody who sees the same."""
        if self._heard != request.hub.last:
            self._heard = request.hub.last
            self._begun.clear()
        seen = _seen(request)
        task = self._begun.get(seen)
        if task is None:
            task = self._begin(seen, make)
        found = await asyncio.shield(task)  # others wait for it, too
        if type(found) is not Response:  # it is sent as it is made, and so to one alone
            return await make()
        answer = Response(found.body, found.status_code)
        answer.raw_headers = list(found.raw_headers)
        return answer

    def _begin(self, seen: Any, make: Made) -> asyncio.Task[Response]:
        loop = asyncio.get_running_loop()
        task: asyncio.Task[Response] = loop.create_task(_made(make))
        if len(self._begun) < _MOST:
            self._begun[seen] = task
            loop.call_later(_FRESH_SECONDS, self._forget, seen, task)
        return task

    def _forget(self, seen: Any, task: asyncio.Task[Response]) -> None:
        if self._begun.get(seen) is task:
            del self._begun[seen]


async def _made(make: Made) -> Response:
    return await make()


def _seen(request: ConsoleRequest) -> Any:
    """Return all that decides what a page shows."""
    scope = request.scope
    return (
        request.asked_path,
        scope.get("root_path", ""),
        scope["query_string"],
        request.user.access,
        request.headers.get("accept-language", "")[:1_000],
        *(request.cookies.get(name) for name in _WORDS),
    )
