"""Keeps an ASGI application alive and asks it for pages, without a server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from sereno.app.asgi import App


class Reply(NamedTuple):
    """What an ASGI application has answered."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(app: App, path: str, root: str = "", method: str = "GET") -> Reply:
    """Ask an ASGI application for a page, as a server does where it is mounted at `root`."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": root,
        "query_string": query.encode(),
        "headers": [],
    }
    await app(scope, receive, send)
    return Reply(sent[0]["status"], b"".join(part.get("body", b"") for part in sent[1:]))


@asynccontextmanager
async def alive(app: App) -> AsyncIterator[None]:
    """Start an application and stop it at the end, as a server does by the lifespan protocol.

    Raises RuntimeError with what it says where it does not start.
    """
    words: asyncio.Queue[str] = asyncio.Queue()
    answers: asyncio.Queue[Any] = asyncio.Queue()

    async def receive() -> Any:
        return {"type": await words.get()}

    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    task = asyncio.ensure_future(app(scope, receive, answers.put))
    words.put_nowait("lifespan.startup")
    answer = await answers.get()
    if answer["type"] != "lifespan.startup.complete":
        await asyncio.wait({task})
        task.exception()
        raise RuntimeError(answer["message"])
    try:
        yield
    finally:
        words.put_nowait("lifespan.shutdown")
        answer = await answers.get()
        await task
        assert answer["type"] == "lifespan.shutdown.complete", answer
