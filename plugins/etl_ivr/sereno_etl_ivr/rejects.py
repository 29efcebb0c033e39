"""The job `etl_ivr.retry_rejects`: reads the seconds of all rejected rows again.

A row that fits now, since the source was mended or the target widened, is loaded, and its reject is
gone; so is the reject of a row that the source no longer has.
"""

import time
from datetime import timedelta
from typing import Any

from msgspec import Struct

from sereno import RunContext, job
from sereno_etl_ivr import position
from sereno_etl_ivr.feed import CALLS, chosen_feed
from sereno_etl_ivr.page import Range
from sereno_etl_ivr.pager import pages
from sereno_etl_ivr.plan import Segment
from sereno_etl_ivr.session import opened, patiently

_PATIENCE = timedelta(minutes=2)


class RejectsParams(Struct, frozen=True, forbid_unknown_fields=True):
    """`table`: whose rejects."""

    table: str = CALLS


@job("etl_ivr.retry_rejects", params=RejectsParams, timeout="10m")
async def retry_rejects(run: RunContext[RejectsParams]) -> dict[str, Any]:
    """Try to load again what was rejected."""
    return await patiently(run, lambda: _attempted(run))


async def _attempted(run: RunContext[RejectsParams]) -> dict[str, Any]:
    begun = time.monotonic()
    async with opened(run, chosen_feed(run.settings, run.params.table)) as session:
        if not await session.target.lock(_PATIENCE):
            return {"skipped": True}
        layout, zone = await session.describe()
        await session.target.hold(zone)
        found = await session.target.rejected()
        segments = [Segment(_second(at), advances=False) for at in found]
        rows, rate = session.settings.batch_size, session.settings.max_rows_per_second
        session.rejects_are_known = True
        partial = await session.move(
            layout, zone, pages(session.source, layout, segments, rows, rate, position.OLDEST)
        )
        await session.target.finish(None)
        return {
            "skipped": False,
            "partial": partial,
            "loaded": session.tally.inserted,
            "settled_rejects": session.tally.settled_rejects,
            "still_rejected": session.tally.still_rejected + session.tally.rejected,
            "duration": round(time.monotonic() - begun, 3),
        }


def _second(at: int) -> Range:
    return Range(at, at + 1 if at == position.NULL else position.successor(at))
