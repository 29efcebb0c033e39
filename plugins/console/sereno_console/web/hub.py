"""Hands what is new on to all who wait for it: one look at the database for any number of pages."""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

import msgspec

from sereno import Client, News
from sereno_console.security.identity import Identity

log = logging.getLogger("sereno.console")

KEPT = 256
"""So many events are kept for who comes back."""

MOST_STREAMS = 200

_BEGINNING_SECONDS = 5.0
"""How long its first look is waited for: the database may be away, or busy."""

_IDLE_SECONDS = 60.0
"""How long it goes on looking after the last one has left, as pages poll and come back."""


class HubEvent(msgspec.Struct, frozen=True):
    """Something new. `id`: to go on behind it; of another process it means nothing."""

    id: str
    news: News


class Hub:
    """What is new, for all pages of this process."""

    def __init__(self) -> None:
        self._process = secrets.token_hex(4)
        self._number = 0
        self._events: deque[HubEvent] = deque(maxlen=KEPT)
        self._more = asyncio.Condition()
        self._begun = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._asked_at = 0.0
        self._closed = False
        self.streams = 0

    @property
    def last(self) -> str:
        """Return the id of what was new last."""
        return f"{self._process}-{self._number}"

    def since(self, id: str) -> list[HubEvent] | None:
        """Return what came behind `id`; None where that is not known any more."""
        process, _, number = id.partition("-")
        if process != self._process or not number.isdecimal() or len(number) > 18:
            return None
        behind = self._number - int(number)
        if not 0 <= behind <= len(self._events):
            return None
        return list(self._events)[len(self._events) - behind :]

    async def begin(self, client: Client) -> None:
        """Return once it looks: whoever is told so, and asks for all after it, misses nothing."""
        self.attend(client)
        await asyncio.sleep(0)  # where it begins to look, its events are of a new process
        with suppress(TimeoutError):
            async with asyncio.timeout(_BEGINNING_SECONDS):
                await self._begun.wait()

    async def wait(self, client: Client, id: str, seconds: float) -> None:
        """Return as soon as there is something behind `id`, or after so long."""
        self.attend(client)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._more:
                await self._more.wait_for(lambda: self.last != id)

    def attend(self, client: Client) -> None:
        """Look for what is new from now on, while somebody asks."""
        loop = asyncio.get_running_loop()
        self._asked_at = loop.time()
        if self._closed:
            return  # a request that is not over yet; the loop is about to end
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._work(client))

    async def close(self) -> None:
        """Look no longer, whoever asks."""
        self._closed = True
        self._begun.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _work(self, client: Client) -> None:
        loop = asyncio.get_running_loop()
        # What happened while nobody looked is not known: who comes back is to ask for all again.
        self._process, self._number = secrets.token_hex(4), 0
        self._events.clear()
        self._begun.clear()
        idle = loop.create_task(self._idle())
        try:
            async with aclosing(client.news(begun=self._begun.set)) as given:
                while (news := await _coming(given, idle)) is not None:
                    await self._add(news)
        except Exception as error:
            log.error("what is new is not known; the next page looks again", exc_info=error)
        finally:
            self._begun.set()  # nobody need wait for it
            idle.cancel()

    async def _idle(self) -> None:
        """Return once nobody has asked for a while."""
        loop = asyncio.get_running_loop()
        left = _IDLE_SECONDS
        while left > 0 or self.streams:
            await asyncio.sleep(max(left, 1.0))
            left = self._asked_at + _IDLE_SECONDS - loop.time()

    async def _add(self, news: News) -> None:
        self._begun.set()  # of a database that is away it has told, too
        async with self._more:
            self._number += 1
            self._events.append(HubEvent(self.last, news))
            self._more.notify_all()


async def _coming(given: AsyncGenerator[News, None], idle: asyncio.Task[None]) -> News | None:
    """Return what is new next, None once `idle` is done."""
    coming = asyncio.ensure_future(anext(given))
    try:
        await asyncio.wait({coming, idle}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await at_rest(coming)
    return None if coming.cancelled() else coming.result()


async def at_rest(coming: asyncio.Future[Any]) -> None:
    """Take back what a generator is asked for: it cannot be closed meanwhile, however often whoever
    waits is told to stop."""
    coming.cancel()
    while not coming.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({coming})


def visible_to(user: Identity, news: News) -> News | None:
    """Return what somebody may know of what is new, None for nothing."""
    jobs = tuple(job for job in news.jobs if user.can("read", job))
    if jobs == news.jobs:
        return news
    topics = tuple(t for t in news.topics if jobs or t not in ("runs", "schedules"))
    return msgspec.structs.replace(news, topics=topics, jobs=jobs) if topics else None
