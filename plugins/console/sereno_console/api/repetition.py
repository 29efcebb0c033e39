"""Answers a request that is made again as it was answered before: ``Idempotency-Key``.

The answer is kept for a day, for who asked. While the first is at work, another is refused; one
whose asker has been gone for a minute is done again.
"""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

from starlette.responses import Response

from sereno import ParamsError
from sereno_console.tables import answered
from sereno_console.web.answers import ProblemError
from sereno_console.web.request import ConsoleRequest

HEADER = "idempotency-key"
KEPT = timedelta(days=1)
AT_WORK = timedelta(minutes=1)

_LONGEST = 200
_MOST_BYTES = 262_144

Work = Callable[[ConsoleRequest], Awaitable[Response]]


def answered_once(work: Work) -> Work:
    """Return `work`, done once for each key; without one it is done each time."""

    async def handler(request: ConsoleRequest) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return await work(request)
        if not 0 < len(key) <= _LONGEST or not key.isprintable():
            raise ParamsError(f"Idempotency-Key takes 1 to {_LONGEST} characters that can be seen")
        who = f"{request.user.via}:{request.user.name}"[:300]
        mark = await _mark(request)
        if await answered.begin(request.sereno, (who, key), mark, KEPT, AT_WORK):
            return await _first(request, (who, key), work)
        return await _again(request, (who, key), mark)

    handler.__name__ = getattr(work, "__name__", "work")
    return handler


async def _mark(request: ConsoleRequest) -> bytes:
    found = hashlib.sha256(f"{request.method} {request.asked_path}\n".encode())
    found.update(await request.body())
    return found.digest()


async def _first(request: ConsoleRequest, at: tuple[str, str], work: Work) -> Response:
    try:
        answer = await work(request)
    except BaseException:  # nothing came of it: the same key may try again
        await answered.drop(request.sereno, at)
        raise
    body = bytes(answer.body)
    if len(body) > _MOST_BYTES:
        await answered.drop(request.sereno, at)
        return answer
    named = ("content-type", "location", "etag")
    headers = {name: value for name, value in answer.headers.items() if name in named}
    await answered.end(request.sereno, at, answer.status_code, headers, body)
    return answer


async def _again(request: ConsoleRequest, at: tuple[str, str], mark: bytes) -> Response:
    found = await answered.found(request.sereno, at)
    if found is None or found.status is None:
        wait = {"retry-after": "1"}
        raise ProblemError(409, "the first request with this key is at work", headers=wait)
    if found.request != mark:
        raise ProblemError(422, "this Idempotency-Key was used for another request")
    headers = {**(found.headers or {}), "idempotency-replayed": "true"}
    return Response(found.body, found.status, headers)
