"""Tells who waits for it that something has changed, as soon as the database says so."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from typing import Literal

import msgspec

from sereno.client.verbs import Verbs
from sereno.model.errors import StoreUnavailableError
from sereno.store.pulse import Pulse, listening, pulse

Topic = Literal["runs", "schedules", "bulks", "cluster", "database"]

_QUIET_SECONDS = 0.25
"""How long it waits after the first word for others: much changes together."""

_BETWEEN_SECONDS = 1.0
_POLL_SECONDS = 2.0
"""Two looks: no sooner, so that a busy cluster is not asked all the time, and no later, as not all
that happens is notified."""

_LISTEN_AGAIN_SECONDS = 60.0


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What has changed since the news before. `jobs`: of which runs or schedules have; `database`
    is among `topics` when it went away (`away`), and when it is back: then all may have changed."""

    topics: tuple[Topic, ...]
    jobs: tuple[str, ...] = ()
    at: datetime | None = None
    away: bool = False


class NewsVerbs(Verbs):
    """The verb of what is new."""

    async def news(
        self, *, begun: Callable[[], object] | None = None
    ) -> AsyncGenerator[News, None]:
        """Give what has changed, as soon as it has, for ever; a second lies between two at least.

        What a run says and how far it is are no news. Goes on over a database that is away.
        `begun`: called after the first look; what changes from then on is given.
        """
        word = asyncio.Event()
        loop = asyncio.get_running_loop()
        before: Pulse | None = None
        away = False
        while True:
            async with listening(self._db, word.set) as hears:
                until = loop.time() + _LISTEN_AGAIN_SECONDS
                while hears() or loop.time() < until:
                    try:
                        now = await pulse(self._db, before)
                    except StoreUnavailableError:
                        if not away:
                            away = True
                            yield News(topics=("database",), away=True)
                        await asyncio.sleep(_POLL_SECONDS)
                        break  # and listen anew
                    if away:
                        away = False
                        yield News(topics=("database",), at=now.now)
                    elif before is not None and (news := _between(before, now)).topics:
                        yield news
                    if before is None and begun is not None:
                        begun()
                    before = now
                    await _awaited(word)


async def _awaited(word: asyncio.Event) -> None:
    """Wait for a word, or until it is time to look."""
    word.clear()
    loop = asyncio.get_running_loop()
    soonest = loop.time() + _BETWEEN_SECONDS
    try:
        async with asyncio.timeout(_POLL_SECONDS):
            await word.wait()
    except TimeoutError:
        return
    await asyncio.sleep(max(_QUIET_SECONDS, soonest - loop.time()))


def _between(before: Pulse, now: Pulse) -> News:
    """Return what has changed between two pulses."""
    ran = set(now.begun)
    for old, new in ((before.ended, now.ended), (before.running, now.running)):
        ran |= {job for job in old.keys() | new.keys() if old.get(job) != new.get(job)}
    planned = {subject.partition("@")[0] for subject in now.changed}
    changed: dict[Topic, bool] = {
        "runs": bool(ran) or before.newest != now.newest,
        "schedules": before.change != now.change,
        "bulks": before.bulks != now.bulks,
        "cluster": before.cluster != now.cluster,
    }
    topics = tuple(topic for topic, is_new in changed.items() if is_new)
    return News(topics=topics, jobs=tuple(sorted(ran | planned)), at=now.now)
