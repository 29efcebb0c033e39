"""One app under its mount: made once, and asked with a time limit; its faults stay its own."""

import asyncio
import inspect
import logging
from typing import Any

from sereno.apps.lifespan import Application, Lifespan
from sereno.apps.words import answer
from sereno.model import fault
from sereno.plugins import DeclaredApp
from sereno.settings import redact

log = logging.getLogger("sereno.apps")

_MADE_WITHIN = 30.0


class Mounted:
    """The app that `declared` makes. `fault`: why it is not served, None while it is.

    `answer_within`: seconds that it has to begin an answer.
    """

    def __init__(self, declared: DeclaredApp, answer_within: float) -> None:
        self.mount = declared.mount
        self.title = declared.app.title
        self.plugin = declared.plugin
        self.doorkeeper = declared.app.doorkeeper
        self.fault: str | None = "it has not been made yet"
        self._factory = declared.app.factory
        self._within = answer_within
        self._app: Application | None = None
        self._lifespan: Lifespan | None = None

    async def start(self, client: Any) -> None:
        """Make the app and have it start; what it raises is its `fault`."""
        try:
            made = self._factory(client)
            if inspect.isawaitable(made):
                async with asyncio.timeout(_MADE_WITHIN):
                    made = await made
            if not callable(made):
                raise TypeError(f"its factory returned {made!r:.100}, no ASGI application")
            self._lifespan = Lifespan(made)
            await self._lifespan.start()
            self._app, self.fault = made, None
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                raise
            self.fault = redact(fault.sentence(error))
            facts = {"app": self.mount, "plugin": self.plugin}
            log.error("an app is not served, the others are", exc_info=error, extra=facts)

    @property
    def visitor(self) -> Any:
        """Return what tells who asks, None where this app does not."""
        known = self.doorkeeper and self.fault is None
        return getattr(self._app, "visitor", None) if known else None

    async def close(self) -> None:
        """Have the app end."""
        if self._lifespan is not None:
            await self._lifespan.close()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Have the app answer a request to it."""
        if self._app is None or self._lifespan is None:
            await self._refuse(503, f"is not served: {self.fault}", scope, send)
            return
        scope["state"] = dict(self._lifespan.state)
        sent = _Sent(send)
        asked = asyncio.ensure_future(self._app(scope, receive, sent))
        begun = asyncio.ensure_future(sent.begun.wait())
        try:
            await asyncio.wait(
                {asked, begun}, timeout=self._within, return_when=asyncio.FIRST_COMPLETED
            )
            if sent.begun.is_set():
                await asyncio.wait({asked})
        except asyncio.CancelledError:  # who asked has gone
            asked.cancel()
            raise
        finally:
            begun.cancel()
        await self._see_off(asked, sent, scope, send)

    async def _see_off(
        self, asked: "asyncio.Future[Any]", sent: "_Sent", scope: Any, send: Any
    ) -> None:
        """Say what has gone wrong with a request, where something has."""
        facts = {"app": self.mount, "plugin": self.plugin, "path": scope["path"]}
        if not asked.done():
            sent.given_up = True
            asked.cancel()
            log.error("an app has not answered in time", extra=facts | {"seconds": self._within})
            await self._refuse(504, f"has not answered in {self._within:g} s", scope, send)
            return
        error = None if asked.cancelled() else asked.exception()
        if error is not None:
            log.error("an app failed to answer", exc_info=error, extra=facts)
        if not sent.begun.is_set():
            await self._refuse(500, "failed to answer; the log says why", scope, send)
        elif error is not None:
            raise ConnectionAbortedError("an answer was left off in its midst")

    async def _refuse(self, status: int, what: str, scope: Any, send: Any) -> None:
        sentence = f"the app '{self.mount}' of plugin '{self.plugin}' {what}"
        await answer(scope, send, status, {"error": sentence})


class _Sent:
    """Passes an app's words on, until it is given up."""

    def __init__(self, send: Any) -> None:
        self._send = send
        self.begun = asyncio.Event()
        self.given_up = False

    async def __call__(self, message: Any) -> None:
        if self.given_up:
            raise ConnectionAbortedError("this request was given up: its answer came too late")
        self.begun.set()
        await self._send(message)
