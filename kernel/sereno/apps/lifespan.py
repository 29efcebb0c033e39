"""Keeps the lifespan protocol with one ASGI application: whether it starts, its state, its end."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

Application = Callable[[Any, Any, Any], Any]
"""An ASGI application: called with scope, receive and send, and awaited."""

_STARTS_WITHIN = 30.0
_ENDS_WITHIN = 5.0


class LifespanError(Exception):
    """An application that has not started; its text says why."""


class Lifespan:
    """The lifespan of `app`. One that does not know the protocol is served without. `state`: what
    it has put there as it started, for its requests."""

    def __init__(self, app: Application, within: float = _STARTS_WITHIN) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._within = within
        self._told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Have it start; raises LifespanError when it says that it failed, or nothing in time."""
        self._task = asyncio.create_task(self._live())
        self._told.put_nowait({"type": "lifespan.startup"})
        answer = await self._answer(self._within)
        if answer is None:
            await self._end()
            raise LifespanError(f"its lifespan has not started in {self._within:g} s")
        if answer["type"] == "lifespan.startup.failed":
            raise LifespanError(
                f"its lifespan failed: {answer.get('message') or 'it says not why'}"
            )

    async def close(self) -> None:
        """Have it shut down, and end it when it does not."""
        if self._task is not None and not self._task.done():
            self._told.put_nowait({"type": "lifespan.shutdown"})
            await self._answer(_ENDS_WITHIN)
            await self._end()

    async def _live(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        with suppress(Exception):  # raised before its answer: it does not know the protocol
            await self._app(scope, self._told.get, self._answers.put)

    async def _answer(self, seconds: float) -> dict[str, Any] | None:
        """Return what it says next, or that it is over; None when it says nothing in time."""
        answer = asyncio.ensure_future(self._answers.get())
        waits = {answer} if self._task is None else {answer, self._task}
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            return {"type": "over"} if self._task is None or self._task.done() else None
        finally:
            answer.cancel()

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_ENDS_WITHIN)
