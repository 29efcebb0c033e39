"""The console in an application of somebody else's, which the first request loads."""

import asyncio
from typing import Any

from sereno import lazy


class ConsoleMount:
    """An ASGI application that becomes the console with its first request.

    A framework, templates and all pages are 13 MB, which only those of an application's workers
    hold that are asked for a page. `given`: what `embedded` takes.
    """

    def __init__(self, database: Any, **given: Any) -> None:
        self._database, self._given = database, given
        self._loading = asyncio.Lock()
        self._console: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, or keep the lifespan protocol."""
        await (await self._loaded())(scope, receive, send)

    async def close(self) -> None:
        """Close what was opened; a mounted application hears nothing of its host's end."""
        if self._console is not None:
            await self._console.close()

    async def _loaded(self) -> Any:
        async with self._loading:
            if self._console is None:  # in a thread: the application goes on answering meanwhile
                place = await asyncio.to_thread(lazy, "sereno_console.site.embedded")
                self._console = place.embedded(self._database, **self._given)
        return self._console
