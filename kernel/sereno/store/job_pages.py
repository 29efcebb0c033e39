"""Lists jobs by name, page by page."""

from collections.abc import Sequence

from sereno.store import views
from sereno.store.page import Page, mark, paged, read_cursor
from sereno.store.pool import Database
from sereno.store.views import JobView


async def listed(
    db: Database, words: Sequence[str], *, limit: int, at: str | None = None
) -> Page[JobView]:
    """Return a page of the jobs that have each of `words` in some part, without their schedules.

    What follows by name is behind `older`, what goes before is behind `newer`. Raises ParamsError.
    """
    of = mark(("jobs", words))
    place = None if at is None else read_cursor(at, str, of)
    onward, key = (True, "") if place is None else (place.older, place.key)
    rows = await db.fetch("jobs_walk", onward, key, limit + 1, list(words))
    names = [row["name"] for row in rows[:limit]]
    items = await views.jobs(db, bare=True, names=names) if names else []
    return paged(items, lambda job: job.name, more=len(rows) > limit, place=place, of=of)
