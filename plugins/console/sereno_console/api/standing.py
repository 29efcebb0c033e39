"""Operations on who may lead: a hand-over, the drain of one replica, the maintenance of all."""

from contextlib import suppress
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from sereno import LeaderView, Maintenance, NodeView, WaitTimeoutError
from sereno_console.api.operation import Nothing, operation
from sereno_console.api.runs_given import Text
from sereno_console.web.request import ConsoleRequest

_AWAITED = 5
"""Seconds for which an answer waits until what was asked for is so; it stands all the same."""


class DrainWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`undo`: the replica takes part again."""

    undo: bool = False


class MaintenanceWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why nobody is to lead, and until when at most."""

    reason: Text
    until: Annotated[datetime, Meta(tz=True)] | None = None


class MaintenanceNow(Struct, frozen=True):
    """The maintenance that is on, or null."""

    maintenance: Maintenance | None


@operation("POST", "/replicas/{replica}/lead", Nothing, LeaderView, needs="pause", tag="cluster")
async def lead(request: ConsoleRequest, given: Nothing) -> LeaderView:
    """Hand the lead to a replica, by label or the beginning of its id; return who leads then."""
    request.user.require("pause", "*")
    with suppress(WaitTimeoutError):  # it may be about to
        return await request.sereno.lead(
            request.arguments["replica"], timeout=_AWAITED, requested_by=request.user.by
        )
    return await request.sereno.leader()


@operation("POST", "/replicas/{replica}/drain", DrainWanted, NodeView, needs="pause", tag="cluster")
async def drain(request: ConsoleRequest, given: DrainWanted) -> NodeView:
    """Have a replica give the lead up and not take it again; its runs go on."""
    request.user.require("pause", "*")
    return await request.sereno.drain(
        request.arguments["replica"], undo=given.undo, requested_by=request.user.by
    )


@operation("GET", "/maintenance", Nothing, MaintenanceNow, needs="read", tag="cluster")
async def get_maintenance(request: ConsoleRequest, given: Nothing) -> MaintenanceNow:
    """Return the maintenance that is on."""
    return MaintenanceNow(await request.sereno.maintenance())


@operation("POST", "/maintenance", MaintenanceWanted, MaintenanceNow, needs="pause", tag="cluster")
async def begin_maintenance(request: ConsoleRequest, given: MaintenanceWanted) -> MaintenanceNow:
    """Have nobody lead, so that nothing begins; runs that are under way go on."""
    request.user.require("pause", "*")
    with suppress(WaitTimeoutError):  # it is on, whoever still leads for a moment
        return MaintenanceNow(
            await request.sereno.begin_maintenance(
                reason=given.reason,
                until=given.until,
                timeout=_AWAITED,
                requested_by=request.user.by,
            )
        )
    return MaintenanceNow(await request.sereno.maintenance())


@operation("DELETE", "/maintenance", Nothing, MaintenanceNow, needs="pause", tag="cluster")
async def end_maintenance(request: ConsoleRequest, given: Nothing) -> MaintenanceNow:
    """Let replicas lead again."""
    request.user.require("pause", "*")
    await request.sereno.end_maintenance(requested_by=request.user.by)
    return MaintenanceNow(await request.sereno.maintenance())
