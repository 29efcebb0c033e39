"""Verbs that read the cluster: its jobs, replicas, terms, plugins, changes and figures."""

from datetime import datetime, timedelta

import msgspec

from sereno.client.verbs import Duration, Verbs, check_texts, checked_limit
from sereno.engine.verification import Account, verify
from sereno.model.bounds import LONGEST
from sereno.model.duration import parse_duration
from sereno.model.errors import StoreUnavailableError
from sereno.observe.job_watch import JobWatch
from sereno.observe.overdue import overdue_at, overdue_because, overdue_seconds
from sereno.store import blackouts, cluster, job_pages, standing, trail, views
from sereno.store.blackouts import BlackoutView
from sereno.store.cluster import PluginView, TermView, Totals
from sereno.store.node_totals import NodeTotal, node_totals
from sereno.store.numbers import EndingNumbers, ending
from sereno.store.page import Page
from sereno.store.placement_waits import PlacementWait, placement_waits
from sereno.store.standing import Maintenance
from sereno.store.stragglers import Straggler, overstaying
from sereno.store.timeline import Timeline
from sereno.store.timeline import since as timelines_since
from sereno.store.trail import ChangeView, DriftView
from sereno.store.views import JobView, LeaderView, NodeView

_LATELY = timedelta(days=7)
_PATIENCE_SECONDS = 10.0
_MOST = 10_000
_MOST_LISTED = 1_000


class Overdue(msgspec.Struct, frozen=True, kw_only=True):
    """By how much a job is overdue, and why."""

    by: timedelta
    because: str


class ClusterView(msgspec.Struct, frozen=True, kw_only=True):
    """The replicas that are alive or were within a day, and who leads.

    `timelines`: when, in the last week, the database went on from an older state; `overstaying`:
    attempts that work on after they were told to stop; `numbers`: those that come to their end;
    `unfit`: which letters the database cannot keep, and the remedy; `blackouts`: those that are on;
    `maintenance`: the one that is on;
    `placement`: what waits for a replica with labels, and why; `waiting`: the same in sentences.
    """

    leader: LeaderView
    nodes: tuple[NodeView, ...]
    timelines: tuple[Timeline, ...]
    overstaying: tuple[Straggler, ...]
    numbers: tuple[EndingNumbers, ...] = ()
    unfit: str | None = None
    blackouts: tuple[BlackoutView, ...] = ()
    maintenance: Maintenance | None = None
    placement: tuple[PlacementWait, ...] = ()
    waiting: tuple[str, ...] = ()


class ClusterVerbs(Verbs):
    """Verbs that read the cluster."""

    async def now(self) -> datetime:
        """Return the time by the database's clock, which all goes by."""
        found: datetime = await self._db.fetchval("database_now")
        return found

    async def jobs(self, *, schedules: bool = True) -> list[JobView]:
        """Return every job that is declared, or has left runs behind, with its schedules; without
        them where there may be thousands and they are not wanted."""
        return await views.jobs(self._db, bare=not schedules)

    async def job(self, name: str) -> JobView:
        """Return one job with its schedules; raises NotFoundError."""
        await views.known_job(self._db, name, self._declarations.known)
        (found,) = await views.jobs(self._db, names=[name])
        return found

    async def job_page(
        self, *, text: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[JobView]:
        """Return a page of jobs by name, without their schedules; `older` leads on, `newer` back.

        `text`: words, each in name, title, plugin, owner, description or tags, in small letters or
        capitals. Raises ParamsError.
        """
        check_texts(text=text)
        words = (text or "").lower().split()
        limit = checked_limit(limit, _MOST_LISTED)
        return await job_pages.listed(self._db, words, limit=limit, at=cursor)

    async def overdue(self) -> dict[str, Overdue]:
        """Return the jobs that are overdue, by name."""
        glance = await JobWatch(self._db, patience=_PATIENCE_SECONDS).poll()
        if glance.snapshot is None:
            raise StoreUnavailableError(glance.error or "the database does not answer")
        now, jobs = glance.snapshot.now.timestamp(), glance.jobs
        late = {n: overdue_seconds(overdue_at(job, jobs, now), now) for n, job in jobs.items()}
        return {
            name: Overdue(
                by=timedelta(seconds=seconds), because=overdue_because(jobs[name], jobs, now) or ""
            )
            for name, seconds in late.items()
            if seconds > 0
        }

    async def totals(self) -> Totals:
        """Return how many runs have ended how, from the counts that are kept for each job, and how
        many wait and work, as far as counting goes."""
        return await cluster.totals(self._db)

    async def node_totals(self) -> list[NodeTotal]:
        """Return how many runs each node has ended how, by job, among the newest 25,000."""
        return await node_totals(self._db)

    async def cluster(self) -> ClusterView:
        """Return the replicas and who leads."""
        leader = await self.leader()
        waits = await placement_waits(self._db)
        async with self._db.connection() as connection:
            lately = await timelines_since(connection, leader.now - _LATELY)
        return ClusterView(
            leader=leader,
            nodes=tuple(await views.nodes(self._db)),
            timelines=tuple(lately),
            overstaying=tuple(await self.overstaying()),
            numbers=tuple(await ending(self._db)),
            maintenance=await standing.maintenance(self._db),
            blackouts=tuple(b for b in await blackouts.views(self._db) if b.state == "on"),
            placement=tuple(waits),
            waiting=tuple(w.sentence for w in waits),
            unfit=None if self._db.encoding.utf8 else self._db.encoding.remedy,
        )

    async def leader(self) -> LeaderView:
        """Return who leads, or led last."""
        return await views.leader(self._db)

    async def overstaying(self) -> list[Straggler]:
        """Return the attempts that work on after they were told to stop, and keep their places."""
        return list(await overstaying(self._db))

    async def terms(self, *, limit: int = 50, before: int | None = None) -> list[TermView]:
        """Return the newest terms, each with who led and why it ended. `before`: older than this
        one."""
        return await cluster.terms(self._db, checked_limit(limit, _MOST), before)

    async def plugins(self) -> list[PluginView]:
        """Return the plugins whose jobs the database knows, with how many they have declared."""
        return await cluster.plugins(self._db)

    async def changes(
        self,
        *,
        subject: str | None = None,
        by: str | None = None,
        since: Duration | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[ChangeView]:
        """Return a page of who changed what and why, the newest first.

        `subject`: a schedule, or a job for all of its schedules. `by`: with or without the host.
        `since`: so long ago at most. However many there are, 2,000 at most are looked at for a
        page: one that is not `whole` goes on behind its cursor. Raises NotFoundError when nothing
        of the name of `subject` is known.
        """
        return await trail.changes(
            self._db,
            subject=subject,
            since=None if since is None else min(parse_duration(since), LONGEST),
            by=by,
            limit=checked_limit(limit, 100_000),
            at=cursor,
        )

    async def drift(self, *, limit: int = 50) -> list[DriftView]:
        """Return which schedules a leader found to fire at other times than the one before it, as
        after a deploy, the newest first."""
        return await trail.drift(self._db, checked_limit(limit, _MOST))

    async def verify(self, since: Duration = timedelta(days=30)) -> Account:
        """Recompute what was due in the last so long, and hold the ledger of slots against it."""
        return await verify(self._db, min(parse_duration(since), LONGEST))
