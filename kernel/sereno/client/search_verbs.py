"""Verbs that look for runs and for what they said, by filter and page by page."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

from sereno.client.verbs import Verbs, checked_limit
from sereno.model.errors import StoreUnavailableError
from sereno.store import lines, search
from sereno.store.filters import LogFilter, RunFilter, checked
from sereno.store.lines import LogEntry, Spot
from sereno.store.page import Page
from sereno.store.search import Count
from sereno.store.views import RunView

_MOST = 10_000
_LOOK_SECONDS = 0.5

_LATE = timedelta(seconds=10)
"""How late a line may be kept, after it was said, and still be given to who follows."""


class SearchVerbs(Verbs):
    """Verbs that look for runs and log lines."""

    async def runs(
        self, wanted: RunFilter | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> Page[RunView]:
        """Return a page of runs, the newest first; `cursor`: `older` or `newer` of another page.

        Raises ParamsError on a filter or cursor that is none, NotFoundError on a job, schedule or
        node that is not known.
        """
        limit = checked_limit(limit, _MOST)
        return await search.runs(self._db, wanted or RunFilter(), limit=limit, at=cursor)

    async def count_runs(self, wanted: RunFilter, *, most: int = _MOST) -> Count:
        """Return how many runs `wanted` is of, which ends at `most`. Raises as `runs`."""
        return await search.count(self._db, wanted, most=checked_limit(most, _MOST))

    async def logs(
        self, wanted: LogFilter | None = None, *, limit: int = 100, cursor: str | None = None
    ) -> Page[LogEntry]:
        """Return a page of log lines of all runs, the newest first. Raises as `runs`."""
        limit = checked_limit(limit, _MOST)
        return await lines.lines(self._db, wanted or LogFilter(), limit=limit, at=cursor)

    async def follow_logs(self, wanted: LogFilter | None = None) -> AsyncIterator[LogEntry]:
        """Give the log lines of all runs as they are kept, from now or `since` on, for ever or to
        `until`.

        A line that is kept more than ten seconds after it was said, as when the database was away,
        may be left out. Goes on over a database that is away. Raises as `runs`.
        """
        wanted = checked(wanted or LogFilter())
        now = await self._db.fetchval("database_now")
        since = wanted.since or now
        given: dict[Spot, None] = {}
        while wanted.until is None or now < wanted.until + _LATE:
            with suppress(StoreUnavailableError):
                now = await self._db.fetchval("database_now")
                start: Spot | None = (since, 0, 0, 0)
                while start is not None:
                    found, start = await lines.walk(self._db, wanted, False, start, _MOST)
                    for line in found:
                        if lines.spot(line) not in given:
                            given[lines.spot(line)] = None
                            yield line
                    if len(found) > _MOST:
                        start = lines.spot(found[-1])
                since = max(since, now - _LATE)
                given = {spot: None for spot in given if spot[0] >= since}
            await asyncio.sleep(_LOOK_SECONDS)
