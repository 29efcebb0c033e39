"""The job `etl_ivr.aggregate`: keeps the figures of each quarter hour as the rows are now.

Whoever writes rows notes in the same transaction where (`ivr.touched`). A run takes notes, makes
the facts of every call that may differ anew, and then the quarter hours in which a fact has
changed. So the figures are what they would be from scratch, in whatever order rows came, changed
and went. Notes and what is made of them commit together; a run that was cut off goes on.
"""

import time
from typing import Any

from msgspec import Struct

from sereno import RunContext, job, retry
from sereno_etl_ivr.feed import feeds
from sereno_etl_ivr.session import patiently
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.target import AGGREGATED, Aggregates, Rules

_CHUNK = 20_000
"""So many touched rows are aggregated in a transaction."""

_MARGIN = 3
"""The next chunk may take so many times as long as the slowest yet."""


class AggregateParams(Struct, frozen=True, forbid_unknown_fields=True):
    """`rebuild`: make the figures of all that is kept anew."""

    rebuild: bool = False


@job(
    "etl_ivr.aggregate",
    params=AggregateParams,
    timeout="1h",  # the first time, over the whole history
    overdue_after="2h",
    retry=retry(2, delay="1m"),
)
async def aggregate(run: RunContext[AggregateParams]) -> dict[str, Any]:
    """Bring the figures of each quarter hour up to what is loaded."""
    return await patiently(run, lambda: _attempted(run))


async def _attempted(run: RunContext[AggregateParams]) -> dict[str, Any]:
    begun = time.monotonic()
    settings: Settings = run.settings
    chosen = [feed for feed in feeds(settings).values() if feed.table.target in AGGREGATED]
    url = settings.target_url or run.database_url
    async with Aggregates.connected(url, chosen, rules(settings)) as aggregates:
        if not await aggregates.lock():
            run.log.info("another run aggregates these sources")
            return {"skipped": True, "duration": round(time.monotonic() - begun, 3)}
        rebuilt = await aggregates.begin(rebuild=run.params.rebuild)
        if rebuilt:
            run.log.info("figures are made anew", extra={"sources": rebuilt})
        chunks, partial = await _chunks(run, aggregates)
        if not partial:
            await aggregates.finish()
        return {
            "skipped": False,
            "partial": partial,
            "rebuilt": rebuilt,
            "chunks": chunks,
            "calls": aggregates.calls,
            "quarters": aggregates.quarters,
            "waiting": await aggregates.waiting(),
            "duration": round(time.monotonic() - begun, 3),
        }


async def _chunks(run: RunContext[AggregateParams], aggregates: Aggregates) -> tuple[int, bool]:
    """Aggregate until nothing is left or the time is up; return how many chunks, and if so."""
    chunks, slowest = 0, 0.0
    while True:
        left = None if run.deadline is None else (run.deadline - run.now()).total_seconds()
        if left is not None and left < _MARGIN * slowest:
            return chunks, True
        begun = time.monotonic()
        if not await aggregates.fill_callees(_CHUNK) and not await aggregates.chunk(_CHUNK):
            return chunks, False
        chunks += 1
        slowest = max(slowest, time.monotonic() - begun)
        run.progress(chunks, None, f"{await aggregates.waiting():,} rows left")


def rules(settings: Settings) -> Rules:
    """Return what the figures are counted by."""
    return Rules(
        settings.level_seconds,
        settings.short_abandon_seconds,
        settings.agent_channel,
        settings.outbound_context,
    )
