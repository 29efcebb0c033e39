"""ASGI applications of an embedded node: its pages to mount, and its life for who has no lifespan
of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from sereno.app.application import Sereno
from sereno.http.answer import Answer, RefusedError, json, sentence
from sereno.http.request import Request
from sereno.model.errors import (
    ConflictError,
    NotFoundError,
    SerenoError,
    StoreError,
    WaitTimeoutError,
)
from sereno.model.fault import message

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_HEALTH = "/health"
_METRICS = "/metrics"
_BELOW = ("", "/liveness", "/readiness", "/tasks")
_STATUS: tuple[tuple[type[SerenoError], int], ...] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (WaitTimeoutError, 504),
    (StoreError, 503),
)


def health(node: Sereno) -> App:
    """Return an application that answers how `node` is: mount it at ``/health``.

    Below it ``/liveness``, ``/readiness`` and ``/tasks``. As all of a node does, it answers while
    the application's own loop turns, and tells of the node that is in this process.
    """
    return _Mounted(node, _HEALTH, _BELOW)


def metrics(node: Sereno) -> App:
    """Return an application that answers with the metrics of `node`, for the path ``/metrics``.

    Of several workers one answers, and each tells of itself: where the figures of all are wanted
    rather than those of the jobs, have each serve its own pages (`http.enabled`).
    """
    return _Mounted(node, _METRICS, ("",))


def status_of(error: SerenoError) -> int:
    """Return the HTTP status that `error` is to who asked: 400 where what was asked for is wrong.

    503: the database is away, worth another try.
    """
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 400)


def with_lifespan(app: App, node: Sereno) -> App:
    """Return `app`, which knows no lifespan (as Django's), with `node` kept for as long as its
    server runs it."""

    async def living(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(node, receive, send)
        else:
            await app(scope, receive, send)

    return living


async def _live(node: Sereno, receive: Receive, send: Send) -> None:
    await receive()
    try:
        await node.astart()
    except Exception as error:
        await send({"type": "lifespan.startup.failed", "message": message(error)})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    try:
        await node.astop()
    except Exception as error:
        await send({"type": "lifespan.shutdown.failed", "message": message(error)})
        return
    await send({"type": "lifespan.shutdown.complete"})


class _Mounted:
    """Pages of the node under `root`, wherever they are mounted."""

    def __init__(self, node: Sereno, root: str, below: Iterable[str]) -> None:
        self._node = node
        self._root = root
        self._below = frozenset(below)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"Sereno's pages answer HTTP alone, no {scope['type']}")
        answer = await self._answer(scope)
        headers = {
            "Content-Type": answer.media_type,
            "Content-Length": str(len(answer.body)),
            "Cache-Control": "no-store",
            **answer.headers,
        }
        raw = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope) -> Answer:
        below = self._path(scope)
        if below not in self._below:
            return sentence(404, f"there is no page '{scope['path']}' here")
        standing = self._node._page()
        if standing is None:
            alive = below == "/liveness" and not self._node.failed
            reason = "the node in this process has ended" if self._node.failed else "it starts"
            return json({"status": "alive"}) if alive else json(_not_up(below, reason), 503)
        page, loop = standing
        request = Request(
            method=scope["method"],
            path=self._root + below,
            headers=[(bytes(k).lower(), bytes(v)) for k, v in scope["headers"]],
            peer=(scope.get("client") or ("",))[0],
            next_part=_nothing,
        )
        try:
            answering = asyncio.run_coroutine_threadsafe(_awaited(page, request), loop)
            return await asyncio.wrap_future(answering)
        except RefusedError as error:
            return sentence(error.code, str(error))

    def _path(self, scope: Scope) -> str:
        """Return the path below where this is mounted, as servers and frameworks tell it."""
        path, root = scope["path"], scope.get("root_path", "")
        if root and (path == root or path.startswith(f"{root}/")):
            path = path[len(root) :]
        if path == self._root or path.startswith(f"{self._root}/"):
            path = path[len(self._root) :]
        return str(path.rstrip("/"))


def _not_up(below: str, reason: str) -> dict[str, Any]:
    if below == "/readiness":
        return {"status": "not ready", "reason": reason}
    if below == "/liveness":
        return {"status": "dead", "reason": reason}
    return {"status": "down", "problems": [reason]}


async def _awaited(page: Callable[[Request], Awaitable[Answer]], request: Request) -> Answer:
    return await page(request)


async def _nothing() -> bytes:
    return b""
