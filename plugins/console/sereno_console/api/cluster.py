"""Operations that read the cluster: replicas, terms, plugins, figures, changes, and the proof."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from sereno import (
    Account,
    ChangeView,
    ClusterView,
    DriftView,
    LeaderView,
    NodeTotal,
    Page,
    PluginView,
    TermView,
    Totals,
)
from sereno_console.api.operation import Nothing, operation
from sereno_console.api.runs_given import Limit, Text
from sereno_console.web.request import ConsoleRequest
from sereno_console.web.sight import job_of

Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class TermsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which terms: older than one, by number."""

    limit: Limit = 50
    before: Number | None = None


class ChangesQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which changes. `subject`: a schedule, or a job; `since`: a duration, so long ago at most."""

    subject: Text | None = None
    by: Text | None = None
    since: Text | None = None
    limit: Limit = 50
    cursor: Text | None = None


class DriftQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many."""

    limit: Limit = 50


class VerifyQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of how long, as ``7d``."""

    since: Text = "1d"


class Now(Struct, frozen=True):
    """The database's time, by which all goes."""

    now: datetime


@operation("GET", "/cluster", Nothing, ClusterView, needs="read", tag="cluster")
async def get_cluster(request: ConsoleRequest, given: Nothing) -> ClusterView:
    """Return the replicas and who leads."""
    return await request.sereno.cluster()


@operation("GET", "/leader", Nothing, LeaderView, needs="read", tag="cluster")
async def get_leader(request: ConsoleRequest, given: Nothing) -> LeaderView:
    """Return who leads, or led last."""
    return await request.sereno.leader()


@operation("GET", "/terms", TermsQuery, list[TermView], needs="read", tag="cluster")
async def list_terms(request: ConsoleRequest, given: TermsQuery) -> list[TermView]:
    """List terms, the newest first: who led, from when to when, and why that ended."""
    return await request.sereno.terms(limit=given.limit, before=given.before)


@operation("GET", "/plugins", Nothing, list[PluginView], needs="read", tag="cluster")
async def list_plugins(request: ConsoleRequest, given: Nothing) -> list[PluginView]:
    """List the plugins whose jobs the database knows."""
    return await request.sereno.plugins()


@operation("GET", "/now", Nothing, Now, needs="read", tag="cluster")
async def get_now(request: ConsoleRequest, given: Nothing) -> Now:
    """Return the database's time, by which all goes."""
    return Now(await request.sereno.now())


@operation("GET", "/totals", Nothing, Totals, needs="read", tag="cluster")
async def get_totals(request: ConsoleRequest, given: Nothing) -> Totals:
    """Return how many runs have ended how, and how many wait and work."""
    return await request.sereno.totals()


@operation("GET", "/replicas/totals", Nothing, list[NodeTotal], needs="read", tag="cluster")
async def list_node_totals(request: ConsoleRequest, given: Nothing) -> list[NodeTotal]:
    """List how many of the newest 25,000 runs each replica has ended how, by job."""
    return await request.sereno.node_totals()


@operation("GET", "/changes", ChangesQuery, Page[ChangeView], needs="read", tag="changes")
async def list_changes(request: ConsoleRequest, given: ChangesQuery) -> Page[ChangeView]:
    """List who changed what and why, the newest first, page by page."""
    if given.subject is not None:
        request.user.require("read", job_of(given.subject))
    return await request.sereno.changes(
        subject=given.subject,
        by=given.by,
        since=given.since,
        limit=given.limit,
        cursor=given.cursor,
    )


@operation("GET", "/drift", DriftQuery, list[DriftView], needs="read", tag="changes")
async def list_drift(request: ConsoleRequest, given: DriftQuery) -> list[DriftView]:
    """List which schedules a leader found to fire at other times than before, as after a deploy."""
    found = await request.sereno.drift(limit=given.limit)
    return [each for each in found if request.user.can("read", job_of(each.schedule))]


@operation("GET", "/verify", VerifyQuery, Account, needs="verify", tag="slots")
async def verify(request: ConsoleRequest, given: VerifyQuery) -> Account:
    """Recompute what was due, and hold the ledger of slots against it."""
    request.user.require("verify", "*")
    return await request.sereno.verify(given.since)
