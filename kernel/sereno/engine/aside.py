"""Asks the pool on the side of what must not wait for it: the words that keep a session.

States: free; asking (one question at a time). A pooler that hangs answers nothing for longer than a
lease lasts: the question is left to itself then, and nothing is asked until it is over.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from sereno.model.errors import StoreError

T = TypeVar("T")


class Aside:
    """Questions one after another; each is waited for `limit` seconds at the most."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._asking: asyncio.Task[Any] | None = None

    async def ask(self, question: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
        """Return the answer; None when the database gives none, or none in time."""
        if self._asking is not None and not self._asking.done():
            return None
        self._asking = task = asyncio.ensure_future(question())
        task.add_done_callback(_swallow)  # also of one that nobody waits for any more
        try:
            await asyncio.wait({task}, timeout=self._limit)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not task.done() or task.cancelled():
            return None
        try:
            return task.result()
        except StoreError:
            return None


def _swallow(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
