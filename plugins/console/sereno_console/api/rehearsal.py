"""The operation that plays the coming days, as they stand or with a change."""

from typing import Annotated

from msgspec import Meta, Struct

from sereno import Rehearsal, RehearsalChange
from sereno_console.api.operation import operation
from sereno_console.api.runs_given import Text
from sereno_console.web.rehearsals import one_at_a_time, require_read
from sereno_console.web.request import ConsoleRequest


class RehearsalWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long, as ``7d``, with what change, and of how many slots at most."""

    span: Text = "7d"
    change: RehearsalChange = RehearsalChange()
    most: Annotated[int, Meta(ge=1, le=200_000)] = 100_000


@operation("POST", "/rehearsal", RehearsalWanted, Rehearsal, needs="read", tag="slots")
async def rehearse(request: ConsoleRequest, given: RehearsalWanted) -> Rehearsal:
    """Play the coming days: what would wait, be late or be skipped, and when."""
    require_read(request.user, given.change)
    async with one_at_a_time(request.sereno):
        return await request.sereno.rehearse(given.span, change=given.change, most=given.most)
