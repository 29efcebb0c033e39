"""Finds runs by a filter, page by page, for a bounded price each.

A page walks an index from a place on: the runs that are wanted by job, those that ended badly or
are not over, or all of them. What is left of the filter is asked of each run on the way. The steps
grow, and end when the page is full, the way is, or enough was looked at: then the page says so, and
its cursor goes on from there.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from sereno.model.errors import NotFoundError
from sereno.model.suggestion import suggestion
from sereno.store.filters import RunFilter, checked, is_pattern
from sereno.store.page import Page, cursor, mark, read_cursor
from sereno.store.pool import Database
from sereno.store.views import RunView, known_job, listed

STEPS = (500, 4_500, 20_000)
"""Runs that are looked at one after another for a page, where what is wanted may be rare."""

_MANY_JOBS = 40_000
"""Numbers that ways by job may give in all: of more jobs at once all runs are walked."""

_FEW_QUEUED = 10_000
"""So many waiting runs may be sorted for a page; of more, all runs are walked."""

_SLACK = timedelta(hours=1)
"""By how much the order of numbers and that of time may differ: numbers are given before commit."""

_LAST = 2**63 - 1
_LIVE = frozenset(("queued", "running"))


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """How many were found. `more`: there may be more, as counting ends somewhere."""

    found: int
    more: bool


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A filter as the walk asks for it. `way`: by state, None: by job or number. `exact`: every run
    of the way is one that is wanted. `tag`: runs that have it themselves are a way beside `jobs`;
    `tagged`: all tags, with the jobs and schedules that have them."""

    jobs: list[str] | None
    way: str | None
    states: list[str] | None
    rest: tuple[Any, ...]
    exact: bool
    low: int
    high: int
    tag: str | None = None
    tagged: list[dict[str, Any]] | None = None


class _Walk(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers that were found, in the order of the way, and where it ended: `last`, None at its
    end."""

    found: list[int]
    last: int | None


async def runs(
    db: Database, wanted: RunFilter, *, limit: int, at: str | None = None
) -> Page[RunView]:
    """Return a page of the runs that `wanted` is of, from the cursor `at` on.

    Raises ParamsError on a filter or cursor that is none, NotFoundError on a job, schedule or node
    that is not known.
    """
    wanted = checked(wanted)
    of = mark(wanted)
    place = None if at is None else read_cursor(at, int, of)
    asked = await _wanted(db, wanted, limit)
    older = place is None or place.older
    if asked is None:
        return Page(items=())
    low, high = asked.low, asked.high
    if place is not None:
        low, high = (low, min(high, place.key)) if older else (max(low, place.key), high)
    walk = await _walk(db, asked, older, low, high, limit)
    found = walk.found[:limit]
    more = len(walk.found) > limit
    on = found[-1] if more else walk.last
    items = await listed(db, found)
    onward = None if on is None else cursor(older, on, of)
    back = None
    if place is not None:  # an empty page's neighbour begins with what this one began behind
        back = cursor(not older, found[0] if found else place.key + (1 if not older else -1), of)
    whole = more or walk.last is None
    if older:
        return Page(items=tuple(items), older=onward, newer=back, whole=whole)
    return Page(items=tuple(items), older=back, newer=onward, whole=whole)


async def count(db: Database, wanted: RunFilter, *, most: int = 10_000) -> Count:
    """Return how many runs `wanted` is of, as far as `most` and a bounded look go."""
    asked = await _wanted(db, checked(wanted), most)
    if asked is None:
        return Count(found=0, more=False)
    walk = await _walk(db, asked, True, asked.low, asked.high, most)
    more = len(walk.found) > most or walk.last is not None
    return Count(found=min(len(walk.found), most), more=more)


async def walk(
    db: Database, wanted: RunFilter, high: int, *, looked: int, most: int
) -> tuple[list[int], int | None]:
    """Return at most `most` runs below the number `high` that `wanted` is of, the newest first, of
    `looked` that are looked at; and the number below which the rest is, None when there is none.

    Raises as `runs`, though not on what `checked` refuses.
    """
    asked = await _wanted(db, wanted, most)
    if asked is None:
        return [], None
    bounds = (True, asked.low, min(asked.high, high), asked.jobs, asked.states, looked, most)
    (row,) = await db.fetch("runs_walk", *bounds, *asked.rest, *_by(asked))
    found: list[int] = row["found"]
    if len(found) == most:
        return found, found[-1]
    return found, row["last"] if row["walked"] == looked else None


async def jobs_of(db: Database, pattern: str | None) -> list[str] | None:
    """Return the jobs that a name or pattern stands for, None for all; raises NotFoundError for a
    name that is not known."""
    if pattern is None:
        return None
    if not is_pattern(pattern):
        await known_job(db, pattern)
        return [pattern]
    rows = await db.fetch("search_jobs")
    return [row["name"] for row in rows if fnmatchcase(row["name"], pattern)]


async def _walk(
    db: Database, asked: _Wanted, older: bool, low: int, high: int, limit: int
) -> _Walk:
    """Look for one more than `limit`, so that it is known whether there are more."""
    found: list[int] = []
    for step in [limit + 1] if asked.exact else STEPS:
        bounds = (older, low, high, asked.jobs, asked.states, step, limit + 1 - len(found))
        (row,) = await db.fetch("runs_walk", *bounds, *asked.rest, *_by(asked))
        found += row["found"]
        if row["walked"] < step:
            return _Walk(found=found, last=None)
        if len(found) > limit:
            break
        low, high = (low, row["last"]) if older else (row["last"], high)
    return _Walk(found=found, last=high if older else low)


def _by(asked: _Wanted) -> tuple[Any, ...]:
    return asked.way, asked.tag, asked.tagged


async def _wanted(db: Database, wanted: RunFilter, limit: int) -> _Wanted | None:
    """Return how to ask for what is wanted; None when there can be none."""
    jobs = await jobs_of(db, wanted.job)
    schedules = None
    if wanted.schedule is not None:
        rows = await db.fetch("search_schedules", wanted.schedule)
        if not rows:
            near = await db.fetchval("schedule_like", wanted.schedule)
            hint = f", did you mean '{near}'?" if near else "; `sereno schedule list` shows all"
            raise NotFoundError(f"there is no schedule '{wanted.schedule}'{hint}")
        schedules = [row["id"] for row in rows]
        its = {row["job"] for row in rows}
        jobs = [job for job in its if jobs is None or job in jobs]
    nodes = None if wanted.node is None else await _nodes(db, wanted.node)
    secret = await _secret_of(db, wanted.params) if wanted.params else None
    if jobs == []:
        return None
    ways = len(jobs or ()) * (limit + 1) <= _MANY_JOBS
    states = frozenset(wanted.states)
    way = await _way(db, states)
    rest = (
        list(wanted.causes) or None,
        schedules,
        nodes,
        wanted.requested_by,
        wanted.since,
        wanted.until,
        wanted.params or None,
        wanted.error,
        None if ways else jobs,
        secret or None,
    )
    exact = not any(part is not None for part in rest) and (not states or way is not None)
    if way in ("over", "both"):
        exact = exact and states >= _BAD
    low, high = await _numbers(db, wanted.since, wanted.until)
    found = _Wanted(
        jobs=jobs if ways else None,
        way=way,
        states=sorted(states) or None,
        rest=rest,
        exact=exact,
        low=low,
        high=high,
    )
    return found if not wanted.tags else await _by_tags(db, found, wanted.tags, jobs, limit)


async def _by_tags(
    db: Database, asked: _Wanted, tags: Iterable[str], jobs: list[str] | None, limit: int
) -> _Wanted | None:
    """Return `asked` narrowed to runs that have all `tags`: found by the rarest, asked for the
    others on the way. None when there can be none."""
    rows = await db.fetch("search_tagged", list(tags))
    having = []
    for row in rows:
        its = {*row["jobs"], *row["jobs_of_schedules"]}
        its = its if jobs is None else its.intersection(jobs)
        if not its and not row["own"]:
            return None
        having.append((row["own"], len(its), row["tag"], sorted(its)))
    named = ("tag", "jobs", "schedules")
    tagged = [{name: row[name] for name in named} for row in rows]
    own, count, tag, its_jobs = min(having)
    if asked.way == "live" or count * (limit + 1) > _MANY_JOBS:
        return msgspec.structs.replace(asked, tagged=tagged, exact=False)
    return msgspec.structs.replace(
        asked,
        jobs=its_jobs,
        way=None,
        rest=(*asked.rest[:8], jobs, *asked.rest[9:]),
        exact=False,
        tag=tag if own else None,
        tagged=tagged,
    )


_BAD = frozenset(("failed", "timed_out", "cancelled", "lost"))


async def _way(db: Database, states: frozenset[str]) -> str | None:
    """Return by which index runs of these states are found, None for that of all runs."""
    if not states or "succeeded" in states:
        return None
    if "queued" in states and not await db.fetchval("runs_queued_few", _FEW_QUEUED):
        return None
    if states <= _LIVE:
        return "live"
    return "both" if states & _LIVE else "over"


async def _numbers(db: Database, since: datetime | None, until: datetime | None) -> tuple[int, int]:
    """Return between which numbers lie the runs that were queued in that time."""
    low, high = 0, _LAST
    if since is not None:
        first = await db.fetchval("run_number_at", _shifted(since, -_SLACK))
        low = low if first is None else int(first) - 1
    if until is not None:
        first = await db.fetchval("run_number_at", _shifted(until, _SLACK))
        high = high if first is None else int(first)
    return low, high


def _shifted(instant: datetime, by: timedelta) -> datetime:
    try:
        return instant + by
    except OverflowError:
        return instant


async def _nodes(db: Database, name: str) -> list[Any]:
    found = [row["id"] for row in await db.fetch("search_nodes", name)]
    if not found:
        known = sorted({str(row["label"]) for row in await db.fetch("search_labels")})
        hint = suggestion(name, known, "; `sereno cluster` lists them")
        raise NotFoundError(f"there is no replica '{name}'{hint}")
    return found


async def _secret_of(db: Database, params: Iterable[str]) -> list[str]:
    """Return the jobs of which one of these params is secret: they are not looked at."""
    rows = await db.fetch("search_jobs")
    return [row["name"] for row in rows if not set(row["secrets"] or ()).isdisjoint(params)]
